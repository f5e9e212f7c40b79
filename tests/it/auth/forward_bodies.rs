//! `forwardBody`: the auth server sees the body, and so does the pod.

use super::{Stepped, forward_auth, step};
use crate::support::{Edge, Upstream, chunked};
use ravelin::model::middleware::ForwardBody;

fn edge(pod: &Upstream, auth: &Upstream, max: u64) -> Edge {
    let mut settings = forward_auth();
    settings.body = Some(ForwardBody { max });
    Stepped::new(pod.addr())
        .service("auth", &[auth.addr()])
        .route("", "/", vec![step(settings)])
        .start()
}

#[test]
fn both_get_the_whole_body() {
    let (pod, auth) = (Upstream::saying("pod"), Upstream::saying("yes"));
    let edge = edge(&pod, &auth, 1024 * 1024);
    let mut client = edge.connect();
    let large = "x".repeat(300_000);
    for body in ["", "body", &large] {
        let length = body.len();
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"));
        assert_eq!(client.response().status(), 200, "{length}");
    }
    client.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        chunked(&["ab", "cd"])
    ));
    assert_eq!(client.response().status(), 200);
    let bodies = |upstream: &Upstream| -> Vec<usize> {
        upstream.requests().iter().map(|request| request.body.len()).collect()
    };
    assert_eq!(bodies(&auth), [0, 4, 300_000, 4]);
    assert_eq!(bodies(&pod), [0, 4, 300_000, 4]);
    assert_eq!((auth.connections(), pod.connections()), (1, 1), "they are used again");
    assert_eq!(auth.requests()[1].method(), "GET");
    let last = &pod.requests()[3];
    assert_eq!((last.method(), last.field("content-length")), ("PUT", Some("4")));
    drop(client);
    edge.await_metric("ravelin_memory_held_bytes", &[("kind", "bodies")], 0.0);
}

#[test]
fn a_body_beyond_the_bound_is_refused_and_reaches_nobody() {
    let (pod, auth) = (Upstream::saying("pod"), Upstream::saying("yes"));
    let edge = edge(&pod, &auth, 3);
    for head in [
        "Content-Length: 4\r\n\r\nbody",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ] {
        let mut client = edge.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}"));
        let response = client.response();
        assert_eq!((response.status(), response.text()), (401, ""));
    }
    assert_eq!((auth.connections(), pod.connections()), (0, 0));
    assert_eq!(edge.await_log(2)[1]["reason"], "body_too_large");
}

#[test]
fn a_body_that_was_held_is_sent_again_where_a_pod_has_not_read_it() {
    let auth = Upstream::saying("yes");
    let pod = Upstream::scripted(|conn| {
        // The second request on a connection finds it closed.
        if conn.request().is_some() {
            conn.answer("pod");
        }
    });
    let edge = edge(&pod, &auth, 1024 * 1024);
    let body = "x".repeat(200_000);
    for _ in 0..3 {
        let mut client = edge.connect();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{body}"));
        assert_eq!(client.response().status(), 200);
    }
    assert_eq!(pod.requests().len(), 3);
}
