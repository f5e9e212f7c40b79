//! `retry`: how often a request is sent, and when.

use crate::support::{Edge, Refusing, Stepped, Upstream};
use ravelin::model::middleware::{RetryLimit, StatusRange, Step};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

fn limit(attempts: u32, interval: Duration) -> RetryLimit {
    RetryLimit::of(NonZeroU32::new(attempts).expect("more than 0"), interval)
}

fn retry(attempts: u32, interval: Duration) -> Step {
    Step::Retry(Arc::new(limit(attempts, interval)))
}

/// For responses with 503.
fn unavailable(attempts: u32) -> RetryLimit {
    let statuses = vec![StatusRange { first: 503, last: 503 }];
    RetryLimit { statuses, ..limit(attempts, Duration::ZERO) }
}

/// Answers so many requests with 503 and the next ones with 200, on connections that are kept.
fn overloaded(times: usize) -> Upstream {
    let answered = AtomicUsize::new(0);
    Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            let status = if answered.fetch_add(1, Ordering::Relaxed) < times { 503 } else { 200 };
            conn.send(format!("HTTP/1.1 {status} x\r\nContent-Length: 4\r\n\r\n{status} "));
        }
    })
}

fn edge(pod: &Upstream, limit: RetryLimit) -> Edge {
    Stepped::new(pod.addr()).route("", "/", vec![Step::Retry(Arc::new(limit))]).start()
}

fn await_failed(edge: &Edge, count: f64) {
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "failed")], count);
}

#[test]
fn a_pod_that_is_away_for_a_moment_costs_no_request() {
    let pod = Refusing::new();
    // More retries at once than that the budget does not let a single request have.
    let steps = vec![retry(25, Duration::from_millis(100))];
    let edge = Stepped::new(pod.addr()).route("", "/", steps).start();
    let asking = {
        let mut client = edge.connect();
        thread::spawn(move || {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            client.response()
        })
    };
    // It has been refused twice, and opens only then.
    crate::support::eventually("two refusals", || {
        let labels = [("result", "failed")];
        (edge.metrics().sum("ravelin_upstream_connects_total", &labels) > 1.5).then_some(())
    });
    let pod = pod.open("here again");
    assert_eq!(asking.join().expect("a response").text(), "here again");
    assert_eq!(pod.only_request().text(), "body");
}

#[test]
fn a_request_is_sent_as_often_as_the_route_says() {
    for attempts in [1, 2, 4] {
        let pod = Refusing::new();
        let steps = vec![retry(attempts, Duration::ZERO)];
        let edge = Stepped::new(pod.addr()).route("", "/", steps).start();
        let response = edge.get("a", "/");
        assert_eq!(response.status(), 502);
        assert!(response.text().contains("connect_failed"), "{}", response.text());
        await_failed(&edge, f64::from(attempts));
        assert_eq!(edge.ended("connect_failed")["retries"], attempts - 1);
    }
}

#[test]
fn of_two_bounds_the_smaller_one_counts() {
    let pod = Refusing::new();
    let steps = vec![retry(2, Duration::ZERO), retry(4, Duration::ZERO)];
    let edge = Stepped::new(pod.addr()).route("", "/", steps).start();
    assert_eq!(edge.get("a", "/").status(), 502);
    await_failed(&edge, 2.0);
}

#[test]
fn what_a_pod_may_have_carried_out_is_not_sent_to_it_again() {
    let pod = Upstream::scripted(|conn| {
        conn.request();
    });
    let steps = vec![retry(5, Duration::ZERO)];
    let edge = Stepped::new(pod.addr()).route("", "/", steps).start();
    let mut client = edge.connect();
    for method in ["GET", "POST"] {
        client.ask(method, "a", "/");
        assert_eq!(client.response().status(), 502, "{method}");
    }
    assert_eq!(pod.requests().len(), 2);
}

#[test]
fn a_status_that_the_route_gives_up_has_the_request_sent_again_on_the_connection_that_there_is() {
    let pod = overloaded(2);
    let edge = edge(&pod, unavailable(3));
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().text(), "200 ");
    let sent = pod.requests();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|request| request.body == b"body"));
    edge.await_metric("ravelin_upstream_retries_total", &[("reason", "status")], 2.0);
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "ok")], 1.0);
}

#[test]
fn the_last_response_is_the_clients_whatever_its_status() {
    let pod = overloaded(9);
    let edge = edge(&pod, unavailable(3));
    let response = edge.get("a", "/");
    assert_eq!((response.status(), response.text()), (503, "503 "));
    assert_eq!(pod.requests().len(), 3);
}

#[test]
fn what_must_not_be_sent_again_for_a_status_is_not() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let put = post.replace("POST", "PUT");
    let of_any = RetryLimit { any_method: true, ..unavailable(3) };
    let small = RetryLimit { max_body: Some(3), ..unavailable(3) };
    let late = RetryLimit { timeout: Some(Duration::from_nanos(1)), ..unavailable(3) };
    let other =
        RetryLimit { statuses: vec![StatusRange { first: 500, last: 502 }], ..unavailable(3) };
    let long =
        format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n{}", "x".repeat(70_000));
    for (request, limit, expected) in [
        (post, unavailable(3), 503),
        (post, of_any.clone(), 200),
        (&put, small, 503),
        (&put, late, 503),
        (&put, other, 503),
        (&long, RetryLimit { max_body: Some(69_999), ..of_any.clone() }, 503),
        (&long, of_any, 200),
    ] {
        let pod = overloaded(1);
        let edge = edge(&pod, limit.clone());
        let mut client = edge.connect();
        client.send(request);
        assert_eq!(client.response().status(), expected, "{limit:?}");
    }
}

#[test]
fn other_pods_come_first_and_failures_of_the_network_only_where_they_are_meant() {
    let (busy, well) = (overloaded(99), overloaded(0));
    let edge = Stepped::to(&[busy.addr(), well.addr()]);
    let edge = edge.route("", "/", vec![Step::Retry(Arc::new(unavailable(2)))]).start();
    let mut client = edge.connect();
    for _ in 0..8 {
        assert_eq!(client.get("a", "/").status(), 200);
    }

    let pod = Refusing::new();
    let limit = RetryLimit { network: false, ..unavailable(5) };
    let edge = Stepped::new(pod.addr()).route("", "/", vec![Step::Retry(Arc::new(limit))]).start();
    assert_eq!(edge.get("a", "/").status(), 502);
    await_failed(&edge, 1.0);
}
