//! One of the two proxies: where it is, and a request to it on a connection of its own.

use super::answer::{Answer, CertificateSeen, Failing, Failure as Broken, Seen};
use super::plan::Planned;
use crate::cli::Failure;
use crate::pki::endpoint_tls::{Alpn, EndpointTls, TlsDetails, TlsSettings, Trust};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest time for a TCP connection, and for a handshake: networks of a cluster take milliseconds, and a source that is
/// not admitted gets no answer at all.
const CONNECT: Duration = Duration::from_secs(4);

/// Where a proxy listens.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// As the user wrote it.
    pub(super) url: String,
    /// As in a URL, IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secure: bool,
    addresses: Vec<SocketAddr>,
}

impl Place {
    /// Reads what `option` was given: `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    pub(super) async fn read(option: &str, text: &str, secure: bool) -> Result<Self, Failure> {
        let scheme = if secure { "https" } else { "http" };
        let wrong = |what: &str| {
            Failure::usage(format!("{option} {text:?}: {what}; write {scheme}://ADDRESS:PORT"))
        };
        let uri: Uri = text.parse().map_err(|_| wrong("it is not a URL"))?;
        match uri.scheme_str() {
            Some(given) if given == scheme => {}
            Some("https") => {
                return Err(wrong(&format!(
                    "it is for plain HTTP; give this one as {option}-https"
                )));
            }
            Some("http") => {
                let plain = option.trim_end_matches("-https");
                return Err(wrong(&format!("it is for TLS; give this one as {plain}")));
            }
            _ => return Err(wrong("it has no scheme, or another one")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(wrong("it has a path: paths are made from the rules"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user: give --header \"Authorization: ...\" instead"));
        }
        let host = authority.host().to_owned();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let found = lookup_host((name, port)).await.map_err(|error| Failure {
            code: super::COULD_NOT,
            text: format!("{option} {text}: the name {host} has no address: {error}"),
        })?;
        let addresses: Vec<SocketAddr> = found.collect();
        Ok(Self { url: text.trim_end_matches('/').to_owned(), host, port, secure, addresses })
    }
}

impl Place {
    /// Whether the authority of a URL names a port.
    pub(super) fn has_port(authority: &str) -> bool {
        authority.parse::<http::uri::Authority>().is_ok_and(|it| it.port_u16().is_some())
    }

    /// Whether both are the same socket.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.addresses.iter().any(|address| other.addresses.contains(address))
    }
}

/// How requests are sent.
#[derive(Clone)]
pub(super) struct Caller {
    /// For one request, from its connection to the end of its answer.
    pub(super) limit: Duration,
    /// Most bytes of a body that are read.
    pub(super) most_bytes: u64,
    /// Fields of every request.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    tls: Arc<ClientConfig>,
}

