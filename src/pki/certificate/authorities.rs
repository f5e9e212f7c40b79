//! The CAs that Cloudflare trusts under Full (strict), and whether a chain leads to one of them.
//!
//! The public CAs are Mozilla's; Cloudflare's own list is nearly the same
//! (github.com/cloudflare/cfssl_trust). The two roots of Origin CA are those of Cloudflare's
//! program cloudflared (tlsconfig/cloudflare_ca.go). Every chain is proven by its signatures.
//! Revocation is not looked at: only Cloudflare can tell.

use super::Certificate;
use crate::pki::ca_bundle::{CaBundle, CaBundleError};
use crate::pki::file::read_whole;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError as Cause, Error, OtherError, RootCertStore};
use std::io;
use std::path::Path;
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The roots of Cloudflare Origin CA, ECC and RSA: `origin_ca_ecc_root.pem` and
/// `origin_ca_rsa_root.pem` (Cloudflare documentation, "Origin CA certificates"). That they end in
/// August 2029, before many a certificate of theirs, does not count: an authority has no dates.
const ORIGIN_CA: &[u8] = include_bytes!("origin_ca.pem");

/// Longest name of an issuer that is repeated, in characters.
const MOST_OF_A_NAME: usize = 160;

/// The kind of CA that issued a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaKind {
    /// Cloudflare Origin CA, which only Cloudflare trusts.
    OriginCa,
    /// A CA that browsers trust, too.
    Public,
    /// One of the operator's, uploaded to the Custom Origin Trust Store of a zone.
    TrustStore,
}

impl CaKind {
    /// Every kind, in the order in which they are asked.
    const ALL: [Self; 3] = [Self::OriginCa, Self::Public, Self::TrustStore];

    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OriginCa => "Cloudflare Origin CA",
            Self::Public => "a public CA",
            Self::TrustStore => "the Custom Origin Trust Store",
        }
    }
}

/// The result of verifying a chain, which costs a signature for each certificate in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It leads to an authority.
    Trusted(CaKind),
    /// The certificate has signed itself.
    SelfSigned,
    /// Who has signed the certificate is neither in the chain nor an authority: usually an
    /// intermediate certificate is missing.
    Incomplete {
        /// Its issuer, as in the certificate.
        issuer: String,
    },
    /// The chain does not end at a known CA.
    UnknownIssuer {
        /// The last issuer of the chain.
        issuer: String,
    },
    /// It names an authority that has not signed it.
    Forged {
        /// Its issuer, as in the certificate.
        issuer: String,
    },
    /// An intermediate certificate is out of its dates.
    IntermediateDates,
    /// The certificate is not for servers: it is an authority's, or its extended key usage lacks
    /// `serverAuth`.
    NotForServers,
    /// A signature of the chain uses an obsolete algorithm (SHA-1).
    WeakSignature,
}

