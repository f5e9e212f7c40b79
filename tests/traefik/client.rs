//! The client: one request on a connection of its own, with TLS or without, from an address of the network.

use crate::pods::{chunks, head_line};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// For a connection and for each part of an answer: nothing here takes longer.
const ANSWER: Duration = Duration::from_secs(20);

/// A whole answer. An exchange that fails has status 0 and the error as its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In the order in which they came, names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Where a message goes.
pub(crate) struct Way<'w> {
    pub(crate) to: SocketAddr,
    pub(crate) from: Option<Ipv4Addr>,
    /// The server's name, and what is trusted, for TLS.
    pub(crate) tls: Option<(&'w str, &'w Arc<ClientConfig>)>,
}

impl Way<'_> {
    /// Sends a message and reads the answer to it.
    pub(crate) fn exchange(&self, message: &[u8], is_head: bool) -> Response {
        self.try_exchange(message, is_head).unwrap_or_else(|error| Response {
            body: format!("no answer: {error}").into_bytes(),
            ..Response::default()
        })
    }

    fn try_exchange(&self, message: &[u8], is_head: bool) -> io::Result<Response> {
        let stream = connect(self.to, self.from)?;
        let Some((name, config)) = self.tls else {
            return converse(stream, message, is_head);
        };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        converse(StreamOwned::new(session, stream), message, is_head)
    }
}

/// A connection, from an address of the network if it is said.
pub(crate) fn connect(to: SocketAddr, from: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    socket.connect_timeout(&to.into(), ANSWER)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

/// Sends a message and reads the answer.
pub(crate) fn converse(
    stream: impl Read + Write,
    message: &[u8],
    is_head: bool,
) -> io::Result<Response> {
    let mut stream = BufReader::new(stream);
    // A proxy that refuses a body may have closed: what it said is there nevertheless.
    let sent = stream.get_mut().write_all(message).and_then(|()| stream.get_mut().flush());
    let mut response = head(&mut stream)?;
    sent.ok();
    while (100..200).contains(&response.status) && response.status != 101 {
        response = head(&mut stream)?;
    }
    if is_head || [101, 204, 304].contains(&response.status) {
        return Ok(response);
    }
    response.body = if response.field("transfer-encoding").is_some() {
        chunks(&mut stream)?
    } else if let Some(length) = response.field("content-length") {
        let mut body = vec![0; length.parse().map_err(io::Error::other)?];
        stream.read_exact(&mut body)?;
        body
    } else {
        let mut body = Vec::new();
        stream.read_to_end(&mut body)?;
        body
    };
    Ok(response)
}

fn head(stream: &mut BufReader<impl Read>) -> io::Result<Response> {
    let line = head_line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("{line:?}")))?;
    let mut response = Response { status, ..Response::default() };
    while let Some(line) = head_line(stream)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        response.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(response)
}
