//! Which content coding a client prefers (RFC 9110 section 12.5.3).

use crate::net::fields::Fields;
use crate::net::quality::weight;
use http::{HeaderValue, header};

/// A content coding of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952).
    Gzip,
}

impl ContentCoding {
    /// By its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "br" => Some(Self::Brotli),
            "gzip" => Some(Self::Gzip),
            _ => None,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// Those that a client accepts, or that `default` says for one that names none, or that takes any.
pub(super) fn chosen(
    headers: &impl Fields,
    offered: &[&'static str],
    default: Option<&'static str>,
) -> Choices {
    let Some(default) = default else { return accepted(headers, offered) };
    let default = [default];
    let values = || headers.get_all(header::ACCEPT_ENCODING);
    let takes_any = values().any(|value| value.as_bytes().contains(&b'*'));
    match values().next() {
        None => Choices([ContentCoding::named(default[0]), None]),
        Some(_) if takes_any => {
            let first: Vec<_> = default.iter().chain(offered).copied().collect();
            accepted(headers, &first)
        }
        Some(_) => accepted(headers, offered),
    }
}

/// Those of `offered` that a client accepts, the preferred one first; among equals their order counts.
pub(super) fn accepted(headers: &impl Fields, offered: &[&'static str]) -> Choices {
    let mut best: Option<(u16, ContentCoding)> = None;
    let mut other = None;
    for coding in offered.iter().filter_map(|name| ContentCoding::named(name)) {
        let quality = quality(headers, coding.name());
        match best {
            _ if quality == 0 => {}
            Some((_, first)) if first == coding => {}
            Some((more, _)) if more >= quality => other = Some(coding),
            before => {
                best = Some((quality, coding));
                other = before.map(|(_, before)| before).or(other);
            }
        }
    }
    Choices([best.map(|(_, first)| first), other])
}

/// Codings, the preferred one first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices([Option<ContentCoding>; 2]);

impl Choices {
    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0[0].is_none()
    }

    /// The preferred one first.
    pub(super) fn iter(self) -> impl Iterator<Item = ContentCoding> {
        self.0.into_iter().flatten()
    }
}

/// How much a client wants a coding, in thousandths. Of several weights the first counts, as in Traefik.
fn quality(headers: &impl Fields, coding: &str) -> u16 {
    let mut any = None;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for element in value.as_bytes().split(|&byte| byte == b',') {
            let mut parts = element.split(|&byte| byte == b';');
            let name = parts.next().unwrap_or_default().trim_ascii();
            if name.eq_ignore_ascii_case(coding.as_bytes()) {
                return weight(parts);
            }
            if name == b"*" {
                any = any.or(Some(weight(parts)));
            }
        }
    }
    any.unwrap_or(0)
}

/// Whether a field of names, joined by commas, has this one.
pub(super) fn lists<'v>(values: impl Iterator<Item = &'v HeaderValue>, wanted: &str) -> bool {
    let mut names = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    names.any(|name| {
        // A directive of Cache-Control may have an argument.
        let name = name.split(|&byte| byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;

    fn names(values: &[&'static str], offered: &[&'static str]) -> Vec<&'static str> {
        let mut headers = FieldMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        accepted(&headers, offered).iter().map(ContentCoding::name).collect()
    }

    #[test]
    fn weights_decide_and_among_equals_the_order_of_the_offer() {
        for (value, expected) in [
            ("gzip, br", &["br", "gzip"][..]),
            ("gzip;q=0.9, br;q=0.8", &["gzip", "br"]),
            ("gzip;q=0.001", &["gzip"]),
            ("br;q=0, gzip", &["gzip"]),
            ("gzip ; Q=1.000 , deflate", &["gzip"]),
            ("GZip", &["gzip"]),
            ("*", &["br", "gzip"]),
            ("br;q=0, *;q=0.5", &["gzip"]),
            ("*;q=0, gzip", &["gzip"]),
            ("gzip;q=0, gzip", &[]),
            ("gzip;q=1.5", &[]),
            ("gzip;q=0.0001", &[]),
            ("gzip;q=x", &[]),
            ("gzip;q=", &[]),
            ("identity", &[]),
            ("xgzip, gzipx", &[]),
            ("", &[]),
        ] {
            assert_eq!(names(&[value], &["br", "gzip"]), expected, "{value}");
        }
        assert_eq!(names(&["deflate", "gzip, br"], &["gzip", "br"]), ["gzip", "br"]);
        assert_eq!(names(&["gzip, br"], &["br"]), ["br"]);
        assert_eq!(names(&["br, gzip"], &["gzip", "gzip", "br"]), ["gzip", "br"]);
        assert_eq!(names(&[], &["br", "gzip"]), [""; 0]);
    }

    #[test]
    fn a_default_is_for_clients_that_name_none_and_comes_first_for_those_that_take_any() {
        for (value, expected) in [
            (None, &["gzip"][..]),
            (Some(""), &[]),
            (Some("identity"), &[]),
            (Some("*"), &["gzip", "br"]),
            (Some("gzip;q=0, *"), &["br"]),
            (Some("gzip, br"), &["br", "gzip"]),
        ] {
            let mut headers = FieldMap::new();
            if let Some(value) = value {
                headers.set(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            let choices = chosen(&headers, &["br", "gzip"], Some("gzip"));
            let names: Vec<_> = choices.iter().map(ContentCoding::name).collect();
            assert_eq!(names, expected, "{value:?}");
            assert_eq!(chosen(&headers, &["br"], None), accepted(&headers, &["br"]));
        }
    }

    #[test]
    fn a_name_is_found_whole_and_in_any_case() {
        let value = HeaderValue::from_static("max-age=1, No-Transform , x=no-cache");
        assert!(lists([&value].into_iter(), "no-transform"));
        assert!(lists([&value].into_iter(), "max-age"));
        assert!(!lists([&value].into_iter(), "no-cache"));
        assert!(!lists([&value].into_iter(), "transform"));
    }
}
