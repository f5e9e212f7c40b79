//! IngressRouteUDPs, which are not served: the Services of type LoadBalancer that do the same without a proxy.

use serde_json::{Value, json};

/// A Service in the place of each that an IngressRouteUDP names, as a line of YAML that can be applied. `find` has the
/// `spec` of a Service by namespace and name. Where that is not known, words say what is missing.
pub fn udp_services(
    namespace: &str,
    name: &str,
    spec: &Value,
    mut find: impl FnMut(&str, &str) -> Option<Value>,
) -> Vec<String> {
    let list = |value: &Value, key: &str| -> Vec<Value> {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let routes = list(spec, "routes");
    let targets: Vec<Value> = routes.iter().flat_map(|route| list(route, "services")).collect();
    let several = targets.len() > 1;
    let services = targets.iter().enumerate().map(|(at, target)| {
        let text = |key: &str| target.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
        let of = text("namespace").unwrap_or(namespace);
        let service = text("name").unwrap_or_default();
        let own = if several { format!("{name}-udp-{}", at + 1) } else { format!("{name}-udp") };
        let port = target.get("port").unwrap_or(&Value::Null);
        made(&own, of, find(of, service).as_ref(), port).unwrap_or_else(|| {
            format!(
                "a Service of type LoadBalancer in namespace {of} with protocol UDP, and the selector and the port {} of the \
                 Service {service:?}, which is not in the input",
                word(port)
            )
        })
    });
    services.collect()
}

/// The new Service, by the one that has the pods.
fn made(name: &str, namespace: &str, spec: Option<&Value>, port: &Value) -> Option<String> {
    let spec = spec?;
    let selector =
        spec.get("selector").filter(|it| it.as_object().is_some_and(|it| !it.is_empty()))?;
    let ports = spec.get("ports")?.as_array()?;
    let is_it = |it: &&Value| {
        let same = |key: &str| it.get(key).is_some_and(|own| word(own) == word(port));
        same("port") || same("name")
    };
    // DNS has one number for both protocols.
    let is_udp = |it: &&Value| it.get("protocol").is_some_and(|protocol| protocol == "UDP");
    let of = ports.iter().filter(is_it).find(is_udp).or_else(|| ports.iter().find(is_it))?;
    let number = of.get("port")?;
    let mut port = json!({"port": number, "protocol": "UDP"});
    if let Some(target) = of.get("targetPort").filter(|target| *target != number) {
        port["targetPort"] = target.clone();
    }
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "LoadBalancer", "selector": selector, "ports": [port]}});
    // JSON is YAML.
    Some(service.to_string())
}

/// A number or a name, which may be either in manifests.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(route: &Value, found: Option<&Value>) -> Vec<String> {
        udp_services("home", "dns", route, |namespace, name| {
            assert_eq!((namespace, name), ("home", "resolver"));
            found.cloned()
        })
    }

    #[test]
    fn the_service_has_name_namespace_selector_and_ports() {
        let spec = json!({"selector": {"app": "dns"},
            "ports": [{"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "targetPort": 5353, "protocol": "UDP"}]});
        let route =
            |port: Value| json!({"routes": [{"services": [{"name": "resolver", "port": port}]}]});
        let by_name = services(&route("udp".into()), Some(&spec));
        assert_eq!(
            by_name,
            [
                r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"dns-udp","namespace":"home"},"spec":{"ports":[{"port":53,"protocol":"UDP","targetPort":5353}],"selector":{"app":"dns"},"type":"LoadBalancer"}}"#
            ]
        );
        assert_eq!(services(&route(53.into()), Some(&spec)), by_name, "and not the port of TCP");
        let missing = "of the Service \"resolver\", which is not in the input";
        assert!(services(&route(53.into()), None)[0].ends_with(missing));
        assert!(services(&route(54.into()), Some(&spec))[0].ends_with(missing));
    }
}
