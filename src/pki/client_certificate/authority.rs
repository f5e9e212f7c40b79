//! The CAs that may issue client certificates, read from PEM.

use crate::error::Advice;
use crate::pki::ca_bundle::{CaBundle, CaBundleError};
use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The value for [`Authority::cloudflare`] in configuration and annotations.
pub const CLOUDFLARE: &str = "cloudflare";

/// SHA-256 of the certificate of Cloudflare's shared authority (`authenticated_origin_pull_ca.pem`,
/// CN `origin-pull.cloudflare.net`, valid until 2029-11-01), in hexadecimal.
pub const CLOUDFLARE_FINGERPRINT: &str =
    "9a1ac2b4be15f9f27eee20a734cba4e9898f61001b3bd7c84b69b56a3e25a2b9";

/// What a certificate of the shared authority proves, and what it does not.
pub(super) const CLOUDFLARE_PROVES: &str = "it proves that the request came through Cloudflare, for any Cloudflare customer, not your zone";

/// The certificate, as Cloudflare publishes it. A test holds it against the fingerprint.
const CLOUDFLARE_PEM: &str = include_str!("cloudflare.pem");

/// Most certificates in one authority: an old and a new one while they change, and some to spare.
/// Each one with the right name costs a signature to check at a handshake.
const MOST: usize = 16;

/// One certificate of an authority or several, which are equally good.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    bundle: CaBundle,
    /// Subject of the first.
    subject: String,
}

impl Authority {
    /// Parses the CA certificates in PEM.
    ///
    /// # Errors
    /// Where there is none, there are more than 16, or one of them cannot be an issuer's.
    pub fn from_pem(text: &[u8]) -> Result<Self, AuthorityError> {
        let bundle = CaBundle::from_pem(text)?;
        if bundle.certificates().len() > MOST {
            return Err(AuthorityError::TooMany);
        }
        let mut subject = None;
        for certificate in bundle.certificates() {
            let (_, read) =
                X509Certificate::from_der(certificate).map_err(|_| CaBundleError::Unreadable)?;
            // Before version 3 there was no field to say it in.
            let constraints = read.basic_constraints().map_err(|_| CaBundleError::Unreadable)?;
            let is_authority = constraints.is_some_and(|constraints| constraints.value.ca);
            if !is_authority && read.version().0 >= 2 {
                return Err(AuthorityError::NoAuthority);
            }
            subject.get_or_insert_with(|| read.subject().to_string());
        }
        Ok(Self { bundle, subject: subject.unwrap_or_default() })
    }

    /// Cloudflare's shared authority. It proves that a request came through Cloudflare, for any of
    /// its customers: not that it came through a zone of one's own.
    pub fn cloudflare() -> Self {
        Self::from_pem(CLOUDFLARE_PEM.as_bytes()).expect("a test reads it")
    }

    /// Whether a certificate of Cloudflare's shared authority is good here.
    pub fn is_cloudflare(&self) -> bool {
        self.fingerprints().any(|fingerprint| fingerprint == CLOUDFLARE_FINGERPRINT)
    }

    /// The certificates, at least one.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        self.bundle.certificates()
    }

    /// The certificates as trust anchors.
    pub fn roots(&self) -> &Arc<RootCertStore> {
        self.bundle.roots()
    }

    /// SHA-256 of each certificate, in hexadecimal.
    pub fn fingerprints(&self) -> impl Iterator<Item = String> {
        self.certificates().iter().map(|certificate| {
            digest(&SHA256, certificate).as_ref().iter().fold(String::new(), |mut text, byte| {
                // Writing into a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        })
    }
}

/// The subject of the first certificate.
impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the CA {:?}", self.subject)?;
        match self.certificates().len() {
            1 => Ok(()),
            several => write!(f, " and {} more", several - 1),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority").field(&self.subject).field(&self.certificates().len()).finish()
    }
}

/// Why a text is no authority. Never a part of the content.
#[derive(Debug, thiserror::Error)]
#[error("{}; {}", self.reason(), self.fix())]
pub enum AuthorityError {
    /// It is no bundle of certificates.
    Bundle(#[from] CaBundleError),
    /// More than 16.
    TooMany,
    /// A certificate for a host or a client.
    NoAuthority,
}

impl Advice for AuthorityError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.reason(),
            Self::TooMany => "contains more than 16 certificates",
            Self::NoAuthority => "contains a certificate that is not a CA's (basicConstraints)",
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.fix(),
            Self::TooMany => "keep those that issue client certificates",
            Self::NoAuthority => "use the CA that issued it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    fn mk_pem(is_ca: IsCa) -> String {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("names");
        params.is_ca = is_ca;
        params.self_signed(&key).expect("a certificate").pem()
    }

    #[test]
    fn cloudflares_shared_authority_has_the_fingerprint_that_cloudflare_publishes() {
        let authority = Authority::cloudflare();
        let all: Vec<String> = authority.fingerprints().collect();
        assert_eq!(all, [CLOUDFLARE_FINGERPRINT]);
        assert!(authority.is_cloudflare());
        assert!(authority.to_string().contains("CN=origin-pull.cloudflare.net"), "{authority}");
    }

    #[test]
    fn what_issues_nothing_is_no_authority() {
        let ca = mk_pem(IsCa::Ca(BasicConstraints::Unconstrained));
        let leaf = mk_pem(IsCa::ExplicitNoCa);
        assert!(!Authority::from_pem(ca.as_bytes()).expect("an authority").is_cloudflare());
        let both = Authority::from_pem(format!("{ca}{CLOUDFLARE_PEM}").as_bytes());
        assert!(both.expect("two").is_cloudflare());
        for (text, expected) in [
            (String::new(), "contains no certificate"),
            (leaf.clone(), "not a CA's"),
            (format!("{ca}{leaf}"), "not a CA's"),
            (ca.repeat(17), "more than 16"),
        ] {
            let error = Authority::from_pem(text.as_bytes()).expect_err(expected);
            let (reason, fix) = (error.reason(), error.fix());
            assert!(reason.contains(expected), "{reason}");
            assert!(!fix.is_empty(), "{reason}");
        }
    }
}
