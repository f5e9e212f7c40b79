//! Middlewares, a kind that a cluster need not have, and that need not be granted.

use crate::api::{Api, Fault, On, ingress};
use crate::edge::Edge;
use crate::eventually;
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

/// What is said of the kind as a whole.
const VANISHING: &str =
    "ravelin_rejected_objects{kind=\"IngressClass\",reason=\"vanishing\",severity=\"error\"}";

/// Serves a Middleware until it is in the last-good state of this folder; then its definition is deleted.
fn kept_and_deleted(api: &Api, keys: &str, folder: &tempfile::TempDir) {
    api.put("middlewares", middleware());
    api.put("ingresses", redirected("a.test"));
    let edge = Edge::of(api, keys).ready();
    assert_eq!(edge.status("a.test"), 302);
    eventually("it is kept", || {
        let text = std::fs::read_to_string(folder.path().join("last-good.jsonl")).ok()?;
        text.contains("redirectScheme").then_some(())
    });
    assert!(edge.metric(VANISHING) < 0.5);
    drop(edge);
    api.fail("middlewares", On::List, usize::MAX, Fault::Status(404, ""));
}

#[test]
fn a_start_without_the_definition_serves_what_the_last_good_state_has_and_says_so() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    let keys = format!("[state]\ndirectory = {:?}\ncluster = true\n", folder.path());
    kept_and_deleted(&api, &keys, &folder);
    api.fail("middlewares.traefik.io", On::List, usize::MAX, Fault::Status(404, ""));
    // Without the state there is nothing to serve, and nothing opens.
    let edge = Edge::of(&api, "").ready();
    assert_eq!(edge.status("a.test"), 503);
    assert!(edge.metric(VANISHING) < 0.5, "as on every cluster without Traefik");
    drop(edge);
    for _ in 0..2 {
        let edge = Edge::of(&api, &keys).ready();
        assert_eq!(edge.status("a.test"), 302);
        eventually("the finding", || (edge.metric(VANISHING) > 0.5).then_some(()));
        edge.await_failure("Middleware", "vanishing");
        drop(edge);
    }
    // It is installed again, with another object.
    let edge = Edge::of(&api, &keys).ready();
    api.mend();
    let mut other = middleware();
    other["spec"] = json!({"redirectScheme": {"scheme": "https", "permanent": true}});
    api.put("middlewares", other);
    edge.await_status("a.test", 301);
    eventually("no finding", || (edge.metric(VANISHING) < 0.5).then_some(()));
}

#[test]
fn a_definition_that_is_there_is_waited_for_and_nothing_old_is_served() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    let keys = format!("[state]\ndirectory = {:?}\ncluster = true\n", folder.path());
    kept_and_deleted(&api, &keys, &folder);
    let edge = Edge::of(&api, &keys).ready();
    assert_eq!(edge.status("a.test"), 503);
    assert!(edge.metric(VANISHING) < 0.5);
}
