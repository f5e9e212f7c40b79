//! A connection of an IngressRouteTCP: which one, whether it may, and its bytes to the pod and back.
//!
//! Where no connection of a listener can begin with TLS, nothing is awaited before the pod is chosen: in some protocols
//! (SSH, SMTP, MySQL) the server speaks first. Otherwise the ClientHello is read, and decides before TLS is ended; what
//! has no route goes on to HTTP, where the listener has it.

use super::start::Start;
use super::{handshake, start};
use crate::config::ListenerProtocol;
use crate::error::Reason;
use crate::http::ClientSocket;
use crate::model::{ConnectionFacts, TcpDelivery, TcpTls};
use crate::net::deadline::Phase;
use crate::net::memory::HolderKind;
use crate::proxy::middleware::admit_connection;
use crate::proxy::relay::{Flow, Patience, Relayed, relay};
use crate::proxy::{Downstream, ListenerEntry};
use crate::routing::{AskedConnection, Backend, TcpEntry};
use crate::telemetry::access_log::TcpLine;
use crate::telemetry::{HandshakeFailure, end_label};
use crate::tls::Hello;
use crate::transport::proxy_protocol;
use crate::upstream::{NoTunnel, PodTunnel, TunnelTarget};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Which routes of connections a listener has now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routes {
    plain: bool,
    tls: bool,
}

impl Routes {
    /// Those of the listener of a connection; `None` if the connection is one of HTTP in any case. Costs a look at the
    /// table.
    pub(super) fn at(downstream: &Downstream) -> Option<Self> {
        let Downstream { worker, listener, .. } = downstream;
        let ListenerEntry { bits, .. } = worker.entries[*listener];
        let table = worker.tables.load();
        let (plain, tls) = (table.has_tcp_plain(bits), table.has_tcp_tls(bits));
        match worker.config.listeners[*listener].protocol {
            ListenerProtocol::Http => plain.then_some(Self { plain, tls: false }),
            ListenerProtocol::Https => tls.then_some(Self { plain: false, tls }),
            ListenerProtocol::Tcp => Some(Self { plain, tls }),
        }
    }
}

/// Serves a connection, if it is one of these routes or the listener has nothing else. Otherwise returns it, for HTTP.
pub(super) async fn serve(
    downstream: Downstream,
    mut socket: TcpStream,
    Routes { plain, tls }: Routes,
) -> Option<(Downstream, ClientSocket)> {
    let protocol = downstream.worker.config.listeners[downstream.listener].protocol;
    let has_http = protocol == ListenerProtocol::Https;
    if !tls {
        return serve_plain(downstream, socket, protocol, Vec::new()).await;
    }
    handshake::begin(&downstream);
    let found = handshake::in_time(&downstream, pin!(start::of(&mut socket))).await;
    match handshake::count(&downstream, found)? {
        Start::Other(read) if plain => serve_plain(downstream, socket, protocol, read).await,
        Start::Other(read) if !read.is_empty() => {
            let failed: Result<(), _> = Err(HandshakeFailure::Malformed.into());
            handshake::count(&downstream, failed);
            None
        }
        // Requests of HTTP do not come within PostgreSQL.
        Start::Postgres => serve_tls(downstream, socket, false, true).await,
        // What is no TLS is told so.
        Start::Tls | Start::Other(_) => serve_tls(downstream, socket, has_http, false).await,
    }
}

async fn serve_plain(
    downstream: Downstream,
    socket: TcpStream,
    protocol: ListenerProtocol,
    early: Vec<u8>,
) -> Option<(Downstream, ClientSocket)> {
    let entry = {
        let table = downstream.worker.tables.load();
        table.tcp_plain(&asked(&downstream, "", &[])).cloned()
    };
    let Some(entry) = entry else {
        if protocol == ListenerProtocol::Http {
            return Some((downstream, ClientSocket::Plain(socket)));
        }
        Record::begin(&downstream, None, None).end(Some(Reason::NoRoute));
        return None;
    };
    let mut record = Record::begin(&downstream, Some(&entry), None);
    match admit(&downstream, &entry) {
        Ok(_turns) => {
            let client = ClientSocket::Plain(socket);
            pass(&downstream, client, Early::plain(early), &entry, record).await;
        }
        Err(reason) => record.end(Some(reason)),
    }
    None
}

