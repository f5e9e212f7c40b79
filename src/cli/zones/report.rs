//! What is printed of the comparison.

use super::finding::ZoneFinding;
use super::served::{Edge, Nodes, ServedHost};
use super::{origin_pulls, records, ssl, zone};
use crate::control::zone::{Part, ZoneReadError, ZoneState};
use crate::model::Severity;
use crate::tls::store::now;
use serde::Serialize;
use std::collections::BTreeSet;

/// Most zones that are named to a user who looks for one.
const MOST_ZONES: usize = 20;

/// Zones, findings, and what was not compared.
#[derive(Debug, Default, Serialize)]
pub(in crate::cli) struct ZoneReport {
    zones: Vec<Row>,
    findings: Vec<ZoneFinding>,
    not_checked: Vec<Unchecked>,
    /// Hosts without a zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts_without_zone: Vec<String>,
    /// The zones that the token may read.
    #[serde(skip)]
    seen: Vec<String>,
    /// Why nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A zone that was read.
#[derive(Debug, Serialize)]
struct Row {
    zone: String,
    hosts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl: Option<String>,
}

/// A part that was not compared.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Unchecked {
    zone: String,
    part: &'static str,
    reason: String,
    /// The right that the token lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_right: Option<&'static str>,
}

impl ZoneReport {
    /// Nothing could be read.
    pub(super) fn unavailable(error: &ZoneReadError) -> Self {
        let error = match error {
            ZoneReadError::Forbidden(status) => format!(
                "the API refuses the token (status {}): it is wrong, has expired or was revoked, is not for \
                 this address, or lacks the right {}; see https://dash.cloudflare.com/profile/api-tokens",
                status.as_u16(),
                "Zone Read"
            ),
            // A token that is not of the right form (API reference, error 6003).
            ZoneReadError::Status(status) if status.as_u16() == 400 => {
                "the API does not understand the token (status 400): copy it again, as a whole"
                    .to_owned()
            }
            ZoneReadError::Status(status) => format!(
                "the list of zones cannot be read: the API answered with status {}; see \
                 https://www.cloudflarestatus.com",
                status.as_u16()
            ),
            other => format!("the list of zones cannot be read: {other}"),
        };
        Self { error: Some(error), ..Self::default() }
    }

    pub(super) fn without_zone(&mut self, host: &str) {
        self.hosts_without_zone.push(host.to_owned());
    }

    pub(super) fn sees<'z>(&mut self, zones: impl Iterator<Item = &'z str>) {
        let names: BTreeSet<&str> = zones.collect();
        self.seen = names.into_iter().map(str::to_owned).collect();
    }

    /// Judges a zone.
    pub(super) fn add(&mut self, state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) {
        let now = now();
        let mut found = zone::findings(state, edge, hosts, now);
        found.extend(ssl::findings(state, edge, hosts));
        found.extend(origin_pulls::findings(state, hosts, now));
        found.extend(records::findings(state, edge, hosts));
        found.sort_by_key(ZoneFinding::level);
        self.findings.extend(found);
        let zone = &state.zone.name;
        self.zones.push(Row { zone: zone.clone(), hosts: hosts.len(), ssl: state.ssl.clone() });
        for (part, error) in &state.unread {
            self.not_checked.push(Unchecked::of(zone, *part, error));
        }
        if let (Nodes::Unknown(why), Some(_)) = (&edge.nodes, &state.records) {
            self.not_checked.push(Unchecked {
                zone: zone.clone(),
                part: "the addresses in DNS records",
                reason: (*why).to_owned(),
                needs_right: None,
            });
        }
    }

    /// A host without a zone may be one that Cloudflare does not serve. Where no host has one, the token is
    /// the wrong one.
    fn level_without_zone(&self) -> Severity {
        if self.zones.is_empty() { Severity::Error } else { Severity::Warning }
    }

    /// How many findings are of this severity.
    pub(in crate::cli) fn count(&self, severity: Severity) -> usize {
        let found = self.findings.iter().filter(|finding| finding.level() == severity).count();
        let without_zone = match severity == self.level_without_zone() {
            true => self.hosts_without_zone.len(),
            false => 0,
        };
        let unavailable = usize::from(severity == Severity::Error && self.error.is_some());
        found + without_zone + unavailable
    }

    /// Lines for people.
    pub(in crate::cli) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(error) = &self.error {
            return format!("error: cloudflare: {error}\n");
        }
        for Row { zone, hosts, ssl } in &self.zones {
            let ssl = ssl.as_deref().map_or(String::new(), |mode| format!(", ssl = {mode:?}"));
            let plural = if *hosts == 1 { "" } else { "s" };
            text.push_str(&format!("zone {zone}: {hosts} host{plural}{ssl}\n"));
        }
        for host in &self.hosts_without_zone {
            let level = self.level_without_zone().as_str();
            text.push_str(&format!("{level}: host {host}: {}\n", self.no_zone()));
        }
        text.extend(self.findings.iter().map(ZoneFinding::text));
        text.extend(self.not_checked.iter().map(Unchecked::text));
        text
    }

    fn no_zone(&self) -> String {
        let names: Vec<&str> = self.seen.iter().take(MOST_ZONES).map(String::as_str).collect();
        let seen = match (names.as_slice(), self.seen.len()) {
            ([], _) => "the token may read no zone at all".to_owned(),
            (names, all) if all > names.len() => {
                format!("the token may read {} and {} more", names.join(", "), all - names.len())
            }
            (names, _) => format!("the token may read {}", names.join(", ")),
        };
        format!(
            "no zone for it: {seen} (fix: add the zone to the resources of the token, at \
             https://dash.cloudflare.com/profile/api-tokens, or correct the host; none needed if \
             Cloudflare does not serve it)"
        )
    }
}

impl Unchecked {
    fn of(zone: &str, part: Part, error: &ZoneReadError) -> Self {
        let is_forbidden = matches!(error, ZoneReadError::Forbidden(_));
        Self {
            zone: zone.to_owned(),
            part: part.as_str(),
            reason: error.to_string(),
            needs_right: is_forbidden.then(|| part.right()),
        }
    }

    fn text(&self) -> String {
        let Self { zone, part, reason, needs_right } = self;
        match needs_right {
            Some(right) => format!(
                "not checked: zone {zone}: {part}: needs the right {right}, which the token lacks\n"
            ),
            None => format!("not checked: zone {zone}: {part}: {reason}\n"),
        }
    }
}
