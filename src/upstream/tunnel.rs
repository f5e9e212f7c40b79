//! A connection to a pod for a connection that is relayed: which pod, and how it is reached.
//!
//! The first connection that is made counts: until then nothing of the client's has been sent, and another pod can be
//! tried. The PROXY header goes before TLS, as in Traefik (`pkg/tcp/dialer.go`).

use super::Upstream;
use super::connect::{is_ours, reason};
use crate::balance::{Endpoint, EndpointSet, InFlight, Moment, Strategy};
use crate::error::Reason;
use crate::model::{KeepAlive, TcpDelivery};
use crate::net::postgres::{AGREED, SSL_REQUEST};
use crate::net::stream::TcpOrTls;
use crate::routing::{Backend, EndpointProtocol};
use crate::telemetry::Retry;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A pod's socket, within TLS or without.
pub type PodStream = TcpOrTls<TlsStream<TcpStream>>;

/// The destination of a connection.
#[derive(Debug)]
pub struct TunnelTarget<'a> {
    /// The Service port.
    pub backend: &'a Backend,
    /// How its pods are reached.
    pub delivery: TcpDelivery,
    /// What they get first, before TLS.
    pub prelude: &'a [u8],
    /// Whether they are asked for TLS as PostgreSQL is, which the client begins then.
    pub is_postgres: bool,
}

/// A connection to a pod.
#[derive(Debug)]
pub struct PodTunnel {
    /// Its bytes.
    pub stream: PodStream,
    /// The pod, of whose load it is a part.
    pub endpoint: InFlight,
    /// How long the last attempt took.
    pub took: Duration,
    /// Attempts that failed before.
    pub retries: u32,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct NoTunnel {
    /// Why the last attempt failed.
    pub reason: Reason,
    /// The last pod that was tried.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Attempts beside the first.
    pub retries: u32,
}

impl Upstream {
    /// Connects to one of the pods: the less loaded of two, and another one where that fails, as often as
    /// `connect_retries` says. `random` draws a random number.
    ///
    /// # Errors
    /// There is no pod, or none could be reached.
    pub async fn tunnel(
        &self,
        target: &TunnelTarget<'_>,
        random: impl Fn() -> u64,
    ) -> Result<PodTunnel, NoTunnel> {
        let TunnelTarget { backend, delivery, .. } = target;
        let limit = delivery.connect.unwrap_or(self.settings.connect);
        let mut tried: Vec<Arc<Endpoint>> = Vec::new();
        let (mut last, mut retries) = (Reason::NoEndpoint, 0);
        self.budget.request();
        loop {
            let set = backend.endpoints();
            let Some(endpoint) = begin(backend, &set, random(), &tried) else {
                let reason = match backend.queue() {
                    Some(_) if !set.usable().is_empty() && tried.is_empty() => Reason::QueueFull,
                    _ => last,
                };
                return Err(NoTunnel { reason, endpoint: tried.pop(), retries });
            };
            self.note_pick(&set, endpoint.endpoint());
            drop(set);
            let begun = Instant::now();
            let opened = timeout(limit, open(endpoint.endpoint(), target)).await;
            let failed = match opened.unwrap_or(Err(Failed::of(Reason::ConnectTimeout))) {
                Ok(stream) => {
                    self.cells.upstream.connects.add(1);
                    endpoint.endpoint().answered();
                    return Ok(PodTunnel { stream, endpoint, took: begun.elapsed(), retries });
                }
                Err(failed) => failed,
            };
            self.count(&failed, endpoint.endpoint(), random());
            last = failed.reason;
            tried.push(Arc::clone(endpoint.endpoint()));
            let is_last = tried.len() > self.settings.connect_retries as usize
                || backend.endpoints().all_tried(&tried);
            if is_last || !self.may_retry(last) {
                return Err(NoTunnel { reason: last, endpoint: tried.pop(), retries });
            }
            retries += 1;
        }
    }

    fn count(&self, failed: &Failed, endpoint: &Endpoint, random: u64) {
        let cells = &self.cells.upstream;
        cells.connect_failures.add(1);
        if matches!(failed.reason, Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted) {
            cells.tls_failures.add(1);
        }
        if !failed.is_ours {
            self.note_failure(endpoint, random);
        }
    }

