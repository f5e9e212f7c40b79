//! What the requests of a worker share, and those of a connection.

use crate::config::Config;
use crate::http::client_ip::VisitorPolicy;
use crate::http::{ForwardedFields, HeadTurns, Streams};
use crate::net::addr::PeerAddr;
use crate::net::deadline::{Deadlines, Watch};
use crate::net::memory::{Account, Ledger};
use crate::net::random::Random;
use crate::net::trust::TrustedPeer;
use crate::net::turns::Turns;
use crate::proxy::middleware::States;
use crate::proxy::{EtagTable, StrangerSeat, Strangers};
use crate::routing::TableCache;
use crate::telemetry::access_log::{AccessLog, ConnectionText};
use crate::telemetry::traces::Tracer;
use crate::telemetry::{SeriesCache, TcpSeriesCache, TlsSuite, TlsVersion, WorkerCells};
use crate::tls::{Handshakes, Session, TlsPeer};
use crate::transport::admission::{Gate, GateCell};
use crate::upstream::Upstream;
use crate::upstream::body::Flow;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// State that the requests of one worker share. Nothing in it is shared with another worker but the
/// table, the endpoints' load and the cells that the scrape reads.
#[derive(Debug)]
pub struct Worker {
    /// Settings.
    pub config: Arc<Config>,
    /// The routing table.
    pub tables: TableCache,
    /// The upstream of this worker.
    pub upstream: Upstream,
    /// Memory that its connections hold.
    pub memory: Arc<Ledger>,
    /// Deadlines of the client connections.
    pub deadlines: Rc<Deadlines>,
    /// What listeners are to routes, in the order of the configuration.
    pub entries: Box<[ListenerEntry]>,
    /// What steps of routes keep from one request to the next.
    pub steps: States,
    /// Series by route.
    pub series: SeriesCache,
    /// Series of connections by route.
    pub tcp_series: TcpSeriesCache,
    /// ETags of paths, as pods gave them.
    pub etags: EtagTable,
    /// Numbers for the scrape.
    pub cells: Arc<WorkerCells>,
    /// The addresses that listeners admit now, in the order of the configuration.
    pub gates: Arc<[GateCell]>,
    /// Visitors whom break-glass alone admits.
    pub strangers: Arc<Strangers>,
    /// Conditions for requests through Cloudflare.
    pub policy: Arc<VisitorPolicy>,
    /// Turns of clients with many requests at once.
    pub head_turns: HeadTurns,
    /// Turns of clients that send bodies, by the piece.
    pub body_turns: Turns,
    /// TLS handshakes.
    pub handshakes: Handshakes,
    /// Where requests are logged, if they are.
    pub access_log: Option<AccessLog>,
    /// What traces them, if it is configured.
    pub tracer: Option<Tracer>,
    /// Set at shutdown: responses then close their connection.
    pub draining: Cell<bool>,
    /// Set when idle client connections are to be closed, for good or while memory is short.
    pub closing_idle: Cell<bool>,
    /// Set when what is left is cut.
    pub aborting: Cell<bool>,
    /// The generator behind [`Worker::random`].
    pub random: Random,
}

impl Worker {
    /// A random number, for spreading load.
    pub fn random(&self) -> u64 {
        self.random.next()
    }

    /// Draws random numbers. Of one type for all who send requests, so that the code that sends them is
    /// there once, and in line.
    pub fn draw(&self) -> impl Fn() -> u64 + '_ {
        || self.random()
    }
}

/// What a listener is to routes.
#[derive(Clone, Copy, Debug)]
pub struct ListenerEntry {
    /// Its entry points, as bits.
    pub bits: u32,
    /// Whether visitors without TLS are sent to the same address with it, whatever their route says.
    pub redirects: bool,
}

impl ListenerEntry {
    /// Those of all listeners.
    pub fn of(config: &Config) -> Box<[Self]> {
        let entry = |listener: usize| {
            let all = config.entry_points.iter().enumerate();
            let own = all.filter(|(_, point)| point.listeners.contains(&listener));
            own.fold(Self { bits: 0, redirects: false }, |entry, (bit, point)| Self {
                bits: entry.bits | 1 << bit,
                redirects: entry.redirects | point.redirects,
            })
        };
        (0..config.listeners.len()).map(entry).collect()
    }
}

/// One client connection, as its requests see it.
#[derive(Debug)]
pub struct Downstream {
    /// Its worker.
    pub worker: Rc<Worker>,
    /// Position of its listener in the configuration.
    pub listener: usize,
    /// The other end; behind a balancer, the source that it names.
    pub peer: PeerAddr,
    /// Where it connected to; behind a balancer, where the balancer says.
    pub destination: SocketAddr,
    /// The proof that the peer may speak for others, if it may.
    pub trusted: Option<TrustedPeer>,
    /// Its seat, if break-glass alone admits it.
    pub stranger: Option<Rc<StrangerSeat>>,
    /// The gate of the listener when the connection was accepted.
    pub gate: Arc<Gate>,
    /// The TLS session, if it has TLS.
    pub tls: Option<Session>,
    /// Its deadline.
    pub watch: Rc<Watch>,
    /// Set for a request that was answered before its body was complete.
    pub unread: Cell<bool>,
    /// The account of what its connections and requests hold.
    pub account: Arc<Account>,
    /// The response data that the client has not taken.
    pub flow: Arc<Flow>,
    /// Its streams, if it speaks HTTP/2.
    pub streams: Option<Rc<Streams>>,
    /// The fields of each of its log lines.
    pub text: ConnectionText,
    /// The forwarded headers of requests whose client is the peer itself.
    pub fields: ForwardedFields,
}

impl Downstream {
    /// What was agreed on for its TLS, if it has TLS.
    pub fn agreed(&self) -> Option<(TlsVersion, TlsSuite)> {
        self.tls.as_ref().map(|session| (session.version, session.suite))
    }

    /// Who it is now to a choice of certificates, and to what is asked of clients.
    pub fn tls_peer(&self) -> TlsPeer {
        // What is open in break-glass closes with it, and not when the last connection does.
        let is_stranger = self.stranger.is_some() && !self.is_leaving();
        TlsPeer::of(self.trusted.map(TrustedPeer::speaker), is_stranger)
    }

    /// Whether answers are to be the last ones of the connection.
    pub fn is_draining(&self) -> bool {
        self.worker.draining.get() || self.is_leaving()
    }

    /// Whether the connection closes as soon as it is idle.
    pub fn closes_idle(&self) -> bool {
        self.worker.closing_idle.get() || self.is_leaving()
    }

    /// Whether what is left of it is cut.
    pub fn is_aborting(&self) -> bool {
        self.worker.aborting.get() || self.stranger.as_ref().is_some_and(|seat| seat.is_cut())
    }

    /// Whether break-glass, which alone admitted it, is off again.
    fn is_leaving(&self) -> bool {
        self.stranger.as_ref().is_some_and(|seat| seat.is_leaving())
    }
}
