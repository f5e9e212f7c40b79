//! The stage behind real senders: HAProxy and nginx say whose connection it is, and TLS right
//! behind their header passes untouched.

mod acceptor;
#[path = "../support/balancer.rs"]
mod balancer;
#[path = "../support/eventually.rs"]
mod eventually;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/skipped.rs"]
mod skipped;
mod tls;
#[path = "../support/unsupported.rs"]
mod unsupported;

use acceptor::{Acceptor, Seen};
use balancer::{Balancer, HaProxy};
use eventually::eventually;
use program::program;
use ravelin::transport::proxy_protocol::Header;
use skipped::skipped;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tls::TlsServer;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request over TLS through a balancer: completes, and the header names curl's own address.
fn assert_passes(balancer: &Balancer, server: &TlsServer, acceptor: &Acceptor, case: &str) {
    let Some(client) = server.curl(balancer.addr()) else { return };
    let destination = acceptor.destination_of(client);
    assert_eq!(destination, balancer.addr(), "{case}");
}

#[test]
fn a_header_and_a_client_hello_in_one_write_are_told_apart() {
    let Some(server) = TlsServer::start() else { return };
    let acceptor = Acceptor::start(server.addr());
    for header in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb".to_vec(),
    ] {
        let socket = TcpStream::connect(acceptor.addr()).expect("it listens");
        let answer = server.converse(socket, header);
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        let source = "192.0.2.1:56324".parse().expect("literal");
        assert_eq!(acceptor.destination_of(source), "192.0.2.2:443".parse().expect("literal"));
    }
}

#[test]
fn haproxy_names_the_client_and_tls_passes() {
    let Some(server) = TlsServer::start() else { return };
    for options in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
        "send-proxy-v2-ssl-cn",
    ] {
        let acceptor = Acceptor::start(server.addr());
        let haproxy = HaProxy { to: acceptor.addr(), bind: "127.0.0.1", bind_too: "", options };
        let Some(balancer) = haproxy.start() else { return };
        assert_passes(&balancer, &server, &acceptor, options);
    }
}

#[test]
fn haproxy_names_ipv6_clients_and_those_that_came_over_a_dual_stack_socket() {
    if TcpListener::bind("[::1]:0").is_err() {
        return unsupported::unsupported("no IPv6");
    }
    let Some(server) = TlsServer::start() else { return };
    for (bind, options) in [
        ("[::1]", "send-proxy"),
        ("[::1]", "send-proxy-v2"),
        ("[::ffff:127.0.0.1]", "send-proxy"),
        ("[::ffff:127.0.0.1]", "send-proxy-v2"),
    ] {
        let acceptor = Acceptor::start(server.addr());
        let haproxy = HaProxy { to: acceptor.addr(), bind, bind_too: "", options };
        let Some(balancer) = haproxy.start() else { return };
        assert_passes(&balancer, &server, &acceptor, &format!("{bind} {options}"));
    }
}

#[test]
fn a_client_of_haproxy_without_an_address_is_local_and_tls_passes() {
    let Some(server) = TlsServer::start() else { return };
    for options in ["send-proxy", "send-proxy-v2"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("socket");
        let bind_too = format!("bind unix@{}", path.display());
        let acceptor = Acceptor::start(server.addr());
        let haproxy =
            HaProxy { to: acceptor.addr(), bind: "127.0.0.1", bind_too: &bind_too, options };
        let Some(_balancer) = haproxy.start() else { return };
        if server.curl_through(&path).is_none() {
            return;
        }
        acceptor.await_result("of the Unix socket", |result| *result == Ok(Header::Local));
    }
}

#[test]
fn health_checks_of_haproxy_are_never_malformed() {
    let Some(server) = TlsServer::start() else { return };
    // Version 1 names HAProxy itself as the source (section 2.1 recommends it), version 2 is LOCAL.
    // A check that waits for an answer without sending a header is a connection that is closed.
    let mute = "check inter 50ms\n timeout check 50ms\n option tcp-check\n tcp-check connect\n \
                tcp-check expect string never";
    for (options, expected) in [
        ("send-proxy check inter 50ms", Check::NamesItself),
        ("check check-send-proxy inter 50ms", Check::NamesItself),
        ("send-proxy-v2 check inter 50ms", Check::Local),
        (mute, Check::Closed),
    ] {
        let acceptor = Acceptor::start(server.addr());
        let haproxy = HaProxy { to: acceptor.addr(), bind: "127.0.0.1", bind_too: "", options };
        let Some(_balancer) = haproxy.start() else { return };
        for _ in 0..5 {
            acceptor.await_result(options, |result| expected.matches(result, acceptor.addr()));
        }
    }
}

/// What a health check looks like to the stage.
enum Check {
    NamesItself,
    Local,
    Closed,
}

impl Check {
    fn matches(&self, seen: &Seen, acceptor: SocketAddr) -> bool {
        match self {
            Self::NamesItself => matches!(
                seen,
                Ok(Header::Proxied { source, destination })
                    if source.ip() == acceptor.ip() && *destination == acceptor
            ),
            Self::Local => *seen == Ok(Header::Local),
            Self::Closed => *seen == Err("closed"),
        }
    }
}

#[test]
fn nginx_names_the_client_and_tls_passes() {
    let Some(server) = TlsServer::start() else { return };
    let acceptor = Acceptor::start(server.addr());
    let Some(balancer) = balancer::nginx(acceptor.addr()) else { return };
    assert_passes(&balancer, &server, &acceptor, "nginx");
}
