//! tonic as the client, which verifies the certificate that it is shown.

use super::codec::Raw;
use super::server::LARGEST;
use crate::secured::HOST;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

/// One connection.
#[derive(Clone)]
pub(super) struct Client(Grpc<Channel>);

impl Client {
    /// Connects to a proxy whose certificate is of this authority (PEM).
    pub(super) async fn connect(addr: SocketAddr, authority: &str) -> Self {
        Self::with(addr, authority, |endpoint| endpoint).await
    }

    /// The same with settings of its own.
    pub(super) async fn with(
        addr: SocketAddr,
        authority: &str,
        settings: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Self {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        let endpoint = Endpoint::from_shared(format!("https://{HOST}")).expect("a URI");
        let endpoint = settings(endpoint.tls_config(tls.domain_name(HOST)).expect("settings"));
        let connect = move |_: Uri| async move { TcpStream::connect(addr).await.map(TokioIo::new) };
        let channel = endpoint.connect_with_connector(tower::service_fn(connect)).await;
        let grpc = Grpc::new(channel.expect("a handshake, and HTTP/2 by ALPN"));
        Self(grpc.max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST))
    }

    async fn ready(&self) -> Grpc<Channel> {
        let mut grpc = self.0.clone();
        grpc.ready().await.expect("an open connection");
        grpc
    }

    /// One message, and one back.
    pub(super) async fn unary(
        &self,
        path: &'static str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        self.ready().await.unary(request, PathAndQuery::from_static(path), Raw).await
    }

    /// The status of a call with one message each way.
    pub(super) async fn ask(&self, path: &'static str) -> Code {
        self.unary(path, text("?")).await.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    /// One message, and a stream of them back.
    pub(super) async fn down(
        &self,
        path: &'static str,
        request: Request<Bytes>,
    ) -> Result<Streaming<Bytes>, Status> {
        let path = PathAndQuery::from_static(path);
        let response = self.ready().await.server_streaming(request, path, Raw).await?;
        Ok(response.into_inner())
    }

    /// A stream of messages, and one back.
    pub(super) async fn up(
        &self,
        path: &'static str,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Bytes, Status> {
        let (path, request) = (PathAndQuery::from_static(path), Request::new(messages));
        let response = self.ready().await.client_streaming(request, path, Raw).await?;
        Ok(response.into_inner())
    }

    /// A stream of messages each way.
    pub(super) async fn both(
        &self,
        path: &'static str,
        request: Request<impl Stream<Item = Bytes> + Send + 'static>,
    ) -> Result<Streaming<Bytes>, Status> {
        let path = PathAndQuery::from_static(path);
        Ok(self.ready().await.streaming(request, path, Raw).await?.into_inner())
    }
}

/// A request that is this text.
pub(super) fn text(text: &'static str) -> Request<Bytes> {
    Request::new(Bytes::from_static(text.as_bytes()))
}

/// Messages that a test gives one after the other; their end is that of the sender.
pub(super) fn fed() -> (UnboundedSender<Bytes>, impl Stream<Item = Bytes> + Send + 'static) {
    let (sender, mut messages) = unbounded_channel();
    (sender, stream::poll_fn(move |cx| messages.poll_recv(cx)))
}

/// The next message, which has to come.
pub(super) async fn next(messages: &mut Streaming<Bytes>) -> Bytes {
    messages.message().await.expect("no error").expect("a message and not the end")
}
