//! Active health checks of endpoints: a request at intervals, with or without client traffic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How the endpoints of a Service port are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query of the request.
    pub path: Arc<str>,
    /// Value of its `Host`; `None` is the address of the endpoint, as with a kubelet.
    pub host: Option<Arc<str>>,
    /// From the end of one check to the next.
    pub interval: Duration,
    /// How long connecting and the head of the answer may take, each.
    pub timeout: Duration,
}

impl HealthCheck {
    /// Default of `interval`: a failed pod is ejected after half a minute, for a request every three
    /// seconds from three nodes.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Shortest `interval`: checks must not become a load.
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// Default of `timeout`: that of a connection attempt.
    pub const TIMEOUT: Duration = Duration::from_secs(2);
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {} every {:?}, timeout {:?}", self.path, self.interval, self.timeout)?;
        match &self.host {
            Some(host) => write!(f, ", as {host}"),
            None => Ok(()),
        }
    }
}
