//! Decisions as CrowdSec's Local API tells them: all of them, or what has changed since it was asked last.
//!
//! Bans of addresses, of networks and of countries are obeyed. Others (captchas, autonomous systems, users) are counted.

use crate::net::addr::{AddrRanges, Country, DeniedVisitors};
use crate::telemetry::{DecisionCells, ListFailure};
use ipnet::IpNet;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The most that are kept. The community's list has about 50 000 addresses.
pub const MOST_DECISIONS: usize = 200_000;

/// `GET /v1/decisions/stream` (CrowdSec documentation, "Local API").
#[derive(Deserialize)]
struct Stream<'a> {
    // Go writes an empty slice as null.
    #[serde(borrow, default)]
    new: Option<Vec<Decision<'a>>>,
    #[serde(borrow, default)]
    deleted: Option<Vec<Decision<'a>>>,
}

#[derive(Deserialize)]
struct Decision<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// Whom a ban is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Banned {
    Network(IpNet),
    Country(Country),
}

impl Decision<'_> {
    fn banned(&self) -> Option<Banned> {
        let is = |scope: &str| self.scope.eq_ignore_ascii_case(scope);
        let value = self.value.trim();
        if !self.kind.eq_ignore_ascii_case("ban") {
            return None;
        }
        if is("ip") || is("range") {
            let address = value.parse::<IpAddr>().map(IpNet::from);
            let network = address.or_else(|_| value.parse::<IpNet>()).ok()?;
            return Some(Banned::Network(network.trunc()));
        }
        let letters = <Country>::try_from(value.as_bytes()).ok().filter(|_| is("country"))?;
        let is_code = letters.iter().all(u8::is_ascii_alphabetic);
        is_code.then(|| Banned::Country(letters.map(|letter| letter.to_ascii_uppercase())))
    }
}

/// What is in force.
#[derive(Debug, Default)]
pub struct Decisions {
    networks: BTreeSet<IpNet>,
    countries: BTreeSet<Country>,
    /// Those that are not obeyed, since the last whole list.
    ignored: usize,
}

