//! The connection of a GET: lookup of the name, TCP, and TLS that is verified.

use super::fetch::{FetchError, said};
use super::own::read_bounded;
use crate::error::Advice;
use crate::pki::ca_bundle::CaBundle;
use crate::telemetry::ListFailure;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// Largest file of CAs, in bytes: all public CAs together have about 250 KB.
const MOST_CA_BYTES: usize = 1 << 20;

/// A stream to a server.
pub(super) type ByteStream = Either<TcpStream, TlsStream<TcpStream>>;

/// Connects, with TLS if there are settings for it.
pub(super) async fn open(
    addr: SocketAddr,
    name: ServerName<'static>,
    tls: Option<Arc<ClientConfig>>,
) -> Result<ByteStream, FetchError> {
    let socket = TcpStream::connect(addr).await.map_err(|error| {
        FetchError::Failed(ListFailure::Connect, format!("cannot connect to {addr}: {error}"))
    })?;
    let Some(tls) = tls else { return Ok(Either::Left(socket)) };
    let stream = TlsConnector::from(tls).connect(name, socket).await;
    stream.map(Either::Right).map_err(|error| {
        let words = format!("TLS handshake with {addr} failed: {}", said(&error));
        FetchError::Failed(ListFailure::Tls, words)
    })
}

/// Looks a name up in a thread of its own: the resolver cannot be interrupted, and a runtime waits
/// for its blocking threads when it ends, which would hold up the process on its way out.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let (reply, answer) = oneshot::channel();
    let host = host.to_owned();
    let look_up = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // No receiver is left if the attempt was given up.
        let _ = reply.send(found);
    };
    let started = std::thread::Builder::new().name("resolve".to_owned()).spawn(look_up);
    started.map_err(|error| said(&error))?;
    match answer.await {
        Ok(found) => found.map_err(|error: io::Error| said(&error)),
        Err(_) => Err("the DNS lookup ended without a result".to_owned()),
    }
}

pub(super) fn client_config(
    ca_file: Option<&Path>,
    key: &'static str,
) -> Result<ClientConfig, FetchError> {
    let roots = match ca_file {
        Some(path) => authorities(path).map_err(|what| {
            let words = format!("{key} {path:?}: {what}; name a PEM file with certificates");
            FetchError::Failed(ListFailure::Authorities, words)
        })?,
        None => Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let pem = read_bounded(path, MOST_CA_BYTES).map_err(|error| error.to_string())?;
    let bundle = CaBundle::from_pem(&pem).map_err(|error| error.reason().to_owned())?;
    Ok(Arc::clone(bundle.roots()))
}
