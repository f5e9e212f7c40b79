//! What the requests of a connection have to know of its handshake.

use super::snapshot::{Snapshot, Store};
use crate::certificate::Certificate;
use crate::telemetry::TlsVersion;
use http::HeaderValue;
use std::cell::RefCell;
use std::sync::Arc;

/// A connection whose handshake is through.
#[derive(Debug)]
pub struct Session {
    /// What was shown.
    pub certificate: Arc<Certificate>,
    /// The name in the ClientHello, in lower case.
    pub server_name: Option<Box<str>>,
    /// Whether it was shown because the name has none of its own.
    pub by_default: bool,
    /// What was agreed on.
    pub version: TlsVersion,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether HTTP/2 was agreed on, rather than HTTP/1.1.
    pub http2: bool,
    pub(super) store: Arc<Store>,
    /// The `Host` field that was last found to be covered.
    pub(super) covered: RefCell<Option<HeaderValue>>,
}

impl Session {
    /// Whether `field` is the host that was last found to be covered, as it was written then: most
    /// connections are for one host.
    pub fn covered(&self, field: &HeaderValue) -> bool {
        self.covered.borrow().as_ref() == Some(field)
    }

    /// Whether requests for this host belong on the connection. `field` is the host as it was
    /// written, to know it again.
    pub fn covers(&self, field: &HeaderValue, host: &str) -> bool {
        let named = self.server_name.as_deref();
        let snapshot = self.store.load();
        let covers = covers(&snapshot, &self.certificate, self.by_default, named, host);
        if covers {
            *self.covered.borrow_mut() = Some(field.clone());
        }
        covers
    }
}

/// Whether a connection with this certificate is one for this host: the one that the handshake
/// named, or one that the certificate names. Cloudflare uses a connection for every host that the
/// certificate covers ("Connection reuse"), so that to ask for the name of the handshake alone would
/// break sites. What was shown by default is for every host without a certificate of its own too.
pub fn covers(
    snapshot: &Snapshot,
    certificate: &Certificate,
    by_default: bool,
    server_name: Option<&str>,
    host: &str,
) -> bool {
    server_name == Some(host) || certificate.covers(host) || by_default && !snapshot.has(host)
}