impl Decisions {
    /// Takes an answer: the whole list, or what has changed. Returns whether others are banned now.
    ///
    /// # Errors
    /// Why nothing was taken.
    pub fn take(&mut self, body: &[u8], is_whole: bool) -> Result<bool, ListFailure> {
        // A list would be taken for the fields in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(ListFailure::Syntax);
        }
        let Stream { new, deleted } =
            serde_json::from_slice(body).map_err(|_| ListFailure::Syntax)?;
        let (new, deleted) = (new.unwrap_or_default(), deleted.unwrap_or_default());
        let known = if is_whole { 0 } else { self.networks.len() };
        if known + new.len() > MOST_DECISIONS {
            return Err(ListFailure::TooMany);
        }
        if is_whole {
            let mut whole = Self::default();
            whole.add(&new);
            let is_other = whole.networks != self.networks || whole.countries != self.countries;
            *self = whole;
            return Ok(is_other);
        }
        let mut is_other = false;
        for banned in deleted.iter().filter_map(Decision::banned) {
            is_other |= match banned {
                Banned::Network(network) => self.networks.remove(&network),
                Banned::Country(country) => self.countries.remove(&country),
            };
        }
        Ok(self.add(&new) | is_other)
    }

    /// Returns whether one of them was not there.
    fn add(&mut self, new: &[Decision<'_>]) -> bool {
        let mut is_other = false;
        for decision in new {
            is_other |= match decision.banned() {
                Some(Banned::Network(network)) => self.networks.insert(network),
                Some(Banned::Country(country)) => self.countries.insert(country),
                None => {
                    self.ignored += 1;
                    false
                }
            };
        }
        is_other
    }

    /// Those who are banned.
    pub fn denied(&self) -> DeniedVisitors {
        let countries = self.countries.iter().copied().collect();
        DeniedVisitors::new(AddrRanges::new(&self.networks), countries)
    }

    /// Notes how many there are.
    pub fn note(&self, cells: &mut DecisionCells) {
        cells.networks = self.networks.len();
        cells.countries = self.countries.len();
        cells.ignored = self.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(kind: &str, scope: &str, value: &str) -> String {
        format!(
            r#"{{"id":1,"origin":"CAPI","type":"{kind}","scope":"{scope}","value":"{value}","duration":"3h59m","scenario":"x/y","simulated":false}}"#
        )
    }

    fn stream(new: &[String], deleted: &[String]) -> String {
        format!(r#"{{"new":[{}],"deleted":[{}]}}"#, new.join(","), deleted.join(","))
    }

    fn has(decisions: &Decisions, ip: &str) -> bool {
        decisions.denied().has(ip.parse().expect("an address"), || Some(*b"DE"))
    }

    #[test]
    fn bans_are_taken_whole_and_by_changes() {
        let mut decisions = Decisions::default();
        let whole = stream(
            &[
                decision("ban", "Ip", "192.0.2.1"),
                decision("ban", "Range", "198.51.100.0/24"),
                decision("ban", "ip", "2001:db8::1"),
                decision("captcha", "Ip", "192.0.2.2"),
                decision("ban", "AS", "64496"),
                decision("ban", "Ip", "nonsense"),
                decision("ban", "Country", "DEU"),
            ],
            &[],
        );
        assert_eq!(decisions.take(whole.as_bytes(), true), Ok(true));
        assert_eq!(decisions.take(whole.as_bytes(), true), Ok(false), "the same again");
        for (ip, expected) in [
            ("192.0.2.1", true),
            ("198.51.100.77", true),
            ("2001:db8::1", true),
            ("192.0.2.2", false),
            ("203.0.113.1", false),
        ] {
            assert_eq!(has(&decisions, ip), expected, "{ip}");
        }
        let mut cells = DecisionCells::default();
        decisions.note(&mut cells);
        assert_eq!((cells.networks, cells.countries, cells.ignored), (3, 0, 4));
        let nothing = br#"{"new":null,"deleted":null}"#;
        assert_eq!(decisions.take(nothing, false), Ok(false));
        let change = stream(
            &[decision("ban", "Country", "de")],
            &[decision("ban", "Ip", "192.0.2.1"), decision("ban", "Ip", "192.0.2.99")],
        );
        assert_eq!(decisions.take(change.as_bytes(), false), Ok(true));
        assert!(has(&decisions, "192.0.2.1"), "by its country");
        let change = stream(&[], &[decision("ban", "Country", "DE")]);
        assert_eq!(decisions.take(change.as_bytes(), false), Ok(true));
        assert!(!has(&decisions, "192.0.2.1") && has(&decisions, "198.51.100.1"));
        assert_eq!(decisions.take(nothing, true), Ok(true));
        assert!(!has(&decisions, "198.51.100.1"), "a whole list takes the place of all");
    }

    #[test]
    fn what_is_no_answer_or_too_much_changes_nothing() {
        let mut decisions = Decisions::default();
        let one = stream(&[decision("ban", "Ip", "192.0.2.1")], &[]);
        assert_eq!(decisions.take(one.as_bytes(), true), Ok(true));
        for wrong in ["", "[]", "<html>", r#"{"new":[{"value":1}]}"#, r#"{"new":[{}]}"#] {
            assert_eq!(decisions.take(wrong.as_bytes(), true), Err(ListFailure::Syntax), "{wrong}");
        }
        let many: Vec<String> =
            (0..=MOST_DECISIONS).map(|_| decision("ban", "Ip", "192.0.2.9")).collect();
        let many = stream(&many, &[]);
        assert_eq!(decisions.take(many.as_bytes(), true), Err(ListFailure::TooMany));
        assert!(has(&decisions, "192.0.2.1") && !has(&decisions, "192.0.2.9"));
    }
}
