//! CrowdSec's decisions: fetched from its Local API, and put in force for all visitors.
//!
//! An attempt that fails leaves what is in force. The API tells each of its components what has changed since that one
//! asked last, whether or not the answer arrived: after a failure all is asked for again, and now and then anyway,
//! because processes that share a key share that memory.

mod decisions;
mod visitor;

pub use decisions::{Decisions, MOST_DECISIONS};
pub use visitor::ban_of;

use crate::config::CrowdSec;
use crate::control::cloudflare::fetch::{FetchError, Origin};
use crate::control::jitter::{fraction, spread};
use crate::net::addr::DeniedVisitors;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{DecisionMetrics, ListFailure};
use http::HeaderValue;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// The field with the key.
const API_KEY: &str = "x-api-key";

/// The most bytes of an answer: a decision has about 200.
const MOST_BYTES: usize = 48 << 20;

/// How often all decisions are asked for.
const WHOLE: Duration = Duration::from_secs(600);

/// The longest file with a key, in bytes; usual ones have 44.
const MOST_KEY: usize = 1024;

/// What a [`DecisionKeeper`] is made of.
pub struct DecisionSetup {
    /// As configured.
    pub config: CrowdSec,
    /// Where it is said how it goes.
    pub metrics: Arc<DecisionMetrics>,
    /// Called with those who are banned, whenever they are others.
    pub publish: Box<dyn Fn(DeniedVisitors) + Send>,
    /// Told after the first attempt.
    pub tried: Sender<()>,
}

/// Keeps the decisions up to date as long as the process runs.
pub struct DecisionKeeper {
    config: CrowdSec,
    metrics: Arc<DecisionMetrics>,
    publish: Box<dyn Fn(DeniedVisitors) + Send>,
    tried: Option<Sender<()>>,
    decisions: Decisions,
    /// When the last whole list came; `None` if one has to come next.
    whole: Option<Instant>,
    /// Why the last attempt failed, if it did.
    failing: Option<ListFailure>,
}

/// A failure, and its words.
type Failed = (ListFailure, String);

impl DecisionKeeper {
    /// Knows no decisions yet.
    pub fn new(setup: DecisionSetup) -> Self {
        let DecisionSetup { config, metrics, publish, tried } = setup;
        let (tried, decisions) = (Some(tried), Decisions::default());
        Self { config, metrics, publish, tried, decisions, whole: None, failing: None }
    }

    /// Keeps them up to date until shutdown, on a runtime with I/O and time.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let live = async {
            loop {
                self.attempt().await;
                // The receiver has stopped waiting.
                let _ = self.tried.take().map(|tried| tried.send(()));
                sleep(spread(self.config.interval, fraction())).await;
            }
        };
        shutdown.interrupt(Stage::Draining, live).await;
    }

    async fn attempt(&mut self) {
        let is_whole = self.whole.is_none_or(|since| since.elapsed() >= WHOLE);
        let taken = match self.fetch(is_whole).await {
            Ok(body) => self.decisions.take(&body, is_whole).map_err(|why| {
                let words = match why {
                    ListFailure::TooMany => format!("more than {MOST_DECISIONS} decisions"),
                    _ => "the response is no stream of decisions".to_owned(),
                };
                (why, words)
            }),
            Err(failed) => Err(failed),
        };
        match taken {
            Ok(is_other) => self.succeed(is_other, is_whole),
            Err((why, words)) => self.fail(why, &words),
        }
    }

    fn succeed(&mut self, is_other: bool, is_whole: bool) {
        if is_whole {
            self.whole = Some(Instant::now());
        }
        if is_other {
            (self.publish)(self.decisions.denied());
        }
        self.metrics.update(|cells| {
            self.decisions.note(cells);
            cells.attempts.succeed(is_other, now());
        });
        if self.failing.take().is_some() {
            tracing::info!("the decisions of CrowdSec are up to date again");
        }
    }

    fn fail(&mut self, why: ListFailure, words: &str) {
        self.whole = None;
        self.metrics.update(|cells| cells.attempts.fail(why, now()));
        if self.failing.replace(why) != Some(why) {
            let (url, reason) = (self.config.url.to_string(), why.as_str());
            tracing::warn!(
                url,
                reason,
                words,
                "the decisions of CrowdSec could not be fetched: those in force stay"
            );
        }
    }

    async fn fetch(&self, is_whole: bool) -> Result<Vec<u8>, Failed> {
        // Without a list of scopes there would be no countries.
        let query = format!("/stream?startup={is_whole}&scopes=ip,range,country");
        get(&self.config, &query, MOST_BYTES).await
    }
}

/// Asks the API for decisions; `query` is what is behind `/v1/decisions`.
async fn get(config: &CrowdSec, query: &str, most: usize) -> Result<Vec<u8>, Failed> {
    let key = key(config)?;
    let CrowdSec { url, ca_file, .. } = config;
    let target = format!("{}/v1/decisions{query}", url.path().trim_end_matches('/'));
    let origin = Origin::at(url, target, ca_file.clone(), "crowdsec.ca_file");
    let origin = origin.up_to(most).with_secret(API_KEY, key);
    origin.get().await.map_err(|error| {
        let hint = match &error {
            FetchError::Status(status) if status.as_u16() == 403 => {
                "; the API does not know the key in crowdsec.api_key_file"
            }
            _ => "",
        };
        (error.why(), format!("{error}{hint}"))
    })
}

/// The key, as it is now: it may be another one.
fn key(config: &CrowdSec) -> Result<HeaderValue, Failed> {
    let path = &config.api_key_file;
    let failed =
        |why, what: &str| Err((why, format!("crowdsec.api_key_file {}: {what}", path.display())));
    match std::fs::read_to_string(path) {
        Ok(text) => match HeaderValue::from_str(text.trim()) {
            Ok(key) if !key.is_empty() && key.len() <= MOST_KEY => Ok(key),
            _ => failed(ListFailure::Unreadable, "it has no key"),
        },
        Err(error) => failed(ListFailure::Unreadable, &error.to_string()),
    }
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
