//! Who gets no certificate, and who gets no further.

use crate::PATIENCE;
use crate::certificates::Issued;
use crate::client::{Client, Offer};
use crate::proxy::{Proxy, proxy};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 112];

/// The ClientHello of rustls for a name, as records; an IP address as the name sends none.
fn hello(name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Offer::default().config(), name).expect("settings");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("memory");
    bytes
}

/// Sends bytes and returns everything that comes before the proxy closes.
fn answer(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut socket = connect(proxy);
    socket.write_all(bytes).expect("the proxy reads");
    rest(&mut socket)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let socket = TcpStream::connect(proxy.addr()).expect("the proxy listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset after the answer is an end as well.
    if let Err(error) = socket.read_to_end(&mut all) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    all
}

/// Replaces a name in a ClientHello by another of the same length.
fn renamed(mut hello: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = hello.windows(from.len()).position(|part| part == from).expect("it is in there");
    hello[at..at + to.len()].copy_from_slice(to);
    hello
}

#[test]
fn absent_unknown_and_malformed_names_get_the_same_seven_bytes() {
    let proxy = proxy().certificate(&Issued::new(&["a.example", "*.b.example"])).start();
    let known = hello("a.example");
    let hellos = [
        ("absent", hello("192.0.2.1")),
        ("unknown", hello("unknown.example")),
        ("parent of a wildcard", hello("b.example")),
        ("two labels for a wildcard", hello("y.x.b.example")),
        ("malformed", renamed(known.clone(), b"a.example", b"a..xample")),
        ("with a space", renamed(known.clone(), b"a.example", b"a example")),
        ("with NUL", renamed(known.clone(), b"a.example", b"a.exampl\0")),
        ("an address", renamed(known.clone(), b"a.example", b"192.0.2.1")),
        ("not ASCII", renamed(known, b"a.example", b"\xff.example")),
    ];
    for (what, hello) in &hellos {
        assert_eq!(answer(&proxy, hello), UNRECOGNIZED_NAME, "{what}");
    }
    proxy.await_failures("no_sni", 2.0);
    proxy.await_failures("unknown_sni", 7.0);
}

#[test]
fn a_hello_may_come_in_any_pieces() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    // Records of one byte each (RFC 8446 section 5.1 lets a message span them)...
    let message = hello("a.example")[5..].to_vec();
    let records: Vec<u8> = message.iter().flat_map(|&byte| [0x16, 3, 1, 0, 1, byte]).collect();
    let mut socket = connect(&proxy);
    socket.write_all(&records).expect("the proxy reads");
    let mut start = [0; 6];
    socket.read_exact(&mut start).expect("an answer");
    // ...are answered by a handshake record with a ServerHello.
    assert_eq!((start[0], start[5]), (0x16, 2));
    // And segments of one byte each.
    let mut socket = connect(&proxy);
    socket.set_nodelay(true).expect("a socket");
    for byte in hello("a.example") {
        socket.write_all(&[byte]).expect("the proxy reads");
    }
    socket.read_exact(&mut start).expect("an answer");
    assert_eq!((start[0], start[5]), (0x16, 2));
}

#[test]
fn what_is_no_tls_gets_no_more_than_an_alert() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    let mut count = 0.0;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        &[0xff; 64],
        // A record longer than records are.
        b"\x16\x03\x01\xff\xff",
        // A ServerHello.
        b"\x16\x03\x01\0\x05\x02\0\0\x01\0",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    ] {
        let said = answer(&proxy, bytes);
        assert!(said.is_empty() || said.len() == 7 && said[0] == 0x15, "{said:?}");
        count += 1.0;
        proxy.await_failures("malformed", count);
    }
    assert_eq!(Client::connect(proxy.addr(), "a.example").get("a.example").status(), "200");
}

#[test]
fn who_only_looks_whether_somebody_answers_has_not_failed() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    drop(connect(&proxy));
    proxy.await_metric("ravelin_connections_health_checks_total{listener=\"tls\"}", 1.0);
    let mut socket = connect(&proxy);
    socket.write_all(&hello("a.example")[..50]).expect("the proxy reads");
    socket.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(rest(&mut socket), b"");
    proxy.await_failures("closed", 1.0);
}

#[test]
fn a_handshake_that_stalls_ends_at_its_deadline_wherever_it_is() {
    let issued = Issued::new(&["a.example"]);
    let proxy =
        proxy().certificate(&issued).sections("[timeouts]\ntls_handshake = \"300ms\"\n").start();
    let hello = hello("a.example");
    let started = Instant::now();
    let silent = [&b""[..], &hello[..1], &hello[..200], &hello];
    let mut sockets = silent.map(|bytes| {
        let mut socket = connect(&proxy);
        socket.write_all(bytes).expect("the proxy reads");
        socket
    });
    for socket in &mut sockets {
        rest(socket);
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    proxy.await_failures("timeout", 4.0);
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 0.0);
}

#[test]
fn handshakes_that_wait_for_their_client_hold_nobody_up() {
    let issued = Issued::new(&["a.example"]);
    let proxy = proxy().certificate(&issued).sections("[limits]\nhandshakes = 1\n").start();
    let hello = hello("a.example");
    // More of each than there are permits: silent, with half a ClientHello, and with a whole one.
    let stalled: Vec<_> = [&b""[..], &hello[..200], &hello]
        .into_iter()
        .cycle()
        .take(60)
        .map(|bytes| {
            let mut socket = connect(&proxy);
            socket.write_all(bytes).expect("the proxy reads");
            socket
        })
        .collect();
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 60.0);
    assert_eq!(Client::connect(proxy.addr(), "a.example").get("a.example").status(), "200");
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 60.0);
    drop(stalled);
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 0.0);
}

#[test]
fn a_balancers_header_comes_before_tls() {
    let listener = "proxy_protocol_from = [\"127.0.0.1/32\"]\n";
    let issued = Issued::new(&["a.example"]);
    let proxy = proxy().certificate(&issued).listener(listener).start();
    let mut socket = connect(&proxy);
    socket.write_all(b"PROXY TCP4 127.0.0.9 127.0.0.1 4711 443\r\n").expect("the proxy reads");
    let config = Offer::default().config();
    let mut client = Client::over(socket, "a.example", &config).expect("a handshake");
    let told = client.get("a.example").text();
    assert!(told.contains("x-forwarded-for: 127.0.0.9\r\n"), "{told}");
    assert!(told.contains("x-forwarded-port: 443\r\n"), "{told}");
    let line = proxy.await_log(1).remove(0);
    assert_eq!((&line["peer"], &line["tls"]), (&"127.0.0.9:4711".into(), &"1.3".into()), "{line}");
}
