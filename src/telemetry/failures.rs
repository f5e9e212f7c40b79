//! The last requests that failed: what the status page lists, and `ravelin explain --ray` looks up.
//!
//! A worker writes into rings of its own, and only for requests that failed. A reader holds the lock of a ring
//! while it copies; a failure that comes meanwhile goes to the spare ring, so that a worker never waits.
//!
//! Kept is what the access log has, without the client and its user: paths have no query, because it may contain
//! credentials.

use super::outcome::{MethodLabel, Outcome};
use super::series::SeriesLabels;
use crate::error::Reason;
use http::StatusCode;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

/// Failures of pods and of ravelin that are kept, over all workers; and those of clients, which are kept apart:
/// scanners make many of them, and would leave no place for what matters. With [`TEXT_BYTES`] that is 5 MiB at most, and
/// half a megabyte with paths of ordinary length.
const KEPT_OF_SERVERS: usize = 1_000;
const KEPT_OF_CLIENTS: usize = 500;

/// The fewest of each kind on one worker.
const FEWEST: usize = 16;

/// Of the failures of a ring, how many its spare has: those that come while somebody reads.
const SPARE_PART: usize = 4;

/// Bounds of the texts, in bytes: ray, host, path, endpoint, route, Service. As in the access log, with shorter paths.
const TEXT_BYTES: [usize; 6] = [64, 260, 1024, 64, 320, 384];

/// A request that failed, as its worker knows it.
#[derive(Debug)]
pub struct FailedRequest<'r> {
    /// `CF-Ray`, if Cloudflare sent it.
    pub ray: &'r [u8],
    /// `Host`, as far as it could be read.
    pub host: &'r [u8],
    /// Path without query.
    pub path: &'r str,
    /// Where it was sent, if it was.
    pub endpoint: &'r str,
    /// Its route, if a rule matched.
    pub route: Option<&'r SeriesLabels>,
    /// How it ended.
    pub outcome: &'r Outcome,
}

/// A request that failed, as it is kept.
#[derive(Clone, Debug)]
pub struct KeptFailure {
    /// When its answer was over.
    pub time: SystemTime,
    /// The status sent.
    pub status: StatusCode,
    /// Why it was not the pod's answer, whole. `None`: the status is the pod's own.
    pub reason: Option<Reason>,
    /// Its method.
    pub method: MethodLabel,
    /// From the request head to the last byte of the answer.
    pub duration: Duration,
    /// How often it was sent to a pod.
    pub attempts: u32,
    /// All texts, one after the other; kept for the next failure when this one is forgotten.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: [u16; TEXT_BYTES.len()],
}

impl Default for KeptFailure {
    fn default() -> Self {
        Self {
            time: SystemTime::UNIX_EPOCH,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            reason: None,
            method: MethodLabel::Other,
            duration: Duration::ZERO,
            attempts: 0,
            text: Vec::new(),
            ends: Default::default(),
        }
    }
}

impl KeptFailure {
    fn set(&mut self, request: &FailedRequest<'_>, time: SystemTime) {
        let outcome = request.outcome;
        let sent = !request.endpoint.is_empty();
        self.time = time;
        (self.status, self.reason) = (outcome.status, outcome.reason);
        (self.method, self.duration) = (outcome.method, outcome.duration);
        self.attempts = if sent { outcome.retries.saturating_add(1) } else { 0 };
        let (route, service) =
            request.route.map_or(("", ""), |labels| (&*labels.route, &*labels.service));
        let (path, endpoint) = (request.path.as_bytes(), request.endpoint.as_bytes());
        let texts =
            [request.ray, request.host, path, endpoint, route.as_bytes(), service.as_bytes()];
        self.text.clear();
        for (at, text) in texts.into_iter().enumerate() {
            self.text.extend_from_slice(&text[..text.len().min(TEXT_BYTES[at])]);
            self.ends[at] = u16::try_from(self.text.len()).unwrap_or(u16::MAX);
        }
    }

    fn part(&self, at: usize) -> String {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let bytes = self.text.get(usize::from(start)..usize::from(self.ends[at]));
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    }

    /// `CF-Ray`; empty without.
    pub fn ray(&self) -> String {
        self.part(0)
    }

    /// Host; empty if it could not be read.
    pub fn host(&self) -> String {
        self.part(1)
    }

    /// Path without query.
    pub fn path(&self) -> String {
        self.part(2)
    }

    /// Address of the pod; empty if none was asked.
    pub fn endpoint(&self) -> String {
        self.part(3)
    }

    /// Namespace and name of the Ingress; empty if no rule matched.
    pub fn route(&self) -> String {
        self.part(4)
    }

    /// Namespace, Service and port; empty if no rule matched.
    pub fn service(&self) -> String {
        self.part(5)
    }
}

/// The failures of one worker.
#[derive(Debug)]
pub struct FailureCells {
    of_servers: Pair,
    of_clients: Pair,
}

impl FailureCells {
    /// For one of so many workers.
    pub fn new(workers: usize) -> Self {
        let part = |kept: usize| (kept / workers.max(1)).max(FEWEST);
        Self {
            of_servers: Pair::new(part(KEPT_OF_SERVERS)),
            of_clients: Pair::new(part(KEPT_OF_CLIENTS)),
        }
    }

    /// Whether a request failed: 5xx, 4xx of our own, or broken off. What a pod says to a client, and redirects, are no
    /// failures.
    pub fn is_failure(outcome: &Outcome) -> bool {
        let status = worst(outcome);
        status.is_server_error() || (outcome.reason.is_some() && status.is_client_error())
    }

