//! The IngressRoute of a case, whose routes are written shorter than in a manifest.

use crate::cases::Case;
use crate::manifests::middleware_object;
use serde_json::{Value, json};

/// It, with the Middlewares that its routes have written out; nothing if there are no routes.
pub(crate) fn of(case: &Case, name: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let routes = case.routes.iter().enumerate();
    let routes: Vec<Value> =
        routes.map(|(at, route)| of_route(route, &format!("{name}-{at}"), &mut objects)).collect();
    if routes.is_empty() {
        return objects;
    }
    let mut spec = json!({"routes": routes});
    if !case.entry_points.is_empty() {
        spec["entryPoints"] = json!(case.entry_points);
    }
    if let Some(tls) = &case.tls {
        spec["tls"] = tls.clone();
    }
    objects.push(ingress_route(name, &spec));
    objects
}

/// An IngressRoute.
pub(crate) fn ingress_route(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": name},
        "spec": spec})
}

/// A route: a text is its rule, a service that is a text has port 80 (`app` unless services are given), a middleware
/// that is a text is its name, and one without name is a Middleware of its own.
fn of_route(route: &Value, name: &str, objects: &mut Vec<Value>) -> Value {
    let mut route = match route {
        Value::String(rule) => json!({"match": rule}),
        route => route.clone(),
    };
    if route.get("services").is_none() {
        route["services"] = json!(["app"]);
    }
    for service in list(&mut route, "services") {
        if let Some(name) = service.as_str() {
            *service = json!({"name": name, "port": 80});
        }
    }
    for (at, middleware) in list(&mut route, "middlewares").iter_mut().enumerate() {
        if let Some(name) = middleware.as_str() {
            *middleware = json!({"name": name});
        } else if middleware.get("name").is_none() {
            let name = format!("{name}-{at}");
            objects.push(middleware_object(&name, middleware));
            *middleware = json!({"name": name});
        }
    }
    route
}

fn list<'r>(route: &'r mut Value, key: &str) -> &'r mut [Value] {
    route.get_mut(key).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// The routes of a case and of its further objects, for a failure.
pub(crate) fn told(case: &Case) -> String {
    let further = case.objects.iter().filter_map(|object| object["spec"]["routes"].as_array());
    let line = |route: &Value| {
        format!(
            "      {} {} {}",
            route["match"], route["priority"], route["middlewares"][0]["name"]
        )
    };
    let lines: Vec<String> = case.routes.iter().chain(further.flatten()).map(line).collect();
    let ingress = format!("      Ingress {:?} {:?}", case.hosts, case.paths);
    format!("{}\n{ingress}, entry points {:?}", lines.join("\n"), case.entry_points)
}
