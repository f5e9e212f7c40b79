//! The certificate for a server name: an immutable map, and the cell that holds the map in force.

use super::policies::Policies;
use super::policy::{Policy, suites};
use crate::model::{Host, HostPattern, TcpTlsEnd};
use crate::net::trust::Speaker;
use crate::pki::certificate::{Certificate, KeyKind};
use crate::telemetry::HandshakeFailure;
use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use rustls::server::ClientHello;
use rustls::{Error, ServerConfig, SignatureAlgorithm};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A certificate and the hosts it is presented for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The certificate.
    pub certificate: Arc<Certificate>,
    /// The hosts it is presented for; [`HostPattern::Any`] is none.
    pub hosts: Vec<HostPattern>,
    /// Whether it is presented for an absent or unknown server name. Of several the first
    /// applies.
    pub default: bool,
    /// Namespace and name of the Secret that it is from, if it is from one.
    pub secret: Option<SecretName>,
}

/// Namespace and name.
pub type SecretName = (Arc<str>, Arc<str>);

impl Entry {
    /// Presented for the names in the certificate.
    pub fn of_names(certificate: Arc<Certificate>, default: bool) -> Self {
        let hosts = certificate.names().to_vec();
        Self { certificate, hosts, default, secret: None }
    }
}

/// A certificate, ready for handshakes.
#[derive(Debug)]
pub struct Shown {
    pub(super) certificate: Arc<Certificate>,
    /// For clients that are asked for no certificate.
    pub(super) config: Arc<ServerConfig>,
}

impl Shown {
    /// The certificate.
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Whether the client can check its signature, in a version and suite that it offers.
    fn suits(&self, hello: &ClientHello<'_>) -> bool {
        let algorithm = match self.certificate.kind() {
            KeyKind::Ecdsa => SignatureAlgorithm::ECDSA,
            KeyKind::Ed25519 => SignatureAlgorithm::ED25519,
            KeyKind::Rsa => SignatureAlgorithm::RSA,
        };
        let usable =
            suites().iter().filter(|suite| suite.usable_for_signature_algorithm(algorithm));
        let mut usable = usable.map(|suite| suite.suite());
        usable.any(|suite| hello.cipher_suites().contains(&suite))
            && self.certificate.key().key.choose_scheme(hello.signature_schemes()).is_some()
    }
}

/// Certificates for one name: at most one of each issuer and kind of key, in the order in which Cloudflare is presented
/// them: those of its Origin CA first, then the kind to prefer.
type Shelf = Vec<Arc<Shown>>;

type ByName = HashMap<Arc<str>, Shelf, RandomState>;

/// The certificates by server name. The cost of a lookup does not depend on their number.
#[derive(Debug, Default)]
pub struct Snapshot {
    exact: ByName,
    /// By what stands behind `*.`.
    wildcard: ByName,
    default: Shelf,
    /// By the Secret that it is from: for routes of connections that name one.
    secrets: HashMap<SecretName, Arc<Shown>, RandomState>,
    /// The client certificate policy of a name; `None`: no certificate is requested.
    policies: Option<Policies>,
}

/// The client of a handshake, as far as a certificate is chosen by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPeer {
    /// Cloudflare, which trusts its Origin CA.
    Cloudflare,
    /// Any other, who does not.
    Other,
    /// One of those whom break-glass alone admits.
    Stranger,
}

impl TlsPeer {
    /// The client by how it names others, if it is trusted to, and whether break-glass alone admits it.
    pub fn of(speaker: Option<Speaker>, is_stranger: bool) -> Self {
        match speaker {
            Some(Speaker::Cloudflare) => Self::Cloudflare,
            _ if is_stranger => Self::Stranger,
            Some(Speaker::Proxy) | None => Self::Other,
        }
    }
}

/// The certificate for a server name.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'s> {
    shelf: &'s [Arc<Shown>],
    /// Whether the name has none of its own.
    pub by_default: bool,
}

impl<'s> Selected<'s> {
    /// The certificate for Cloudflare, which accepts all key types.
    pub fn preferred(self) -> &'s Arc<Shown> {
        // A shelf is made by putting the first one on it.
        &self.shelf[0]
    }

    /// The one for this client: the first that it can check, else the first, so that rustls says
    /// what is missing.
    pub(super) fn for_client(self, hello: &ClientHello<'_>, peer: TlsPeer) -> &'s Arc<Shown> {
        if let [only] = self.shelf {
            return only;
        }
        let suits = |shown: &&Arc<Shown>| shown.suits(hello);
        let public = self.public(peer).find(suits);
        public.or_else(|| self.shelf.iter().find(suits)).unwrap_or(self.preferred())
    }

    /// The certificate for a client of this kind that accepts all key types.
    pub fn for_peer(self, peer: TlsPeer) -> &'s Arc<Shown> {
        self.public(peer).next().unwrap_or(self.preferred())
    }

    /// Those that clients beside Cloudflare may trust, if the client is one.
    fn public(self, peer: TlsPeer) -> impl Iterator<Item = &'s Arc<Shown>> + Clone {
        let all = self.shelf.iter();
        all.filter(move |shown| peer != TlsPeer::Cloudflare && !shown.certificate.is_of_origin_ca())
    }
}

