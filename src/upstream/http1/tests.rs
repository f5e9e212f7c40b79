//! What is read of a response, beside what hyper reads of it; and what becomes of a connection.

use super::head::{self, Parsed};
use super::*;
use crate::net::fields::{FieldMap, Fields, TrailerMap};
use crate::net::http1::dice::{self, Dice};
use crate::net::http1::{BodyDecoder, Decoded, Input};
use crate::net::message::{Response, ResponseParts};
use crate::upstream::socket::PodSocket;
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io::{Read, Write};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// A response, whole.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: StatusCode,
    version: Version,
    fields: FieldMap,
    body: Vec<u8>,
    trailers: Option<TrailerMap>,
}

/// The response as it is read here, in pieces of this size. `None` if it is not valid, or not whole.
fn ours(text: &[u8], size: usize, method: &Method) -> Option<Whole> {
    let (mut input, mut pieces) = (Input::empty(), text.chunks(size));
    let (head, framing) = loop {
        let mut spare = FieldMap::new();
        let parsed = match input.bytes.is_empty() {
            true => Parsed::Partial,
            false => head::read(&mut input, method == Method::HEAD, &mut spare).ok()?,
        };
        match parsed {
            Parsed::Partial => input.bytes.extend_from_slice(pieces.next()?),
            Parsed::Interim(_) => {}
            Parsed::Final(answer) => break (answer.head, answer.framing),
        }
    };
    let head::ResponseFraming::Body(mut decoder) = framing else { return None };
    let (mut body, mut trailers) = (Vec::new(), None);
    loop {
        match decoder.decode(&mut input.bytes).ok()? {
            Decoded::Data(data) => body.extend_from_slice(&data),
            Decoded::Trailers(fields) => trailers = Some(fields),
            Decoded::End => break,
            Decoded::More => match (pieces.next(), &decoder) {
                (Some(piece), _) => input.bytes.extend_from_slice(piece),
                (None, BodyDecoder::UntilClose) => break,
                (None, _) => return None,
            },
        }
    }
    let (parts, ()) = head.into_parts();
    let ResponseParts { status, version, headers: fields, .. } = parts;
    Some(Whole { status, version, fields, body, trailers })
}

/// The response as hyper reads it.
async fn hypers(text: &[u8], method: &Method) -> Option<Whole> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let mut builder = hyper::client::conn::http1::Builder::new();
    let handshake = builder.max_headers(256).handshake(TokioIo::new(near)).await;
    let (mut sender, connection) = handshake.ok()?;
    let driver = tokio::task::spawn_local(connection.with_upgrades());
    let request =
        http::Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).ok()?;
    let asking = sender.send_request(request);
    // It waits for a request first.
    let answering = async {
        let mut head = [0; 512];
        let _ = tokio::io::AsyncReadExt::read(&mut far, &mut head).await;
        let _ = far.write_all(text).await;
        let _ = far.shutdown().await;
    };
    let (response, ()) = tokio::join!(asking, answering);
    let (parts, incoming) = Response::from(response.ok()?).into_parts();
    let whole = incoming.collect().await.ok()?;
    let ResponseParts { status, version, headers: fields, .. } = parts;
    let trailers = whole.trailers().cloned();
    driver.abort();
    Some(Whole { status, version, fields, body: whole.to_bytes().to_vec(), trailers })
}

impl Dice {
    /// A response, most often a valid one, in which something may be wrong.
    fn response(&mut self) -> Vec<u8> {
        let mut text = String::new();
        if self.below(8) == 0 {
            text += self.one(&INTERIM);
        }
        text += self.one(&VERSIONS);
        text += self.one(&STATUSES);
        for _ in 0..self.below(4) {
            text += self.one(&FIELDS);
        }
        text += self.one(&["\r\n", "\r\n", "\r\n", "\n", ""]);
        text += self.one(&BODIES);
        let mut text = text.into_bytes();
        for _ in 0..self.below(6).saturating_sub(3) {
            self.break_something(&mut text);
        }
        text
    }
}

const INTERIM: [&str; 2] =
    ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"];

const VERSIONS: [&str; 6] =
    ["HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.0 ", "http/1.1 ", "\r\nHTTP/1.1 "];

const STATUSES: [&str; 7] = [
    "200 OK\r\n",
    "200 OK\r\n",
    "200\r\n",
    "204 No Content\r\n",
    "304 Not Modified\r\n",
    "404 gone\u{e9}\r\n",
    "999 x\r\n",
];

const FIELDS: [&str; 20] = [
    "Content-Length: 5\r\n",
    "Content-Length: 5\r\n",
    "content-length: 5, 5\r\n",
    "content-length: 05\r\n",
    "content-length: 6\r\n",
    "content-length: +5\r\n",
    "content-length:\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: gzip, Chunked\r\n",
    "transfer-encoding: identity\r\n",
    "Connection: close\r\n",
    "X-A:b\r\n",
    "X-A:  b \t\r\n",
    "X-B: \u{e9}\r\n",
    "x b: c\r\n",
    "X-C : c\r\n",
    "X-D: a\r\n b\r\n",
    ": c\r\n",
    "X-E: a\n",
];

const BODIES: [&str; 12] = [
    "hello",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n0\r\nX-T: 1\r\nx-t: 2\r\n\r\n",
    "2 \r\nhe\r\n3\t;x\r\nllo\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5 5\r\nhello\r\n0\r\n\r\n",
    "0\r\nx: y\n\r\n",
    "ffffffffffffffff1\r\nhello",
    "",
];

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), test)
}

