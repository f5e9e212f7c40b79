//! What connections and requests may hold, who is refused over it, and that it comes back.

use crate::support::{Client, Conn, Edge, Message, Upstream, chunked, edge_to, eventually};

/// A pod that answers `/` and never anything else.
fn waiting() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        while let Some(mut request) = conn.head() {
            match request.target() {
                "/" => conn.answer("through"),
                "/fails" => {
                    conn.body(&mut request);
                    return;
                }
                _ => return conn.closes(),
            }
        }
    })
}

/// A proxy that may hold as little as the configuration lets it.
fn small(upstream: &Upstream) -> Edge {
    edge_to(&[upstream.addr()]).set("limits", "memory", "\"16MiB\"").start()
}

fn held(edge: &Edge, kind: &str) -> f64 {
    edge.metrics().sum("ravelin_memory_held_bytes", &[("kind", kind)])
}

/// A request head of some 100 kB, without its end.
fn long_head(target: &str) -> String {
    let mut head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n");
    for number in 0..90 {
        head.push_str(&format!("X-{number}: {}\r\n", "v".repeat(1100)));
    }
    head
}

/// Requests refused for want of memory so far.
fn refused(edge: &Edge) -> f64 {
    edge.metrics().sum("ravelin_requests_total", &[("reason", "memory_exhausted")])
}

/// Clients that each send this. The proxy may have refused one before all of it was sent.
fn crowd(edge: &Edge, text: &str) -> Vec<Client> {
    let each = (0..150).map(|_| {
        let mut client = edge.connect();
        let _ = client.wire.send(text.as_bytes());
        client
    });
    each.collect()
}

/// The first answer among those that clients were given, if one has come.
fn answer(clients: &mut [Client]) -> Option<Message> {
    clients.iter_mut().find_map(|client| {
        let stream = &client.wire.stream;
        stream.set_nonblocking(true).expect("a socket");
        let has_answer = stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
        stream.set_nonblocking(false).expect("a socket");
        has_answer.then(|| client.response()).filter(|answer| answer.text().contains("exhausted"))
    })
}

#[test]
fn large_heads_that_wait_are_refused_in_time_and_a_small_one_is_served_all_the_while() {
    let upstream = waiting();
    let edge = small(&upstream);
    // Some 250 KiB each: 16 MiB are full at a few dozen.
    let mut waiting = crowd(&edge, &(long_head("/waits") + "\r\n"));
    eventually("many are refused", || (refused(&edge) >= 20.0).then_some(()));
    let metrics = edge.metrics();
    assert!(metrics.sum("ravelin_memory_refused_total", &[]) >= 20.0);
    assert!(metrics.sum("ravelin_memory_held_bytes", &[]) <= 16.0 * 1024.0 * 1024.0);
    assert_eq!(edge.get("a", "/").text(), "through", "a small one passes");
    let response = eventually("one was told so", || answer(&mut waiting));
    assert_eq!((response.status(), response.field("retry-after")), (503, Some("1")));

    drop(waiting);
    edge.await_metric("ravelin_memory_held_bytes", &[("kind", "requests")], 0.0);
    let mut client = edge.connect();
    client.send(long_head("/") + "\r\n");
    assert_eq!(client.response().text(), "through", "there is room again");
}

#[test]
fn heads_that_do_not_end_count_as_the_buffer_that_they_grow() {
    let upstream = waiting();
    let edge = small(&upstream);
    let clients = crowd(&edge, &long_head("/"));
    eventually("many are refused", || (refused(&edge) >= 20.0).then_some(()));
    assert_eq!(edge.get("a", "/").text(), "through", "a small one passes");
    drop(clients);
    eventually("there is room", || (held(&edge, "requests") < 1e6).then_some(()));
    let mut client = edge.connect();
    client.send(long_head("/"));
    client.send("\r\n");
    assert_eq!(client.response().text(), "through");
}

#[test]
fn uploads_in_drips_hold_what_they_are_long_and_are_sent_again_whole() {
    let upstream = waiting();
    let edge = edge_to(&[upstream.addr()]).start();
    let drips = 40;
    let mut client = edge.connect();
    client.send("PUT /waits HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..drips {
        client.send("10\r\n0123456789abcdef\r\n");
    }
    edge.await_metric("ravelin_memory_held_bytes", &[("kind", "bodies")], 0.0);
    eventually("all of it is kept", || {
        let kept = held(&edge, "replays");
        assert!(kept <= 4096.0, "{kept} bytes for {} of drips", 16 * drips);
        (kept >= 16.0 * f64::from(drips)).then_some(())
    });
    drop(client);
    edge.await_metric("ravelin_memory_held_bytes", &[("kind", "replays")], 0.0);

    // On a connection that has served before, which is what is tried again.
    assert_eq!(edge.get("a", "/").text(), "through");
    let body = chunked(&["0123456789abcdef"; 40]);
    let mut client = edge.connect();
    let head = "PUT /fails HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{body}"));
    assert_eq!(client.response().status(), 502);
    let fails = || upstream.requests().into_iter().filter(|request| request.target() == "/fails");
    eventually("it was sent twice", || (fails().count() == 2).then_some(()));
    assert!(fails().all(|request| request.text() == "0123456789abcdef".repeat(40)));
}
