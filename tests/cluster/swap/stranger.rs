//! Somebody who is not Cloudflare, and connects to the nodes all the time.

use super::client::Line;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(700);
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// What an attempt has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// An answer with this status.
    Answer(u16),
    /// Nothing at all.
    Silence,
    /// RST to the SYN: nobody listens.
    Refused,
    /// The connection was made, and ended without an answer.
    Ended,
}

/// The attempts so far.
pub(super) struct Stranger {
    /// Nodes, with the host that is asked for.
    to: Vec<(SocketAddr, &'static str)>,
    seen: Mutex<Vec<(SocketAddr, Instant, Met)>>,
    stop: AtomicBool,
}

impl Stranger {
    pub(super) fn of(to: Vec<(SocketAddr, &'static str)>) -> Self {
        Self { to, seen: Mutex::default(), stop: AtomicBool::default() }
    }

    /// Tries until it is stopped.
    pub(super) fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            for &(to, host) in &self.to {
                let begun = Instant::now();
                let met = meet(Ipv4Addr::new(203, 0, 113, 9), to, host);
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((to, begun, met));
            }
            thread::park_timeout(PAUSE);
        }
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// What attempts at an address have met that began between two moments.
    pub(super) fn met(&self, at: SocketAddr, from: Instant, to: Instant) -> Vec<Met> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(address, begun, _): &&(SocketAddr, Instant, Met)| {
            *address == at && (from..to).contains(begun)
        };
        seen.iter().filter(fits).map(|(_, _, met)| *met).collect()
    }

    /// How many attempts have been made, and how many were answered with 200.
    pub(super) fn counts(&self) -> [usize; 2] {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        [seen.len(), seen.iter().filter(|(_, _, met)| *met == Met::Answer(200)).count()]
    }
}

/// One attempt from an address.
pub(super) fn meet(from: Ipv4Addr, to: SocketAddr, host: &str) -> Met {
    let line = Line::open(from, to, None, SILENCE);
    let mut line = match line {
        Ok(line) => line,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Met::Refused,
        Err(error) if error.kind() == ErrorKind::TimedOut => return Met::Silence,
        Err(_) => return Met::Ended,
    };
    let message =
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nCF-Connecting-IP: 173.245.48.1\r\n\r\n");
    line.exchange(&message).map_or(Met::Ended, |answer| Met::Answer(answer.status))
}