/// Why a file is not a valid list of CAs.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It cannot be read.
    #[error("cannot be read: {0}; name a readable file")]
    File(#[from] io::Error),
    /// It is no bundle of certificates.
    #[error(transparent)]
    Bundle(#[from] CaBundleError),
}

/// CAs, by kind.
#[derive(Debug)]
pub struct Authorities {
    stores: [(CaKind, RootCertStore); CaKind::ALL.len()],
    /// The certificates of the trust store: a self-signed leaf may be there as well.
    own: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// None: no certificate is trusted.
    pub fn none() -> Self {
        Self {
            stores: CaKind::ALL.map(|authority| (authority, RootCertStore::empty())),
            own: Vec::new(),
        }
    }

    /// The CAs that Cloudflare trusts in every zone.
    pub fn of_cloudflare() -> Self {
        let mut all = Self::none();
        all.add(CaKind::OriginCa, ORIGIN_CA).expect("compiled in, and held by a test");
        all.store(CaKind::Public).extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        all
    }

    /// Trusts all certificates of a PEM text.
    ///
    /// # Errors
    /// Where there is none, or not all of them can be read.
    pub fn add(&mut self, authority: CaKind, pem: &[u8]) -> Result<(), CaBundleError> {
        let bundle = CaBundle::from_pem(pem)?;
        self.store(authority).extend(bundle.roots().roots.iter().cloned());
        if authority == CaKind::TrustStore {
            self.own.extend_from_slice(bundle.certificates());
        }
        Ok(())
    }

    /// Trusts all certificates of a PEM file, of at most 1 MiB, as those of the operator's
    /// trust store.
    ///
    /// # Errors
    /// As [`Authorities::add`], and where the file cannot be read.
    pub fn load_trust_store(&mut self, path: &Path) -> Result<(), AuthoritiesError> {
        Ok(self.add(CaKind::TrustStore, &read_whole(path)?)?)
    }

    fn store(&mut self, authority: CaKind) -> &mut RootCertStore {
        // They are in the order of the discriminants.
        &mut self.stores[authority as usize].1
    }

    /// Whether the chain of a certificate leads to an authority at a time, in seconds since the
    /// Unix epoch. The dates of the certificate itself, and its names, do not count here.
    pub fn prove(&self, certificate: &Certificate, now: i64) -> Proof {
        let chain = &certificate.key().cert;
        let Some((own, intermediates)) = chain.split_first() else {
            return Proof::UnknownIssuer { issuer: String::new() };
        };
        if self.own.contains(own) {
            return Proof::Trusted(CaKind::TrustStore);
        }
        // A date of its own must not hide who has signed it.
        let at = now.min(certificate.not_after()).max(certificate.not_before());
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
        let Ok(parsed) = ParsedCertificate::try_from(own) else {
            return Proof::UnknownIssuer { issuer: String::new() };
        };
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let mut worst = Cause::UnknownIssuer;
        for (authority, roots) in &self.stores {
            let verified = verify_server_cert_signed_by_trust_anchor(
                &parsed,
                roots,
                intermediates,
                at,
                algorithms,
            );
            match verified {
                Ok(()) => return Proof::Trusted(*authority),
                Err(Error::InvalidCertificate(Cause::UnknownIssuer)) => {}
                Err(Error::InvalidCertificate(cause)) => worst = cause,
                Err(other) => worst = Cause::Other(OtherError(std::sync::Arc::new(other))),
            }
        }
        Names::of(chain).explain(&worst)
    }
}

/// The issuers in a chain.
struct Names {
    /// Whether the first certificate names itself as its issuer.
    is_self_issued: bool,
    /// Whether the first certificate may sign others (CA:TRUE), which webpki refuses of a server.
    is_authority: bool,
    /// The issuer of the first certificate.
    issuer: String,
    /// The issuer of the last certificate that is reached from the first, if others are.
    top: Option<String>,
}

impl Names {
    fn of(chain: &[CertificateDer<'_>]) -> Self {
        let read = |der| X509Certificate::from_der(der).ok().map(|(_, read)| read);
        let all: Vec<X509Certificate<'_>> = chain.iter().map_while(|der| read(der)).collect();
        let Some(own) = all.first() else {
            let issuer = String::new();
            return Self { is_self_issued: false, is_authority: false, issuer, top: None };
        };
        let is_self_issued =
            |of: &X509Certificate<'_>| of.issuer().as_raw() == of.subject().as_raw();
        let mut top = own;
        // No further than there are certificates: they may name each other in a circle.
        for _ in 1..all.len() {
            let issuer =
                all[1..].iter().find(|one| one.subject().as_raw() == top.issuer().as_raw());
            match issuer {
                Some(next) if !is_self_issued(top) => top = next,
                _ => break,
            }
        }
        Self {
            is_self_issued: is_self_issued(own),
            is_authority: own.is_ca(),
            issuer: short(&own.issuer().to_string()),
            top: (!std::ptr::eq(top, own)).then(|| short(&top.issuer().to_string())),
        }
    }

    /// Why no CA vouches for the chain.
    fn explain(self, cause: &Cause) -> Proof {
        if self.is_self_issued {
            return Proof::SelfSigned;
        }
        match cause {
            Cause::Expired
            | Cause::ExpiredContext { .. }
            | Cause::NotValidYet
            | Cause::NotValidYetContext { .. } => Proof::IntermediateDates,
            Cause::InvalidPurpose | Cause::InvalidPurposeContext { .. } => Proof::NotForServers,
            Cause::BadSignature
            | Cause::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Proof::Forged { issuer: self.issuer }
            }
            Cause::UnsupportedSignatureAlgorithmContext { .. } => Proof::WeakSignature,
            _ if self.is_authority => Proof::NotForServers,
            _ => match self.top {
                Some(issuer) => Proof::UnknownIssuer { issuer },
                None => Proof::Incomplete { issuer: self.issuer },
            },
        }
    }
}

/// An untrusted name from a certificate, on one line.
fn short(name: &str) -> String {
    name.chars().take(MOST_OF_A_NAME).flat_map(char::escape_debug).collect()
}
