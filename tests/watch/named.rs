//! ConfigMaps: only those that Ingresses name are asked for; a start waits for them, if they may be read.

use crate::api::{Api, Fault, On, ingress};
use crate::edge::Edge;
use crate::eventually;
use serde_json::{Value, json};

fn paged(host: &str, name: &str) -> Value {
    let mut object = ingress(host);
    object["metadata"]["annotations"] = json!({"ravelin.dev/error-pages": name});
    object
}

fn config_map(name: &str, page: &str) -> Value {
    json!({"metadata": {"namespace": "ns", "name": name}, "data": {"5xx": page}})
}

fn await_page(edge: &Edge, host: &str, page: &str) {
    eventually(page, || edge.page(host).contains(page).then_some(()));
}

#[test]
fn a_config_map_is_followed_as_long_as_it_is_named() {
    let api = Api::new();
    api.put("configmaps", config_map("pages", "first"));
    api.put("configmaps", config_map("other", "never read"));
    api.serve("a.test");
    let edge = Edge::of(&api, "").ready();
    assert_eq!(api.asked("configmaps", On::List), 0, "nobody names one");
    api.put("ingresses", paged("a.test", "pages"));
    await_page(&edge, "a.test", "first");
    api.put("configmaps", config_map("pages", "second"));
    await_page(&edge, "a.test", "second");
    let queries = api.queries("configmaps", On::List);
    assert!(queries.iter().all(|query| query.contains("metadata.name%3Dpages")), "{queries:?}");
    assert!(edge.metric("ravelin_watch_objects{kind=\"ConfigMap\"}") > 0.5);
    api.put("ingresses", paged("a.test", "other"));
    await_page(&edge, "a.test", "never read");
    api.serve("a.test");
    await_page(&edge, "a.test", "service_missing");
    eventually("it is not followed any more", || {
        (edge.metric("ravelin_watch_objects{kind=\"ConfigMap\"}") < 0.5).then_some(())
    });
}

#[test]
fn a_process_is_ready_when_those_that_are_named_have_come() {
    let api = Api::new();
    api.put("configmaps", config_map("pages", "from the first answer on"));
    api.put("ingresses", paged("a.test", "pages"));
    let edge = Edge::of(&api, "").ready();
    assert!(edge.page("a.test").contains("from the first answer on"));
}

#[test]
fn without_the_right_to_read_it_the_routes_are_served() {
    let api = Api::new();
    api.put("configmaps", config_map("pages", "page"));
    api.put("ingresses", paged("a.test", "pages"));
    api.fail("configmaps", On::List, usize::MAX, Fault::Status(403, ""));
    let edge = Edge::of(&api, "").ready();
    edge.await_failure("ConfigMap", "forbidden");
    assert_eq!(edge.status("a.test"), 503);
    api.mend();
    await_page(&edge, "a.test", "page");
}

#[test]
fn the_config_map_with_the_cas_of_a_servers_transport_is_followed() {
    let api = Api::new();
    api.serve("a.test");
    api.put("configmaps", config_map("ca", "no CA"));
    api.put("configmaps", config_map("other", "never read"));
    let transport = json!({"kind": "ServersTransport", "metadata": {"namespace": "ns", "name": "inner"},
        "spec": {"rootCAs": [{"configMap": "ca"}]}});
    api.put("serverstransports", transport);
    let edge = Edge::of(&api, "ingress_classes = [\"traefik\"]\n").ready();
    eventually("it is followed", || {
        (edge.metric("ravelin_watch_objects{kind=\"ConfigMap\"}") > 0.5).then_some(())
    });
    let queries = api.queries("configmaps", On::List);
    assert!(queries.iter().all(|query| query.contains("metadata.name%3Dca")), "{queries:?}");
}