impl Caller {
    pub(super) fn new(
        limit: Duration,
        most_bytes: u64,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, Failure> {
        let server_name = ServerName::try_from("ravelin-compare.invalid");
        let failed = |text: &str| Failure { code: super::COULD_NOT, text: text.to_owned() };
        let server_name = server_name.map_err(|_| failed("TLS: no server name"))?;
        // Certificates are compared, and nothing is trusted for them.
        let settings = TlsSettings {
            server_name,
            trust: Trust::Anybody,
            alpn: Alpn::Http1,
            details: TlsDetails::default(),
        };
        let tls = EndpointTls::new(Arc::new(settings));
        let mut tls = ClientConfig::clone(tls.config().ok_or_else(|| failed("TLS: no settings"))?);
        // Each handshake presents a certificate.
        tls.resumption = Resumption::disabled();
        Ok(Self { limit, most_bytes, headers, tls: Arc::new(tls) })
    }

    /// The answer to a request.
    pub(super) async fn ask(&self, place: &Place, request: &Planned) -> Seen {
        let exchange = self.exchange(place, request);
        match timeout(self.limit, exchange).await {
            Ok(seen) => seen,
            Err(_) => Seen::Failed(Broken::new(
                Failing::Slow,
                format!("no answer within {} s", self.limit.as_secs()),
            )),
        }
    }

    async fn exchange(&self, place: &Place, request: &Planned) -> Seen {
        let stream = match timeout(CONNECT, TcpStream::connect(&place.addresses[..])).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Seen::Failed(of_connect(&error)),
            Err(_) => {
                let words = format!("no connection within {} s", CONNECT.as_secs());
                return Seen::Failed(Broken::new(Failing::Unreachable, words));
            }
        };
        if !place.secure {
            return self.talk(stream, request, None).await;
        }
        let Ok(name) = ServerName::try_from(request.host.clone()) else {
            let words = "the host is not a name that a TLS handshake can have".to_owned();
            return Seen::Failed(Broken::new(Failing::Handshake, words));
        };
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        match timeout(CONNECT, handshake).await {
            Err(_) => {
                let words = format!("no TLS handshake within {} s", CONNECT.as_secs());
                Seen::Failed(Broken::new(Failing::NotTls, words))
            }
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(|chain| chain.first());
                let certificate = certificate.map(|der| CertificateSeen::of(der));
                self.talk(stream, request, certificate).await
            }
            Ok(Err(error)) => Seen::Failed(of_handshake(&error)),
        }
    }

    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        request: &Planned,
        certificate: Option<CertificateSeen>,
    ) -> Seen {
        let message = match self.message(request) {
            Ok(message) => message,
            Err(words) => return Seen::Failed(Broken::new(Failing::Unsendable, words)),
        };
        let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
            Ok(both) => both,
            Err(error) => return Seen::Failed(of_hyper(&error)),
        };
        let answer = pin!(async {
            let response = sender.send_request(message).await.map_err(|error| of_hyper(&error))?;
            Ok(Answer::read(response, self.most_bytes, self.limit, certificate).await)
        });
        // The connection ends with the answer, or before its end is read.
        let answer = match select(answer, pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, answer)) => answer.await,
        };
        match answer {
            Ok(answer) => Seen::Answer(Box::new(answer)),
            Err(broken) => Seen::Failed(broken),
        }
    }

    fn message(&self, request: &Planned) -> Result<Request<Full<Bytes>>, String> {
        let Planned { method, host, target, headers, .. } = request;
        let target: PathAndQuery =
            target.parse().map_err(|error| format!("{target:?} cannot be sent: {error}"))?;
        let mut message = Request::builder().method(method).uri(Uri::from(target));
        let agent = concat!("ravelin-compare/", env!("CARGO_PKG_VERSION"));
        message = message.header(header::HOST, host).header(header::USER_AGENT, agent);
        for (name, value) in self.headers.iter().chain(headers) {
            message = message.header(name, value);
        }
        if !method.is_safe() {
            message = message.header(header::CONTENT_LENGTH, "0");
        }
        message.body(Full::default()).map_err(|error| error.to_string())
    }
}

fn of_connect(error: &io::Error) -> Broken {
    let failing = match error.kind() {
        io::ErrorKind::ConnectionRefused => Failing::Refused,
        io::ErrorKind::ConnectionReset => Failing::Closed,
        _ => Failing::Unreachable,
    };
    Broken::new(failing, format!("no connection: {error}"))
}

fn of_handshake(error: &io::Error) -> Broken {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => {
            Broken::new(Failing::Handshake, format!("handshake refused: {alert:?}"))
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            Broken::new(Failing::NotTls, "it does not speak TLS".to_owned())
        }
        Some(other) => Broken::new(Failing::Handshake, format!("handshake failed: {other}")),
        None => Broken::new(Failing::Closed, format!("closed within the handshake: {error}")),
    }
}

fn of_hyper(error: &hyper::Error) -> Broken {
    if error.is_parse() {
        return Broken::new(Failing::NotHttp, format!("it does not speak HTTP/1.1: {error}"));
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Broken::new(Failing::Closed, format!("closed without an answer: {words}"))
}
