//! The thread that exports spans: gathers batches, and sends them to the collector as OTLP.
//!
//! A collector that is away costs what the queue holds and an attempt now and then: a batch is kept and sent again with
//! growing pauses for a minute, then it is given up and counted. What changes is logged once.

mod answer;
mod cells;
mod envelope;
mod link;

pub use cells::{ExportCells, ExportFailure, ExportMetrics};

use super::queue::{Held, Spans};
use crate::config::Tracing;
use crate::net::random::Random;
use crate::net::shutdown::{ShutdownSignal, Stage};
use link::{ExportError, Link};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until};

/// A batch is sent when it has this many spans, as batch processors of OpenTelemetry do.
const BATCH_SPANS: u64 = 512;

/// Or this many bytes: receivers take 4 MiB at least.
const BATCH_BYTES: usize = 1 << 20;

/// Or when its first span has waited this long.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// The first pause after a failure, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a batch is kept for a collector that is away: long enough for its restart.
const KEEP: Duration = Duration::from_secs(60);

/// How long the end of the process waits for the last spans.
const LAST: Duration = Duration::from_secs(3);

/// Exports the spans of all workers.
pub struct Exporter {
    receiver: UnboundedReceiver<Spans>,
    batch: Batch,
    link: Link,
    pause: Duration,
    failing: Option<ExportFailure>,
    metrics: Arc<ExportMetrics>,
    random: Random,
    endpoint: String,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Spans that are sent together. What they hold is released when they are gone.
struct Batch {
    spans: Vec<Spans>,
    count: u64,
    bytes: usize,
    held: Arc<Held>,
}

impl Batch {
    fn add(&mut self, spans: Spans) {
        self.count += spans.count;
        self.bytes += spans.bytes.len();
        self.spans.push(spans);
    }

    fn is_full(&self) -> bool {
        self.count >= BATCH_SPANS || self.bytes >= BATCH_BYTES
    }

    /// Lets them go, and returns how many there were.
    fn clear(&mut self) -> u64 {
        self.held.release(self.spans.iter().map(Spans::held).sum());
        self.spans.clear();
        self.bytes = 0;
        std::mem::take(&mut self.count)
    }
}

impl Exporter {
    pub(super) fn new(
        config: &Arc<Tracing>,
        receiver: UnboundedReceiver<Spans>,
        held: Arc<Held>,
        metrics: Arc<ExportMetrics>,
    ) -> Self {
        metrics.follow(Arc::clone(&held));
        Self {
            receiver,
            batch: Batch { spans: Vec::new(), count: 0, bytes: 0, held },
            link: Link::new(config),
            pause: FIRST_PAUSE,
            failing: None,
            metrics,
            random: Random::seeded(),
            endpoint: config.endpoint.to_string(),
        }
    }

    /// Exports until all workers have ended and their spans are through, or for at most 3 s once the process
    /// aborts; on a runtime for tasks of its thread, with I/O and time.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let mut aborting = shutdown.clone();
        let late = async {
            aborting.reached(Stage::Aborting).await;
            sleep(LAST).await;
        };
        tokio::select! {
            biased;
            () = self.live(&mut shutdown) => {}
            () = late => {}
        }
        self.receiver.close();
        while let Ok(spans) = self.receiver.try_recv() {
            self.batch.add(spans);
        }
        let lost = self.batch.clear();
        if lost > 0 {
            self.metrics.update(|cells| cells.lost += lost);
            tracing::warn!(spans = lost, "the last spans could not be exported");
        }
    }

    async fn live(&mut self, shutdown: &mut ShutdownSignal) {
        while self.gather(shutdown).await {
            self.export(shutdown).await;
        }
    }

    /// Waits for spans, and then for more of them, unless the process aborts. `false`: there will be none.
    async fn gather(&mut self, shutdown: &mut ShutdownSignal) -> bool {
        if self.batch.spans.is_empty() {
            match self.receiver.recv().await {
                Some(spans) => self.batch.add(spans),
                None => return false,
            }
        }
        let due = Instant::now() + BATCH_TIME;
        while !self.batch.is_full() {
            tokio::select! {
                biased;
                spans = self.receiver.recv() => match spans {
                    Some(spans) => self.batch.add(spans),
                    None => return true,
                },
                () = shutdown.reached(Stage::Aborting) => return true,
                () = sleep_until(due) => return true,
            }
        }
        true
    }

    /// Sends the batch until it is taken, refused or too old. An attempt is never broken off by the end of the process:
    /// the collector would have its spans twice.
    async fn export(&mut self, shutdown: &mut ShutdownSignal) {
        let (body, begun) = (self.link.body(&self.batch.spans), Instant::now());
        let mut is_last = shutdown.stage() == Stage::Aborting;
        loop {
            let error = match self.link.send(&body).await {
                Ok(answered) => return self.succeed(answered.spans, &answered.why),
                Err(error) => error,
            };
            self.fail(&error);
            let is_over = is_last || !error.is_retryable() || begun.elapsed() >= KEEP;
            if is_over {
                let count = self.batch.clear();
                let is_refused = !error.is_retryable();
                self.metrics.update(|cells| match is_refused {
                    true => cells.rejected += count,
                    false => cells.lost += count,
                });
            }
            let pause = self.next_pause().max(error.after().unwrap_or_default());
            tokio::select! {
                () = sleep(pause.min(LONGEST_PAUSE)) => {}
                () = shutdown.reached(Stage::Aborting) => is_last = true,
            }
            if is_over {
                return;
            }
        }
    }

    /// The pause for this failure, by up to a half shorter, so that nodes do not come all at once.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        let half = u64::try_from(pause.as_millis() / 2).unwrap_or_default();
        Duration::from_millis(half + self.random.next() % (half + 1))
    }

    fn succeed(&mut self, rejected: u64, why: &str) {
        let count = self.batch.clear();
        let rejected = rejected.min(count);
        self.pause = FIRST_PAUSE;
        self.metrics.update(|cells| {
            cells.exported += count - rejected;
            cells.rejected += rejected;
            cells.succeeded += 1;
            cells.failing = None;
        });
        if rejected > 0 {
            tracing::debug!(spans = rejected, why, "the collector has rejected spans");
        }
        if self.failing.take().is_some() {
            tracing::info!(endpoint = self.endpoint, "traces are exported again");
        }
    }

    fn fail(&mut self, error: &ExportError) {
        let why = error.why();
        self.metrics.update(|cells| {
            cells.failed[why as usize] += 1;
            cells.failing = Some(why);
        });
        if self.failing.replace(why) != Some(why) {
            let (endpoint, reason) = (&*self.endpoint, why.as_str());
            tracing::warn!(endpoint, reason, %error, "traces cannot be exported; requests are not affected");
        }
    }
}
