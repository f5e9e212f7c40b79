//! Server-sent events: each one arrives before there is a next.

use crate::client::Client;
use crate::multiplexed::{Connection, get, next, run};
use crate::secured::{HOST, offering, secured};
use crate::support::{PATIENCE, Upstream};
use std::io::Read;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

const EVENTS: usize = 20;

/// A backend that sends an event when the last one is known to have arrived.
fn upstream(head: &'static str) -> (Upstream, Sender<()>) {
    let (seen, is_seen) = channel();
    let is_seen = Mutex::new(is_seen);
    let upstream = Upstream::scripted(move |conn| {
        if conn.request().is_none() {
            return;
        }
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{head}\r\n"));
        let is_seen = is_seen.lock().expect("no holder panics");
        for number in 0..EVENTS {
            let event = event(number);
            match head {
                "" => conn.send(event),
                _ => conn.send(format!("{:x}\r\n{event}\r\n", event.len())),
            };
            is_seen.recv_timeout(PATIENCE).expect("the event arrives before the next one");
        }
        if !head.is_empty() {
            conn.send("0\r\n\r\n");
        }
    });
    (upstream, seen)
}

fn event(number: usize) -> String {
    format!("id: {number}\ndata: {{\"n\":{number}}}\n\n")
}

/// With chunks, and as long as the connection.
const HEADS: [&str; 2] = ["Transfer-Encoding: chunked\r\n", ""];

#[test]
fn each_event_reaches_a_client_of_http_2_before_the_next_is_sent() {
    for head in HEADS {
        let (upstream, seen) = upstream(head);
        let edge = secured(upstream.addr()).start();
        run(async {
            let mut connection = Connection::open(edge.addr()).await;
            let mut body = connection.send(get("/")).await.await.expect("a head").into_body();
            for number in 0..EVENTS {
                let event = next(&mut body).await.expect("an event").expect("an event");
                assert_eq!(event, self::event(number));
                seen.send(()).expect("the backend waits");
            }
            assert!(next(&mut body).await.is_none(), "a proper end");
        });
    }
}

#[test]
fn each_event_reaches_a_client_of_http_1_1_before_the_next_is_sent() {
    for head in HEADS {
        let (upstream, seen) = upstream(head);
        let edge = secured(upstream.addr()).start();
        let config = offering(&["http/1.1"]);
        let mut client = Client::offer(edge.addr(), HOST, &config).expect("a handshake");
        client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        let mut text = String::new();
        for number in 0..EVENTS {
            while !text.contains(&event(number)) {
                let mut buffer = [0; 4096];
                let read = client.stream.read(&mut buffer).expect("an event");
                assert!(read > 0, "the end after {text}");
                text.push_str(str::from_utf8(&buffer[..read]).expect("UTF-8"));
            }
            seen.send(()).expect("the backend waits");
        }
        while !text.ends_with("0\r\n\r\n") {
            let mut buffer = [0; 4096];
            let read = client.stream.read(&mut buffer).expect("the last chunk");
            assert!(read > 0, "the end after {text}");
            text.push_str(str::from_utf8(&buffer[..read]).expect("UTF-8"));
        }
    }
}
