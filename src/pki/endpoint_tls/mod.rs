//! TLS towards the pods: what is verified, as whom they have to show themselves, and the rustls
//! configuration that follows from it.
//!
//! [`TlsSettings`] is plain data, and [`EndpointTls`] is built from it with a table, off the workers, and
//! shared by all connections of the Service. A session is resumed only under the very settings that it was
//! verified under, because each [`EndpointTls`] has a store of its own.

mod identity;
mod peer;

pub use identity::ClientIdentity;
pub use peer::PeerName;

use super::ca_bundle::CaBundle;
use peer::PeerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// Sessions kept for resumption: one for each endpoint and worker of a large Service. A session has
/// a few KiB.
const SESSIONS: usize = 256;

/// The CAs that browsers trust, embedded in the binary.
static PUBLIC: LazyLock<Arc<RootCertStore>> =
    LazyLock::new(|| Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Certificates of the CAs that browsers trust.
    Public,
    /// Certificates of the CAs in this Secret of the Service's namespace, or in the objects that a ServersTransport
    /// names; `None` while it is missing or cannot be read, and then none are.
    Secret {
        /// `metadata.name` of the Secret; of several objects their names.
        name: Arc<str>,
        /// What is under its key `ca.crt`.
        authorities: Option<CaBundle>,
    },
    /// Any certificate: the connection is encrypted, but the peer is not verified.
    Anybody,
}

/// The protocols offered inside TLS (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/2 if the endpoint has it, else HTTP/1.1.
    Either,
    /// HTTP/2 and nothing else, as gRPC asks.
    Http2,
    /// HTTP/1.1 and nothing else, as WebSocket asks.
    Http1,
    /// Nothing is offered: for connections that are relayed.
    None,
}

/// The TLS settings of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The name in SNI, which the certificate has to be for.
    pub server_name: ServerName<'static>,
    /// Which CAs may have signed the certificate.
    pub trust: Trust,
    /// The protocol inside TLS.
    pub alpn: Alpn,
    /// What else a ServersTransport asks for.
    pub details: TlsDetails,
}

/// What few Services ask of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsDetails {
    /// What is presented to pods that ask for a certificate.
    pub identity: Option<Arc<ClientIdentity>>,
    /// The names of which the certificate has to have one, if there are any. Not with [`Trust::Anybody`].
    pub peer_names: Arc<[PeerName]>,
    /// Whether it need not be for the name in SNI, as it has one of `peer_names`.
    pub skips_server_name: bool,
    /// The versions that are offered.
    pub versions: TlsVersions,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// TLS towards the endpoints of one Service port. Equal to another one with the same settings.
pub struct EndpointTls {
    settings: Arc<TlsSettings>,
    /// `None` while the CAs are.
    config: Option<Arc<ClientConfig>>,
    id: u64,
    /// This configuration without HTTP/2, built on first use.
    over_http1: OnceLock<Arc<EndpointTls>>,
}

impl EndpointTls {
    /// Prepares connections with these settings.
    pub fn new(settings: Arc<TlsSettings>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(FIRST_ID);
        let config = config(&settings).map(Arc::new);
        Self {
            settings,
            config,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            over_http1: OnceLock::new(),
        }
    }

    /// The settings of the Service.
    pub fn settings(&self) -> &Arc<TlsSettings> {
        &self.settings
    }

    /// This configuration without HTTP/2.
    pub fn over_http1(&self) -> &Arc<Self> {
        self.over_http1.get_or_init(|| {
            let settings = TlsSettings { alpn: Alpn::Http1, ..TlsSettings::clone(&self.settings) };
            Arc::new(Self::new(Arc::new(settings)))
        })
    }

    /// For rustls. `None` while the CAs are missing: then there is no connection.
    pub fn config(&self) -> Option<&Arc<ClientConfig>> {
        self.config.as_ref()
    }

    /// A number that no other value of this process has: connections and sessions of one are never
    /// used for another.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether the settings differ only in CAs, which these have and `others` miss: they may serve on in
    /// their place.
    pub fn is_last_good_of(&self, others: &TlsSettings) -> bool {
        let TlsSettings { server_name, trust, alpn, details } = &*self.settings;
        let (
            Trust::Secret { name, authorities: Some(_) },
            Trust::Secret { name: now, authorities: None },
        ) = (trust, &others.trust)
        else {
            return false;
        };
        name == now
            && *server_name == others.server_name
            && *alpn == others.alpn
            && *details == others.details
    }
}

