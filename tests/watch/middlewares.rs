//! Middlewares, a kind that a cluster need not have, and that need not be granted.

use crate::api::{Api, Fault, On, ingress};
use crate::edge::Edge;
use serde_json::{Value, json};

const SYNCED: &str = "ravelin_watch_synced{kind=\"Middleware\"}";

/// An Ingress whose requests are redirected by a Middleware, if there is one.
fn redirected(host: &str) -> Value {
    let mut object = ingress(host);
    object["metadata"]["annotations"] = json!({"ravelin.dev/middlewares": "m"});
    object
}

fn middleware() -> Value {
    let spec = json!({"redirectScheme": {"scheme": "https"}});
    json!({"kind": "Middleware", "metadata": {"namespace": "ns", "name": "m"}, "spec": spec})
}

#[test]
fn a_middleware_is_followed() {
    let api = Api::new();
    api.put("middlewares", middleware());
    api.put("ingresses", redirected("a.test"));
    let edge = Edge::of(&api, "").ready();
    assert_eq!(edge.status("a.test"), 302);
    let mut other = middleware();
    other["spec"] = json!({"redirectScheme": {"scheme": "https", "permanent": true}});
    api.put("middlewares", other);
    edge.await_status("a.test", 301);
}

#[test]
fn without_the_kind_nothing_is_pending_and_it_is_found_when_it_comes() {
    let api = Api::new();
    api.put("ingresses", redirected("a.test"));
    api.fail("middlewares", On::List, usize::MAX, Fault::Status(404, ""));
    let edge = Edge::of(&api, "").ready();
    assert_eq!(edge.status("a.test"), 503, "what it names is missing");
    assert!(edge.metric(SYNCED) > 0.5);
    // The definition is installed, and the API server is away for a moment: the kind is asked for again.
    api.mend();
    api.put("middlewares", middleware());
    api.cut(true);
    edge.await_failure("Ingress", "connect");
    api.back();
    edge.await_status("a.test", 302);
}

#[test]
fn without_the_right_to_read_them_the_rest_is_served() {
    let api = Api::new();
    api.put("middlewares", middleware());
    api.put("ingresses", redirected("a.test"));
    api.serve("b.test");
    api.fail("middlewares", On::List, usize::MAX, Fault::Status(403, ""));
    let edge = Edge::of(&api, "").ready();
    assert_eq!((edge.status("a.test"), edge.status("b.test")), (503, 503));
    edge.await_failure("Middleware", "forbidden");
    assert!(edge.readyz().1.contains("Middleware: "), "{}", edge.readyz().1);
}
