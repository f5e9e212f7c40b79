//! Visitors that are not served, whatever they ask for.

use super::AddrRanges;
use std::net::IpAddr;

/// Two letters (ISO 3166-1 alpha-2).
pub type Country = [u8; 2];

/// Addresses and countries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedVisitors {
    ranges: AddrRanges,
    /// Sorted.
    countries: Box<[Country]>,
}

impl DeniedVisitors {
    /// These addresses, and everybody of these countries.
    pub fn new(ranges: AddrRanges, mut countries: Vec<Country>) -> Self {
        countries.sort_unstable();
        Self { ranges, countries: countries.into() }
    }

    /// Whether a visitor is among them. The country is asked for only where one is denied.
    pub fn has(&self, ip: IpAddr, country: impl FnOnce() -> Option<Country>) -> bool {
        let is_of = |country| self.countries.binary_search(&country).is_ok();
        self.ranges.contains(ip) || (!self.countries.is_empty() && country().is_some_and(is_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_are_denied_by_address_and_by_country() {
        let ranges = ["192.0.2.0/24", "2001:db8::1/128"].map(|net| net.parse().expect("a network"));
        let denied = DeniedVisitors::new(AddrRanges::new(&ranges), vec![*b"XZ", *b"AA"]);
        for (ip, country, expected) in [
            ("192.0.2.9", None, true),
            ("::ffff:192.0.2.9", None, true),
            ("2001:db8::1", None, true),
            ("2001:db8::2", None, false),
            ("198.51.100.1", Some(*b"AA"), true),
            ("198.51.100.1", Some(*b"XZ"), true),
            ("198.51.100.1", Some(*b"DE"), false),
        ] {
            let ip = ip.parse().expect("an address");
            assert_eq!(denied.has(ip, || country), expected, "{ip} {country:?}");
        }
        let nobody = DeniedVisitors::default();
        assert!(!nobody.has([192, 0, 2, 9].into(), || panic!("nobody asks for it")));
    }
}
