//! The WebSocket of the pods: it greets, and sends back what it gets (RFC 6455).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the answer to a key is made with (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Longest frame that is sent back. One that is longer ends the connection.
const LONGEST: usize = 64 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The key of a request that asks for a WebSocket.
pub(super) fn key(request: &Request<Incoming>) -> Option<HeaderValue> {
    let upgrade = request.headers().get(header::UPGRADE)?;
    let is_asked = upgrade.as_bytes().eq_ignore_ascii_case(b"websocket");
    is_asked.then(|| request.headers().get(header::SEC_WEBSOCKET_KEY).cloned()).flatten()
}

/// Takes the connection over, and answers with 101.
pub(super) fn accept(
    name: &'static str,
    mut request: Request<Incoming>,
    key: &HeaderValue,
) -> Response<Full<Bytes>> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        if let Ok(stream) = upgraded.await {
            // The client closes it as it likes.
            let _ = converse(name, TokioIo::new(stream)).await;
        }
    });
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID.as_bytes()].concat());
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(proof) = HeaderValue::from_str(&BASE64_STANDARD.encode(proof)) {
        fields.insert(header::SEC_WEBSOCKET_ACCEPT, proof);
    }
    response
}

async fn converse(name: &str, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let greeting = format!("hello from {name}\n");
    send(&mut stream, 0x80 | TEXT, greeting.as_bytes()).await?;
    loop {
        let first = stream.read_u8().await?;
        let payload = receive(&mut stream).await?;
        match first & 0x0f {
            CLOSE => return send(&mut stream, first, &payload).await,
            PING => send(&mut stream, 0x80 | PONG, &payload).await?,
            PONG => {}
            // Fragments go back as fragments.
            _ => send(&mut stream, first, &payload).await?,
        }
    }
}

/// What follows the first byte of a client's frame (RFC 6455 §5.2), which is masked.
async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let second = stream.read_u8().await?;
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(payload)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), first: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..126), _) => frame.push(short),
        (_, Ok(long)) => {
            frame.push(126);
            frame.extend(long.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}
