//! Authenticated Origin Pulls of a zone against the client certificate policies of hosts.
//!
//! Three switches, of which the most special one counts: a host's association, the zone's own certificate,
//! Cloudflare's shared certificate. Source: Cloudflare's documentation, SSL/TLS, "Authenticated Origin
//! Pulls".

use super::command::{curl, set};
use super::finding::ZoneFinding;
use super::served::ServedHost;
use super::ssl::is_encrypted;
use crate::control::zone::ZoneState;
use crate::model::Severity;
use crate::pki::client_certificate::Mode;
use serde_json::json;
use std::collections::BTreeMap;

/// Where it is in the dashboard.
const PAGE: &str = "SSL/TLS, Origin Server, Authenticated Origin Pulls";
/// What the visitor gets where the handshake is refused: 520 in TLS 1.3, where the alert comes after
/// Cloudflare's side is done, and 525 in TLS 1.2.
const REFUSED: &str = "520 (or 525)";
/// Before its end by so many seconds a certificate should have been replaced.
const SOON: i64 = 30 * 24 * 60 * 60;

/// What Cloudflare presents to the origin for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Presented {
    /// A certificate that belongs to the host.
    OfHost,
    /// Nothing: the association of the host is off, whatever the zone has.
    OffForHost,
    /// The zone's own certificate.
    OfZone,
    /// Cloudflare's, the same for all accounts.
    Shared,
    /// Nothing.
    Nothing,
}

impl Presented {
    /// `None`: a switch that decides was not read.
    fn of(state: &ZoneState, host: &str) -> Option<Self> {
        let mut associations = state.host_pulls.as_ref()?.iter();
        if let Some(own) = associations.find(|it| it.hostname == host) {
            return Some(if own.is_enabled { Self::OfHost } else { Self::OffForHost });
        }
        let has_certificate =
            state.zone_certificates.as_ref()?.iter().any(|certificate| certificate.is_active);
        if state.zone_pulls? && has_certificate {
            return Some(Self::OfZone);
        }
        Some(if state.global_pulls? { Self::Shared } else { Self::Nothing })
    }

    fn set(self) -> &'static str {
        match self {
            Self::OfHost => "origin_tls_client_auth/hostnames = on",
            Self::OffForHost => "origin_tls_client_auth/hostnames = off for this host",
            Self::OfZone => "origin_tls_client_auth = on",
            Self::Shared => "tls_client_auth = \"on\"",
            Self::Nothing => "Authenticated Origin Pulls = off",
        }
    }
}

/// What is wrong between a policy and what is presented. In order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mismatch {
    /// Required, and nothing is presented. `true`: Cloudflare's CA is the required one.
    Nothing(bool),
    /// Required of an own CA, and the shared certificate is presented.
    SharedForOwn,
    /// Required of Cloudflare's CA, and an own certificate is presented.
    OwnForShared,
    /// Requested, and nothing is presented.
    Unanswered,
    /// Presented, and nobody asks for it.
    Unasked,
}

impl Mismatch {
    fn of(host: &ServedHost, presented: Presented) -> Option<Self> {
        let authority = host.demand.authority.as_ref();
        let is_shared = authority.is_some_and(|authority| authority.is_cloudflare());
        match (host.demand.mode, presented) {
            (Mode::Off, Presented::Nothing | Presented::OffForHost) => None,
            (Mode::Off, _) => Some(Self::Unasked),
            (Mode::Request, Presented::Nothing | Presented::OffForHost) => Some(Self::Unanswered),
            (Mode::Require, Presented::Nothing | Presented::OffForHost) => {
                Some(Self::Nothing(is_shared))
            }
            // Without a known CA every certificate is refused, which is a finding of its own.
            _ if authority.is_none() => None,
            (_, Presented::Shared) if !is_shared => Some(Self::SharedForOwn),
            (_, Presented::OfZone | Presented::OfHost) if is_shared => Some(Self::OwnForShared),
            (Mode::Request | Mode::Require, _) => None,
        }
    }
}

/// What the switches cause.
pub(super) fn findings(state: &ZoneState, hosts: &[&ServedHost], now: i64) -> Vec<ZoneFinding> {
    if !is_encrypted(state) {
        return Vec::new();
    }
    let mut alike: BTreeMap<(Mismatch, Presented, Mode), Vec<&ServedHost>> = BTreeMap::new();
    for host in hosts {
        let Some(presented) = Presented::of(state, &host.name) else { continue };
        if let Some(mismatch) = Mismatch::of(host, presented) {
            alike.entry((mismatch, presented, host.demand.mode)).or_default().push(host);
        }
    }
    let mut found: Vec<ZoneFinding> =
        alike.into_iter().map(|(key, hosts)| describe(state, key, &hosts)).collect();
    found.extend(ends(state, hosts, now));
    found
}

