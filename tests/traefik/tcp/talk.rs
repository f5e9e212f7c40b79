//! One connection of a client, and what comes of it as a text.

use super::{Case, Connection, SSL_REQUEST};
use crate::client::connect;
use crate::lab::{Lab, Side};
use crate::tls_client::handshake;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// What a client gets that is refused, before TLS or behind it.
const REFUSED: &str = "refused";

/// The client's side of a connection.
pub(super) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Has a conversation with one side. The connection is there afterwards, if the pod has not ended it.
pub(super) fn talk(
    lab: &Lab,
    side: Side,
    case: &Case,
    asked: &Connection,
) -> (String, Option<Box<dyn Stream>>) {
    let name = case.named(&asked.name);
    let Ok(mut stream) = connect(lab.at(side, &asked.at), asked.from) else {
        return (REFUSED.to_owned(), None);
    };
    if asked.postgres {
        let mut answer = [0];
        let agreed = stream.write_all(&SSL_REQUEST).and_then(|()| stream.read_exact(&mut answer));
        if agreed.is_err() || answer != *b"S" {
            return (REFUSED.to_owned(), None);
        }
    }
    match asked.plain {
        true => say(asked, &name, "", Box::new(stream)),
        false => match secure(lab, asked, &name, stream) {
            Ok((by, stream)) => say(asked, &name, &by, Box::new(stream)),
            Err(_) => (REFUSED.to_owned(), None),
        },
    }
}

/// Ends the handshake; also whose certificate there is, and the protocol.
fn secure(
    lab: &Lab,
    asked: &Connection,
    name: &str,
    stream: TcpStream,
) -> io::Result<(String, StreamOwned<ClientConnection, TcpStream>)> {
    let mut config = lab.anybody(asked.certificate);
    config.alpn_protocols = asked.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.enable_sni = !name.is_empty();
    let name = if name.is_empty() { "none.test" } else { name };
    let stream = handshake(stream, &Arc::new(config), name)?;
    let whose = stream.conn.peer_certificates().and_then(<[_]>::first);
    let whose = whose.map_or("nobody", |one| lab.whose(one));
    let protocol = stream.conn.alpn_protocol().map(String::from_utf8_lossy);
    let by = format!("{whose}/{}: ", protocol.as_deref().unwrap_or("-"));
    Ok((by, stream))
}

fn say(
    asked: &Connection,
    name: &str,
    by: &str,
    mut stream: Box<dyn Stream>,
) -> (String, Option<Box<dyn Stream>>) {
    let mut heard = Vec::new();
    if asked.silent || asked.held {
        let mut byte = [0];
        while !heard.ends_with(b"\n") && matches!(stream.read(&mut byte), Ok(1)) {
            heard.extend(byte);
        }
    } else {
        let message = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        // It may be refused already, and what was said is there nevertheless.
        let _ = stream.write_all(message.as_bytes()).and_then(|()| stream.flush());
        let _ = stream.read_to_end(&mut heard);
    }
    if heard.is_empty() {
        return (REFUSED.to_owned(), None);
    }
    let heard = String::from_utf8_lossy(&heard);
    let told = match heard.split_once("\r\n\r\n").filter(|_| heard.starts_with("HTTP/1.")) {
        Some((head, body)) => format!("{}: {body}", head.split(' ').nth(1).unwrap_or_default()),
        None => heard.into_owned(),
    };
    (format!("{by}{told}"), Some(stream))
}
