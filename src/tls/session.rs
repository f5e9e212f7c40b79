//! What the requests of a connection have to know of its handshake.

use super::policy::Policy;
use super::snapshot::{Snapshot, SnapshotCell, TlsPeer};
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::{Mode, Verification};
use crate::telemetry::{TlsSuite, TlsVersion};
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A connection with a completed handshake.
#[derive(Debug)]
pub struct Session {
    /// The presented certificate.
    pub certificate: Arc<Certificate>,
    /// The name in the ClientHello, in lower case.
    pub server_name: Option<Box<str>>,
    /// Whether it was presented as the default, because the name has no certificate.
    pub by_default: bool,
    /// The negotiated protocol.
    pub version: TlsVersion,
    /// The negotiated cipher suite.
    pub suite: TlsSuite,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether HTTP/2 was agreed on, rather than HTTP/1.1.
    pub http2: bool,
    /// The result of the client certificate check, if one was requested.
    pub client: Option<Verification>,
    pub(super) store: Arc<SnapshotCell>,
    /// What was last found to belong here.
    pub(super) covered: RefCell<Option<Covered>>,
    pub(super) standing: Standing,
}

/// A host that belongs to a connection.
#[derive(Debug)]
pub(super) struct Covered {
    /// As it was written in its field.
    host: HeaderValue,
    /// The version of the store when that was found.
    version: u64,
    /// Who the client was then: a stranger is none any more once break-glass is off.
    peer: TlsPeer,
}

/// A connection's state with regard to client certificates.
#[derive(Debug)]
pub(super) struct Standing {
    /// The policy that the client has met: that of the handshake, or one that took its place since.
    policy: RefCell<Option<Arc<Policy>>>,
    /// The certificates of the client whose key it has; empty if it was not asked.
    chain: Vec<CertificateDer<'static>>,
    /// Whether the policy asks for a certificate, and that of the client is good for it.
    proven: Cell<bool>,
    /// The certificates between that of the client and the authority, once somebody has asked for them.
    path: RefCell<Option<Rc<[CertificateDer<'static>]>>>,
    /// Whether the policy of the handshake's own name has become one that the client has not met.
    outdated: Cell<bool>,
}

impl Standing {
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        policy: Option<Arc<Policy>>,
        client: Option<Verification>,
    ) -> Self {
        let proven = Cell::new(client == Some(Verification::Valid));
        let (path, outdated) = (RefCell::default(), Cell::default());
        Self { policy: RefCell::new(policy), chain, proven, path, outdated }
    }

    fn path(&self) -> Option<Rc<[CertificateDer<'static>]>> {
        let mut known = self.path.borrow_mut();
        if known.is_none() {
            let policy = self.policy.borrow();
            *known = policy.as_ref().and_then(|policy| policy.path(&self.chain)).map(Rc::from);
        }
        known.clone()
    }

    /// Whether requests for a host belong here: its policy has to be that of the connection. Where
    /// the policy of the connection's own name was replaced meanwhile, the connection goes on under
    /// the new one, if its client meets that.
    fn includes(
        &self,
        snapshot: &Snapshot,
        peer: TlsPeer,
        server_name: Option<&str>,
        host: &str,
    ) -> bool {
        let own = snapshot.policy(server_name, peer);
        if !is_same(own, self.policy.borrow().as_ref()) {
            let asked = own.filter(|policy| policy.mode() != Mode::Off);
            let is_good = |policy: &Arc<Policy>| policy.judge(&self.chain) == Verification::Valid;
            let proven = asked.is_some_and(is_good);
            if !proven && own.is_some_and(|policy| policy.mode() == Mode::Require) {
                self.outdated.set(true);
                return false;
            }
            self.proven.set(proven);
            // Of another authority.
            self.path.replace(None);
            *self.policy.borrow_mut() = own.cloned();
        }
        is_same(snapshot.policy(Some(host), peer), own)
    }
}

impl Session {
    /// Whether `field` is the host that was last found to belong here, as it was written then: most
    /// connections are for one host. What was found before certificates or policies have changed
    /// does not count.
    pub fn covered(&self, field: &HeaderValue, peer: TlsPeer) -> bool {
        self.covered.borrow().as_ref().is_some_and(|covered| {
            covered.host == field && covered.version == self.store.version() && covered.peer == peer
        })
    }

    /// Whether requests for this host are allowed on the connection: its certificate covers the host, and
    /// both hosts have the same client certificate policy. `field` is the host as written, to recognise it
    /// again.
    pub fn covers(&self, field: &HeaderValue, host: &str, peer: TlsPeer) -> bool {
        let named = self.server_name.as_deref();
        let version = self.store.version();
        let snapshot = self.store.load();
        let covers = covers(&snapshot, &self.certificate, self.by_default, named, host)
            && self.standing.includes(&snapshot, peer, named, host);
        if covers {
            // A copy: the field itself is a piece of the buffer that the request was read into, and
            // would keep all of that for as long as the connection lives.
            let copy = HeaderValue::from_bytes(field.as_bytes()).ok();
            *self.covered.borrow_mut() = copy.map(|host| Covered { host, version, peer });
        }
        covers
    }

    /// The certificate of the client, if it has the key of one that is good for the policy of the connection.
    /// Those that it may have sent beside it are not checked: see [`Session::client_path`].
    pub fn client_certificate(&self) -> Option<CertificateDer<'_>> {
        let first = self.standing.chain.first().filter(|_| self.standing.proven.get())?;
        Some(CertificateDer::from(first.as_ref()))
    }

    /// The certificates that lead from that of the client to the authority of the policy, without either, of those that
    /// the client has sent. They are verified when first asked for: signatures cost more than a request.
    pub fn client_path(&self) -> Option<Rc<[CertificateDer<'static>]>> {
        self.standing.proven.get().then(|| self.standing.path())?
    }

    /// Whether the connection must be closed: its own name now requires a client certificate that the
    /// client has not presented. Only a new handshake can change that.
    pub fn is_outdated(&self) -> bool {
        self.standing.outdated.get()
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

/// Whether the host has the same client certificate policy as `server_name` of the handshake, for this client.
pub fn is_one_policy(
    snapshot: &Snapshot,
    peer: TlsPeer,
    server_name: Option<&str>,
    host: &str,
) -> bool {
    is_same(snapshot.policy(server_name, peer), snapshot.policy(Some(host), peer))
}

fn is_same(a: Option<&Arc<Policy>>, b: Option<&Arc<Policy>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The version that a connection has agreed on.
pub(super) fn version(connection: &ServerConnection) -> TlsVersion {
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::V1_2,
        _ => TlsVersion::V1_3,
    }
}

/// Its cipher suite.
pub(super) fn suite(connection: &ServerConnection) -> TlsSuite {
    let agreed = connection.negotiated_cipher_suite();
    match agreed.map(|suite| suite.suite()) {
        Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => TlsSuite::Aes128Gcm,
        Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => TlsSuite::Aes256Gcm,
        Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => TlsSuite::Chacha20Poly1305,
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) => TlsSuite::EcdheEcdsaAes128Gcm,
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384) => TlsSuite::EcdheEcdsaAes256Gcm,
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) => TlsSuite::EcdheRsaAes128Gcm,
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) => TlsSuite::EcdheRsaAes256Gcm,
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256) => {
            TlsSuite::EcdheEcdsaChacha20
        }
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256) => {
            TlsSuite::EcdheRsaChacha20
        }
        _ => TlsSuite::Other,
    }
}
