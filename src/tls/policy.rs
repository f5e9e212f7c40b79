//! What is agreed on with a client: versions, suites, groups, protocols, tickets, and which
//! certificate is asked of it.
//!
//! One policy has one ticketer: a session is resumed only under the policy that began it.

use super::clients::{self, Asking, Attempt};
use super::tickets::{Issuer, TicketKeys};
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::{Demand, Mode, Verification};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
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

/// Settings of one handshake, and where it is noted what the client shows.
pub(super) type Noted = (Arc<ServerConfig>, Arc<Attempt>);

/// The TLS configuration of a group of hosts.
#[derive(Debug)]
pub struct Policy {
    config: ServerConfig,
    demand: Demand,
    /// `None`: no certificate is requested.
    asking: Option<Arc<Asking>>,
    tickets: Ticketers,
}

/// Tickets by the issuer of the certificate that is presented.
#[derive(Debug)]
struct Ticketers {
    origin_ca: Arc<dyn ProducesTickets>,
    other: Arc<dyn ProducesTickets>,
}

impl Ticketers {
    fn of(&self, certificate: &Certificate) -> Arc<dyn ProducesTickets> {
        Arc::clone(match certificate.is_of_origin_ca() {
            true => &self.origin_ca,
            false => &self.other,
        })
    }
}

/// The versions of a demand, the one to prefer first.
fn versions(demand: &Demand) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    if demand.tls13_only { &BOTH[..1] } else { &BOTH }
}

impl Policy {
    /// TLS 1.2, with authenticated encryption only and unless it is refused, and 1.3; resumption by tickets alone. Clients have to
    /// meet this demand.
    ///
    /// # Errors
    /// Where the cryptography has no such versions.
    pub fn demanding(demand: Demand, keys: &Arc<TicketKeys>) -> Result<Self, Error> {
        Self::agreeing(demand, &ALPN, keys)
    }

    /// The same with these protocols inside of TLS, the one to prefer first; with none, none is agreed on.
    ///
    /// # Errors
    /// As [`Policy::demanding`].
    pub(super) fn agreeing(
        demand: Demand,
        protocols: &[impl AsRef<[u8]>],
        keys: &Arc<TicketKeys>,
    ) -> Result<Self, Error> {
        let provider =
            CryptoProvider { kx_groups: GROUPS.to_vec(), ..aws_lc_rs::default_provider() };
        let provider = Arc::new(provider);
        let [origin_ca, other] =
            [Issuer::OriginCa, Issuer::Other].map(|issuer| keys.of(&demand, issuer));
        let tickets = Ticketers { origin_ca, other };
        let asking = match demand.mode {
            Mode::Off => None,
            Mode::Request | Mode::Require => Some(Arc::new(Asking::new(demand.clone(), &provider))),
        };
        let none = Arc::clone(&tickets.other);
        let mut config = build(provider, versions(&demand), None, none, Chosen(None))?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_ref().to_vec()).collect();
        Ok(Self { config, demand, asking, tickets })
    }

    /// The requirement on clients.
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// What happens to clients without a good certificate.
    pub fn mode(&self) -> Mode {
        self.demand.mode
    }

    /// Judges a chain whose key the client has.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> Verification {
        self.asking.as_ref().map_or(Verification::Valid, |asking| asking.judge(chain))
    }

    /// The certificates that lead from a client's own to the authority, without either.
    pub(super) fn path(
        &self,
        chain: &[CertificateDer<'static>],
    ) -> Option<Vec<CertificateDer<'static>>> {
        self.asking.as_ref()?.path(chain)
    }

    /// The same, with a certificate, for policies that ask nobody. Shares the ticketer: made for each
    /// certificate when a snapshot is, so that a handshake has nothing left to decide.
    pub(super) fn showing(&self, certificate: &Certificate) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.cert_resolver = Arc::new(Chosen(Some(Arc::clone(certificate.key()))));
        config.ticketer = self.tickets.of(certificate);
        Arc::new(config)
    }

    /// The same for one handshake that asks the client for a certificate, and where it is noted what
    /// became of that; `None` if nobody is asked. Costs some copies of pointers, which is little
    /// beside the signatures of such a handshake.
    ///
    /// # Errors
    /// None that [`Policy::demanding`] would not have had.
    pub(super) fn asking(&self, certificate: &Certificate) -> Result<Option<Noted>, Error> {
        let Some(asking) = &self.asking else {
            return Ok(None);
        };
        let attempt = Arc::new(Attempt::default());
        let (verifier, tickets) = clients::of(asking, &attempt, self.tickets.of(certificate));
        let provider = Arc::clone(self.config.crypto_provider());
        let chosen = Chosen(Some(Arc::clone(certificate.key())));
        let mut config = build(provider, versions(&self.demand), Some(verifier), tickets, chosen)?;
        config.alpn_protocols.clone_from(&self.config.alpn_protocols);
        Ok(Some((Arc::new(config), attempt)))
    }
}

fn build(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    tickets: Arc<dyn ProducesTickets>,
    chosen: Chosen,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(chosen));
    // The client keeps the ticket; nothing of it is in our memory.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
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
