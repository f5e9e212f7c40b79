//! A bundle of CA certificates, read from PEM: of clients, of pods, of Cloudflare's API and of the Custom
//! Origin Trust Store.

use super::file::read_whole;
use crate::error::{Advice, advice};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Most certificates in a bundle. A public bundle has some 150; more by far is the wrong file.
const MOST: usize = 1024;

/// CA certificates, at least one. Their dates are not looked at, as those of no trust anchor are (RFC 5280
/// section 6.1.1). Cloned by reference.
#[derive(Clone)]
pub struct CaBundle {
    certificates: Arc<[CertificateDer<'static>]>,
    roots: Arc<RootCertStore>,
}

impl CaBundle {
    /// Reads a file of PEM.
    ///
    /// # Errors
    /// In words: the file cannot be read, is larger than 1 MiB, or is no bundle.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let pem = read_whole(path).map_err(|error| error.to_string())?;
        Self::from_pem(&pem).map_err(|error| error.reason().to_owned())
    }

    /// Parses PEM.
    ///
    /// # Errors
    /// Where there is no certificate, there are more than 1024, or one of them cannot be parsed.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CaBundleError> {
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(CaBundleError::Syntax)?;
            roots.add(certificate.clone()).map_err(|_| CaBundleError::Unreadable)?;
            certificates.push(certificate);
            if certificates.len() > MOST {
                return Err(CaBundleError::TooMany);
            }
        }
        if certificates.is_empty() {
            return Err(CaBundleError::Empty);
        }
        Ok(Self { certificates: certificates.into(), roots: Arc::new(roots) })
    }

    /// The certificates, in the order of the text.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The certificates as trust anchors.
    pub fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }
}

impl PartialEq for CaBundle {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for CaBundle {}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({})", self.certificates.len())
    }
}

/// Settings for connections to servers that the CAs of a bundle vouch for, the public ones without a bundle. `protocols` are
/// offered by ALPN.
pub fn client_config(bundle: Option<&CaBundle>, protocols: &[&[u8]]) -> ClientConfig {
    let roots = match bundle {
        Some(bundle) => Arc::clone(bundle.roots()),
        None => Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

/// Why a text is no bundle of CAs. Never a part of the content.
#[derive(Debug, thiserror::Error)]
pub enum CaBundleError {
    /// No `CERTIFICATE` section.
    Empty,
    /// The PEM around it is broken.
    Syntax(#[source] pem::Error),
    /// More than 1024.
    TooMany,
    /// Not an X.509 certificate.
    Unreadable,
}

advice! { CaBundleError:
    CaBundleError::Empty =>
        "contains no certificate",
        "write PEM, with -----BEGIN CERTIFICATE-----";
    CaBundleError::Syntax(_) =>
        "is not valid PEM",
        "replace the file";
    CaBundleError::TooMany =>
        "contains more than 1024 certificates",
        "keep the CAs that are trusted";
    CaBundleError::Unreadable =>
        "contains a certificate that cannot be parsed",
        "replace the file";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Advice;

    #[test]
    fn what_is_no_bundle_of_certificates_is_refused() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        for (pem, expected) in [
            (String::new(), "contains no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
                "cannot be parsed",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n".to_owned(),
                "is not valid PEM",
            ),
            (pem[..pem.len() / 2].to_owned(), "is not valid PEM"),
            (pem.repeat(1025), "more than 1024"),
        ] {
            let error = CaBundle::from_pem(pem.as_bytes()).expect_err(expected);
            assert!(error.reason().contains(expected), "{error}");
            assert!(!error.fix().is_empty(), "{error}");
        }
        let two = CaBundle::from_pem(pem.repeat(2).as_bytes()).expect("two");
        assert_eq!((two.certificates().len(), two.roots().len()), (2, 2));
    }
}
