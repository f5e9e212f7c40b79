//! Names that the certificate of a pod has to have beside that of the server, such as a SPIFFE ID.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// A name in the subjectAltName of a certificate (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A URI, compared without regard to case, as Traefik does.
    Uri(Arc<str>),
    /// A DNS name, or an address.
    Host(ServerName<'static>),
}

/// Takes a certificate by a trusted authority that has one of these names.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) names: Arc<[PeerName]>,
    /// Whether it has to be for the name of the server as well.
    pub(super) checks_server_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        names: Arc<[PeerName]>,
        checks_server_name: bool,
        provider: &CryptoProvider,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { roots, names, checks_server_name, algorithms }
    }

    fn has_name(&self, own: &CertificateDer<'_>, parsed: &ParsedCertificate<'_>) -> bool {
        let uris = uris(own);
        self.names.iter().any(|name| match name {
            PeerName::Uri(wanted) => uris.iter().any(|uri| uri.eq_ignore_ascii_case(wanted)),
            PeerName::Host(name) => verify_server_name(parsed, name).is_ok(),
        })
    }
}

/// The URIs in a certificate; none where it cannot be read.
fn uris(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, read)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(extension)) = read.subject_alternative_name() else { return Vec::new() };
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(uri).collect()
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(own)?;
        let (roots, algorithms) = (&self.roots, self.algorithms.all);
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        if self.checks_server_name {
            verify_server_name(&parsed, server_name)?;
        }
        match self.has_name(own, &parsed) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
    use rustls::crypto::aws_lc_rs;

    #[test]
    fn a_certificate_needs_a_trusted_issuer_and_one_of_the_names() {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = || {
            CertifiedIssuer::self_signed(params.clone(), KeyPair::generate().expect("a key"))
                .expect("plain parameters")
        };
        let (trusted, other) = (authority(), authority());
        let mut params = CertificateParams::new(["pod.example".to_owned()]).expect("a name");
        let uri = "spiffe://mesh/ns/a".try_into().expect("ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
        let key = KeyPair::generate().expect("a key");
        let sign = |issuer| params.signed_by(&key, issuer).expect("plain parameters").der().clone();
        let uri = |text: &str| PeerName::Uri(text.into());
        let host = |name: &str| PeerName::Host(name.to_owned().try_into().expect("a name"));
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).expect("a certificate");
        let roots = Arc::new(roots);
        let takes = |issuer, names: Vec<PeerName>, checks: bool, server: &str| {
            let provider = aws_lc_rs::default_provider();
            let verifier = PeerVerifier::new(Arc::clone(&roots), names.into(), checks, &provider);
            let server = ServerName::try_from(server.to_owned()).expect("a name");
            verifier.verify_server_cert(&sign(issuer), &[], &server, &[], UnixTime::now()).is_ok()
        };
        let spiffe = || vec![uri("SPIFFE://mesh/ns/a")];
        assert!(takes(&trusted, spiffe(), true, "pod.example"));
        assert!(takes(&trusted, spiffe(), false, "other.example"));
        assert!(takes(&trusted, vec![uri("x:y"), host("pod.example")], false, "other.example"));
        assert!(!takes(&trusted, spiffe(), true, "other.example"), "the name of the server");
        assert!(!takes(&trusted, vec![uri("spiffe://mesh/ns/b")], true, "pod.example"));
        assert!(!takes(&trusted, vec![host("other.example")], true, "pod.example"));
        assert!(!takes(&other, spiffe(), true, "pod.example"), "nobody's authority");
    }
}