fn describe(
    state: &ZoneState,
    key: (Mismatch, Presented, Mode),
    hosts: &[&ServedHost],
) -> ZoneFinding {
    let (mismatch, presented, mode) = key;
    let refuses = mode == Mode::Require;
    let level = match mismatch {
        Mismatch::Unanswered | Mismatch::Unasked => Severity::Info,
        _ if refuses => Severity::Error,
        _ => Severity::Warning,
    };
    let finding = ZoneFinding::new(level, &state.zone.name, presented.set())
        .hosts(hosts.iter().map(|host| host.name.clone()));
    let finding = if refuses { finding.visitors(REFUSED) } else { finding };
    let id = &state.zone.id;
    let own = format!("/zones/{id}/origin_tls_client_auth/settings");
    let own = curl("PUT", &own, &json!({"enabled": true}));
    match mismatch {
        Mismatch::Nothing(_) if presented == Presented::OffForHost => finding
            .because(
                "the policy requires a client certificate, and the association of the host is \
                 disabled: nothing is presented, even if the zone's switch is on",
            )
            .fix(format!("{PAGE}: enable the host, or void its association (enabled: null)"))
            .command(void(id, hosts)),
        Mismatch::Nothing(true) => finding
            .because("the policy requires Cloudflare's client certificate, and none is presented")
            .fix(format!("{PAGE}: on"))
            .command(set(id, "tls_client_auth", "on")),
        Mismatch::Nothing(false) => finding
            .because("the policy requires a client certificate, and none is presented")
            .fix(format!("upload the certificate of your CA, then {PAGE} (zone-level): on"))
            .command(own),
        Mismatch::SharedForOwn => finding
            .because(
                "the policy wants a certificate of your own CA, and Cloudflare presents the one \
                 that all of its customers share",
            )
            .fix(format!("upload the certificate of your CA, then {PAGE} (zone-level): on"))
            .command(own),
        Mismatch::OwnForShared => finding
            .because(
                "the policy wants Cloudflare's shared certificate (client-ca: cloudflare), and \
                 Cloudflare presents one that was uploaded",
            )
            .fix("name the CA of the uploaded certificate in ravelin.dev/client-ca"),
        Mismatch::Unanswered => finding
            .because("a client certificate is requested, and Cloudflare presents none")
            .fix(format!("{PAGE}: on, then wait for result=\"valid\" before `require`")),
        Mismatch::Unasked => finding
            .because(
                "Cloudflare presents a client certificate, and ravelin does not ask for it: it \
                 protects nothing",
            )
            .fix("set ravelin.dev/client-certificate: request, and later require"),
    }
}

/// Voids associations, so that the zone's switch counts again.
fn void(id: &str, hosts: &[&ServedHost]) -> String {
    let hosts = hosts.iter().map(|host| json!({"hostname": host.name, "enabled": null}));
    let body = json!({"config": hosts.collect::<Vec<_>>()});
    curl("PUT", &format!("/zones/{id}/origin_tls_client_auth/hostnames"), &body)
}

/// The end of the zone's own certificates: expired ones are presented all the time.
fn ends(state: &ZoneState, hosts: &[&ServedHost], now: i64) -> Option<ZoneFinding> {
    if state.zone_pulls != Some(true) {
        return None;
    }
    let asking = hosts.iter().filter(|host| {
        host.demand.mode != Mode::Off && Presented::of(state, &host.name) == Some(Presented::OfZone)
    });
    let asking: Vec<&&ServedHost> = asking.collect();
    let active = state.zone_certificates.as_ref()?.iter().filter(|it| it.is_active);
    let last = active.filter_map(|certificate| certificate.expires).max()?;
    if asking.is_empty() || last - now > SOON {
        return None;
    }
    let requires = asking.iter().any(|host| host.demand.mode == Mode::Require);
    let days = (last - now).div_euclid(24 * 60 * 60);
    let set = "origin_tls_client_auth";
    let of = |level| ZoneFinding::new(level, &state.zone.name, set);
    let hosts = asking.iter().map(|host| host.name.clone());
    let fix =
        "upload a new certificate of your CA, wait until it is active, then delete the old one";
    let command = format!("/zones/{}/origin_tls_client_auth", state.zone.id);
    let body = json!({"certificate": "PEM", "private_key": "PEM"});
    let finding = if last <= now {
        let expired = of(if requires { Severity::Error } else { Severity::Warning });
        let expired = expired.because("the zone's own client certificate has expired");
        if requires { expired.visitors(REFUSED) } else { expired }
    } else {
        let because = format!("the zone's own client certificate ends in {days} days");
        of(Severity::Warning).because(because)
    };
    Some(finding.hosts(hosts).fix(fix).command(curl("POST", &command, &body)))
}
