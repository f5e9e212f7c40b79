//! What a certificate says of itself, in words.

use super::Certificate;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Whose a certificate is and how long it lasts, as Traefik's metric `traefik_tls_certs_not_after` tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeafText {
    /// The common name of its subject; may be empty.
    pub cn: Box<str>,
    /// Its serial number, in decimal.
    pub serial: Box<str>,
    /// Its DNS names, sorted, with commas between.
    pub sans: Box<str>,
    /// When it expires, in seconds since the Unix epoch.
    pub not_after: i64,
}

impl LeafText {
    /// Of a certificate in DER; `None` if it cannot be read.
    pub fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let common = read.subject().iter_common_name().next();
        let cn = common.and_then(|name| name.as_str().ok()).unwrap_or_default().into();
        let mut names = Certificate::names_of(der);
        names.sort();
        Some(Self {
            cn,
            serial: read.tbs_certificate.serial.to_string().into(),
            sans: names.join(",").into(),
            not_after: read.validity().not_after.timestamp(),
        })
    }
}
