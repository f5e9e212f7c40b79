//! Both ends of a connection that changes its protocol, and their bytes afterwards.

use crate::support::{Client, Conn, Edge, Framing, Message};
use std::io::Read;

/// A request for a WebSocket.
pub(crate) const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\n\
     Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The answer that agrees.
pub(crate) const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An end of a tunnel.
pub(crate) trait End {
    /// Reads what a message is said to have, and says whether it came.
    fn fill(&mut self, message: &mut Message) -> bool;

    /// Exactly so many bytes of what comes; `None` if less comes.
    fn try_take(&mut self, count: u64) -> Option<String> {
        let (start, fields, trailers) = (String::new(), Vec::new(), Vec::new());
        let (framing, body) = (Framing::Length(count), Vec::new());
        let mut bytes = Message { start, fields, framing, body, trailers, whole: false };
        self.fill(&mut bytes).then(|| bytes.text().to_owned())
    }

    /// Exactly so many bytes as this text has, which have to be this text.
    fn takes(&mut self, text: &str) {
        assert_eq!(self.try_take(text.len() as u64).as_deref(), Some(text));
    }
}

impl End for Client {
    fn fill(&mut self, message: &mut Message) -> bool {
        self.wire.body(message).is_ok()
    }
}

impl End for Conn {
    fn fill(&mut self, message: &mut Message) -> bool {
        self.wire.body(message).is_ok()
    }
}

/// Asks for a WebSocket and gets it.
pub(crate) fn open(edge: &Edge) -> Client {
    open_on(edge.connect())
}

/// The same on a connection that there is.
pub(crate) fn open_on(mut client: Client) -> Client {
    client.send(WEBSOCKET);
    agreed(&mut client);
    client
}

/// Checks that the tunnel ends for a client, and not by a reset.
pub(crate) fn ends(client: &Client) {
    assert_eq!((&client.wire.stream).read(&mut [0]).ok(), Some(0), "nothing and then the end");
}

/// Takes the answer that agrees.
pub(crate) fn agreed(client: &mut Client) {
    let head = client.head();
    assert_eq!(head.status(), 101, "{head:?}");
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("connection"), Some("upgrade"));
}

/// Agrees to what a request asks for.
pub(crate) fn agree(conn: &mut Conn) {
    assert_eq!(conn.head().expect("a request").field("upgrade"), Some("websocket"));
    conn.send(SWITCHING);
}

/// How many tunnels there are.
pub(crate) fn await_open(edge: &Edge, count: f64) {
    edge.await_metric("ravelin_tunnels_open", &[("listener", "web")], count);
}