    /// Keeps a request, if it failed. Never waits.
    pub fn note(&self, request: &FailedRequest<'_>) {
        if !Self::is_failure(request.outcome) {
            return;
        }
        let of_server = worst(request.outcome).is_server_error();
        if of_server { &self.of_servers } else { &self.of_clients }.push(request);
    }

    /// All of them, in no order.
    pub fn read(&self) -> impl Iterator<Item = KeptFailure> + use<> {
        let all = [&self.of_servers, &self.of_clients].map(Pair::read);
        all.into_iter().flatten()
    }
}

/// The status; of an answer that broke off, what it would have been.
fn worst(outcome: &Outcome) -> StatusCode {
    outcome.reason.map_or(outcome.status, |reason| reason.status().max(outcome.status))
}

/// A ring, and the one for what comes while it is read.
#[derive(Debug)]
struct Pair {
    ring: Mutex<Ring>,
    spare: Mutex<Ring>,
}

impl Pair {
    fn new(most: usize) -> Self {
        let ring = |most| Mutex::new(Ring { most, kept: VecDeque::new() });
        Self { ring: ring(most), spare: ring(most.div_ceil(SPARE_PART)) }
    }

    fn push(&self, request: &FailedRequest<'_>) {
        let time = SystemTime::now();
        for ring in [&self.ring, &self.spare] {
            match ring.try_lock() {
                Ok(mut ring) => return ring.push(request, time),
                Err(TryLockError::Poisoned(ring)) => {
                    return ring.into_inner().push(request, time);
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
        // Two read at the same moment: the access log still has it.
    }

    /// One lock at a time: the other ring is free meanwhile.
    fn read(&self) -> Vec<KeptFailure> {
        let copy = |ring: &Mutex<Ring>| {
            ring.lock().unwrap_or_else(PoisonError::into_inner).kept.iter().cloned().collect()
        };
        let mut all: Vec<KeptFailure> = copy(&self.ring);
        all.append(&mut copy(&self.spare));
        all
    }
}

#[derive(Debug)]
struct Ring {
    most: usize,
    kept: VecDeque<KeptFailure>,
}

impl Ring {
    /// In the place of the oldest, whose memory it takes, if there are enough.
    fn push(&mut self, request: &FailedRequest<'_>, time: SystemTime) {
        let full = self.kept.len() >= self.most;
        let mut failure = full.then(|| self.kept.pop_front()).flatten().unwrap_or_default();
        failure.set(request, time);
        self.kept.push_back(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestProtocol;

    fn outcome(status: u16, reason: Option<Reason>) -> Outcome {
        Outcome {
            method: MethodLabel::Get,
            status: StatusCode::from_u16(status).expect("a status"),
            protocol: RequestProtocol::Http,
            is_asked: true,
            reason,
            duration: Duration::from_millis(7),
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
            tls: None,
            retries: 1,
            trace_id: None,
        }
    }

    fn note(cells: &FailureCells, path: &str, outcome: &Outcome) {
        let host = b"a.example";
        let request = FailedRequest {
            ray: b"8f-FRA",
            host,
            path,
            endpoint: "10.0.0.1:80",
            route: None,
            outcome,
        };
        cells.note(&request);
    }

    #[test]
    fn failures_are_kept_and_what_pods_say_to_clients_is_not() {
        for (status, reason, is_kept) in [
            (200, None, false),
            (404, None, false),
            (308, Some(Reason::HttpsRedirect), false),
            (200, Some(Reason::CorsPreflight), false),
            (404, Some(Reason::NoRoute), true),
            (499, Some(Reason::ClientGone), true),
            (500, None, true),
            (502, Some(Reason::ConnectFailed), true),
            // The answer had begun.
            (200, Some(Reason::UpstreamTruncated), true),
        ] {
            let cells = FailureCells::new(1);
            note(&cells, "/a", &outcome(status, reason));
            let kept: Vec<_> = cells.read().collect();
            assert_eq!(kept.len(), usize::from(is_kept), "{status} {reason:?}");
            for failure in kept {
                assert_eq!((failure.status.as_u16(), failure.reason), (status, reason));
                assert_eq!((failure.ray(), failure.path()), ("8f-FRA".to_owned(), "/a".to_owned()));
                assert_eq!((failure.endpoint().as_str(), failure.attempts), ("10.0.0.1:80", 2));
                assert_eq!((failure.route(), failure.service()), (String::new(), String::new()));
            }
        }
    }

    #[test]
    fn a_flood_of_one_kind_leaves_the_other_and_nothing_grows() {
        let cells = FailureCells::new(4);
        note(&cells, "/broken", &outcome(503, Some(Reason::NoEndpoint)));
        let long = "/".repeat(100_000);
        for _ in 0..10_000 {
            note(&cells, &long, &outcome(404, Some(Reason::NoRoute)));
        }
        let kept: Vec<_> = cells.read().collect();
        assert_eq!(kept.len(), 1 + KEPT_OF_CLIENTS / 4);
        assert_eq!(kept[0].path(), "/broken");
        assert!(kept.iter().all(|failure| failure.text.capacity() <= 8 * 1024));
        assert_eq!(kept[1].path().len(), 1024);
    }

    #[test]
    fn a_failure_that_comes_while_somebody_reads_goes_to_the_spare() {
        let cells = FailureCells::new(1);
        let reading = cells.of_servers.ring.lock().expect("not poisoned");
        note(&cells, "/a", &outcome(500, None));
        let both = cells.of_servers.spare.lock().expect("not poisoned");
        note(&cells, "/lost", &outcome(500, None));
        drop((reading, both));
        note(&cells, "/b", &outcome(500, None));
        let paths: Vec<_> = cells.read().map(|failure| failure.path()).collect();
        assert_eq!(paths, ["/b", "/a"]);
    }
}
