//! The log of the process: what happened to us, not to each request. JSON lines on standard error.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt, reload};

/// The log's level, to be changed while the process runs.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// Writes events of this level and more severe ones from now on.
    pub fn set(&self, level: LevelFilter) {
        // The only error is that the log is gone, or another one is installed: nothing to be changed.
        let _ = self.0.reload(level);
    }
}

/// Installs the log with this level. A second call in one process (a test) changes nothing.
pub fn init(level: LevelFilter) -> Level {
    let (filter, handle) = reload::Layer::new(level);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(true)
        .with_writer(std::io::stderr);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // The only error is that a subscriber is there already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Level(handle)
}
