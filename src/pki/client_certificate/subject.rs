//! Whom a certificate is for: the values that a client's may be pinned to, and its dates.

use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Most values, and the longest, in bytes: a list that a person can still check.
const MOST: usize = 32;
const MOST_BYTES: usize = 255;

/// Values of which a certificate has to have one: as common name (CN) of its subject, or as DNS
/// name, e-mail address or URI in subjectAltName. The whole value is compared, DNS names and common
/// names without regard to case; there are no wildcards. Empty: every certificate will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects(Arc<[Box<str>]>);

/// Why a list of values is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectsError {
    /// An empty list, or an empty value in it.
    #[error("has an empty value")]
    Empty,
    /// More than 32.
    #[error("has more than 32 values")]
    TooMany,
    /// More than 255 bytes.
    #[error("has a value of more than 255 bytes")]
    TooLong,
}

impl Subjects {
    /// Validates the values.
    ///
    /// # Errors
    /// Where one is empty or too long, or there are too many.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Result<Self, SubjectsError> {
        let values: Vec<Box<str>> = values.into_iter().map(Box::from).collect();
        if values.len() > MOST {
            return Err(SubjectsError::TooMany);
        }
        if values.iter().any(|value| value.is_empty()) {
            return Err(SubjectsError::Empty);
        }
        if values.iter().any(|value| value.len() > MOST_BYTES) {
            return Err(SubjectsError::TooLong);
        }
        Ok(Self(values.into()))
    }

    /// Reads values that are separated by commas; spaces around them do not count.
    ///
    /// # Errors
    /// As [`Subjects::new`]; there has to be one.
    pub fn parse(text: &str) -> Result<Self, SubjectsError> {
        Self::new(text.split(',').map(str::trim))
    }

    /// Whether every certificate will do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|value| &**value)
    }

    /// Whether a certificate is for one of them. One that cannot be read is for none.
    pub fn include(&self, certificate: &CertificateDer<'_>) -> bool {
        if self.is_empty() {
            return true;
        }
        let Ok((_, read)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        let common = read.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let names = read.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let is_named = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => self.has_name(name),
            GeneralName::RFC822Name(value) | GeneralName::URI(value) => {
                self.0.iter().any(|wanted| **wanted == **value)
            }
            _ => false,
        };
        common.into_iter().any(|name| self.has_name(name)) || names.into_iter().any(is_named)
    }

    fn has_name(&self, name: &str) -> bool {
        self.0.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

/// From when until when all certificates of a chain are valid, in seconds since the Unix epoch.
/// `None` where one cannot be read.
pub fn validity(chain: &[CertificateDer<'_>]) -> Option<(i64, i64)> {
    chain.iter().try_fold((i64::MIN, i64::MAX), |(from, until), certificate| {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        let validity = read.validity();
        Some((from.max(validity.not_before.timestamp()), until.min(validity.not_after.timestamp())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn mk_certificate() -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["pull.example".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, "Origin Pull");
        params.distinguished_name.push(DnType::OrganizationName, "Some Company");
        let value = |text: &str| text.try_into().expect("ASCII");
        params.subject_alt_names.push(SanType::Rfc822Name(value("Me@pull.example")));
        params.subject_alt_names.push(SanType::URI(value("spiffe://pull/Zone")));
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn a_certificate_is_for_its_common_name_and_its_alternative_names_and_for_nothing_else() {
        let certificate = mk_certificate();
        for (value, expected) in [
            ("Origin Pull", true),
            ("origin pull", true),
            ("PULL.example", true),
            ("Me@pull.example", true),
            ("spiffe://pull/Zone", true),
            ("other, pull.example", true),
            ("me@pull.example", false),
            ("spiffe://pull/zone", false),
            ("Some Company", false),
            ("*.example", false),
            ("x.pull.example", false),
            ("Origin", false),
        ] {
            let subjects = Subjects::parse(value).expect("a list");
            assert_eq!(subjects.include(&certificate), expected, "{value}");
        }
        assert!(Subjects::default().include(&certificate));
        let junk = CertificateDer::from(vec![0]);
        assert!(!Subjects::parse("a").expect("a list").include(&junk));
        assert_eq!(
            validity(std::slice::from_ref(&certificate)),
            Some((1_577_836_800, 1_893_456_000))
        );
        assert_eq!(validity(&[certificate, junk]), None);
    }

    #[test]
    fn an_empty_value_is_a_mistake_and_no_pin_on_nothing() {
        for text in ["", " ", "a,", ",", "a, ,b"] {
            assert_eq!(Subjects::parse(text), Err(SubjectsError::Empty), "{text:?}");
        }
        assert_eq!(Subjects::parse(&"a,".repeat(33)), Err(SubjectsError::TooMany));
        assert_eq!(Subjects::parse(&"a".repeat(256)), Err(SubjectsError::TooLong));
        assert!(Subjects::new([]).expect("no values").is_empty());
    }
}
