//! The played Cloudflare: the records of a zone, its Origin Rules, connections to origins that are kept, and visitors
//! behind them.
//!
//! It takes one record after the other, and connects to ports 80 and 443, or where a rule leads it. What its
//! documentation says of origins that fail is what it does: a connection that is refused or not answered, or a
//! handshake that fails (521, 522, 525), is tried once at another record, if there is one, and counted. A request that
//! breaks on its connection (520) is lost, and what its proxy may do about kept connections is not relied upon.

use super::client::{Answer, Line};
use super::kubelet::say;
use crate::eventually;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// For a connection. Cloudflare gives up after 19 s.
const CONNECT: Duration = Duration::from_secs(3);

/// What a visitor asks for all the time, and what has to come of it.
#[derive(Clone, Copy)]
pub(super) struct Visit {
    /// Whether Cloudflare connects with TLS.
    pub(super) is_secure: bool,
    /// `http` or `https`, as the visitor has it.
    pub(super) scheme: &'static str,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// Further fields, each with its end.
    pub(super) fields: &'static str,
    pub(super) expected: Expected,
    /// Between two requests of one visitor.
    pub(super) pause: Duration,
}

#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// 200, from this pod.
    Page(&'static str),
    /// One of these: it is guarded, or not served. 200 would be a breach.
    Refused(&'static [u16]),
}

impl Expected {
    pub(super) fn is_met(self, answer: &Answer) -> bool {
        match self {
            Self::Page(pod) => answer.status == 200 && answer.body == pod,
            Self::Refused(statuses) => statuses.contains(&answer.status),
        }
    }
}

/// Ports of origins for HTTP and HTTPS: Cloudflare's own, and those of the Origin Rules.
const PORTS: [[u16; 2]; 2] = [[80, 443], [7080, 7443]];

/// Between two requests of most visitors.
pub(super) const OFTEN: Duration = Duration::from_millis(20);

/// A visit as most are.
pub(super) const fn page(host: &'static str, path: &'static str, pod: &'static str) -> Visit {
    let expected = Expected::Page(pod);
    let scheme = "https";
    Visit { is_secure: false, scheme, host, path, fields: "", expected, pause: OFTEN }
}

/// A zone.
pub(super) struct Cloudflare {
    records: Vec<Ipv4Addr>,
    turn: AtomicUsize,
    /// Whether the Origin Rules are there.
    has_rules: AtomicBool,
    /// Requests on their way, without rules and by them.
    in_flight: [AtomicUsize; 2],
    /// Connections that each visitor's requests keep, likewise.
    kept: Mutex<BTreeMap<usize, [usize; 2]>>,
    source: AtomicU32,
    since: Instant,
    stop: AtomicBool,
    asked: AtomicUsize,
    /// Requests that another record has answered.
    elsewhere: Mutex<Vec<String>>,
    lost: Mutex<Vec<String>>,
    breaches: Mutex<Vec<String>>,
    step: Mutex<String>,
}

/// What the visits have come to.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) asked: usize,
    pub(super) elsewhere: Vec<String>,
    pub(super) lost: Vec<String>,
    pub(super) breaches: Vec<String>,
}

impl Figures {
    /// Prints all of it.
    pub(super) fn tell(&self, crashes: u32) {
        let Self { asked, elsewhere, lost, breaches } = self;
        say(&format!(
            "{asked} requests, {} answered by another record, {} lost, {} open, {crashes} containers ended by \
             themselves\n{lost:#?}",
            elsewhere.len(),
            lost.len(),
            breaches.len(),
        ));
    }
}

impl Cloudflare {
    pub(super) fn of(addresses: &[&str]) -> Self {
        let record = |address: &&str| address.parse().expect("an address");
        Self {
            records: addresses.iter().map(record).collect(),
            turn: AtomicUsize::default(),
            has_rules: AtomicBool::default(),
            in_flight: Default::default(),
            kept: Mutex::default(),
            source: AtomicU32::default(),
            since: Instant::now(),
            stop: AtomicBool::default(),
            asked: AtomicUsize::default(),
            elsewhere: Mutex::default(),
            lost: Mutex::default(),
            breaches: Mutex::default(),
            step: Mutex::default(),
        }
    }

