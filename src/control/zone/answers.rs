//! The objects of the API, with the fields that are read. All others are ignored.

use crate::model::HostPattern;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::net::IpAddr;

/// A zone (API reference, "List Zones").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// `id`, in paths.
    pub id: String,
    /// `name`: a DNS name in lower case.
    pub name: String,
    /// `account.id`.
    pub account: Option<String>,
    /// `status`; `active` when Cloudflare answers for the zone.
    pub status: String,
    /// `paused`: Cloudflare answers DNS queries and proxies nothing.
    pub is_paused: bool,
    /// `meta.dns_only`: the zone is configured for DNS alone.
    pub is_dns_only: bool,
}

/// A DNS record ("List DNS Records").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `id`, in paths.
    pub id: String,
    /// `name`, in lower case.
    pub name: String,
    /// `proxied`: the orange cloud.
    pub is_proxied: bool,
    /// What it points to.
    pub target: RecordTarget,
}

/// What a record points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordTarget {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME, in lower case.
    Name(String),
}

/// An own client certificate of the zone ("Zone-Level Authenticated Origin Pulls, List Certificates").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullCertificate {
    /// `status` is `active`.
    pub is_active: bool,
    /// `expires_on`, in seconds since the Unix epoch.
    pub expires: Option<i64>,
}

/// A host with a client certificate of its own ("List Hostname Associations").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPull {
    /// `hostname`, in lower case.
    pub hostname: String,
    /// `enabled`. If it is false, no client certificate is sent for this host, whatever the zone has.
    pub is_enabled: bool,
}

/// A certificate of Cloudflare Origin CA ("Origin CA, List Certificates").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginCertificate {
    /// `hostnames`.
    pub hostnames: Vec<HostPattern>,
    /// `expires_on`, in seconds since the Unix epoch.
    pub expires: Option<i64>,
}

/// A setting with a text ("Get zone setting").
#[derive(Deserialize)]
pub(super) struct SettingAnswer {
    pub(super) value: String,
}

/// `origin_tls_client_auth/settings`.
#[derive(Deserialize)]
pub(super) struct EnabledAnswer {
    pub(super) enabled: bool,
}

/// `accounts/{id}/dns_settings`.
#[derive(Deserialize)]
pub(super) struct AccountDnsAnswer {
    pub(super) enforce_dns_only: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ZoneAnswer {
    id: String,
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    paused: bool,
    account: Option<AccountAnswer>,
    meta: Option<MetaAnswer>,
}

#[derive(Deserialize)]
struct AccountAnswer {
    id: Option<String>,
}

#[derive(Deserialize)]
struct MetaAnswer {
    dns_only: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct RecordAnswer {
    id: String,
    name: String,
    r#type: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    proxied: bool,
}

#[derive(Deserialize)]
pub(super) struct PullCertificateAnswer {
    #[serde(default)]
    status: String,
    expires_on: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct HostPullAnswer {
    hostname: Option<String>,
    /// Null voids the association.
    enabled: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct OriginCertificateAnswer {
    #[serde(default)]
    hostnames: Vec<String>,
    expires_on: Option<String>,
}

impl ZoneAnswer {
    /// `None`: a name or an identifier that could not be put into a path or a message.
    pub(super) fn read(self) -> Option<Zone> {
        let Self { id, name, status, paused, account, meta } = self;
        let HostPattern::Exact(name) = HostPattern::parse(Some(&name)).ok()? else { return None };
        let account = account.and_then(|account| account.id).filter(|id| is_identifier(id));
        let is_dns_only = meta.and_then(|meta| meta.dns_only).unwrap_or(false);
        is_identifier(&id).then(|| Zone {
            id,
            name: name.to_string(),
            account,
            status: status.chars().filter(char::is_ascii_graphic).take(32).collect(),
            is_paused: paused,
            is_dns_only,
        })
    }
}

impl RecordAnswer {
    /// `None`: another type than A, AAAA and CNAME, or a content that is none of it.
    pub(super) fn read(self) -> Option<Record> {
        let Self { id, name, r#type, content, proxied } = self;
        let target = match r#type.as_str() {
            "A" | "AAAA" => RecordTarget::Address(content.parse().ok()?),
            "CNAME" => RecordTarget::Name(plain_name(&content)?),
            _ => return None,
        };
        let name = plain_name(&name)?;
        is_identifier(&id).then_some(Record { id, name, is_proxied: proxied, target })
    }
}

impl PullCertificateAnswer {
    pub(super) fn read(self) -> PullCertificate {
        let expires = self.expires_on.as_deref().and_then(seconds);
        PullCertificate { is_active: self.status == "active", expires }
    }
}

impl HostPullAnswer {
    pub(super) fn read(self) -> Option<HostPull> {
        let Self { hostname, enabled } = self;
        Some(HostPull { hostname: plain_name(&hostname?)?, is_enabled: enabled? })
    }
}

impl OriginCertificateAnswer {
    pub(super) fn read(self) -> OriginCertificate {
        let patterns = self.hostnames.iter().filter_map(|name| HostPattern::parse(Some(name)).ok());
        let hostnames = patterns.filter(|pattern| *pattern != HostPattern::Any).collect();
        OriginCertificate { hostnames, expires: self.expires_on.as_deref().and_then(seconds) }
    }
}

/// Identifiers are hexadecimal or UUIDs; nothing else gets into a path.
fn is_identifier(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A DNS name in lower case, with `_` and `*` as records have them.
fn plain_name(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_name = (1..=253).contains(&text.len()) && text.bytes().all(allowed);
    is_name.then(|| text.to_ascii_lowercase())
}

/// A time of RFC 3339, or as Go prints one (`2033-04-09 10:23:00 +0000 UTC`): Origin CA's end dates have
/// been seen in both forms.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let civil: DateTime = text.get(..19)?.parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_dates_are_read_in_both_forms() {
        for text in ["2033-04-09T10:23:00Z", "2033-04-09 10:23:00 +0000 UTC"] {
            assert_eq!(seconds(text), Some(1_996_654_980), "{text}");
        }
        for text in [
            "",
            "soon",
            "2033-04-09",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn what_would_forge_a_path_or_a_line_is_left_out() {
        let zone = |id: &str, name: &str| {
            let text = serde_json::json!({"id": id, "name": name, "status": "active"}).to_string();
            serde_json::from_str::<ZoneAnswer>(&text).expect("a zone").read()
        };
        assert!(zone("023e105f4ecef8ad9ca31a8372d0c353", "Example.com").is_some());
        for (id, name) in [("a/b", "example.com"), ("", "example.com"), ("a", "x\ny"), ("a", "")] {
            assert_eq!(zone(id, name), None, "{id} {name}");
        }
        let record = |kind: &str, content: &str| {
            let value = serde_json::json!({"id": "a", "name": "a.example", "type": kind,
                "content": content, "proxied": true});
            serde_json::from_value::<RecordAnswer>(value).expect("a record").read()
        };
        assert!(record("AAAA", "2001:db8::1").is_some());
        for (kind, content) in [("A", "x"), ("CNAME", "a\nerror: b"), ("TXT", "192.0.2.1")] {
            assert_eq!(record(kind, content), None, "{kind}");
        }
    }
}
