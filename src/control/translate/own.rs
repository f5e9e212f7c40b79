//! Which objects may have which annotation of our own.

use super::annotations::{HSTS, HTTPS_REDIRECT, IGNORE, MAX_BODY_SIZE, RAW_PATH};
use super::balancing::{BALANCE, COOKIE_NAME, HASH_HEADER, PREFER};
use super::clients::{BREAK_GLASS, CLIENT_CA, CLIENT_CERTIFICATE, CLIENT_SUBJECT};
use super::{health_check, limits, middleware, protocol, timeouts};

/// The annotations of our own that Ingresses may have, but for those that ask for one step.
const WITHOUT_STEPS: [&str; 18] = [
    CLIENT_CERTIFICATE,
    CLIENT_CA,
    CLIENT_SUBJECT,
    BREAK_GLASS,
    HTTPS_REDIRECT,
    HSTS,
    RAW_PATH,
    MAX_BODY_SIZE,
    timeouts::CONNECT,
    timeouts::RESPONSE_HEAD,
    timeouts::BODY_PROGRESS,
    timeouts::TUNNEL_IDLE,
    timeouts::REQUEST,
    BALANCE,
    HASH_HEADER,
    COOKIE_NAME,
    middleware::OWN_LIST,
    IGNORE,
];

/// The annotations of our own that Ingresses may have.
pub(super) fn of_ingresses() -> Vec<&'static str> {
    WITHOUT_STEPS.into_iter().chain(middleware::OWN_STEPS).collect()
}

/// The annotations of our own that Services may have.
pub(super) const OF_SERVICES: [&str; 16] = [
    protocol::PROTOCOL,
    protocol::CA,
    protocol::SERVER_NAME,
    protocol::INSECURE,
    health_check::PATH,
    health_check::HOST,
    health_check::INTERVAL,
    health_check::TIMEOUT,
    limits::MAX_CONNECTIONS,
    limits::QUEUE,
    limits::QUEUE_TIMEOUT,
    BALANCE,
    HASH_HEADER,
    COOKIE_NAME,
    PREFER,
    IGNORE,
];
