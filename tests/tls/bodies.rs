//! Requests and responses through TLS.

use crate::certificates::Issued;
use crate::client::Client;
use crate::proxy::{Proxy, proxy};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

fn secured() -> Proxy {
    proxy().certificate(&Issued::new(&["a.example"])).start()
}

#[test]
fn a_large_body_passes_both_ways_at_once() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let proxy = secured();
    let mut client = Client::connect(proxy.addr(), "a.example");
    client.send(format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {LENGTH}\r\n\r\n"));
    // The backend sends back what it gets as it gets it: who only wrote would stop both.
    let pattern: Vec<u8> = (0..=250).cycle().take(251 * 256).collect();
    let byte_at = |position: usize| u8::try_from(position % 251).expect("below 251");
    let (mut sent, mut received, mut head) = (0, 0, Vec::new());
    let mut buffer = vec![0; 256 * 1024];
    while received < LENGTH {
        if sent < LENGTH {
            // The pattern is a whole number of periods, so that every piece begins a period.
            let piece = pattern.len().min(LENGTH - sent);
            client.stream.write_all(&pattern[..piece]).expect("the proxy reads");
            sent += piece;
        }
        let mut wanted = if sent < LENGTH { sent.saturating_sub(received + 512 * 1024) } else { 1 };
        while wanted > 0 && received < LENGTH {
            let read = client.stream.read(&mut buffer).expect("an answer");
            assert!(read > 0, "cut off after {received}");
            let mut bytes = &buffer[..read];
            if received == 0 {
                head.extend_from_slice(bytes);
                let text = String::from_utf8_lossy(&head);
                // Its own head, then the request's head as the backend got it.
                let Some(end) = text.match_indices("\r\n\r\n").nth(1).map(|(end, _)| end + 4)
                else {
                    continue;
                };
                bytes = &buffer[read - (head.len() - end)..read];
            }
            for (offset, byte) in bytes.iter().enumerate() {
                assert_eq!(*byte, byte_at(received + offset), "at {}", received + offset);
            }
            received += bytes.len();
            wanted = wanted.saturating_sub(bytes.len().max(1));
            if sent == LENGTH {
                wanted = 1;
            }
        }
    }
    assert_eq!((sent, received), (LENGTH, LENGTH));
}

#[test]
fn requests_follow_each_other_on_a_connection_pipelined_or_not() {
    let proxy = secured();
    let mut client = Client::connect(proxy.addr(), "a.example");
    for _ in 0..5 {
        assert_eq!(client.get("a.example").status(), "200");
    }
    let one = "GET /pipelined HTTP/1.1\r\nHost: a.example\r\n\r\n";
    client.send(one.repeat(5));
    for _ in 0..5 {
        assert!(client.response().text().starts_with("GET /pipelined HTTP/1.1\r\n"));
    }
    proxy.await_log(10);
    let labels = "listener=\"tls\",version=\"1.3\",resumed=\"false\"";
    proxy.await_metric(&format!("ravelin_tls_handshakes_total{{{labels}}}"), 1.0);
}

#[test]
fn a_small_answer_is_one_record() {
    let proxy = secured();
    let mut client = Client::connect(proxy.addr(), "a.example");
    client.get("a.example");
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let mut header = [0; 5];
    client.stream.sock.read_exact(&mut header).expect("an answer");
    let length = usize::from(header[3]) << 8 | usize::from(header[4]);
    let mut record = vec![0; length];
    client.stream.sock.read_exact(&mut record).expect("the record");
    // Through the client's own TLS it has to be the whole answer.
    let mut bytes = &[&header[..], &record].concat()[..];
    client.stream.conn.read_tls(&mut bytes).expect("memory");
    let state = client.stream.conn.process_new_packets().expect("a valid record");
    let mut answer = vec![0; state.plaintext_bytes_to_read()];
    client.stream.conn.reader().read_exact(&mut answer).expect("it is there");
    let answer = String::from_utf8(answer).expect("UTF-8").to_ascii_lowercase();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
}

#[test]
fn a_connection_ends_with_close_notify() {
    let proxy = secured();
    let mut client = Client::connect(proxy.addr(), "a.example");
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().status(), "200");
    assert!(client.ends_properly());
    let mut client = Client::connect(proxy.addr(), "a.example");
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response().status(), "400");
    assert!(client.ends_properly());
}

#[test]
fn idle_connections_and_slow_heads_end_as_without_tls() {
    let timeouts = "[timeouts]\nfirst_request = \"300ms\"\nrequest_head = \"300ms\"\n";
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).sections(timeouts).start();
    let mut idle = Client::connect(proxy.addr(), "a.example");
    let mut slow = Client::connect(proxy.addr(), "a.example");
    slow.send("GET / HTT");
    assert!(idle.ends_properly());
    assert_eq!(slow.response().status(), "408");
    assert!(slow.ends_properly());
    proxy.await_metric("ravelin_connections_idle_closed_total{listener=\"tls\"}", 2.0);
}

#[test]
fn a_handshake_that_stalls_and_a_connection_without_a_request_make_room() {
    let limit = "[limits]\nconnections = 1\n";
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).sections(limit).start();
    let mut stalled = std::net::TcpStream::connect(proxy.addr()).expect("the proxy listens");
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 1.0);
    let mut silent = Client::connect(proxy.addr(), "a.example");
    let end = Read::read(&mut stalled, &mut [0]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let mut client = Client::connect(proxy.addr(), "a.example");
    assert!(silent.ends_properly());
    assert_eq!(client.get("a.example").status(), "200");
    for (state, count) in [("handshake", 1.0), ("first_request", 1.0), ("idle", 0.0)] {
        let labels = format!("{{listener=\"tls\",state=\"{state}\"}}");
        proxy.await_metric(&format!("ravelin_connections_evicted_total{labels}"), count);
    }
    proxy.await_failures("evicted", 1.0);
}

#[test]
fn a_proxy_that_leaves_answers_and_ends_what_is_open() {
    let drain = "[timeouts]\ndrain = \"20s\"\ndrain_idle = \"20ms\"\n";
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).sections(drain).start();
    let mut idle = Client::connect(proxy.addr(), "a.example");
    assert_eq!(idle.get("a.example").status(), "200");
    let stalled = std::net::TcpStream::connect(proxy.addr()).expect("the proxy listens");
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 1.0);
    let leaving = thread::spawn(move || drop(proxy));
    assert!(idle.ends_properly());
    leaving.join().expect("it leaves although a handshake stalls");
    drop(stalled);
}

#[test]
fn a_connection_that_rests_serves_on_and_knows_when_its_client_has_gone() {
    let proxy = secured();
    let mut client = Client::connect(proxy.addr(), "a.example");
    assert_eq!(client.get("a.example").status(), "200");
    // After two seconds it rests.
    let rested = Instant::now() + Duration::from_millis(2_600);
    while let Some(left) = rested.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    assert_eq!(client.get("a.example").status(), "200");
    assert_eq!(client.get("a.example").status(), "200");
    drop(client);
    proxy.await_metric("ravelin_connections_open{listener=\"tls\"}", 0.0);
}
