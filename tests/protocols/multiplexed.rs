//! A client of HTTP/2 within TLS, which shows what a stream gets: frames, trailers, resets.

use crate::PATIENCE;
use crate::secured::{HOST, offering};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::pki_types::ServerName;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::task::{JoinHandle, spawn_local};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    /// Runs for as long as the connection.
    driver: Rc<JoinHandle<Result<(), h2::Error>>>,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

/// Runs a test's client, for as long as a test may take.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    run_for(PATIENCE, test)
}

/// The same for a test that may take longer.
pub(crate) fn run_for<T>(patience: Duration, test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(LocalOptions::default());
    let within = async { tokio::time::timeout(patience, test).await };
    runtime.expect("a runtime").block_on(within).expect("it takes no longer than our patience")
}

/// GET of a path at [`HOST`].
pub(crate) fn get(path: &str) -> Request<()> {
    request("GET", path).body(()).expect("a request")
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("https://{HOST}{path}"))
}

/// Shakes hands for HTTP/2.
pub(crate) async fn shake(addr: SocketAddr) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(addr).await.expect("the proxy listens");
    let name = ServerName::try_from(HOST).expect("a name");
    let connector = TlsConnector::from(offering(&["h2", "http/1.1"]));
    let stream = connector.connect(name, socket).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self::with(addr, Builder::new().enable_push(false)).await
    }

    /// With settings of its own.
    pub(crate) async fn with(addr: SocketAddr, settings: &Builder) -> Self {
        let (sender, connection) = settings.handshake(shake(addr).await).await.expect("a preface");
        Self { sender, driver: Rc::new(spawn_local(connection)) }
    }

    /// The same connection, for a task of its own.
    pub(crate) fn share(&self) -> Self {
        Self { sender: self.sender.clone(), driver: Rc::clone(&self.driver) }
    }

    /// Sends a request head; the body follows through what is returned.
    pub(crate) async fn begin(
        &mut self,
        request: Request<()>,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        self.sender = self.sender.clone().ready().await.expect("room for a stream");
        self.sender.send_request(request, false).expect("a request")
    }

    /// Sends a request without a body.
    pub(crate) async fn send(&mut self, request: Request<()>) -> ResponseFuture {
        self.sender = self.sender.clone().ready().await.expect("room for a stream");
        self.sender.send_request(request, true).expect("a request").0
    }

    /// A request without a body, and its answer.
    pub(crate) async fn ask(&mut self, request: Request<()>) -> Answer {
        let response = self.send(request).await;
        whole(response.await.expect("an answer")).await
    }

    /// A request with a body, and its answer.
    pub(crate) async fn post(&mut self, path: &str, body: &'static str) -> Answer {
        let (response, mut stream) =
            self.begin(request("POST", path).body(()).expect("valid")).await;
        stream.send_data(Bytes::from_static(body.as_bytes()), true).expect("an open stream");
        whole(response.await.expect("an answer")).await
    }

    /// Closes the socket in the middle of everything.
    pub(crate) fn vanish(self) {
        self.driver.abort();
    }
}

/// The rest of an answer.
pub(crate) async fn whole(response: Response<RecvStream>) -> Answer {
    let (head, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(bytes) = next(&mut incoming).await {
        body.extend_from_slice(&bytes.expect("the whole body"));
    }
    let trailers = incoming.trailers().await.expect("no reset");
    Answer { status: head.status, fields: head.headers, body, trailers }
}

/// The next bytes of a body, whose room is given back.
pub(crate) async fn next(incoming: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    loop {
        let bytes = incoming.data().await?;
        if let Ok(bytes) = &bytes {
            incoming.flow_control().release_capacity(bytes.len()).expect("it came");
        }
        // An end may come in an empty frame of its own.
        if !bytes.as_ref().is_ok_and(Bytes::is_empty) {
            return Some(bytes);
        }
    }
}

/// The reason of a reset that the proxy sent, and not of a connection that ended.
pub(crate) fn reset(error: &h2::Error) -> Option<Reason> {
    error.reason().filter(|_| error.is_reset() && error.is_remote())
}
