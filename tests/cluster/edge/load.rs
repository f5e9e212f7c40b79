//! Visitors who ask at a steady pace and remember each request that was not answered 200.

use crate::plane::Connection;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How one visitor asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// It may be repeated by the proxy.
    Get,
    /// It may not.
    Post,
}

/// A request that was not answered 200.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) method: Method,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// Status and body, or the error of the connection.
    pub(crate) what: String,
}

#[derive(Default)]
struct Seen {
    answers: [AtomicUsize; 2],
    failures: Mutex<Vec<Failure>>,
    /// In microseconds.
    slowest: AtomicU64,
}

/// Visitors at work. They stop when this is dropped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Has so many visitors of each method ask a host, each `pause` after its last answer, over a
    /// connection that it keeps.
    pub(crate) fn of(
        addr: SocketAddr,
        host: &str,
        each: &[(Method, usize)],
        pause: Duration,
    ) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let seen = Arc::<Seen>::default();
        let all = each.iter().flat_map(|&(method, count)| vec![method; count]);
        let threads = all.map(|method| {
            let (stop, seen, host) = (Arc::clone(&stop), Arc::clone(&seen), host.to_owned());
            thread::spawn(move || visit(addr, &host, method, pause, &stop, &seen))
        });
        let threads = threads.collect();
        Self { stop, seen, threads }
    }

    /// How many requests of a method were answered 200.
    pub(crate) fn answers(&self, method: Method) -> usize {
        self.seen.answers[method as usize].load(Ordering::Relaxed)
    }

    /// How many requests of a method were made.
    pub(crate) fn requests(&self, method: Method) -> usize {
        self.answers(method) + self.failures().iter().filter(|f| f.method == method).count()
    }

    /// Those that were not answered 200 so far.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        self.seen.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What an answer took at most.
    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_micros(self.seen.slowest.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A panic there has been shown.
            let _ = thread.join();
        }
    }
}

fn visit(
    addr: SocketAddr,
    host: &str,
    method: Method,
    pause: Duration,
    stop: &AtomicBool,
    seen: &Seen,
) {
    let mut kept = None;
    while !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let word = match ask(&mut kept, addr, host, method) {
            Ok((200, _)) => None,
            Ok((status, body)) => Some(format!("{status}: {}", body.trim_end())),
            Err(error) => Some(error.to_string()),
        };
        let ended = Instant::now();
        if let Some(what) = word {
            let failure = Failure { method, begun, ended, what };
            seen.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
            kept = None;
        } else {
            seen.answers[method as usize].fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from((ended - begun).as_micros()).expect("below an hour");
            seen.slowest.fetch_max(micros, Ordering::Relaxed);
        }
        // The client's pace.
        thread::park_timeout(pause);
    }
}

/// One request over the connection that is kept, or a new one.
fn ask(
    kept: &mut Option<Connection>,
    addr: SocketAddr,
    host: &str,
    method: Method,
) -> io::Result<(u16, String)> {
    if kept.is_none() {
        *kept = Some(Connection::open(addr, None)?);
    }
    let connection = kept.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    let answer = match method {
        Method::Get => connection.get(host, "/"),
        Method::Post => connection.post(host, "/", "a body"),
    }?;
    Ok((answer.status, answer.body))
}
