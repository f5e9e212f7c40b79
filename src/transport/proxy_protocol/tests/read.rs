//! Reading from real sockets: segments, ends, and what stays behind.

use super::super::{Header, Malformed, ReadError, read};
use super::{binary, frame, line, mk_proxied};
use socket2::SockRef;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

type Reading<'s> = Pin<&'s mut dyn Future<Output = Result<Header, ReadError>>>;

/// Both ends of a connection over loopback, the second non-blocking.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    client.set_nodelay(true).expect("a TCP socket");
    let (server, _) = listener.accept().expect("the client");
    server.set_nonblocking(true).expect("a socket");
    (client, server)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(future)
}

/// What the stage makes of the segments, each of which it sees alone, and the bytes it leaves.
fn read_segments(segments: &[&[u8]]) -> (Result<Header, ReadError>, Vec<u8>) {
    let (mut client, server) = pair();
    let result = block_on(async {
        let socket = server.try_clone().and_then(tokio::net::TcpStream::from_std);
        let socket = socket.expect("in a runtime");
        let mut reading = pin!(read(&socket, PATIENCE));
        for segment in segments {
            client.write_all(segment).expect("an open connection");
            if let Some(result) = poll_until_taken(&server, reading.as_mut()).await {
                return result;
            }
        }
        client.shutdown(Shutdown::Write).expect("an open connection");
        reading.await
    });
    client.shutdown(Shutdown::Write).ok();
    server.set_nonblocking(false).expect("a socket");
    let mut left = Vec::new();
    (&server).read_to_end(&mut left).expect("the end");
    (result, left)
}

/// Polls until the result is there, or nothing is left to be read.
async fn poll_until_taken(
    server: &TcpStream,
    mut reading: Reading<'_>,
) -> Option<Result<Header, ReadError>> {
    let end = Instant::now() + PATIENCE;
    let empty = || match server.peek(&mut [0]) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        Err(error) => panic!("{error}"),
    };
    while empty() {
        assert!(Instant::now() < end, "the segment never arrives");
        tokio::task::yield_now().await;
    }
    while Instant::now() < end {
        let poll = std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
        if let Poll::Ready(result) = poll {
            return Some(result);
        }
        if empty() {
            return None;
        }
        tokio::task::yield_now().await;
    }
    panic!("the segment is never taken");
}

fn samples() -> Vec<(Vec<u8>, Header)> {
    let header = mk_proxied("192.0.2.1:1234", "192.0.2.2:443");
    let Header::Proxied { source, destination } = header else { unreachable!() };
    vec![
        (line(source, destination), header),
        (binary(source, destination, &[]), header),
        (frame(0x20, 0, &[]), Header::Local),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::Local),
    ]
}

#[test]
fn a_header_in_two_segments_at_any_point_leaves_what_is_behind_it() {
    for (bytes, header) in samples() {
        let behind = b"\x16\x03\x01 and PROXY again";
        for split in 1..=bytes.len() {
            let second = [&bytes[split..], behind].concat();
            let (result, left) = read_segments(&[&bytes[..split], &second]);
            assert_eq!(result.expect("a header"), header, "split at {split}");
            assert_eq!(left, behind[..if split == bytes.len() { 0 } else { behind.len() }]);
        }
    }
}

#[test]
fn a_header_byte_by_byte_is_read_and_nothing_else_is() {
    for (bytes, header) in samples() {
        let segments: Vec<&[u8]> = bytes.chunks(1).chain([&b"GET"[..]]).collect();
        let (result, left) = read_segments(&segments);
        assert_eq!(result.expect("a header"), header);
        // The header is complete before the last segment is sent.
        assert_eq!(left, b"");
    }
}

#[test]
fn the_longest_header_is_read_with_a_request_in_the_same_segment() {
    let header = mk_proxied("192.0.2.1:1234", "192.0.2.2:443");
    let Header::Proxied { source, destination } = header else { unreachable!() };
    let bytes = binary(source, destination, &[(4, vec![b'G'; 4096 - 28 - 3])]);
    assert_eq!(bytes.len(), 4096);
    let (result, left) = read_segments(&[&[&bytes[..], b"GET / HTTP/1.1"].concat()]);
    assert_eq!((result.expect("a header"), &left[..]), (header, &b"GET / HTTP/1.1"[..]));
    let parts: Vec<&[u8]> = bytes.chunks(100).collect();
    assert_eq!(read_segments(&parts).0.expect("a header"), header);
}

#[test]
fn a_peer_that_closes_first_is_told_from_one_that_breaks_off() {
    for (sent, expected) in [
        (&[][..], "closed"),
        (&[&b"PROXY TCP4 192.0"[..]], "truncated"),
        (&[b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x01"], "truncated"),
        (&[b"P", b"ROXY"], "truncated"),
        (&[b"GET / HTTP/1.1\r\n"], "signature"),
        (&[b"PROX", b"!"], "signature"),
        (&[b"PROXY TCP4 192.0.2.1 192.0.2.1 1 70000\r\n"], "port"),
    ] {
        let (result, _) = read_segments(sent);
        assert_eq!(result.expect_err("no header").label(), expected, "{sent:?}");
    }
}

#[test]
fn a_peer_that_resets_counts_as_one_that_closes() {
    for (sent, expected) in [(&b""[..], "closed"), (b"PROXY", "truncated")] {
        let (mut client, server) = pair();
        let result = block_on(async {
            let socket = tokio::net::TcpStream::from_std(server).expect("in a runtime");
            client.write_all(sent).expect("an open connection");
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a TCP socket");
            drop(client);
            read(&socket, PATIENCE).await
        });
        assert_eq!(result.expect_err("no header").label(), expected);
    }
}

#[test]
fn a_silent_peer_and_a_slow_one_are_cut_off() {
    let limit = Duration::from_millis(50);
    let (_client, server) = pair();
    let silent = block_on(async {
        let socket = tokio::net::TcpStream::from_std(server).expect("in a runtime");
        read(&socket, limit).await
    });
    assert!(matches!(silent, Err(ReadError::TimedOut)), "{silent:?}");

    // One byte after the other for as long as the other end is there, and never an LF.
    let (mut client, server) = pair();
    let trickle = std::thread::spawn(move || {
        client.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x0f\x00").expect("an open connection");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && client.write_all(b"x").is_ok() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    let slow = block_on(async {
        let socket = tokio::net::TcpStream::from_std(server).expect("in a runtime");
        read(&socket, limit).await
    });
    assert!(matches!(slow, Err(ReadError::TimedOut)), "{slow:?}");
    trickle.join().expect("the other end is gone");
}

#[test]
fn errors_say_what_was_wrong() {
    let error = ReadError::from(Malformed::Port);
    assert_eq!(error.to_string(), "the PROXY header is malformed");
    let source = std::error::Error::source(&error).expect("the rule");
    assert_eq!(source.to_string(), "a port is not valid");
}
