//! A certificate with its chain and key, parsed from PEM and checked; and its verdict under Cloudflare's
//! Full (strict).

mod authorities;
mod leaf;
#[cfg(test)]
mod tests;

pub use authorities::{Authorities, AuthoritiesError, CaKind, Proof};
pub use leaf::LeafText;

use super::file::read_whole;
use crate::error::advice;
use crate::net::host::HostPattern;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// The key type of a certificate, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// A signature costs a tenth of RSA's, or less.
    Ecdsa,
    /// As cheap, and few clients take it.
    Ed25519,
    /// Supported by every client.
    Rsa,
}

impl KeyKind {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        }
    }
}

/// A chain, its key, and the parsed fields of the leaf certificate.
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<HostPattern>,
    not_before: i64,
    leaf: Arc<LeafText>,
    kind: KeyKind,
    of_origin_ca: bool,
}

impl Certificate {
    /// Reads a chain, the host's own certificate first, and its key: PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// Where one of them cannot be read, or they do not belong together. That the chain leads to an
    /// authority, and the dates, are not checked here: Cloudflare checks both, see `full_strict`.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(CertificateError::ChainSyntax)?;
        let own = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (rest, read) =
            X509Certificate::from_der(own).map_err(|_| CertificateError::Unreadable)?;
        if !rest.is_empty() {
            return Err(CertificateError::Unreadable);
        }
        let names = names(&read)?;
        let not_before = read.validity().not_before.timestamp();
        let leaf = Arc::new(LeafText::of(&read));
        let of_origin_ca = is_origin_ca(read.issuer());
        let key = private_key(key)?;
        let key = any_supported_type(&key).map_err(|_| CertificateError::KeyUnsupported)?;
        let kind = match key.algorithm() {
            SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
            SignatureAlgorithm::ED25519 => KeyKind::Ed25519,
            SignatureAlgorithm::RSA => KeyKind::Rsa,
            _ => return Err(CertificateError::KeyUnsupported),
        };
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            // Only that a key cannot tell its public half; all of ours can.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(CertificateError::KeyMismatch),
            Err(_) => return Err(CertificateError::Unreadable),
        }
        Ok(Self { key: Arc::new(key), names, not_before, leaf, kind, of_origin_ca })
    }

    /// Reads the two files, at most 1 MiB each.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`], with the file that is to blame.
    pub fn load(cert_file: &Path, key_file: &Path) -> Result<Self, LoadError> {
        let (chain, key) = (read_bounded(cert_file)?, read_bounded(key_file)?);
        Self::from_pem(&chain, &key).map_err(|error| {
            let path = if error.is_of_key() { key_file } else { cert_file };
            LoadError::Content { path: path.to_owned(), error }
        })
    }

    /// The DNS names in a certificate (subjectAltName), as they are written there; nothing of what cannot be read.
    pub fn names_of(der: &CertificateDer<'_>) -> Vec<String> {
        X509Certificate::from_der(der).map_or_else(|_| Vec::new(), |(_, read)| dns_names(&read))
    }

    /// The DNS names that it is for (subjectAltName): host names, and wildcards of one label.
    /// Anything else in it names no host of a request and is left out.
    pub fn names(&self) -> &[HostPattern] {
        &self.names
    }

    /// Whether one of its names is this host, or a wildcard that covers it.
    pub fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name {
            HostPattern::Exact(name) => **name == *host,
            HostPattern::Wildcard(suffix) => parent == Some(&**suffix),
            HostPattern::Any => false,
        })
    }

    /// From when it is valid, in seconds since the Unix epoch.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Until when it is valid, in seconds since the Unix epoch.
    pub fn not_after(&self) -> i64 {
        self.leaf.not_after
    }

    /// What it says of itself, in words.
    pub fn leaf(&self) -> &Arc<LeafText> {
        &self.leaf
    }

    /// The kind of its key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether it says that Cloudflare Origin CA has issued it, which nobody but Cloudflare trusts. Not proven: it
    /// decides only which of several certificates is presented.
    pub fn is_of_origin_ca(&self) -> bool {
        self.of_origin_ca
    }

    /// Chain and key, for rustls.
    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// Whether another one is the same certificate.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

/// The DNS names in a certificate (subjectAltName), as they are written there.
fn dns_names(read: &X509Certificate<'_>) -> Vec<String> {
    let extension = read.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    let dns = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    dns.collect()
}

