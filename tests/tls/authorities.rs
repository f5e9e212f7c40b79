//! Throw-away authorities, and certificates of clients.

use crate::client::Offer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, NamedGroup, SupportedProtocolVersion};
use std::sync::Arc;

/// Issues certificates of clients.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate of a client, and its key.
pub(crate) struct Identity {
    /// As PEM.
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its key, as PEM.
    pub(crate) fn key(&self) -> String {
        self.0.key().serialize_pem()
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a common name, valid until the begin of a year.
    pub(crate) fn issue(&self, name: &str, year: i32) -> Identity {
        self.issue_with(name, |params| params.not_after = rcgen::date_time_ymd(year, 1, 1))
    }

    /// For a common name, valid for so many seconds from now.
    pub(crate) fn issue_for(&self, name: &str, seconds: u64) -> Identity {
        let until = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
        self.issue_with(name, |params| params.not_after = until.into())
    }

    /// For servers alone.
    pub(crate) fn issue_for_servers(&self, name: &str) -> Identity {
        self.issue_with(name, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM")]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM")
    }
}

/// Settings of a client that shows a certificate if it is asked, and keeps tickets.
pub(crate) fn identified(
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let config = Offer::version(version).config();
    let Some(identity) = identity else { return config };
    let mut config = Arc::unwrap_or_clone(config);
    let provider = Arc::clone(config.crypto_provider());
    let key = provider.key_provider.load_private_key(identity.key()).expect("a key");
    let certified = rustls::sign::CertifiedKey::new(identity.chain(), key);
    config.client_auth_cert_resolver = Arc::new(Shows(Arc::new(certified)));
    Arc::new(config)
}

/// Shows its certificate, whomever the server believes.
#[derive(Debug)]
struct Shows(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Shows {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The same with one place for tickets, whatever name a session was for.
pub(crate) fn with_one_store(config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    let store = Nameless(rustls::client::ClientSessionMemoryCache::new(64));
    config.resumption = rustls::client::Resumption::store(Arc::new(store))
        .tls12_resumption(rustls::client::Tls12Resumption::SessionIdOrTickets);
    Arc::new(config)
}

/// Sessions of all names as if they were of one.
#[derive(Debug)]
struct Nameless(rustls::client::ClientSessionMemoryCache);

fn one() -> ServerName<'static> {
    ServerName::try_from("one.example").expect("a name")
}

impl ClientSessionStore for Nameless {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(one(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&one())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(one(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&one())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&one());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(one(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&one())
    }
}