/// The first [`EndpointTls::id`]; smaller numbers are free for connections without TLS.
pub const FIRST_ID: u64 = 16;

impl PartialEq for EndpointTls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for EndpointTls {}

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

fn config(settings: &TlsSettings) -> Option<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let details = &settings.details;
    let versions: &[&SupportedProtocolVersion] = match details.versions {
        TlsVersions::Both => &[&TLS13, &TLS12],
        TlsVersions::Tls12 => &[&TLS12],
        TlsVersions::Tls13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3");
    let verified = match &settings.trust {
        trust if !details.peer_names.is_empty() => {
            let roots = match trust {
                Trust::Public => Arc::clone(&PUBLIC),
                Trust::Secret { authorities, .. } => Arc::clone(authorities.as_ref()?.roots()),
                // No name proves anything without an authority.
                Trust::Anybody => return None,
            };
            let names = Arc::clone(&details.peer_names);
            let verifier = PeerVerifier::new(roots, names, !details.skips_server_name, &provider);
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::Public => builder.with_root_certificates(Arc::clone(&PUBLIC)),
        Trust::Secret { authorities, .. } => {
            builder.with_root_certificates(Arc::clone(authorities.as_ref()?.roots()))
        }
        Trust::Anybody => {
            let any = AnyCertificate::new(&provider);
            builder.dangerous().with_custom_certificate_verifier(Arc::new(any))
        }
    };
    let mut config = match &details.identity {
        Some(identity) => verified.with_client_cert_resolver(identity.clone()),
        None => verified.with_no_client_auth(),
    };
    let (h2, h1) = (b"h2".to_vec(), b"http/1.1".to_vec());
    config.alpn_protocols = match settings.alpn {
        Alpn::Either => vec![h2, h1],
        Alpn::Http2 => vec![h2],
        Alpn::Http1 => vec![h1],
        Alpn::None => Vec::new(),
    };
    config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(SESSIONS)));
    Some(config)
}

/// Takes every certificate, for who has said so, and does not look into it: what cannot be read proves
/// no less than what can. A signature by its key would prove that the endpoint has made the certificate,
/// which everybody can.
#[derive(Debug)]
struct AnyCertificate(Vec<SignatureScheme>);

impl AnyCertificate {
    /// Offers what certificates of any age are used with, the best first: the endpoint has to find
    /// something that its key can do.
    fn new(provider: &CryptoProvider) -> Self {
        let mut schemes = provider.signature_verification_algorithms.supported_schemes();
        schemes.extend([
            SignatureScheme::ED448,
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]);
        Self(schemes)
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_settings(trust: Trust) -> Arc<TlsSettings> {
        let server_name = ServerName::try_from("a.example").expect("a name");
        Arc::new(TlsSettings {
            server_name,
            trust,
            alpn: Alpn::Either,
            details: TlsDetails::default(),
        })
    }

    fn mk_pem() -> String {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        params.self_signed(&key).expect("a certificate").pem()
    }

    #[test]
    fn missing_authorities_leave_the_last_good_ones_of_the_same_secret_and_no_others() {
        let authorities = CaBundle::from_pem(mk_pem().as_bytes()).expect("a certificate");
        let of = |name: &str, authorities: Option<CaBundle>| {
            let trust = Trust::Secret { name: name.into(), authorities };
            EndpointTls::new(mk_settings(trust))
        };
        let (good, missing) = (of("ca", Some(authorities.clone())), of("ca", None));
        assert!(good.config().is_some() && missing.config().is_none());
        assert!(good.is_last_good_of(missing.settings()));
        assert!(!of("other", Some(authorities.clone())).is_last_good_of(missing.settings()));
        assert!(!good.is_last_good_of(of("ca", Some(authorities)).settings()));
        assert!(!EndpointTls::new(mk_settings(Trust::Public)).is_last_good_of(missing.settings()));
        assert!(!EndpointTls::new(mk_settings(Trust::Anybody)).is_last_good_of(missing.settings()));
    }

    #[test]
    fn two_of_the_same_settings_are_equal_and_share_no_connection() {
        let two = [(); 2].map(|()| EndpointTls::new(mk_settings(Trust::Public)));
        assert_eq!(two[0], two[1]);
        assert_ne!(two[0].id(), two[1].id());
        assert!(two.iter().all(|tls| tls.id() >= FIRST_ID));
        let without = two[0].over_http1();
        assert_eq!(
            (without.settings().alpn, without.id()),
            (Alpn::Http1, two[0].over_http1().id())
        );
        assert_ne!(without.id(), two[0].id());
    }
}
