//! Silence is not health: what no error tells is noticed all the same.

use crate::api::{Api, Fault, On, ingress};
use crate::edge::Edge;
use crate::eventually;

#[test]
fn a_watch_that_misses_a_change_is_found_out_by_the_check() {
    let api = Api::new();
    api.serve("a.test");
    let edge = Edge::of(&api, "consistency_check = \"100ms\"").ready();
    api.mute("ingresses");
    api.put_silently("ingresses", ingress("b.test"));
    edge.await_status("b.test", 503);
    edge.await_failure("Ingress", "differs");
    assert_eq!(edge.status("a.test"), 503);
}

#[test]
fn a_check_that_is_rarer_than_new_watches_comes_all_the_same() {
    let api = Api::new();
    api.serve("a.test");
    let keys = "watch_timeout = \"1s\"\nconsistency_check = \"2s\"";
    let edge = Edge::of(&api, keys).ready();
    api.put_silently("ingresses", ingress("b.test"));
    edge.await_status("b.test", 503);
    edge.await_failure("Ingress", "differs");
}

#[test]
fn a_server_that_is_behind_us_is_found_out_by_the_check() {
    let api = Api::new();
    let versions = ["a.test", "b.test"].map(|host| api.serve(host));
    let edge = Edge::of(&api, "consistency_check = \"100ms\"").ready();
    // As many Ingresses as before, but for the version nothing tells.
    api.serve("c.test");
    edge.await_status("c.test", 503);
    api.restore(versions[0], "old.test");
    edge.await_status("old.test", 503);
    edge.await_failure("Ingress", "behind");
    assert_eq!((edge.status("a.test"), edge.status("c.test")), (404, 404));
    // And the new watch is one that speaks.
    api.serve("new.test");
    edge.await_status("new.test", 503);
}

#[test]
fn a_server_that_hangs_is_found_out_by_the_check_and_nothing_is_given_up() {
    let api = Api::new();
    api.serve("a.test");
    let keys = "consistency_check = \"100ms\"\nrequest_timeout = \"300ms\"";
    let edge = Edge::of(&api, keys).ready();
    for plural in ["ingresses", "services", "nodes"] {
        api.mute(plural);
        api.fail(plural, On::List, usize::MAX, Fault::Hang);
    }
    api.serve("b.test");
    edge.await_failure("Ingress", "timeout");
    assert_eq!((edge.status("a.test"), edge.status("b.test")), (503, 404));
    assert_eq!(edge.readyz().0, 200);
    api.mend();
    edge.await_status("b.test", 503);
}

#[test]
fn a_watch_that_ends_in_time_goes_on_where_it_was() {
    let api = Api::new();
    api.serve("a.test");
    let edge = Edge::of(&api, "watch_timeout = \"1s\"\nconsistency_check = \"1h\"").ready();
    let version = api.serve("b.test");
    edge.await_status("b.test", 503);
    // The first object alone is asked for before a watch is resumed.
    let lists = || {
        let queries = api.queries("ingresses", On::List);
        queries
            .iter()
            .filter(|query| !query.split('&').any(|part| part.ends_with("limit=1")))
            .count()
    };
    let before = lists();
    let resumed = format!("resourceVersion={version}");
    eventually("the watch is opened anew", || {
        let queries = api.queries("ingresses", On::Watch);
        queries.iter().any(|query| query.contains(&resumed)).then_some(())
    });
    assert_eq!(lists(), before);
    api.serve("c.test");
    edge.await_status("c.test", 503);
}

#[test]
fn a_server_that_is_behind_us_is_found_out_before_a_watch_is_resumed() {
    let api = Api::new();
    let versions = ["a.test", "b.test"].map(|host| api.serve(host));
    let keys = "watch_timeout = \"1s\"\nconsistency_check = \"1h\"";
    let edge = Edge::of(&api, keys).ready();
    // As many Ingresses as before, but for the version nothing tells.
    api.serve("c.test");
    edge.await_status("c.test", 503);
    api.restore(versions[0], "old.test");
    edge.await_status("old.test", 503);
    edge.await_failure("Ingress", "behind");
    assert_eq!((edge.status("a.test"), edge.status("c.test")), (404, 404));
}

#[test]
fn a_watch_that_outlasts_its_time_is_dropped() {
    let api = Api::new();
    api.serve("a.test");
    // Says nothing and never ends.
    api.fail("ingresses", On::Watch, 1, Fault::Cut(""));
    api.fail("services", On::Watch, 1, Fault::Hang);
    let keys = "watch_timeout = \"1s\"\nrequest_timeout = \"500ms\"";
    let edge = Edge::of(&api, keys).ready();
    edge.await_failure("Service", "timeout");
    api.serve("b.test");
    edge.await_status("b.test", 503);
}
