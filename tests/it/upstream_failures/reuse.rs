//! Which connections serve again, and what must never come out of one.

use crate::support::{Edge, Gate, Upstream, edge_to, eventually};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn bytes_behind_a_response_never_become_the_next_answer() {
    for extra in ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "x", "\r\n"] {
        let upstream = Upstream::scripted(move |conn| {
            if conn.request().is_some() {
                let number = conn.number;
                conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}{extra}"));
            }
            while conn.request().is_some() {
                conn.answer("again");
            }
        });
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        for n in 0..3 {
            let response = client.get("a", "/");
            assert_eq!(
                (response.status(), response.text()),
                (200, n.to_string().as_str()),
                "{extra:?}"
            );
        }
        assert_eq!(upstream.connections(), 3, "{extra:?}: each was used once");
    }
}

#[test]
fn a_body_where_none_may_be_does_not_become_the_next_answer() {
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 50"),
        ("GET", "HTTP/1.1 204 No Content"),
        ("GET", "HTTP/1.1 304 Not Modified"),
    ] {
        let upstream = Upstream::scripted(move |conn| {
            if conn.number > 0 {
                while conn.request().is_some() {
                    conn.answer("clean");
                }
            } else if conn.request().is_some() {
                let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
                conn.send(format!("{head}\r\n\r\n{poison}"));
                conn.closes();
            }
        });
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        client.ask(method, "a", "/");
        client.response_to_head();
        assert_eq!(client.get("a", "/").text(), "clean", "{method} {head}");
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_no_request() {
    let gate = Gate::default();
    let closed = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            conn.answer("once");
            if conn.number == 0 {
                conn.wire.stream.shutdown(Shutdown::Both).expect("open");
                closed.open();
                return;
            }
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").text(), "once");
    gate.wait();
    // Not one that may be repeated: but nothing of it was written.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().text(), "once");
    assert_eq!(upstream.requests().len(), 2, "it was sent once");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_connection_that_closes_at_the_next_request_is_tried_once_more_where_that_is_safe() {
    for (request, status, sent) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 3),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 3),
        // Perhaps it was carried out before the connection closed.
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 502, 2),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 502, 2),
    ] {
        let upstream = Upstream::scripted(|conn| {
            if conn.request().is_some() {
                conn.answer("fine");
            }
            // Reads the second request, and answers nothing.
            conn.request();
        });
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        assert_eq!(client.get("a", "/").text(), "fine");
        client.send(request);
        let response = client.response();
        assert_eq!(response.status(), status, "{request}: {}", response.text());
        assert_eq!(upstream.requests().len(), sent, "{request}");
        let line = &edge.await_log(2)[1];
        assert_eq!(line["retries"], sent - 2, "{line}");
    }
}

#[test]
fn an_answer_before_the_end_of_an_upload_passes_and_its_connection_is_not_used_again() {
    let upstream = Upstream::scripted(|conn| {
        if conn.number > 0 {
            while conn.request().is_some() {
                conn.answer("clean");
            }
        } else {
            conn.head();
            conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge");
            conn.closes();
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nthe beginning");
    let response = client.response();
    assert_eq!((response.status(), response.text()), (413, "large"));
    upstream.await_closed(1);
    assert_eq!(edge.get("a", "/").text(), "clean");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn more_idle_connections_than_the_setting_says_are_closed() {
    // Both answers wait until both requests are there, on a connection each.
    let (arrived, both) = (AtomicUsize::new(0), Gate::default());
    let upstream = Upstream::scripted(move |conn| {
        if conn.request().is_some() {
            if arrived.fetch_add(1, Ordering::Relaxed) == 1 {
                both.open();
            }
            both.wait();
            conn.answer("done");
        }
        conn.closes();
    });
    let builder = edge_to(&[upstream.addr()]);
    let edge = builder.set("upstream", "idle_per_endpoint", "1").start();
    let mut clients = [edge.connect(), edge.connect()];
    for client in &mut clients {
        client.ask("GET", "a", "/");
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "done");
    }
    upstream.await_closed(1);
    edge.await_metric("ravelin_upstream_idle_connections", &[], 1.0);
}

#[test]
fn what_was_on_a_connection_of_a_pod_that_ends_goes_to_another_pod() {
    // It still takes connections, as the kernel does for a process that ends, and answers on none.
    let ending = Upstream::scripted(|conn| {
        if conn.number == 0 && conn.request().is_some() {
            conn.answer("ending");
        }
        conn.request();
    });
    let living = Upstream::saying("alive");
    let edge = edge_to(&[ending.addr(), living.addr()]).start();
    let mut client = edge.connect();
    eventually("its connection is used again", || {
        let response = client.get("a", "/");
        assert_eq!(response.status(), 200, "{}", response.text());
        let again =
            edge.metrics().sum("ravelin_upstream_retries_total", &[("reason", "reused_closed")]);
        (again > 0.5).then_some(())
    });
}