    /// Begins visits: of each kind one that keeps its connections, and one with a new one each time.
    pub(super) fn visit<'s>(&'s self, scope: &'s Scope<'s, '_>, visits: &'s [Visit]) {
        // What was asked until everything answered does not count.
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for (number, visit) in visits.iter().enumerate() {
            for keeps in [true, false] {
                scope.spawn(move || self.run(visit, keeps, number));
            }
        }
    }

    /// Ends them.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Says what is going on, for the list of what is lost.
    pub(super) fn during(&self, step: &str) {
        step.clone_into(&mut self.step.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Makes the Origin Rules, or deletes them, and waits until no request is on its way where they led before.
    pub(super) fn rule(&self, has_rules: bool) {
        self.has_rules.store(has_rules, Ordering::SeqCst);
        let before = &self.in_flight[usize::from(!has_rules)];
        eventually("no request is on its way", || {
            (before.load(Ordering::SeqCst) == 0).then_some(())
        });
    }

    /// Waits until no connection to ports 80 and 443 is kept: those whose server has gone without a word are found by
    /// probes.
    pub(super) fn forget(&self) {
        eventually("the connections to Traefik are gone", || {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            (kept.values().all(|[own, _]| *own == 0)).then_some(())
        });
    }

    /// Waits until so many more requests have been made.
    pub(super) fn ask_on(&self, more: usize) {
        let before = self.asked.load(Ordering::SeqCst);
        eventually("visits", || (self.asked.load(Ordering::SeqCst) >= before + more).then_some(()));
    }

    pub(super) fn figures(&self) -> Figures {
        let list =
            |list: &Mutex<Vec<String>>| list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Figures {
            asked: self.asked.load(Ordering::SeqCst),
            elsewhere: list(&self.elsewhere),
            lost: list(&self.lost),
            breaches: list(&self.breaches),
        }
    }

    /// One request outside of the visits, over a connection of its own.
    pub(super) fn once(&self, visit: &Visit) -> Result<Answer, String> {
        self.ask(visit, &mut Lines::default())
    }

    fn run(&self, visit: &Visit, keeps: bool, number: usize) {
        let mut lines = Lines::default();
        while !self.stop.load(Ordering::SeqCst) {
            if !keeps {
                lines = Lines::default();
            }
            let begun = self.since.elapsed();
            let answer = self.ask(visit, &mut lines);
            self.asked.fetch_add(1, Ordering::SeqCst);
            let list = match (visit.expected, &answer) {
                (expected, Ok(answer)) if expected.is_met(answer) => None,
                (Expected::Refused(_), Ok(answer)) if answer.status == 200 => Some(&self.breaches),
                _ => Some(&self.lost),
            };
            if let Some(list) = list {
                let what = match answer {
                    Ok(answer) => format!("{} {:?}", answer.status, answer.body),
                    Err(error) => error,
                };
                let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let (at, Visit { host, path, .. }) = (begun.as_secs_f64(), visit);
                let how = if keeps { "" } else { " (new connection)" };
                let took = (self.since.elapsed() - begun).as_secs_f64();
                let text =
                    format!("at {at:.3} s, {step}: {host}{path}{how}: {what} after {took:.3} s");
                list.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
            if keeps {
                let kept = lines.kept();
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(number, kept);
            }
            thread::park_timeout(visit.pause);
        }
    }

    /// Asks at one record, and at another one if that is what Cloudflare does.
    fn ask(&self, visit: &Visit, lines: &mut Lines) -> Result<Answer, String> {
        let side = self.begin();
        let told = self.ask_by(side, visit, lines);
        self.in_flight[side].fetch_sub(1, Ordering::SeqCst);
        told
    }

    /// Where requests are led to; the count of that side has this one.
    fn begin(&self) -> usize {
        loop {
            let side = usize::from(self.has_rules.load(Ordering::SeqCst));
            self.in_flight[side].fetch_add(1, Ordering::SeqCst);
            if side == usize::from(self.has_rules.load(Ordering::SeqCst)) {
                return side;
            }
            self.in_flight[side].fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn ask_by(&self, side: usize, visit: &Visit, lines: &mut Lines) -> Result<Answer, String> {
        let first = self.turn.fetch_add(1, Ordering::SeqCst);
        let mut refused = "no record".to_owned();
        for turn in 0..self.records.len().min(2) {
            let address = self.records[(first + turn) % self.records.len()];
            let to = SocketAddr::from((address, PORTS[side][usize::from(visit.is_secure)]));
            let line = match lines.take(to) {
                Some(line) => Ok(line),
                None => self.open(to, visit),
            };
            match line {
                Ok(mut line) => {
                    let answer = line.exchange(&self.message(visit));
                    let answer = answer.map_err(|broken| format!("{to} (520): {broken:?}"))?;
                    lines.keep(to, line, &answer);
                    if turn > 0 {
                        let at = self.since.elapsed().as_secs_f64();
                        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        let text = format!("at {at:.3} s, {step}: {refused}");
                        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                    return Ok(answer);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn open(&self, to: SocketAddr, visit: &Visit) -> Result<Line, String> {
        // The range has as many.
        let [_, _, third, fourth] = self.source.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let from = Ipv4Addr::new(173, 245, 48 + third % 16, fourth);
        let name = visit.is_secure.then_some(visit.host);
        Line::open(from, to, name, CONNECT)
            .map_err(|error| format!("{to} (521, 522 or 525): {error}"))
    }

    /// A request as Cloudflare passes it on.
    fn message(&self, visit: &Visit) -> String {
        let Visit { host, path, fields, scheme, .. } = visit;
        let visitor = Ipv4Addr::new(192, 0, 2, self.source.load(Ordering::SeqCst).to_be_bytes()[3]);
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Keep-Alive\r\nCF-Connecting-IP: {visitor}\r\n\
             X-Forwarded-For: {visitor}\r\nX-Forwarded-Proto: {scheme}\r\nCF-Ray: 8f0000000000abcd-FRA\r\n\
             CF-Visitor: {{\"scheme\":\"{scheme}\"}}\r\n{fields}\r\n"
        )
    }
}

/// Connections that one visitor's requests keep, by where they lead.
#[derive(Default)]
struct Lines(BTreeMap<SocketAddr, Line>);

impl Lines {
    /// The one to there, unless its server has ended it.
    fn take(&mut self, to: SocketAddr) -> Option<Line> {
        let mut line = self.0.remove(&to)?;
        (!line.is_closed()).then_some(line)
    }

    /// How many there are that live, to Cloudflare's own ports and to those of the rules.
    fn kept(&mut self) -> [usize; 2] {
        self.0.retain(|_, line| !line.is_closed());
        let own = self.0.keys().filter(|to| PORTS[0].contains(&to.port())).count();
        [own, self.0.len() - own]
    }

    fn keep(&mut self, to: SocketAddr, line: Line, answer: &Answer) {
        if !answer.closes() {
            self.0.insert(to, line);
        }
    }
}
