//! Answers that are wrong, late, cut or refused.

use crate::api::{Api, Fault, On};
use crate::edge::Edge;

#[test]
fn a_continue_token_that_expires_within_a_list_begins_it_anew() {
    let api = Api::new();
    let hosts: Vec<String> = (0..5).map(|n| format!("h{n}.test")).collect();
    for host in &hosts {
        api.serve(host);
    }
    api.page(2);
    api.fail("ingresses", On::Continue, 1, Fault::Status(410, ""));
    let edge = Edge::of(&api, "").ready();
    for host in &hosts {
        assert_eq!(edge.status(host), 503, "{host}");
    }
    edge.await_failure("Ingress", "gone");
    assert!(api.asked("ingresses", On::List) >= 2);
}

#[test]
fn a_list_that_fails_in_any_way_is_read_again() {
    for (fault, reason) in [
        (Fault::Status(500, ""), "server_error"),
        (Fault::Status(401, ""), "unauthorized"),
        (Fault::Body("{\"metadata\": {\"resource"), "decode"),
        (Fault::Body("<html>"), "decode"),
        (Fault::Cut("{\"metadata\": "), "broken"),
    ] {
        let api = Api::new();
        api.serve("a.test");
        api.fail("ingresses", On::List, 1, fault.clone());
        let edge = Edge::of(&api, "").ready();
        assert_eq!(edge.status("a.test"), 503, "{fault:?}");
        edge.await_failure("Ingress", reason);
    }
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let api = Api::new();
    api.serve("a.test");
    api.fail("ingresses", On::List, 1, Fault::Status(429, "retry-after: 1\r\n"));
    let before = std::time::Instant::now();
    let edge = Edge::of(&api, "").ready();
    assert!(before.elapsed().as_secs() >= 1);
    assert_eq!(edge.status("a.test"), 503);
    edge.await_failure("Ingress", "throttled");
}

#[test]
fn a_watch_that_fails_in_any_way_keeps_what_is_known_and_lists_again() {
    const EXPIRED: &str = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n";
    for (fault, reason) in [
        (Fault::Body(EXPIRED), "gone"),
        (Fault::Body("{\"type\":\"ADDED\",\"object\":{]}\n"), "decode"),
        (Fault::Body("{\"type\":\"ADDED\",\"obj"), "broken"),
        (Fault::Cut("{\"type\":\"ADDED\",\"obj"), "broken"),
        (Fault::Body(""), "closed"),
        (Fault::Status(500, ""), "server_error"),
        (Fault::Status(403, ""), "forbidden"),
    ] {
        let api = Api::new();
        api.serve("a.test");
        api.fail("ingresses", On::Watch, 1, fault.clone());
        let edge = Edge::of(&api, "").ready();
        edge.await_failure("Ingress", reason);
        assert_eq!(edge.status("a.test"), 503, "{fault:?}");
        api.serve("b.test");
        edge.await_status("b.test", 503);
        assert_eq!(edge.readyz().0, 200, "{fault:?}");
    }
}

#[test]
fn what_is_known_is_served_while_the_server_is_away_and_again_followed_when_it_is_back() {
    let api = Api::new();
    api.serve("a.test");
    api.serve("b.test");
    let edge = Edge::of(&api, "").ready();
    api.cut(true);
    edge.await_failure("Ingress", "connect");
    let (status, body) = edge.readyz();
    assert_eq!((edge.status("a.test"), status), (503, 200));
    let said = "ok\nserving the last known state; the API server does not confirm it:\n";
    assert!(body.starts_with(said), "{body}");
    assert!(body.contains("\nIngress: ") && body.contains(" s old: connect: "), "{body}");
    assert!(edge.metric("ravelin_watch_age_seconds{kind=\"Ingress\"}") > 0.0);
    // As after a restore: other content, and no event that says so.
    api.restore(102, "c.test");
    api.back();
    edge.await_status("c.test", 503);
    assert_eq!((edge.status("a.test"), edge.status("b.test")), (404, 404));
    crate::eventually("nothing is old", || (edge.readyz() == (200, "ok\n".into())).then_some(()));
}