/// `is_mixed`: what has no route is one of HTTP; `is_postgres`: TLS was asked for as PostgreSQL does.
async fn serve_tls(
    downstream: Downstream,
    socket: TcpStream,
    is_mixed: bool,
    is_postgres: bool,
) -> Option<(Downstream, ClientSocket)> {
    let worker = Rc::clone(&downstream.worker);
    let cells = &worker.cells.listeners[downstream.listener].handshakes;
    // On the heap, because it takes some KiB that the connection does not need afterwards.
    let mut greeting = Box::pin(worker.handshakes.greet(socket, cells));
    let hello = handshake::in_time(&downstream, greeting.as_mut()).await;
    drop(greeting);
    let hello = handshake::count(&downstream, hello)?;
    downstream.account.charge(HolderKind::Connections, hello.held());
    let entry = {
        let table = worker.tables.load();
        let name = hello.server_name().unwrap_or_default();
        table.tcp_tls(&asked(&downstream, name, &hello.protocols()), is_mixed).cloned()
    };
    match entry {
        Some(entry) => {
            secured(downstream, hello, &entry, is_postgres).await;
            None
        }
        None if is_mixed => {
            downstream.account.release(HolderKind::Connections, hello.held());
            let mut accepting =
                Box::pin(worker.handshakes.accept(hello, downstream.tls_peer(), cells));
            let met = handshake::in_time(&downstream, accepting.as_mut()).await;
            handshake::settle(downstream, met)
        }
        None => {
            let name = hello.server_name();
            Record::begin(&downstream, None, name).end(Some(Reason::NoRoute));
            hello.refuse().await;
            None
        }
    }
}

/// Serves a connection with TLS, whose route is known.
async fn secured(
    mut downstream: Downstream,
    hello: Hello,
    entry: &Arc<TcpEntry>,
    is_postgres: bool,
) {
    let turns = match admit(&downstream, entry) {
        Ok(turns) => turns,
        Err(reason) => {
            let name = hello.server_name();
            Record::begin(&downstream, Some(entry), name).end(Some(reason));
            hello.deny().await;
            return;
        }
    };
    let held = hello.held();
    if let TcpTls::Ended(end) = &entry.rule.tls {
        let worker = Rc::clone(&downstream.worker);
        let cells = &worker.cells.listeners[downstream.listener].handshakes;
        downstream.account.release(HolderKind::Connections, held);
        let mut ending =
            Box::pin(worker.handshakes.end(hello, &entry.rule, end, downstream.tls_peer(), cells));
        let met = handshake::in_time(&downstream, ending.as_mut()).await;
        drop(ending);
        let Some((stream, session)) = handshake::count(&downstream, met) else { return };
        handshake::tell(&mut downstream, &session);
        // What the log has of it is in the text of the connection.
        drop(session);
        let record = Record::begin(&downstream, Some(entry), None);
        let client = ClientSocket::Tls(Box::new(stream));
        pass(&downstream, client, Early::plain(Vec::new()), entry, record).await;
    } else {
        let record = Record::begin(&downstream, Some(entry), hello.server_name());
        let (socket, read) = hello.into_parts();
        let early = Early { read, is_postgres };
        pass(&downstream, ClientSocket::Plain(socket), early, entry, record).await;
    }
    drop(turns);
}

fn asked<'c>(
    downstream: &Downstream,
    server_name: &'c str,
    protocols: &'c [Vec<u8>],
) -> AskedConnection<'c> {
    let entry_points = downstream.worker.entries[downstream.listener].bits;
    let facts = ConnectionFacts { server_name, protocols, peer: downstream.peer.ip() };
    AskedConnection { entry_points, facts }
}

/// Whether a route takes a connection, and the turns that it has then.
fn admit(
    downstream: &Downstream,
    entry: &TcpEntry,
) -> Result<crate::proxy::middleware::ConnectionTurns, Reason> {
    let Downstream { worker, peer, .. } = downstream;
    if let Some(broken) = entry.rule.broken {
        return Err(broken.reason());
    }
    worker.steps.advance(worker.tables.load().generation());
    admit_connection(&entry.rule.steps, &worker.steps, peer.ip())
}

/// A Service port of a route, and how its pods are reached.
type Chosen<'e> = (TcpDelivery, &'e Arc<Backend>);

/// One of the Services by weight: of those that have a pod, if there are some.
fn choose(entry: &TcpEntry, random: u64) -> Result<Chosen<'_>, Reason> {
    let (service, backend) = entry.drawn(random).ok_or(Reason::NoEndpoint)?;
    match backend.broken {
        Some(broken) => Err(broken.reason()),
        None => Ok((service.delivery, backend)),
    }
}

/// What a pod has to get before the rest of a connection.
struct Early {
    /// What has been read of it.
    read: Vec<u8>,
    /// Before that the pod is asked for TLS, as its client has asked.
    is_postgres: bool,
}

