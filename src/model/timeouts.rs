//! How long the requests of an Ingress may take, where it says something else than the configuration.

use std::fmt;
use std::time::Duration;

/// Timeouts of one Ingress; `None` keeps the configured value. Each is more than zero and at
/// most a day (`config::MAX_DURATION`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit for one attempt to connect to a pod, the TLS handshake included.
    pub connect: Option<Duration>,
    /// From the end of a request to the head of its answer.
    pub response_head: Option<Duration>,
    /// Without progress in either body.
    pub body_progress: Option<Duration>,
    /// Without a byte in a tunnel, in an event stream or in a call of gRPC.
    pub tunnel_idle: Option<Duration>,
    /// The whole exchange, from the head of the request to the last byte of the answer. The
    /// configuration has none.
    pub request: Option<Duration>,
}

/// The words in `explain`: `response head 5s, request 30s`.
impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("connect", self.connect),
            ("response head", self.response_head),
            ("body progress", self.body_progress),
            ("tunnel idle", self.tunnel_idle),
            ("request", self.request),
        ];
        let mut comma = "";
        for (name, span) in named {
            if let Some(span) = span {
                write!(f, "{comma}{name} {span:?}")?;
                comma = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_named() {
        let mut timeouts = Timeouts::default();
        assert_eq!(timeouts.to_string(), "");
        timeouts.response_head = Some(Duration::from_millis(1_500));
        timeouts.request = Some(Duration::from_secs(30));
        assert_eq!(timeouts.to_string(), "response head 1.5s, request 30s");
    }
}