    /// Takes a retry from the budget, and counts it.
    fn may_retry(&self, why: Reason) -> bool {
        let cells = &self.cells.upstream;
        if !self.budget.take() {
            cells.retries_refused.add(1);
            return false;
        }
        let why = match why {
            Reason::ConnectTimeout => Retry::ConnectTimeout,
            Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted => Retry::TlsFailed,
            _ => Retry::ConnectFailed,
        };
        cells.retries[why as usize].add(1);
        true
    }
}

/// Begins a connection at one of the endpoints, if one of them takes it.
fn begin(
    backend: &Backend,
    set: &EndpointSet,
    random: u64,
    tried: &[Arc<Endpoint>],
) -> Option<InFlight> {
    let now = Moment::now();
    match backend.queue() {
        None => set.pick(Strategy::LeastLoad, random, now, tried).map(InFlight::begin),
        Some(queue) => queue.begin(set, Strategy::LeastLoad, random, now, tried),
    }
}

/// Why an attempt failed.
struct Failed {
    reason: Reason,
    /// This node has no file, port or memory left for it: nothing is wrong with the endpoint.
    is_ours: bool,
}

impl Failed {
    /// The endpoint's fault, or the network's.
    fn of(reason: Reason) -> Self {
        Self { reason, is_ours: false }
    }
}

async fn open(endpoint: &Endpoint, target: &TunnelTarget<'_>) -> Result<PodStream, Failed> {
    let socket = connect(endpoint, target).await?;
    let mut stream = secure(endpoint, &target.backend.protocol, socket).await?;
    if target.is_postgres {
        ask(&mut stream).await.map_err(|error| {
            tracing::debug!(addr = %endpoint.addr, %error, "an endpoint does not begin TLS as PostgreSQL");
            Failed::of(Reason::UpstreamTlsFailed)
        })?;
    }
    Ok(stream)
}

async fn connect(endpoint: &Endpoint, target: &TunnelTarget<'_>) -> Result<TcpStream, Failed> {
    let addr = endpoint.addr;
    let mut socket = TcpStream::connect(addr.socket_addr()).await.map_err(|error| {
        tracing::debug!(%addr, %error, "connecting to an endpoint failed");
        Failed { reason: Reason::ConnectFailed, is_ours: is_ours(&error) }
    })?;
    // Without them all still works: what is small waits for the acknowledgement of what was before, and a pod that has
    // gone is noticed later.
    let _ = socket.set_nodelay(true);
    if let KeepAlive::Every(every) = target.delivery.keep_alive {
        let probes = TcpKeepalive::new().with_time(every).with_interval(every);
        let _ = SockRef::from(&socket).set_tcp_keepalive(&probes);
    }
    if !target.prelude.is_empty() {
        let written = socket.write_all(target.prelude).await;
        written.map_err(|_| Failed::of(Reason::ConnectFailed))?;
    }
    Ok(socket)
}

async fn secure(
    endpoint: &Endpoint,
    protocol: &EndpointProtocol,
    socket: TcpStream,
) -> Result<PodStream, Failed> {
    let addr = endpoint.addr;
    let EndpointProtocol::Https(tls) = protocol else {
        return Ok(PodStream::Plain(socket));
    };
    // A backend whose CAs are missing is broken, and no connection gets here.
    let config = tls.config().ok_or(Failed::of(Reason::ProtocolUnusable))?;
    let name = tls.settings().server_name.clone();
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, socket);
    let stream = connecting.await.map_err(|error| {
        tracing::debug!(%addr, %error, "TLS handshake with an endpoint failed");
        Failed::of(reason(&error))
    })?;
    Ok(PodStream::Tls(Box::new(stream)))
}

/// Asks a pod for TLS as a client of PostgreSQL does; it has to agree.
async fn ask(stream: &mut PodStream) -> io::Result<()> {
    stream.write_all(&SSL_REQUEST).await?;
    stream.flush().await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    if answer[0] == AGREED {
        return Ok(());
    }
    Err(io::Error::other("it refuses"))
}