impl Early {
    fn plain(read: Vec<u8>) -> Self {
        Self { read, is_postgres: false }
    }
}

/// Takes a connection to a pod, and relays.
async fn pass(
    downstream: &Downstream,
    mut client: ClientSocket,
    Early { read: early, is_postgres }: Early,
    entry: &Arc<TcpEntry>,
    mut record: Record<'_>,
) {
    let Downstream { worker, watch, listener, account, .. } = downstream;
    let timeouts = &worker.config.timeouts;
    // Connecting has a limit of its own.
    watch.enter(Phase::Tunnel, timeouts.tunnel_idle);
    let (delivery, backend) = match choose(entry, worker.random()) {
        Ok(chosen) => chosen,
        Err(reason) => return record.end(Some(reason)),
    };
    record.backend = Some(Arc::clone(backend));
    let header = delivery.proxy_protocol.map(|version| {
        let source = SocketAddr::new(downstream.peer.ip(), downstream.peer.port());
        proxy_protocol::header(version, source, downstream.destination)
    });
    let prelude = header.as_deref().unwrap_or_default();
    let target = TunnelTarget { backend, delivery, prelude, is_postgres };
    let PodTunnel { stream, endpoint, took, retries } =
        match Box::pin(worker.upstream.tunnel(&target, worker.draw())).await {
            Ok(tunnel) => tunnel,
            Err(NoTunnel { reason, endpoint, retries }) => {
                record.retries = retries;
                record.endpoint = endpoint.map(|endpoint| endpoint.text.clone());
                return record.end(Some(reason));
            }
        };
    record.endpoint = Some(endpoint.endpoint().text.clone());
    (record.connect, record.retries) = (Some(took), retries);
    // Lowered however this ends.
    let open = worker.cells.listeners[*listener].tunnels.raise();
    let patience = Patience { idle: timeouts.tunnel_idle, half_closed: timeouts.body_progress };
    let held = early.len();
    let flow = Flow::new(Rc::clone(watch), &worker.aborting, patience)
        .after_early(move || account.release(HolderKind::Connections, held));
    let Relayed { from_client, from_pod, cut } = relay(&mut client, stream, early, flow).await;
    drop((open, endpoint));
    record.bytes = [from_client, from_pod];
    record.end(cut);
    // Without an error, so that nobody takes the end for a fault of the network.
    client.try_end(&[]);
}

/// The record of one connection. Dropping it counts and logs it: as given up by the client, unless an end was noted.
struct Record<'d> {
    downstream: &'d Downstream,
    begun: Instant,
    entry: Option<Arc<TcpEntry>>,
    /// The Service that was chosen.
    backend: Option<Arc<Backend>>,
    /// The name in a ClientHello that is passed on.
    server_name: Option<Box<str>>,
    endpoint: Option<Box<str>>,
    connect: Option<Duration>,
    retries: u32,
    /// From the client, and to it.
    bytes: [u64; 2],
    end: Option<Option<Reason>>,
}

impl<'d> Record<'d> {
    fn begin(
        downstream: &'d Downstream,
        entry: Option<&Arc<TcpEntry>>,
        server_name: Option<&str>,
    ) -> Self {
        Self {
            downstream,
            begun: Instant::now(),
            entry: entry.cloned(),
            backend: None,
            server_name: server_name.map(Into::into),
            endpoint: None,
            connect: None,
            retries: 0,
            bytes: [0, 0],
            end: None,
        }
    }

    /// Notes how it ended, if not by both sides.
    fn end(&mut self, reason: Option<Reason>) {
        self.end.get_or_insert(reason);
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let Downstream { worker, text, fields, listener, .. } = self.downstream;
        let gone = if worker.aborting.get() { Reason::CutByDrain } else { Reason::ClientGone };
        let reason = self.end.unwrap_or(Some(gone));
        let (entry, backend) = (self.entry.as_deref(), self.backend.as_deref());
        let series = worker.tcp_series.find(*listener, entry, backend);
        series.record(reason, self.bytes);
        let Some(log) = &worker.access_log else { return };
        let now = Instant::now();
        log.write_tcp(&TcpLine {
            time: now,
            client: fields.client.to_str().unwrap_or_default(),
            connection: text,
            server_name: self.server_name.as_deref(),
            route: entry.map(|_| series.text()),
            endpoint: self.endpoint.as_deref(),
            end: end_label(reason),
            duration: now - self.begun,
            connect: self.connect,
            bytes_in: self.bytes[0],
            bytes_out: self.bytes[1],
            retries: self.retries,
        });
    }
}
