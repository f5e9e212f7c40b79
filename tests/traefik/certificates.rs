//! The certificates of the lab: that of all hosts, that of pods, and that of clients who have one.

use crate::manifests::DOMAIN;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CertifiedKey, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, generate_simple_self_signed,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

/// The name in the certificate of pods.
pub(crate) const PODS: &str = "pods.example";

/// Both, and the authority of the clients.
pub(crate) struct Certificates {
    hosts: CertifiedKey<KeyPair>,
    authority: String,
    pods: Arc<ServerConfig>,
    /// The same, of pods that ask for a certificate and take what has none.
    asking: Arc<ServerConfig>,
    of_pod: CertificateDer<'static>,
    client: (CertificateDer<'static>, Vec<u8>),
    client_pem: [String; 2],
    /// Further ones of hosts, by what they are called: one of its own, a wildcard, and the default.
    named: Vec<(&'static str, CertifiedKey<KeyPair>)>,
}

/// Further certificates, and the names that they are for.
const NAMED: [(&str, &str); 3] =
    [("own", "own.certs.test"), ("wild", "*.certs.test"), ("default", "default.test")];

impl Certificates {
    pub(crate) fn make() -> Self {
        let signed = |name: &str| generate_simple_self_signed([name.to_owned()]).expect("a name");
        let hosts = signed(&format!("*.{DOMAIN}"));
        let named = NAMED.map(|(label, name)| (label, signed(name))).into();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, "Lab Ltd");
        params.distinguished_name.push(DnType::CommonName, "clients of the lab");
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("plain parameters");
        let mut params = CertificateParams::new(["ann.example".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2040, 3, 4);
        params.serial_number = Some(rcgen::SerialNumber::from(123_456_789_u64));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for (kind, value) in [
            (DnType::CountryName, "DE"),
            (DnType::StateOrProvinceName, "Berlin"),
            (DnType::LocalityName, "Mitte"),
            (DnType::OrganizationName, "Ann & Sons, Inc"),
            (DnType::OrganizationalUnitName, "IT"),
            (DnType::CommonName, "ann"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        let of_client = key();
        let client = params.signed_by(&of_client, &issuer).expect("plain parameters");
        let client_pem = [client.pem(), of_client.serialize_pem()];
        let client = (client.der().clone(), of_client.serialize_der());
        let of_pods = key();
        let params = CertificateParams::new([PODS.to_owned()]).expect("a name");
        let own = params.signed_by(&of_pods, &issuer).expect("plain parameters");
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .expect("an authority");
        let server = |asks: bool| {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(of_pods.serialize_der()));
            let builder = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .expect("versions of the provider");
            let builder = match asks {
                true => builder.with_client_cert_verifier(verifier.clone()),
                false => builder.with_no_client_auth(),
            };
            let config = builder.with_single_cert(vec![own.der().clone()], key);
            Arc::new(config.expect("a key that fits"))
        };
        let (pods, asking) = (server(false), server(true));
        let of_pod = own.der().clone();
        Self { hosts, authority: issuer.pem(), pods, asking, of_pod, client, client_pem, named }
    }

    /// TLS of pods, whose certificate is for [`PODS`] and by the authority of the clients; and of those that ask for
    /// one.
    pub(crate) fn of_pods(&self) -> [&Arc<ServerConfig>; 2] {
        [&self.pods, &self.asking]
    }

    /// Further ones of hosts, each with its label and key, in PEM.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, [String; 2])> {
        let pem =
            |pair: &CertifiedKey<KeyPair>| [pair.cert.pem(), pair.signing_key.serialize_pem()];
        self.named.iter().map(move |(label, pair)| (*label, pem(pair)))
    }

    /// What a certificate is called.
    pub(crate) fn label(&self, own: &CertificateDer<'_>) -> &'static str {
        let is_it = |pair: &CertifiedKey<KeyPair>| pair.cert.der().as_ref() == own.as_ref();
        let named = self.named.iter().find(|(_, pair)| is_it(pair));
        match named {
            Some((label, _)) => label,
            None if is_it(&self.hosts) => "hosts",
            None if own.as_ref() == self.of_pod.as_ref() => "pods",
            None => "another",
        }
    }

    /// A certificate for a client: `good`, or `other`, which no authority has signed.
    pub(crate) fn of(&self, which: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (certificate, key) = match which {
            "good" => self.client.clone(),
            "other" => (self.hosts.cert.der().clone(), self.hosts.signing_key.serialize_der()),
            _ => panic!("{which} is no certificate"),
        };
        (vec![certificate], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))
    }

    /// That of the client, with its key, in PEM.
    pub(crate) fn of_client(&self) -> &[String; 2] {
        &self.client_pem
    }

    /// That of the hosts, with its key, in PEM.
    pub(crate) fn of_hosts(&self) -> [String; 2] {
        [self.hosts.cert.pem(), self.hosts.signing_key.serialize_pem()]
    }

    /// The authority of the clients, in PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// A client that trusts that of the hosts and nothing else, with a certificate of its own or without.
    pub(crate) fn client(&self, with_certificate: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.hosts.cert.der().clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions of the provider")
            .with_root_certificates(roots);
        if !with_certificate {
            return Arc::new(config.with_no_client_auth());
        }
        let (certificate, key) = self.client.clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        Arc::new(config.with_client_auth_cert(vec![certificate], key).expect("a key that fits"))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key on P-256")
}
