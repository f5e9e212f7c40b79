//! What is agreed on with a client: versions, suites, groups, protocols, tickets.
//!
//! One policy has one ticketer: a session is resumed only under the policy that began it.

use rustls::crypto::aws_lc_rs::{self, Ticketer, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, SupportedCipherSuite};
use std::sync::Arc;

/// Protocols inside of TLS, the one to prefer first (RFC 7301).
const ALPN: [&[u8]; 2] = [HTTP2, b"http/1.1"];

/// HTTP/2 within TLS (RFC 9113 section 3.2).
pub(super) const HTTP2: &[u8] = b"h2";

/// Key exchange, the one to prefer first. X25519MLKEM768 is what Cloudflare asks origins for: its
/// scan of an origin chooses the group that a zone begins with ("Automatic key exchange"). A share
/// that a client has sent is taken before one of a better group is asked for.
const GROUPS: [&dyn SupportedKxGroup; 4] =
    [kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

/// Tickets after a TLS 1.3 handshake: each is used once (RFC 8446 appendix C.4), and a peer that
/// opens a second connection at once has one for it.
const TICKETS: usize = 2;

/// What is agreed on with clients. Keeps the keys of its tickets: to be made once.
#[derive(Debug)]
pub struct Policy(ServerConfig);

impl Policy {
    /// TLS 1.2, with authenticated encryption only, and 1.3; resumption by tickets alone, whose keys
    /// change every six hours and are never written down.
    ///
    /// # Errors
    /// Only where the system has no random numbers.
    pub fn new() -> Result<Self, Error> {
        let provider =
            CryptoProvider { kx_groups: GROUPS.to_vec(), ..aws_lc_rs::default_provider() };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Chosen(None)));
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        // What a ticket holds the client keeps; nothing of it is in our memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        Ok(Self(config))
    }

    /// The same, with a certificate. Shares the ticketer: made for each certificate when a snapshot
    /// is, so that a handshake has nothing left to decide.
    pub(super) fn showing(&self, key: &Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let resolver = Arc::new(Chosen(Some(Arc::clone(key))));
        let mut config = self.0.clone();
        config.cert_resolver = resolver;
        Arc::new(config)
    }
}

/// The suites that are offered.
pub(super) fn suites() -> &'static [SupportedCipherSuite] {
    aws_lc_rs::DEFAULT_CIPHER_SUITES
}

/// The certificate that was chosen by the ClientHello already.
#[derive(Debug)]
struct Chosen(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}
