//! Random requests, and what comes back for them.

use crate::Outcome;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What a client asks for, in its own spelling.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) host: String,
    pub(crate) target: String,
}

/// Spellings of the hosts of `rule_set`, hosts of no rule, and what is no host.
const HOSTS: [&str; 24] = [
    "a.example",
    "A.Example",
    "a.example.",
    "a.example:80",
    "a.EXAMPLE.:8080",
    "b.example",
    "b.example:1",
    "a.b.example",
    "b.b.example",
    "c.b.example",
    "C.B.example:443",
    "d.c.b.example",
    "c.example",
    "example",
    "unknown.test",
    "b_c.example",
    "10.0.0.1",
    "[2001:db8::1]:80",
    "a.example:",
    "localhost",
    // Four that are refused.
    "u@a.example",
    "u:p@a.example:80",
    "a.example:99999",
    "b.example:70000",
];

/// Elements of the paths of `rule_set` and others, in spellings that become them or do not.
const ELEMENTS: [&str; 22] = [
    "/a",
    "/b",
    "/a",
    "/b",
    "/ab",
    "/a-b",
    "/a.b",
    "/%61",
    "/%62",
    "/a%2Fb",
    "/a%2fb",
    "/A",
    "/.",
    "/..",
    "/",
    "/%2e%2e",
    "/%2E",
    "/caf%c3%a9",
    "/~x",
    "/a;v=1",
    "/{x}",
    "/a:b",
];

/// What makes a path unreadable.
const BAD: [&str; 7] = ["/%", "/%4", "/%zz", "/a%00", "/..;/a", "/.;x", "/%2e%2e;"];

fn targets() -> impl Strategy<Value = String> {
    let elements = prop::collection::vec(prop::sample::select(&ELEMENTS[..]), 1..5);
    let bad = prop_oneof![15 => Just(""), 1 => prop::sample::select(&BAD[..])];
    let end = prop_oneof![4 => Just(""), 1 => Just("/"), 1 => Just("?q=/../%2e"), 1 => Just("?")];
    (elements, bad, end).prop_map(|(elements, bad, end)| elements.concat() + bad + end)
}

/// The requests of one case.
pub(crate) fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = (prop::sample::select(&HOSTS[..]), targets());
    let request = request.prop_map(|(host, target)| Request { host: host.to_owned(), target });
    prop::collection::vec(request, 30)
}

impl Request {
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.host, self.target)
    }

    /// Sends it over a connection of its own, byte for byte, and reads the answer.
    pub(crate) fn send(&self, proxy: SocketAddr) -> Outcome {
        let mut socket = TcpStream::connect(proxy).expect("the proxy listens");
        let Self { host, target } = self;
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).expect("the proxy takes a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the proxy answers and closes");
        read(&answer)
    }
}

/// A pod's body is `service target`, ours the status, then `reason: sentence`.
fn read(answer: &str) -> Outcome {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.unwrap_or_else(|| panic!("no status: {head:?}"));
    if status == 200 {
        let (service, target) = body.split_once(' ').unwrap_or_else(|| panic!("{answer:?}"));
        return Outcome::Forwarded { service: service.to_owned(), target: target.to_owned() };
    }
    let reason = body.lines().nth(1).and_then(|line| line.split_once(": "));
    let (reason, _) = reason.unwrap_or_else(|| panic!("no reason: {answer:?}"));
    Outcome::Answered { status, reason: reason.to_owned() }
}
