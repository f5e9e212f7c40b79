//! Throw-away certificates.

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub(crate) use rcgen::{PKCS_ECDSA_P256_SHA256 as ECDSA, PKCS_RSA_SHA256 as RSA};

/// A certificate that signs itself, and its key.
pub(crate) struct Issued {
    /// As PEM.
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Issued {
    /// For these names, valid until the year 4096.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::of_kind(names, &ECDSA)
    }

    pub(crate) fn of_kind(names: &[&str], kind: &'static SignatureAlgorithm) -> Self {
        Self::until(names, kind, 4096)
    }

    /// Valid until the begin of a year.
    pub(crate) fn until(names: &[&str], kind: &'static SignatureAlgorithm, year: i32) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate_for(kind).expect("a key");
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM")
    }
}
