//! Circuit breakers: pods that fail are left alone.

use crate::support::{Refusing, Stepped, Upstream, eventually};
use http::StatusCode;
use ravelin::model::middleware::{BreakerCondition, CircuitBreaker, Operator, Signal, Step};
use std::time::Duration;

fn breaker(signal: Signal, status: u16, fallback: Duration) -> Step {
    Step::CircuitBreaker(Box::new(CircuitBreaker {
        condition: BreakerCondition::Compare(signal, Operator::Greater, 0.3),
        check_period: Duration::from_nanos(1),
        fallback,
        recovery: Duration::from_millis(1),
        status: StatusCode::from_u16(status).expect("a status"),
    }))
}

const FAILURES: Signal = Signal::Responses { counted: (500, 600), divided: (0, 600) };

const HOUR: Duration = Duration::from_secs(3600);

fn failing() -> Upstream {
    Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
        }
    })
}

#[test]
fn a_pod_that_fails_gets_no_more_requests_and_clients_are_told_why() {
    let pod = failing();
    let steps = vec![breaker(FAILURES, 503, HOUR)];
    let edge = Stepped::new(pod.addr()).route("", "/", steps).start();
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").status(), 500);
    for _ in 0..3 {
        let response = client.get("a", "/");
        assert_eq!(response.status(), 503);
        assert!(response.text().contains("circuit_open"), "{}", response.text());
    }
    assert_eq!(pod.requests().len(), 1);
    edge.await_metric("ravelin_circuit_breaker_trips_total", &[], 1.0);
    edge.await_metric("ravelin_requests_total", &[("reason", "circuit_open")], 3.0);
    let answered = [("kind", "circuitBreaker"), ("outcome", "answered")];
    edge.await_metric("ravelin_middleware_requests_total", &answered, 3.0);
}

#[test]
fn requests_that_reach_no_pod_count_as_network_errors() {
    let nobody = Refusing::new();
    let steps = vec![breaker(Signal::NetworkErrors, 429, HOUR)];
    let edge = Stepped::new(nobody.addr()).route("", "/", steps).start();
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").status(), 502);
    assert_eq!(client.get("a", "/").status(), 429);
}

#[test]
fn requests_pass_again_after_a_while() {
    let pod = Upstream::scripted(|conn| {
        let mut status = "500 Internal Server Error";
        while conn.request().is_some() {
            conn.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
            status = "200 OK";
        }
    });
    let steps = vec![breaker(FAILURES, 503, Duration::from_millis(1))];
    let edge = Stepped::new(pod.addr()).route("", "/", steps).start();
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").status(), 500);
    eventually("a request that passes", || (client.get("a", "/").status() == 200).then_some(()));
    assert_eq!(client.get("a", "/").status(), 200);
}

#[test]
fn routes_with_other_breakers_go_on() {
    let pod = failing();
    let edge = Stepped::new(pod.addr())
        .route("a", "/", vec![breaker(FAILURES, 503, HOUR)])
        .route("b", "/", vec![breaker(Signal::NetworkErrors, 503, HOUR)])
        .start();
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").status(), 500);
    assert_eq!(client.get("a", "/").status(), 503);
    assert_eq!(client.get("b", "/").status(), 500);
    assert_eq!(client.get("b", "/").status(), 500);
}
