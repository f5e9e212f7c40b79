//! Nothing is served before everything has been listed, and what is missing is named.

use crate::api::{Api, Fault, On, ingress};
use crate::edge::Edge;
use crate::eventually;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn changes_of_the_cluster_are_served() {
    let api = Api::new();
    api.serve("a.test");
    let edge = Edge::of(&api, "").ready();
    assert_eq!((edge.status("a.test"), edge.status("b.test")), (503, 404));
    api.serve("b.test");
    edge.await_status("b.test", 503);
    api.unserve("a.test");
    edge.await_status("a.test", 404);
}

#[test]
fn a_kind_that_is_forbidden_is_named_and_nothing_is_served_until_it_is_granted() {
    let api = Api::new();
    api.serve("a.test");
    api.fail("secrets", On::List, usize::MAX, Fault::Status(403, ""));
    let edge = Edge::of(&api, "");
    eventually("the kind is named", || {
        let (status, body) = edge.readyz();
        assert_eq!(status, 503);
        (body == "Secret: forbidden: the test says 403\n").then_some(())
    });
    edge.await_failure("Secret", "forbidden");
    assert!(edge.metric("ravelin_watch_synced{kind=\"Secret\"}") < 0.5);
    assert!(edge.metric("ravelin_watch_synced{kind=\"Ingress\"}") > 0.5);
    api.mend();
    let edge = edge.ready();
    assert_eq!(edge.status("a.test"), 503);
}

#[test]
fn a_wait_that_is_interrupted_ends_at_once() {
    let api = Api::new();
    api.fail("nodes", On::List, usize::MAX, Fault::Hang);
    let mut edge = Edge::of(&api, "request_timeout = \"1h\"");
    eventually("the request hangs", || (api.asked("nodes", On::List) > 0).then_some(()));
    let asked = Instant::now();
    assert!(edge.interrupt());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn an_event_that_changes_nothing_used_makes_no_table() {
    let api = Api::new();
    api.serve("a.test");
    let edge = Edge::of(&api, "").ready();
    let before = edge.generation();
    for n in 0..3 {
        let mut same = ingress("a.test");
        same["status"] = json!({"loadBalancer": {"ingress": [{"ip": format!("192.0.2.{n}")}]}});
        same["metadata"]["managedFields"] = json!([{"manager": n.to_string()}]);
        api.put("ingresses", same);
    }
    // Of the same watch, and so later than they.
    api.serve("b.test");
    edge.await_status("b.test", 503);
    assert_eq!(edge.generation(), before + 1);
}

#[test]
fn namespaces_are_listed_by_themselves() {
    let api = Api::new();
    api.serve("a.test");
    let edge = Edge::of(&api, "namespaces = [\"ns\", \"other\"]").ready();
    assert_eq!(edge.status("a.test"), 503);
    assert!(api.asked("ingresses", On::List) >= 2);
    assert!(api.asked("ingressclasses", On::List) >= 1);
}

#[test]
fn a_secret_that_a_later_ingress_refers_to_is_fetched_by_its_name() {
    let api = Api::new();
    let data = json!({"tls.crt": "Yw==", "tls.key": "aw=="});
    let metadata = json!({"namespace": "ns", "name": "cert"});
    let secret = json!({"metadata": metadata, "type": "kubernetes.io/tls", "data": data});
    api.put("secrets", secret);
    let edge = Edge::of(&api, "").ready();
    let by_name = || {
        let queries = api.queries("secrets", On::List);
        queries.iter().filter(|query| query.contains("metadata.name%3Dcert")).count()
    };
    assert_eq!(by_name(), 0);
    let mut tls = ingress("a.test");
    tls["spec"]["tls"] = json!([{"secretName": "cert"}]);
    api.put("ingresses", tls);
    edge.await_status("a.test", 503);
    assert_eq!(by_name(), 1);
}