#[test]
fn what_is_accepted_hyper_accepts_too_and_reads_alike() {
    let cases = dice::cases();
    run(async {
        let mut dice = Dice::new();
        let (mut accepted, mut stricter) = (0, 0);
        for _ in 0..cases {
            let text = dice.response();
            let method = if dice.below(6) == 0 { Method::HEAD } else { Method::GET };
            let size = 1 + dice.below(text.len());
            let (mine, theirs) = (ours(&text, size, &method), hypers(&text, &method).await);
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(mine, ours(&text, text.len(), &method), "{shown:?} in pieces of {size}");
            match (mine, theirs) {
                (Some(mine), theirs) => {
                    assert_eq!(Some(mine), theirs, "{shown:?}");
                    accepted += 1;
                }
                (None, Some(_)) => stricter += 1,
                (None, None) => {}
            }
        }
        assert!(accepted > cases / 4, "{accepted} accepted");
        assert!(stricter < cases / 100, "{stricter} that hyper accepts are refused");
    });
}

/// A connection and the pod's end of it.
async fn mk_pair() -> (Http1Connection, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let socket = TcpStream::connect(address).await.expect("it listens");
    let stream = EndpointStream::Plain(PodSocket::new(socket));
    (Http1Connection::new(stream), listener.accept().expect("a connection").0)
}

fn mk_request() -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    request.headers_mut().set("host", "a.example".parse().expect("a value"));
    request
}

/// Whether the pod ends the connection behind its answer.
#[derive(Clone, Copy)]
enum End {
    Yes,
    No,
}

/// Sends a request that the pod answers so. Returns the body, if there is a whole response.
async fn exchange(
    ours: &mut Http1Connection,
    pods: &std::net::TcpStream,
    answer: &'static [u8],
    end: End,
) -> Result<Bytes, String> {
    let mut pods = pods.try_clone().expect("a socket");
    let answering = tokio::task::spawn_blocking(move || {
        let mut head = [0; 512];
        let read = pods.read(&mut head).expect("a request");
        assert_eq!(head[..read], *b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
        pods.write_all(answer).expect("room");
        if matches!(end, End::Yes) {
            pods.shutdown(std::net::Shutdown::Both).expect("open");
        }
    });
    let response =
        ours.send(&mut mk_request(), true).await.map_err(|reason| format!("{reason:?}"))?;
    let mut body = response.into_body();
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        whole.extend(frame.into_data().ok());
    }
    answering.await.expect("it has answered");
    Ok(whole.freeze())
}

#[test]
fn a_connection_is_used_again_only_if_nothing_is_left_on_it() {
    run(async {
        for (answer, rests) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..], true),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
            (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", true),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
            (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: Close\r\n\r\nok", false),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false),
        ] {
            let (mut ours, pods) = mk_pair().await;
            let what = String::from_utf8_lossy(answer);
            let body = exchange(&mut ours, &pods, answer, End::No).await;
            assert_eq!(body.as_deref(), Ok(&b"ok"[..]), "{what}");
            let kept = ours.rest().filter(|keep| *keep != Keep::Not);
            assert_eq!(kept.is_some(), rests, "{what}");
            if rests {
                assert!(ours.is_open());
                let body = exchange(&mut ours, &pods, answer, End::No).await;
                assert_eq!(body.as_deref(), Ok(&b"ok"[..]), "{what}, again");
            }
        }
    });
}

#[test]
fn an_idle_connection_that_speaks_or_ends_is_not_open() {
    run(async {
        for speaks in [true, false] {
            let (mut ours, mut pods) = mk_pair().await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            exchange(&mut ours, &pods, answer, End::No).await.expect("an answer");
            assert!(ours.rest().is_some() && ours.is_open());
            if speaks {
                pods.write_all(b"x").expect("room");
            } else {
                drop(pods);
            }
            while ours.is_open() {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn what_is_not_safe_is_not_sent_on_a_connection_of_whose_end_the_kernel_knows() {
    run(async {
        let (mut ours, pods) = mk_pair().await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        exchange(&mut ours, &pods, answer, End::No).await.expect("an answer");
        assert!(ours.rest().is_some());
        // The runtime does not look at its sockets before the request is sent.
        pods.shutdown(std::net::Shutdown::Write).expect("open");
        let mut request = mk_request();
        *request.method_mut() = Method::POST;
        assert_eq!(ours.send(&mut request, true).await.err(), Some(Reason::UpstreamClosed));
        assert!(ours.was_unread(), "nothing has left");
    });
}

#[test]
fn a_body_that_is_cut_off_is_an_error_and_its_connection_of_no_use() {
    run(async {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokx",
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"",
        ] {
            let (mut ours, pods) = mk_pair().await;
            let what = String::from_utf8_lossy(answer);
            let exchanged = exchange(&mut ours, &pods, answer, End::Yes).await;
            assert!(exchanged.is_err(), "{what}: {exchanged:?}");
            assert!(ours.rest().is_none(), "{what}");
        }
    });
}

#[test]
fn a_body_without_a_length_ends_with_its_connection() {
    run(async {
        let (mut ours, pods) = mk_pair().await;
        let answer = b"HTTP/1.1 200 OK\r\n\r\nall of it";
        let body = exchange(&mut ours, &pods, answer, End::Yes).await;
        assert_eq!(body.as_deref(), Ok(&b"all of it"[..]));
        assert!(ours.rest().is_none());
    });
}

#[test]
fn what_a_pod_says_behind_its_consent_to_another_protocol_comes_first() {
    run(async {
        let (mut ours, mut pods) = mk_pair().await;
        pods.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\nearly").expect("room");
        let response = ours.send(&mut mk_request(), true).await.expect("an answer");
        let mut upgraded = response.into_body().upgrade().expect("it has agreed");
        pods.write_all(b" and late").expect("room");
        drop((pods, ours));
        let mut text = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut upgraded, &mut text).await;
        assert_eq!(text, b"early and late", "the lease has nothing to close any more");
    });
}
