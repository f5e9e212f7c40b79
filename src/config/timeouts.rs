//! How long things may take.

use super::defaults;
use std::time::Duration;

/// `[timeouts]`: each more than zero and at most [`MAX_DURATION`](super::MAX_DURATION). Reasons: [`defaults`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutsConfig {
    /// How long a client connection may be idle between requests.
    pub downstream_idle: Duration,
    /// From the accept of a balancer's connection to the end of its PROXY header.
    pub proxy_header: Duration,
    /// From the accept (behind a balancer: from the PROXY header) to the end of the TLS handshake.
    pub tls_handshake: Duration,
    /// From the accept (after PROXY header and TLS handshake) to the first byte of the first request;
    /// with HTTP/2 to its head.
    pub first_request: Duration,
    /// From the first byte of a request to the end of its head.
    pub request_head: Duration,
    /// How long a body, in either direction, may make no progress.
    pub body_progress: Duration,
    /// For one attempt to connect to an endpoint.
    pub connect: Duration,
    /// From the end of the request to the head of the response.
    pub response_head: Duration,
    /// The idle timeout of a tunnel, and of an event stream or a gRPC response.
    pub tunnel_idle: Duration,
    /// From SIGTERM until what is left is cut off.
    pub drain: Duration,
    /// How long idle client connections stay open after SIGTERM, so that a busy one gets its
    /// `Connection: close`. At most `drain`.
    pub drain_idle: Duration,
    /// From SIGHUP until the new configuration is ready, or the reload fails.
    pub reload: Duration,
    /// How long a change waits for a further one.
    pub coalesce: Duration,
    /// How long a change may wait in total. At least `coalesce`.
    pub coalesce_max: Duration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            downstream_idle: defaults::DOWNSTREAM_IDLE,
            proxy_header: defaults::PROXY_HEADER,
            tls_handshake: defaults::TLS_HANDSHAKE,
            first_request: defaults::FIRST_REQUEST,
            request_head: defaults::REQUEST_HEAD,
            body_progress: defaults::BODY_PROGRESS,
            connect: defaults::CONNECT,
            response_head: defaults::RESPONSE_HEAD,
            tunnel_idle: defaults::TUNNEL_IDLE,
            drain: defaults::DRAIN,
            drain_idle: defaults::DRAIN_IDLE,
            reload: defaults::RELOAD,
            coalesce: defaults::COALESCE,
            coalesce_max: defaults::COALESCE_MAX,
        }
    }
}
