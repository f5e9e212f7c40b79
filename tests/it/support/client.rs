//! A client on a raw socket.

use super::PATIENCE;
use super::message::{Fault, Framing, Message, Wire};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr, TcpStream};

/// One client connection.
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("the proxy listens");
        Self { wire: Wire::new(stream) }
    }

    /// Connects from an address of its own, which all of 127.0.0.0/8 are.
    pub(crate) fn connect_from(ip: IpAddr, addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(ip, 0).into()).expect("an address of this machine");
        socket.connect_timeout(&addr.into(), PATIENCE).expect("the proxy listens");
        Self { wire: Wire::new(socket.into()) }
    }

    /// Sends exactly this.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes.as_ref()).expect("the proxy reads");
    }

    /// Sends a request without body.
    pub(crate) fn ask(&mut self, method: &str, host: &str, target: &str) {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }

    /// GET and its answer.
    pub(crate) fn get(&mut self, host: &str, target: &str) -> Message {
        self.ask("GET", host, target);
        self.response()
    }

    /// The next response, whole.
    pub(crate) fn response(&mut self) -> Message {
        let mut response = self.head();
        let result = self.wire.body(&mut response);
        assert_eq!(result, Ok(()), "{response:?}");
        response
    }

    /// The next response, to a HEAD.
    pub(crate) fn response_to_head(&mut self) -> Message {
        let mut response = self.head();
        response.framing = Framing::Bodyless;
        response
    }

    /// The head of the next response; its body is still to be read.
    pub(crate) fn head(&mut self) -> Message {
        self.wire.head().expect("valid HTTP").expect("an answer and not the end")
    }

    /// The head of the next response, which is in HTTP/1.0.
    pub(crate) fn head_of_http_1_0(&mut self) -> Message {
        self.wire.version = "HTTP/1.0";
        let head = self.head();
        self.wire.version = "HTTP/1.1";
        head
    }

    /// The next response, which has to break off.
    pub(crate) fn broken_response(&mut self) -> Message {
        let mut response = self.head();
        let result = self.wire.body(&mut response);
        assert_eq!(result, Err(Fault::Closed), "{} bytes came", response.body.len());
        response
    }

    /// Whether the proxy closes the connection before it says anything (more).
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.wire.stream.peek(&mut [0]), Ok(0) | Err(_))
    }

    /// Checks that the proxy closes the connection without another byte.
    pub(crate) fn closes(&mut self) {
        let rest = self.wire.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing comes before the end");
    }
}
