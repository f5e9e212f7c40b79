//! The certificates that are presented to pods which ask for one.

use crate::pki::certificate::Certificate;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Certificates with their keys, in the order in which they are tried.
#[derive(Debug)]
pub struct ClientIdentity(Box<[Presented]>);

#[derive(Debug)]
struct Presented {
    certificate: Arc<Certificate>,
    /// The issuers of the certificates of its chain, in DER.
    issuers: Vec<Vec<u8>>,
}

impl ClientIdentity {
    /// Of these certificates. `None` without any.
    pub fn of(certificates: Vec<Arc<Certificate>>) -> Option<Arc<Self>> {
        let presented = |certificate: Arc<Certificate>| {
            let chain = certificate.key().cert.iter();
            let issuer = |der: &rustls::pki_types::CertificateDer<'_>| {
                let (_, read) = X509Certificate::from_der(der).ok()?;
                Some(read.issuer().as_raw().to_vec())
            };
            Presented { issuers: chain.filter_map(issuer).collect(), certificate }
        };
        let all: Box<[Presented]> = certificates.into_iter().map(presented).collect();
        (!all.is_empty()).then(|| Arc::new(Self(all)))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        let is_same =
            |(own, other): (&Presented, &Presented)| own.certificate.is_same(&other.certificate);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(is_same)
    }
}

impl Eq for ClientIdentity {}

impl ResolvesClientCert for ClientIdentity {
    /// The first that the pod can take: by one of the CAs that it names, if it names any (RFC 8446 section
    /// 4.2.4, RFC 5246 section 7.4.4), and with a signature that it knows. Without one no certificate is presented.
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fits = |presented: &&Presented| {
            let is_known = |issuer: &Vec<u8>| authorities.contains(&&**issuer);
            (authorities.is_empty() || presented.issuers.iter().any(is_known))
                && presented.certificate.key().key.choose_scheme(schemes).is_some()
        };
        self.0.iter().find(fits).map(|presented| Arc::clone(presented.certificate.key()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, CertifiedIssuer, DnType, KeyPair};

    fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("plain")
    }

    fn signed(issuer: &CertifiedIssuer<'_, KeyPair>) -> Arc<Certificate> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["a.example".to_owned()]).expect("a name");
        let pem = params.signed_by(&key, issuer).expect("plain parameters").pem();
        let key = key.serialize_pem();
        Arc::new(Certificate::from_pem(pem.as_bytes(), key.as_bytes()).expect("a pair"))
    }

    #[test]
    fn a_pod_gets_the_first_certificate_that_it_can_take() {
        let issuers = ["one", "two"].map(issuer);
        let certificates: Vec<_> = issuers.iter().map(signed).collect();
        let identity = ClientIdentity::of(certificates.clone()).expect("two");
        let subject = |at: usize| {
            let (_, read) = X509Certificate::from_der(issuers[at].der()).expect("DER");
            read.subject().as_raw().to_vec()
        };
        let found = |authorities: &[&[u8]], scheme| {
            let found = identity.resolve(authorities, &[scheme])?;
            certificates.iter().position(|certificate| certificate.key().cert == found.cert)
        };
        let usual = SignatureScheme::ECDSA_NISTP256_SHA256;
        assert_eq!(found(&[], usual), Some(0));
        assert_eq!(found(&[&subject(1)], usual), Some(1));
        assert_eq!(found(&[b"other", &subject(1), &subject(0)], usual), Some(0));
        assert_eq!(found(&[b"other"], usual), None);
        assert_eq!(found(&[], SignatureScheme::ED25519), None);
        assert!(ClientIdentity::of(Vec::new()).is_none());
        let same = ClientIdentity::of(certificates.clone()).expect("two");
        assert_eq!(identity, same);
        assert_ne!(*identity, *ClientIdentity::of(vec![signed(&issuers[0])]).expect("one"));
        assert!(!format!("{identity:?}").contains("key"), "nothing of the keys is told");
    }
}
