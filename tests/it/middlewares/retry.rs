//! `retry`: how often a request is sent, and when.

use crate::support::{Edge, Refusing, Stepped, Upstream};
use ravelin::model::middleware::{RetryLimit, Step};
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

fn retry(attempts: u32, interval: Duration) -> Step {
    let attempts = NonZeroU32::new(attempts).expect("more than 0");
    Step::Retry(RetryLimit { attempts, interval })
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
