//! Visitors whom break-glass alone admits: how much each may have, and when they have to leave.
//!
//! They connect themselves, without Cloudflare in front, so each has limits of its own. Every time that
//! break-glass is on is an [`Episode`]; its end asks the connections of that time to close, and cuts them later.
//!
//! The map is locked when a connection opens or closes, and never for a request.

use super::gcra::Rate;
use crate::config::BreakGlass;
use crate::telemetry::BreakGlassCells;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Most visitors that are known at a time: some 10 MiB. Beyond it, those that are new are refused.
const MOST_VISITORS: usize = 65_536;
/// How often the visitors that are gone are looked for, once there is no room.
const SWEEP: Duration = Duration::from_secs(1);
/// A visitor with IPv6 has all addresses of a /64 (RFC 6177).
const VISITOR_V6: u128 = u128::MAX << 64;

/// Stages of an episode; 0 is running.
const LEAVING: u8 = 1;
const CUT: u8 = 2;

/// One time that break-glass is on.
#[derive(Debug, Default)]
struct Episode(AtomicU8);

/// All visitors of the process whom break-glass alone admits.
#[derive(Debug)]
pub struct Strangers {
    connections: usize,
    /// Most connections of all together, so that Cloudflare's have room at all times.
    most: usize,
    /// How often each may ask.
    rate: Rate,
    start: Instant,
    episode: ArcSwap<Episode>,
    /// Those that have ended, and are not cut yet.
    ended: Mutex<Vec<Weak<Episode>>>,
    /// Changes with every stage of an episode, so that workers look after their connections.
    version: AtomicU64,
    visitors: Mutex<Visitors>,
    open: AtomicUsize,
    cells: Arc<BreakGlassCells>,
}

#[derive(Debug, Default)]
struct Visitors {
    known: HashMap<IpAddr, Arc<Visitor>>,
    swept: Option<Instant>,
}

#[derive(Debug, Default)]
struct Visitor {
    connections: AtomicUsize,
    /// When it may ask for as much as ever again, in nanoseconds since the start: see [`Rate`].
    full: AtomicU64,
}

/// The connection of one of them. Counted until it is dropped.
#[derive(Debug)]
pub struct StrangerSeat {
    strangers: Arc<Strangers>,
    visitor: Arc<Visitor>,
    episode: Arc<Episode>,
}

impl Strangers {
    /// Knows nobody yet. `connections` are those of the process.
    pub fn new(config: &BreakGlass, connections: usize, cells: Arc<BreakGlassCells>) -> Arc<Self> {
        let requests = u64::try_from(config.requests.get()).unwrap_or(u64::MAX);
        Arc::new(Self {
            connections: config.connections.get(),
            most: (connections / 2).max(1),
            rate: Rate::every(
                Duration::from_nanos(1_000_000_000 / requests),
                requests.saturating_mul(2),
            ),
            start: Instant::now(),
            episode: ArcSwap::default(),
            ended: Mutex::default(),
            version: AtomicU64::new(0),
            visitors: Mutex::default(),
            open: AtomicUsize::new(0),
            cells,
        })
    }

    /// Begins an episode: to be called before they are admitted.
    pub fn begin(&self) {
        self.episode.store(Arc::default());
        self.cells.on.store(true, Relaxed);
        self.cells.switched_on.fetch_add(1, Relaxed);
    }

    /// Ends it, once they are not admitted any more: their connections close when their requests are through.
    pub fn end(&self) {
        self.cells.on.store(false, Relaxed);
        let episode = self.episode.load_full();
        episode.0.store(LEAVING, Release);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(Arc::downgrade(&episode));
        self.version.fetch_add(1, Release);
    }

    /// Cuts what is left of the episodes that have ended.
    pub fn cut(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        for episode in ended.drain(..).filter_map(|episode| episode.upgrade()) {
            episode.0.store(CUT, Release);
        }
        self.version.fetch_add(1, Release);
    }

    /// Changes when connections have to be looked after.
    pub fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// A seat for a connection from here. `None` if the visitor, or all of them together, have too many, or ask too
    /// often. It counts as a request: to connect costs us more than one.
    pub fn seat(self: &Arc<Self>, ip: IpAddr) -> Option<StrangerSeat> {
        let visitor = self.visitor(visitor_of(ip))?;
        let episode = self.episode.load_full();
        visitor.connections.fetch_add(1, AcqRel);
        self.open.fetch_add(1, AcqRel);
        self.cells.open.fetch_add(1, Relaxed);
        // Dropped, and so counted down, if it is one too many.
        let seat = StrangerSeat { strangers: Arc::clone(self), visitor, episode };
        let fits = seat.visitor.connections.load(Acquire) <= self.connections
            && self.open.load(Acquire) <= self.most;
        (fits && seat.may_ask()).then(|| {
            self.cells.connections.fetch_add(1, Relaxed);
            seat
        })
    }

