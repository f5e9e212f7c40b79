//! Connections that end before HTTP, and how each is counted.

use super::super::is_reset;
use super::{REQUEST, balanced, behind_balancer, binary, line, local, proxied};
use crate::support::{Client, Edge, Metrics, Upstream, edge, edge_to, eventually};
use serde_json::Value;
use socket2::Socket;
use std::net::Shutdown;
use std::time::Duration;

const REFUSED: &str = "ravelin_connections_refused_total";
const CHECKS: &str = "ravelin_connections_health_checks_total";

/// Waits until so many were refused for this reason, and checks that nobody was for another.
fn await_refused(edge: &Edge, reason: &str, count: usize) {
    let count = f64::from(u32::try_from(count).expect("few"));
    edge.await_metric(REFUSED, &[("reason", reason)], count);
    edge.await_metric(REFUSED, &[], count);
}

/// Nobody is served, so that whatever is answered is a mistake.
fn unserved() -> Edge {
    balanced(edge()).start()
}

#[test]
fn a_balancer_without_a_header_is_reset() {
    let edge = unserved();
    let mut version_3 = proxied("192.0.2.1", 80);
    version_3[12] = 0x31;
    let malformed = [
        REQUEST.into(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_vec(),
        b"PROXY TCP4 192.0.2.001 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(),
        b"PROXY TCP4 0.0.0.0 192.0.2.2 1 2\r\n".to_vec(),
        b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        [b"PROXY UNKNOWN ", &[b'x'; 107][..]].concat(),
        version_3,
        binary(0x21, 0x11, &[1; 11]),
        binary(0x21, 0x12, &[1; 12]),
        // A client hello of TLS.
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
    ];
    for bytes in &malformed {
        let mut client = edge.connect();
        client.send(bytes);
        is_reset(&mut client);
    }
    await_refused(&edge, "proxy_malformed", malformed.len());
    assert_eq!(edge.await_log(0).len(), 0, "nothing of it is a request");
}

#[test]
fn a_header_that_breaks_off_is_counted() {
    let edge = unserved();
    let starts =
        [b"P".to_vec(), line("192.0.2.1", 80)[..20].into(), proxied("::7", 80)[..30].into()];
    for bytes in &starts {
        let mut client = edge.connect();
        client.send(bytes);
        client.wire.stream.shutdown(Shutdown::Write).expect("connected");
        assert!(client.is_closed(), "{bytes:?}");
    }
    await_refused(&edge, "proxy_truncated", starts.len());
}

#[test]
fn a_header_that_does_not_end_in_time_is_reset() {
    let edge = balanced(edge()).timeout("proxy_header", "200ms").start();
    let starts = [Vec::new(), b"PROXY ".to_vec(), proxied("192.0.2.1", 80)[..15].into()];
    let mut clients: Vec<_> = starts.iter().map(|_| edge.connect()).collect();
    for (client, bytes) in clients.iter_mut().zip(&starts) {
        client.send(bytes);
    }
    for client in &mut clients {
        is_reset(client);
    }
    await_refused(&edge, "proxy_timeout", starts.len());
}

#[test]
fn a_source_that_is_not_admitted_is_reset() {
    let edge = unserved();
    // The balancer itself, who may connect, is not admitted either.
    let sources = ["198.51.100.1", "127.0.0.1", "::ffff:198.51.100.1", "2001:db9::1", "::1"];
    for source in sources {
        for header in [line(source, 80), proxied(source, 80)] {
            let mut client = edge.connect();
            client.send([header, REQUEST.into()].concat());
            is_reset(&mut client);
        }
    }
    await_refused(&edge, "source_not_admitted", 2 * sources.len());
    assert_eq!(edge.await_log(0).len(), 0, "nothing of it is a request");
}

#[test]
fn a_header_of_a_peer_that_may_not_send_one_is_no_http() {
    let upstream = Upstream::saying("ok");
    let edge =
        edge_to(&[upstream.addr()]).listener("proxy_protocol_from", "[\"127.0.0.5/32\"]").start();
    for header in [line("192.0.2.1", 80), proxied("192.0.2.1", 80), local()] {
        let mut client = edge.connect();
        client.send([header, REQUEST.into()].concat());
        let response = client.response();
        assert_eq!(response.status(), 400);
        assert!(response.text().contains("malformed_request"), "{}", response.text());
        assert!(client.is_closed());
    }
    let log = edge.await_log(3);
    assert!(log.iter().all(|line| line["client"] == "127.0.0.1"), "{log:?}");
    assert_eq!(upstream.requests().len(), 0);
    // The balancer's neighbour is served without one.
    assert_eq!(edge.get("a", "/").status(), 200);
}

#[test]
fn health_checks_are_counted_and_no_error_is_logged() {
    let upstream = Upstream::saying("ok");
    let mut process = behind_balancer(&upstream).spawn(1);
    let mut clients: Vec<Client> = (0..4).map(|_| process.connect()).collect();
    clients[1].send(local());
    clients[2].send("PROXY UNKNOWN\r\n");
    // As HAProxy has it in version 1: the balancer names its own end.
    let own = clients[3].wire.stream.local_addr().expect("connected").port();
    clients[3].send(format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} 80\r\n"));
    clients[0].wire.stream.shutdown(Shutdown::Write).expect("connected");
    for mut client in clients {
        client.closes();
    }
    // By RST, before anything was sent.
    let socket = Socket::from(process.connect().wire.stream);
    socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(socket);
    eventually("health checks are counted", || {
        let metrics = Metrics::scrape(process.admin());
        let refused = metrics.sum(REFUSED, &[]);
        assert!(refused.abs() < 0.5, "{refused} were refused");
        (metrics.sum(CHECKS, &[]) > 4.5).then_some(())
    });
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));
    let said = process.said();
    // What the machine lacks is told at every start.
    let said = said.iter().filter(|line| line["target"] != "ravelin::app::preflight::start");
    let loud = said.filter(|line| line["level"] != "INFO" && line["level"] != "DEBUG");
    assert_eq!(loud.collect::<Vec<_>>(), Vec::<&Value>::new());
    assert_eq!(process.log_lines().len(), 0, "they are no requests");
}
