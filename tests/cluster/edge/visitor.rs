//! A visitor who asks for a page all the time, and counts what is not answered as it should be.

use crate::plane::Connection;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two requests of one visitor.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until it is told to stop.
pub(crate) struct Visitor {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
    /// A word for each answer that is not 200.
    wrong: Receiver<String>,
}

#[derive(Default)]
struct Seen {
    answers: usize,
}

impl Visitor {
    /// Begins to ask a host for a path; every other request goes over a new connection.
    pub(crate) fn of(addr: SocketAddr, host: &str, path: &str) -> Self {
        Self::over(move || Connection::open(addr, None), 2, host, path)
    }

    /// The same over connections of any sort, with so many requests on each.
    pub(crate) fn over(
        open: impl Fn() -> io::Result<Connection> + Send + 'static,
        requests: usize,
        host: &str,
        path: &str,
    ) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let seen = Arc::<Mutex<Seen>>::default();
        let (tell, wrong) = channel();
        let (asked, counted) = (Arc::clone(&stop), Arc::clone(&seen));
        let (host, path) = (host.to_owned(), path.to_owned());
        let thread = thread::spawn(move || {
            let mut kept = None;
            while !asked.load(Ordering::SeqCst) {
                let connection = match kept.take() {
                    Some(connection) => Ok(connection),
                    None => open(),
                };
                let answer = connection.and_then(|mut connection| {
                    let answer = connection.get(&host, &path)?;
                    kept = Some(connection);
                    Ok(answer)
                });
                let mut seen = counted.lock().unwrap_or_else(PoisonError::into_inner);
                seen.answers += 1;
                if seen.answers % requests == 0 {
                    kept = None;
                }
                drop(seen);
                let word = match answer {
                    Ok(answer) if answer.status == 200 => None,
                    Ok(answer) => Some(format!("{}: {}", answer.status, answer.body)),
                    Err(error) => Some(error.to_string()),
                };
                if word.is_some_and(|word| tell.send(word).is_err()) {
                    return;
                }
                // The visitor's pace.
                thread::park_timeout(PAUSE);
            }
        });
        Self { stop, seen, thread: Some(thread), wrong }
    }

    /// How many requests have been answered.
    pub(crate) fn answers(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).answers
    }

    /// Checks that everything so far has been answered 200, and that something has been asked.
    pub(crate) fn is_content(&self) {
        let before = self.answers();
        crate::eventually("another answer", || (self.answers() > before + 1).then_some(()));
        let wrong: Vec<String> = self.wrong.try_iter().collect();
        assert!(wrong.is_empty(), "of {} answers: {wrong:?}", self.answers());
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic there has been shown.
            let _ = thread.join();
        }
    }
}
