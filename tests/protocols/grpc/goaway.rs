//! A server that goes away between calls.

use super::client::{Client, text};
use super::in_front_of;
use crate::multiplexed::run;
use crate::support::{Conn, Upstream, framed};

/// Echoes the first call of each connection, and says of the next one that it has not looked at it.
fn serve_once(conn: &mut Conn) {
    let mut first = true;
    framed::serve(conn, |conn, stream, body| {
        let frames = if first {
            let fields = [("content-type", "application/grpc")];
            let status = [("grpc-status", "0")];
            let parts = [framed::head(stream, &fields), framed::part(stream, &body)];
            [parts.concat(), framed::trailers(stream, &status)].concat()
        } else {
            framed::goaway(stream - 2)
        };
        first = false;
        conn.send(frames);
    });
}

#[test]
fn a_unary_call_that_the_server_has_not_looked_at_is_made_again() {
    let server = Upstream::scripted(serve_once);
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        for message in ["one", "two", "three"] {
            let answer = client.unary("/t.Calls/Unary", text(message)).await.expect("an answer");
            assert_eq!(answer.into_inner(), message);
        }
    });
    assert_eq!(server.connections(), 3);
    edge.await_metric("ravelin_upstream_retries_total", &[("reason", "stream_refused")], 2.0);
}
