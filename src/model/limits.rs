//! How many requests the endpoints of a Service take at once.

use std::fmt;
use std::time::Duration;

/// The limit of each endpoint, and what becomes of requests beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight from this process to one endpoint, 1 to 1 000 000. With HTTP/1.1 these are
    /// its connections in use.
    pub max_connections: u32,
    /// Requests that may wait for an endpoint of the Service port, at most 100 000; 0 for none.
    pub queue: u32,
    /// How long each of them may wait, at most a day.
    pub queue_timeout: Duration,
}

impl Limits {
    /// The most that `max_connections` may be: no machine has more ports towards one address than a
    /// sixteenth of it, and HTTP/2 puts some hundred requests on each.
    pub const MOST_CONNECTIONS: u32 = 1_000_000;
    /// The most that `queue` may be: five times the client connections of a process. A request that
    /// waits keeps its head in memory.
    pub const LONGEST_QUEUE: u32 = 100_000;
    /// Default of `queue`: what a pod of 100 requests a second completes in ten seconds, longer than
    /// clients wait.
    pub const QUEUE: u32 = 1024;
    /// Default of `queue_timeout`: long enough for a burst, and short enough that clients get a response
    /// before they give up.
    pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
}

/// The words in `explain`: `10 at once, 1024 may wait for 5s`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at once", self.max_connections)?;
        match self.queue {
            0 => f.write_str(", none waits"),
            queue => write!(f, ", {queue} queued for up to {:?}", self.queue_timeout),
        }
    }
}
