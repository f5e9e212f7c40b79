//! What a certificate says of itself, in words.

use super::dns_names;
use x509_parser::certificate::X509Certificate;

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
    pub(super) fn of(read: &X509Certificate<'_>) -> Self {
        let common = read.subject().iter_common_name().next();
        let cn = common.and_then(|name| name.as_str().ok()).unwrap_or_default().into();
        let mut names = dns_names(read);
        names.sort();
        Self {
            cn,
            serial: read.tbs_certificate.serial.to_string().into(),
            sans: names.join(",").into(),
            not_after: read.validity().not_after.timestamp(),
        }
    }
}
