//! The life of a connection: accepted socket, PROXY header, TLS, HTTP, deadlines, drain, end.

mod by_hyper;
mod handshake;
mod http1;
mod http2;
mod linger;
mod start;
mod tcp;

use crate::config::{Http1, Listener, ListenerProtocol};
use crate::http::client_ip::{self, ClientIp, Scheme};
use crate::http::{ClientSocket, ForwardedFields};
use crate::net::addr::PeerAddr;
use crate::net::deadline::{Phase, Watch};
use crate::net::memory::{Account, HolderKind};
use crate::proxy::{Downstream, StrangerSeat, Worker};
use crate::telemetry::access_log::ConnectionText;
use crate::telemetry::{Evicted, HandshakeFailure, ListenerCells, Refusal};
use crate::transport::admission::Gate;
use crate::transport::listen::{self, Accepted};
use crate::transport::proxy_protocol::{self, Header, ReadError};
use crate::upstream::body::{Flow, ROOM};
use http::HeaderValue;
use std::cell::Cell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;

/// Serves one connection to its end.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted { socket, peer, listener, slot, load } = accepted;
    let cells = &worker.cells.listeners[listener];
    if !has_room(&worker, worker.config.listeners[listener].protocol) {
        cells.refuse(Refusal::Memory);
        return;
    }
    // Lowered however this ends, and before the slot is free.
    let _open = cells.open.raise();
    if let Ok(socket) = TcpStream::from_std(socket) {
        match identify_peer(&worker, &socket, peer, listener).await {
            Ok(downstream) if downstream.stranger.is_some() => {
                serve_stranger(downstream, socket).await;
            }
            Ok(downstream) => serve_peer(downstream, socket).await,
            Err(RejectedConnection::Reset) => listen::reset(socket),
            Err(RejectedConnection::Closed) => drop(socket),
        }
    }
    drop((slot, load));
}

/// Serves a peer to the end of its connection.
async fn serve_peer(downstream: Downstream, socket: TcpStream) {
    let Some((downstream, socket)) = to_http(downstream, socket).await else { return };
    let downstream = Rc::new(downstream);
    // On the heap: the two are of very different size, and one is not used.
    match downstream.streams.clone() {
        None => match downstream.worker.config.http1 {
            Http1::Ravelin => Box::pin(http1::serve(downstream, socket)).await,
            Http1::Hyper => Box::pin(by_hyper::serve(downstream, socket)).await,
        },
        Some(streams) => Box::pin(http2::serve(downstream, &streams, socket)).await,
    }
}

/// The same for one whom break-glass alone admits: cut where it has not left in time once that is off.
async fn serve_stranger(downstream: Downstream, socket: TcpStream) {
    let Some(seat) = downstream.stranger.clone() else { return };
    let mut served = Box::pin(serve_peer(downstream, socket));
    poll_fn(|cx| {
        if seat.is_cut() {
            seat.count_cut();
            return Poll::Ready(());
        }
        served.as_mut().poll(cx)
    })
    .await;
}

/// A connection with HTTP, its TLS handshake done, if the listener has TLS. `None` if it failed, which has been counted,
/// or if it was one of an IngressRouteTCP, which has been served.
async fn to_http(downstream: Downstream, socket: TcpStream) -> Option<(Downstream, ClientSocket)> {
    let worker = &downstream.worker;
    if let Some(routes) = tcp::Routes::at(&downstream) {
        // On the heap: few connections are of these.
        return Box::pin(tcp::serve(downstream, socket, routes)).await;
    }
    match worker.config.listeners[downstream.listener].protocol {
        ListenerProtocol::Http | ListenerProtocol::Tcp => {
            Some((downstream, ClientSocket::Plain(socket)))
        }
        ListenerProtocol::Https => handshake::shake(downstream, socket).await,
    }
}

/// Memory of a connection, in bytes: its task, and the buffers for one request of HTTP/1.1.
const PLAIN: usize = 16 * 1024;
/// The same with TLS, which adds a session and buffers.
const SECURE: usize = 32 * 1024;
/// Memory of HTTP/2 in addition: its state, its tables of fields, and its buffers.
const HTTP2: usize = 32 * 1024;

fn price(protocol: ListenerProtocol) -> usize {
    match protocol {
        ListenerProtocol::Http => PLAIN,
        ListenerProtocol::Https | ListenerProtocol::Tcp => SECURE,
    }
}

/// Whether a new connection may be held; else the one that has been idle for longest closes for it.
fn has_room(worker: &Worker, protocol: ListenerProtocol) -> bool {
    worker.memory.may_begin(price(protocol)).is_ok() || worker.deadlines.evict_idlest()
}

/// Of a socket that the kernel does not say the address of.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A rejected connection, and how to close it. It has been counted.
enum RejectedConnection {
    Closed,
    Reset,
}

