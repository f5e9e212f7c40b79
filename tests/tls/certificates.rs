//! Throw-away certificates.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::Duration;

pub(crate) use rcgen::{PKCS_ECDSA_P256_SHA256 as ECDSA, PKCS_RSA_SHA256 as RSA};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// A root.
    pub(crate) fn root(name: &str, kind: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(kind).expect("a key");
        Self(CertifiedIssuer::self_signed(Self::params(name), key).expect("a certificate"))
    }

    /// One below it.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let signed = CertifiedIssuer::signed_by(Self::params(name), key, &self.0);
        Self(signed.expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// For these names, valid between two moments, in seconds since the Unix epoch.
    pub(crate) fn issue(
        &self,
        names: &[&str],
        kind: &'static SignatureAlgorithm,
        (begin, end): (u64, u64),
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate_for(kind).expect("a key");
        let mut params = CertificateParams::new(names).expect("names");
        let at = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        (params.not_before, params.not_after) = (at(begin), at(end));
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A certificate, and its key; made by `new` and its like, it signs itself.
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