impl Snapshot {
    /// Puts certificates in their places. Of two of one issuer with the same kind of key for one
    /// name, the first is presented.
    pub fn build(policies: &Policies, entries: &[Entry]) -> Self {
        let mut snapshot = Self { policies: Some(policies.clone()), ..Self::default() };
        for Entry { certificate, hosts, default, secret } in entries {
            let config = policies.off().showing(certificate);
            let shown = Arc::new(Shown { certificate: Arc::clone(certificate), config });
            if let Some(secret) = secret {
                snapshot.secrets.insert(secret.clone(), Arc::clone(&shown));
            }
            for host in hosts {
                let (map, name) = match host {
                    HostPattern::Exact(name) => (&mut snapshot.exact, name),
                    HostPattern::Wildcard(suffix) => (&mut snapshot.wildcard, suffix),
                    HostPattern::Any => continue,
                };
                put(map.entry(Arc::clone(name)).or_default(), &shown);
            }
            if *default && snapshot.default.is_empty() {
                put(&mut snapshot.default, &shown);
            }
        }
        snapshot
    }

    /// The certificate for the server name in a ClientHello: the name itself, then a wildcard for its first
    /// label, then the default.
    ///
    /// # Errors
    /// No certificate: the handshake ends with `unrecognized_name`.
    pub fn find(&self, name: Option<&str>) -> Result<Selected<'_>, HandshakeFailure> {
        if let Some(shelf) = name.and_then(|name| self.own(name)) {
            return Ok(Selected { shelf, by_default: false });
        }
        if self.default.is_empty() {
            return Err(match name {
                None => HandshakeFailure::NoSni,
                Some(_) => HandshakeFailure::UnknownSni,
            });
        }
        Ok(Selected { shelf: &self.default, by_default: true })
    }

    /// The certificates for a host, in the order in which this client prefers them; none if its handshakes are refused.
    /// A wildcard applies to names without certificates of their own.
    pub fn for_host(
        &self,
        host: &HostPattern,
        peer: TlsPeer,
    ) -> impl Iterator<Item = &Arc<Shown>> + Clone {
        let selected = Selected { shelf: self.shelf(host), by_default: false };
        selected.public(peer).chain(selected.shelf)
    }

    fn shelf(&self, host: &HostPattern) -> &[Arc<Shown>] {
        let own = match host {
            HostPattern::Exact(name) => self.own(name),
            HostPattern::Wildcard(suffix) => self.wildcard.get(suffix).map(Vec::as_slice),
            HostPattern::Any => None,
        };
        own.unwrap_or(&self.default)
    }

    /// The certificate of a Secret, if it can be used.
    pub(super) fn of_secret(&self, secret: &SecretName) -> Option<&Arc<Shown>> {
        self.secrets.get(secret)
    }

    /// The policy of a route at which TLS ends.
    ///
    /// # Errors
    /// Where the cryptography has no such versions, or there is no ticket key yet.
    pub(super) fn ending(&self, end: &TcpTlsEnd, above: Option<&Policy>) -> Result<Policy, Error> {
        let policies = self.policies.as_ref();
        let policies =
            policies.ok_or_else(|| Error::General("no policy is in force".to_owned()))?;
        policies.ending(end, above)
    }

    /// What the operator demands beyond a route at which TLS ends.
    pub(super) fn above(&self, end: &TcpTlsEnd, host: Option<&str>) -> Option<&Arc<Policy>> {
        self.policies.as_ref().and_then(|policies| policies.above(end, host))
    }

    /// The client certificate policy of a host for this client; `None` if it has none.
    pub fn policy(&self, host: Option<&str>, peer: TlsPeer) -> Option<&Arc<Policy>> {
        self.policies.as_ref().map(|policies| policies.for_peer(host, peer))
    }

    /// Whether there is no certificate at all.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty() && self.default.is_empty()
    }

    /// Whether the name has a certificate other than the default.
    pub fn has(&self, name: &str) -> bool {
        self.own(name).is_some()
    }

    /// Every name, and the certificates for it.
    pub fn names(&self) -> impl Iterator<Item = (HostPattern, &[Arc<Shown>])> {
        let exact = self.exact.iter();
        let exact = exact.map(|(name, shelf)| (HostPattern::Exact(Arc::clone(name)), &**shelf));
        let wildcard = self.wildcard.iter();
        exact.chain(
            wildcard.map(|(name, shelf)| (HostPattern::Wildcard(Arc::clone(name)), &**shelf)),
        )
    }

    fn own(&self, name: &str) -> Option<&[Arc<Shown>]> {
        let host = Host::parse(name).ok()?;
        let name = host.as_str();
        let shelf = self.exact.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        });
        shelf.map(Vec::as_slice)
    }
}

fn put(shelf: &mut Shelf, shown: &Arc<Shown>) {
    let kind = |shown: &Shown| (!shown.certificate.is_of_origin_ca(), shown.certificate.kind());
    if let Err(place) = shelf.binary_search_by_key(&kind(shown), |other| kind(other)) {
        shelf.insert(place, Arc::clone(shown));
    }
}

/// The snapshot in force. Read once for each handshake; replaced whole.
#[derive(Debug, Default)]
pub struct SnapshotCell {
    snapshot: ArcSwap<Snapshot>,
    /// How many snapshots there have been: what was found out from one counts as long as it is the
    /// last.
    version: AtomicU64,
    /// Whether the last one asks clients of any host for a certificate.
    asking: AtomicBool,
}

impl SnapshotCell {
    /// The snapshot now.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The snapshot now, for longer than a moment.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a snapshot in force, for the next ClientHello and the next request.
    pub fn publish(&self, snapshot: Snapshot) {
        let asking = snapshot.policies.as_ref().is_some_and(Policies::is_asking);
        // Who sees the new number sees the new snapshot; who sees the old one for a moment longer is
        // as one that came a moment earlier.
        self.snapshot.store(Arc::new(snapshot));
        self.asking.store(asking, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Changes with every snapshot.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether clients of any host are asked for a certificate.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Acquire)
    }
}
