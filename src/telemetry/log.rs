//! The log of the process: what happened to us, not to each request. JSON lines on standard error.

use tracing_subscriber::filter::LevelFilter;

/// Installs the log with this level. A second call in one process (a test) changes nothing.
pub fn init(level: LevelFilter) {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(true)
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .finish();
    // The only error is that a subscriber is there already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
