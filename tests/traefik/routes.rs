//! The routes of a case, which are written shorter than in a manifest. `tests/cli` reads the same cases.

use serde_json::{Value, json};

/// Its IngressRoute, with the Middlewares that its routes have written out; nothing if there are no routes. `spec` is what else is in
/// its specification.
pub(crate) fn of(routes: &[Value], mut spec: Value, name: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let routes = routes.iter().enumerate();
    let routes: Vec<Value> =
        routes.map(|(at, route)| of_route(route, &format!("{name}-{at}"), &mut objects)).collect();
    if !routes.is_empty() {
        spec["routes"] = routes.into();
        objects.push(ingress_route(name, &spec));
    }
    objects
}

/// A Middleware.
pub(crate) fn middleware_object(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": {"name": name},
        "spec": spec})
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

/// A path of a rule of an Ingress, as `paths` of a case has it: `[TYPE ]PATH[ SERVICE]`.
pub(crate) fn ingress_path(text: &str, app: &str) -> Value {
    let words: Vec<&str> = text.split(' ').collect();
    let (kind, path, service) = match words[..] {
        [path] => ("Prefix", path, app),
        [kind, path] => (kind, path, app),
        [kind, path, service] => (kind, path, service),
        _ => panic!("{text:?} is no path"),
    };
    json!({"path": path, "pathType": kind,
        "backend": {"service": {"name": service, "port": {"number": 80}}}})
}
