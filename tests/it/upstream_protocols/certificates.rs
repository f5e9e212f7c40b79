//! Certificates for backends, and the authority that signs them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// An authority of one test.
pub(super) struct Authority {
    pub(super) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name, valid until the year 4096.
    pub(super) fn sign(&self, name: &str) -> Pair {
        self.sign_until(name, 4096)
    }

    /// A certificate for a name, valid until the begin of a year.
    pub(super) fn sign_until(&self, name: &str, year: i32) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        self.sign_params(params)
    }

    /// A certificate for a name and a URI.
    pub(super) fn sign_uri(&self, name: &str, uri: &str) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        self.sign_params(params)
    }

    fn sign_params(&self, mut params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        // With the name of the authority OpenSSL would take it for one that is signed by itself.
        params.distinguished_name.push(DnType::CommonName, "of a test");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