/// Whether an issuer is Cloudflare Origin CA: its roots have the name as their unit, RSA and ECC alike
/// (`origin_ca_rsa_root.pem`, `origin_ca_ecc_root.pem`).
fn is_origin_ca(issuer: &X509Name<'_>) -> bool {
    let mut names = issuer.iter_organizational_unit().chain(issuer.iter_common_name());
    names.any(|name| name.as_str().is_ok_and(|name| name.starts_with("CloudFlare Origin SSL")))
}

/// Without the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .field("not_after", &self.leaf.not_after)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn names(read: &X509Certificate<'_>) -> Result<Vec<HostPattern>, CertificateError> {
    let extension = read.subject_alternative_name().map_err(|_| CertificateError::Unreadable)?;
    let all = extension.iter().flat_map(|extension| &extension.value.general_names);
    let mut names: Vec<HostPattern> = all
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => HostPattern::parse(Some(name)).ok(),
            _ => None,
        })
        .filter(|pattern| *pattern != HostPattern::Any)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        // "-----BEGIN ENCRYPTED PRIVATE KEY-----" (RFC 7468 section 11) is none that we can read.
        pem::Error::NoItemsFound if text.windows(9).any(|part| part == b"ENCRYPTED") => {
            CertificateError::KeyEncrypted
        }
        pem::Error::NoItemsFound => CertificateError::NoKey,
        _ => CertificateError::KeySyntax,
    })
}

/// Reads a file of certificates or keys, at most 1 MiB.
///
/// # Errors
/// Where it is no file, is larger, or cannot be read.
pub fn read_bounded(path: &Path) -> Result<Vec<u8>, LoadError> {
    read_whole(path).map_err(|error| LoadError::File { path: path.to_owned(), error })
}

/// Why a chain and a key are no certificate to serve with. Never a part of the content.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No `CERTIFICATE` section.
    NoCertificate,
    /// The PEM around the chain is broken.
    ChainSyntax(#[source] pem::Error),
    /// The first certificate is no X.509 certificate.
    Unreadable,
    /// No DNS name in subjectAltName, and not the default.
    NoName,
    /// No private key section.
    NoKey,
    /// The PEM around the key is broken.
    KeySyntax,
    /// The key has a passphrase.
    KeyEncrypted,
    /// Neither ECDSA on P-256, P-384 or P-521, nor RSA of 2048 to 8192 bits, nor Ed25519.
    KeyUnsupported,
    /// The key is another certificate's.
    KeyMismatch,
}

advice! { CertificateError:
    CertificateError::NoCertificate =>
        "contains no certificate",
        "write PEM, with -----BEGIN CERTIFICATE-----";
    CertificateError::ChainSyntax(_) =>
        "is not valid PEM",
        "replace the file";
    CertificateError::Unreadable =>
        "has a first certificate that cannot be parsed",
        "replace the chain, leaf certificate first";
    CertificateError::NoName =>
        "contains no DNS name (subjectAltName)",
        "use one for the hosts";
    CertificateError::NoKey =>
        "contains no private key",
        "write PEM, with -----BEGIN PRIVATE KEY-----";
    CertificateError::KeySyntax =>
        "is not valid PEM",
        "replace the key";
    CertificateError::KeyEncrypted =>
        "is an encrypted key",
        "decrypt it (openssl pkey)";
    CertificateError::KeyUnsupported =>
        "is a key of an unsupported type",
        "use ECDSA (P-256) or RSA (2048 bits)";
    CertificateError::KeyMismatch =>
        "does not match the first certificate of the chain",
        "use a matching pair";
}

impl CertificateError {
    /// Whether the key is to blame rather than the chain.
    pub fn is_of_key(&self) -> bool {
        match self {
            Self::NoCertificate | Self::ChainSyntax(_) | Self::Unreadable | Self::NoName => false,
            Self::NoKey
            | Self::KeySyntax
            | Self::KeyEncrypted
            | Self::KeyUnsupported
            | Self::KeyMismatch => true,
        }
    }
}

/// Why two files are no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// One cannot be read.
    #[error("{path:?} cannot be read: {error}; name a readable file")]
    File {
        /// As configured.
        path: PathBuf,
        /// What the file system says.
        error: io::Error,
    },
    /// What is in one is no good.
    #[error("{path:?} {error}")]
    Content {
        /// As configured.
        path: PathBuf,
        /// What is wrong.
        error: CertificateError,
    },
}
