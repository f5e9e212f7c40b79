//! Who answers, and how: on a thread of its own with a low priority, a few at a time.

use super::assets::guard;
use super::question::{Mistake, Question};
use crate::config::Config;
use crate::http::client_ip::VisitorPolicy;
use crate::model::Host;
use crate::routing::TableHandle;
use crate::telemetry::Telemetry;
use crate::tls::SnapshotCell;
use crate::transport::admission::GateCell;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde::Serialize;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use tokio::sync::oneshot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers that are being made, or on their way, at one time. Each has a thread while it is made, and up to some
/// hundred KiB.
const ANSWERS: usize = 4;

/// As that of a scrape: where a core is missing, it is missing here.
const NICENESS: i32 = 10;

const JSON: &str = "application/json";

/// Everything that answers are made of: the parts that the process works with, none of them copied.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) config: Arc<Config>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) tables: TableHandle,
    /// The listeners, then the admin port.
    pub(crate) gates: Arc<[GateCell]>,
    pub(crate) certificates: Arc<SnapshotCell>,
    pub(crate) policy: Arc<VisitorPolicy>,
    pub(crate) places: Arc<Semaphore>,
    /// When counting began, in seconds since the Unix epoch: all counts of the page and the metrics are since then.
    pub(crate) started: i64,
}

/// Whether the process is ready, as `/readyz` says it.
#[derive(Debug, Serialize)]
pub(crate) struct Readiness {
    /// Why it is not.
    pub(crate) not_ready: Option<String>,
    /// What is not as it should be, though it is served by; empty in ordinary times.
    pub(crate) notes: String,
}

/// An answer, and the place that it takes until it is read.
pub(crate) struct StatusAnswer {
    pub(crate) response: Response<Bytes>,
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

#[derive(Serialize)]
struct Failed<'t> {
    error: &'t str,
}

impl Sources {
    /// As many places as there are answers at one time.
    pub(crate) fn places() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(ANSWERS))
    }

    /// Answers a question. Never blocks the caller's thread.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        path: &str,
        query: &str,
        readiness: Readiness,
    ) -> StatusAnswer {
        let question = match Question::parse(path, query) {
            Ok(question) => question,
            Err(mistake) => return refused(&mistake),
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let text = "too many answers are being made; retry in a moment";
            return StatusAnswer::of(StatusCode::SERVICE_UNAVAILABLE, failed(text));
        };
        let (sender, made) = oneshot::channel();
        let sources = Arc::clone(self);
        let work = move || {
            // Of this thread alone (setpriority(2)). Without it the answer is made anyway.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            let answer = sources.answer(&question, &readiness);
            // The place is free again when nobody waits any more.
            let _ = sender.send((answer, place));
        };
        let started = thread::Builder::new().name("status".to_owned()).spawn(work);
        let made = match started {
            Ok(_) => made.await,
            Err(error) => {
                let text = format!("cannot start a thread for the answer: {error}");
                return StatusAnswer::of(StatusCode::SERVICE_UNAVAILABLE, failed(&text));
            }
        };
        match made {
            Ok((Ok(json), place)) => {
                StatusAnswer { place: Some(place), ..StatusAnswer::of(StatusCode::OK, json) }
            }
            Ok((Err(Unanswered::Mistake(mistake)), _)) => refused(&mistake),
            Ok((Err(Unanswered::Json(error)), _)) => {
                StatusAnswer::of(StatusCode::INTERNAL_SERVER_ERROR, failed(&error.to_string()))
            }
            Err(_) => {
                StatusAnswer::of(StatusCode::INTERNAL_SERVER_ERROR, failed("the answer failed"))
            }
        }
    }

    fn answer(&self, question: &Question, readiness: &Readiness) -> Result<Vec<u8>, Unanswered> {
        match question {
            Question::Status => json(&self.overview(readiness)),
            Question::Routes(search) => json(&self.routes(search)),
            Question::Certificates(search) => json(&self.certificates(search)),
            Question::Gate => json(&self.gate()),
            Question::Pods(search) => json(&self.pods(search)),
            Question::Findings(search) => json(&self.findings(search)),
            Question::Requests(search) => json(&self.requests(search)),
            Question::Failures(query) => json(&self.failures(query)),
            Question::Explain(query) => json(&self.explain(query).map_err(Mistake::Parameter)?),
        }
    }
}