/// Finds out who is at the other end: the peer, or whom a balancer names.
async fn identify_peer(
    worker: &Rc<Worker>,
    socket: &TcpStream,
    peer: PeerAddr,
    listener: usize,
) -> Result<Downstream, RejectedConnection> {
    let gate = worker.gates[listener].load_full();
    let timeouts = &worker.config.timeouts;
    let account = Account::open(&worker.memory);
    let watch = worker.deadlines.connection(timeouts.first_request);
    watch.set_account(&account);
    let mut origin = Origin {
        source: peer,
        balancer: None,
        destination: socket.local_addr().unwrap_or(NOWHERE),
    };
    if gate.is_balancer(peer.ip()) {
        let cells = &worker.cells.listeners[listener];
        let header = proxy_protocol::read(socket, timeouts.proxy_header);
        let Some(header) = unless_evicted(&watch, header).await else {
            cells.evict(Evicted::ProxyHeader);
            return Err(RejectedConnection::Reset);
        };
        origin = behind(origin, header, &gate, cells)?;
        watch.enter(Phase::Idle, timeouts.first_request);
    }
    let Origin { source, balancer, destination } = origin;
    let stranger = seat_of_stranger(worker, &gate, source, listener)?;
    let Listener { name, protocol, .. } = &worker.config.listeners[listener];
    account.charge(HolderKind::Connections, price(*protocol));
    Ok(Downstream {
        worker: Rc::clone(worker),
        listener,
        peer: source,
        destination,
        trusted: gate.believed().check(source),
        stranger,
        gate,
        watch,
        unread: Cell::new(false),
        flow: Flow::new(Arc::clone(&account), ROOM),
        account,
        streams: None,
        tls: None,
        text: ConnectionText::new(source, balancer, name),
        fields: forwarded_fields(source, destination.port()),
    })
}

/// The seat of a peer whom break-glass alone admits; `None` for all others.
fn seat_of_stranger(
    worker: &Worker,
    gate: &Gate,
    source: PeerAddr,
    listener: usize,
) -> Result<Option<Rc<StrangerSeat>>, RejectedConnection> {
    let cells = &worker.cells.listeners[listener];
    if !gate.is_stranger(source.ip()) {
        // Accepted in the moment before break-glass was off again.
        let is_late = worker.config.break_glass.switch.is_some()
            && gate.admits(source.ip()).is_none()
            && !gate.is_balancer(source.ip());
        if is_late {
            cells.refuse(Refusal::NotAdmitted);
            return Err(RejectedConnection::Reset);
        }
        return Ok(None);
    }
    let Some(seat) = worker.strangers.seat(source.ip()) else {
        cells.refuse(Refusal::BreakGlassLimit);
        return Err(RejectedConnection::Reset);
    };
    Ok(Some(Rc::new(seat)))
}

/// Runs a future to its end. `None` if the connection has to make room for another one before that.
async fn unless_evicted<T>(watch: &Watch, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        watch.register(cx);
        if watch.is_evicted() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// The owner of a connection.
struct Origin {
    source: PeerAddr,
    /// The load balancer, if it came through one.
    balancer: Option<PeerAddr>,
    /// Where the source connected to.
    destination: SocketAddr,
}

/// The client of a balancer's connection, from its PROXY header. The balancer's own one stays its own if it is
/// admitted; else it only wanted to know whether somebody answers.
fn behind(
    own: Origin,
    header: Result<Header, ReadError>,
    gate: &Gate,
    cells: &ListenerCells,
) -> Result<Origin, RejectedConnection> {
    let balancer = own.source;
    let refusal = match header {
        // Version 1 has no word for the balancer itself: it names its own end (section 2.1).
        Ok(Header::Proxied { source, destination }) if PeerAddr::new(source) != balancer => {
            let source = PeerAddr::new(source);
            if gate.admits(source.ip()).is_some() {
                return Ok(Origin { source, balancer: Some(balancer), destination });
            }
            tracing::debug!(%source, %balancer, "source is not admitted");
            Refusal::SourceNotAdmitted
        }
        Ok(_) if gate.admits(balancer.ip()).is_some() => return Ok(own),
        Ok(_) | Err(ReadError::Closed) => {
            cells.health_checks.add(1);
            return Err(RejectedConnection::Closed);
        }
        Err(error) => {
            tracing::debug!(%balancer, %error, label = error.label(), "no PROXY header");
            refusal(&error)
        }
    };
    cells.refuse(refusal);
    Err(RejectedConnection::Reset)
}

fn refusal(error: &ReadError) -> Refusal {
    match error {
        ReadError::Malformed(_) => Refusal::ProxyMalformed,
        ReadError::TimedOut => Refusal::ProxyTimeout,
        ReadError::Closed | ReadError::Truncated | ReadError::Io(_) => Refusal::ProxyTruncated,
    }
}

/// Forwarded fields for requests that are the peer's own.
fn forwarded_fields(peer: PeerAddr, port: u16) -> ForwardedFields {
    let port = HeaderValue::try_from(port.to_string()).expect("a number is a valid field value");
    ForwardedFields {
        client: client_ip::text(ClientIp::of_peer(peer).ip()),
        proto: HeaderValue::from_static(Scheme::Http.as_str()),
        port,
    }
}

/// Counts a connection with HTTP that has to make room.
fn count_evicted(downstream: &Downstream) {
    let state = match downstream.watch.is_served() {
        false => Evicted::FirstRequest,
        true => Evicted::Idle,
    };
    downstream.worker.cells.listeners[downstream.listener].evict(state);
}

fn count_failed(cells: &ListenerCells, why: HandshakeFailure) {
    cells.handshakes.fail(why);
    if why == HandshakeFailure::Evicted {
        cells.evict(Evicted::Handshake);
    }
}