    fn visitor(&self, ip: IpAddr) -> Option<Arc<Visitor>> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visitor) = visitors.known.get(&ip) {
            return Some(Arc::clone(visitor));
        }
        if visitors.known.len() >= MOST_VISITORS {
            let now = Instant::now();
            if visitors.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP) {
                return None;
            }
            visitors.swept = Some(now);
            let now = self.now();
            visitors.known.retain(|_, visitor| {
                visitor.connections.load(Acquire) > 0 || visitor.full.load(Relaxed) > now
            });
            if visitors.known.len() >= MOST_VISITORS {
                return None;
            }
        }
        let visitor = Arc::<Visitor>::default();
        visitors.known.insert(ip, Arc::clone(&visitor));
        Some(visitor)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl StrangerSeat {
    /// Takes a request of the visitor, over whichever connection. `false`: it has asked too often.
    pub fn may_ask(&self) -> bool {
        let (rate, now) = (self.strangers.rate, self.strangers.now());
        let take = |full| rate.take(full, now).ok();
        self.visitor.full.fetch_update(AcqRel, Acquire, take).is_ok()
    }

    /// Whether it has to close once its requests are through.
    pub fn is_leaving(&self) -> bool {
        self.episode.0.load(Relaxed) >= LEAVING
    }

    /// Whether it is to be cut.
    pub fn is_cut(&self) -> bool {
        self.episode.0.load(Relaxed) == CUT
    }

    /// Notes that it was cut.
    pub fn count_cut(&self) {
        self.strangers.cells.cut.fetch_add(1, Relaxed);
    }
}

impl Drop for StrangerSeat {
    fn drop(&mut self) {
        self.visitor.connections.fetch_sub(1, AcqRel);
        self.strangers.open.fetch_sub(1, AcqRel);
        self.strangers.cells.open.fetch_sub(1, Relaxed);
    }
}

fn visitor_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & VISITOR_V6).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    fn mk_strangers(connections: usize, requests: usize, all: usize) -> Arc<Strangers> {
        let number = |number| NonZeroUsize::new(number).expect("more than zero");
        let config = BreakGlass {
            switch: None,
            connections: number(connections),
            requests: number(requests),
            drain: Duration::from_secs(1),
        };
        Strangers::new(&config, all, Arc::default())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("literal")
    }

    #[test]
    fn a_visitor_has_so_many_connections_and_a_network_of_ipv6_is_one_visitor() {
        let strangers = mk_strangers(2, 1_000, 100);
        let first = [strangers.seat(ip("192.0.2.1")), strangers.seat(ip("::ffff:192.0.2.1"))];
        assert!(first.iter().all(Option::is_some));
        assert!(strangers.seat(ip("192.0.2.1")).is_none());
        assert!(strangers.seat(ip("192.0.2.2")).is_some(), "another one");
        drop(first);
        assert!(strangers.seat(ip("192.0.2.1")).is_some(), "its seats are free again");
        let six = [strangers.seat(ip("2001:db8::1")), strangers.seat(ip("2001:db8::2"))];
        assert!(six.iter().all(Option::is_some) && strangers.seat(ip("2001:db8::3")).is_none());
        assert!(strangers.seat(ip("2001:db8:0:1::3")).is_some());
    }

    #[test]
    fn all_of_them_have_half_of_the_connections() {
        let strangers = mk_strangers(100, 1_000, 4);
        let seats = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|from| strangers.seat(ip(from)));
        assert_eq!(seats.map(|seat| seat.is_some()), [true, true, false]);
        assert_eq!(strangers.open.load(Acquire), 0);
    }

    #[test]
    fn a_visitor_asks_twice_as_often_at_once_and_then_waits() {
        // One in a thousand seconds cannot be there again before the test ends.
        let mut strangers = mk_strangers(10, 1, 100);
        Arc::get_mut(&mut strangers).expect("nobody else has it").rate =
            Rate::every(Duration::from_secs(1_000), 2);
        let seat = strangers.seat(ip("192.0.2.1")).expect("the connection counts as one");
        assert!(seat.may_ask() && !seat.may_ask());
        assert!(strangers.seat(ip("192.0.2.1")).is_none(), "another connection is no way out");
        assert!(strangers.seat(ip("192.0.2.2")).is_some());
    }

    #[test]
    fn the_end_of_an_episode_is_for_its_own_connections() {
        let strangers = mk_strangers(10, 1_000, 100);
        strangers.begin();
        let old = strangers.seat(ip("192.0.2.1")).expect("a seat");
        strangers.end();
        assert!(old.is_leaving() && !old.is_cut());
        strangers.begin();
        let new = strangers.seat(ip("192.0.2.1")).expect("a seat");
        strangers.cut();
        assert!(old.is_cut() && !new.is_leaving() && !new.is_cut(), "on again");
        strangers.end();
        strangers.cut();
        assert!(new.is_cut());
    }
}