/// Why a question that is understood has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("a parameter is wrong")]
    Mistake(Mistake),
    #[error(transparent)]
    Json(#[from] io::Error),
}

impl From<Mistake> for Unanswered {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl StatusAnswer {
    /// With JSON.
    fn of(status: StatusCode, json: Vec<u8>) -> Self {
        let mut response = Response::new(Bytes::from(json));
        *response.status_mut() = status;
        guard(response.headers_mut(), JSON);
        Self { response, place: None }
    }

    /// A file of the page.
    pub(crate) fn file(asset: &'static super::Asset) -> Self {
        let mut response = Response::new(Bytes::from_static(asset.text.as_bytes()));
        guard(response.headers_mut(), asset.content_type);
        Self { response, place: None }
    }

    /// With an error alone.
    pub(crate) fn refused(status: StatusCode, text: &str) -> Self {
        Self::of(status, failed(text))
    }

    /// Of a source that may read metrics alone: see `admin.admit_status`.
    pub(crate) fn forbidden() -> Self {
        let text = "the status page and /api/v1/ are not for this address: use kubectl port-forward, or ravelin explain \
            --admin SOCKET in the pod; admin.admit_status names who may read them";
        Self::refused(StatusCode::FORBIDDEN, text)
    }

    /// Of a browser that came by a name that can be anybody's: see [`own_host`].
    pub(crate) fn misdirected() -> Self {
        let text = "open the status page by an IP address, localhost or a name within the cluster: another name \
            could be that of a site which reads it through your browser";
        Self::of(StatusCode::MISDIRECTED_REQUEST, failed(text))
    }
}

fn refused(mistake: &Mistake) -> StatusAnswer {
    let status = match mistake {
        Mistake::NotFound => StatusCode::NOT_FOUND,
        Mistake::Parameter(_) => StatusCode::BAD_REQUEST,
    };
    StatusAnswer::of(status, failed(&mistake.text()))
}

fn failed(text: &str) -> Vec<u8> {
    json(&Failed { error: text }).unwrap_or_default()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Unanswered> {
    let mut json = serde_json::to_vec(value).map_err(io::Error::from)?;
    json.push(b'\n');
    Ok(json)
}

/// Whether a request names us by something that no other site's name can be made to be. A site can have its own name
/// resolve to an address of ours and read us as its own page (DNS rebinding); the Host field is then its name. Requests
/// without the field are of no browser.
pub(crate) fn own_host(headers: &HeaderMap) -> bool {
    let Some(written) = headers.get(header::HOST) else { return true };
    let host = written.to_str().ok().and_then(|host| Host::parse(host).ok());
    let Some(host) = host else { return false };
    let name = host.as_str();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    // Names without a dot, and those under these, are resolved by no public DNS server (RFC 6761, RFC 8375, the DNS of
    // Kubernetes).
    bare.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || [".localhost", ".svc", ".cluster.local", ".internal", ".home.arpa"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_name_that_can_be_anybodys_is_not_ours() {
        for (host, expected) in [
            ("127.0.0.1:9180", true),
            ("[::1]:9180", true),
            ("localhost:9180", true),
            ("node-1:9180", true),
            ("ravelin.ravelin.svc:9180", true),
            ("ravelin.ravelin.svc.cluster.local", true),
            ("evil.example:9180", false),
            ("127.0.0.1.evil.example", false),
            ("svc.evil.example", false),
            ("a b", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(own_host(&headers), expected, "{host}");
        }
        assert!(own_host(&HeaderMap::new()));
    }
}
