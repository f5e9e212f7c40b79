//! The zone itself, its account, and settings beside those of TLS to the origin.
//!
//! Source: Cloudflare's documentation, "Pause Cloudflare", DNS "Enforce DNS-only" (2026-04-28), SSL/TLS
//! "Minimum TLS Version" and "Origin CA", Speed "HTTP/2 to Origin", Network "gRPC connections".

use super::command::{curl, set};
use super::finding::ZoneFinding;
use super::served::{Edge, ServedHost};
use super::ssl::is_encrypted;
use crate::control::zone::{OriginCertificate, ZoneState};
use crate::model::{HostPattern, Severity};
use serde_json::json;

/// Before its end by so many seconds a certificate of Origin CA should have been replaced: nothing renews it.
const SOON: i64 = 30 * DAY;
const DAY: i64 = 24 * 60 * 60;

/// What everything but the SSL mode, Authenticated Origin Pulls and records causes.
pub(super) fn findings(
    state: &ZoneState,
    edge: &Edge,
    hosts: &[&ServedHost],
    now: i64,
) -> Vec<ZoneFinding> {
    let mut found = Vec::new();
    found.extend(inactive(state));
    found.extend(direct(state, edge));
    found.extend(enforced(state, edge));
    found.extend(min_tls(state));
    found.extend(http1(state, edge, hosts));
    found.extend(certificates(state, hosts, now));
    found
}

fn of(level: Severity, state: &ZoneState, set: impl Into<String>) -> ZoneFinding {
    ZoneFinding::new(level, &state.zone.name, set)
}

/// A zone that Cloudflare does not answer for (`pending`, `moved`, `initializing`).
fn inactive(state: &ZoneState) -> Option<ZoneFinding> {
    let status = &state.zone.status;
    (!status.is_empty() && status != "active").then(|| {
        of(Severity::Error, state, format!("status = \"{status}\""))
            .because("Cloudflare does not answer for this zone yet, or no longer")
            .visitors("what the name servers at the registrar say")
            .fix("name Cloudflare's name servers at the registrar (Overview shows them)")
    })
}

/// What visitors get who connect directly.
fn dropped(finding: ZoneFinding, edge: &Edge) -> ZoneFinding {
    finding.visitors(match edge.admits_any {
        false => "a timeout: the gate drops every source but Cloudflare",
        true => "the site without Cloudflare, or a certificate warning",
    })
}

/// A zone that proxies nothing.
fn direct(state: &ZoneState, edge: &Edge) -> Option<ZoneFinding> {
    if state.zone.is_paused {
        let paused = of(Severity::Error, state, "paused = true")
            .because("Cloudflare is paused on this site: every record is DNS only")
            .fix("Overview, Advanced Actions, Enable Cloudflare on Site")
            .command(curl(
                "PATCH",
                &format!("/zones/{}", state.zone.id),
                &json!({"paused": false}),
            ));
        return Some(dropped(paused, edge));
    }
    state.zone.is_dns_only.then(|| {
        let only = of(Severity::Error, state, "meta.dns_only = true")
            .because("the zone is configured for DNS alone: nothing is proxied")
            .fix("DNS, Settings: zone mode standard")
            .command(curl(
                "PATCH",
                &format!("/zones/{}/dns_settings", state.zone.id),
                &json!({"zone_mode": "standard"}),
            ));
        dropped(only, edge)
    })
}

/// The break-glass switch of the account.
fn enforced(state: &ZoneState, edge: &Edge) -> Option<ZoneFinding> {
    let account = state.zone.account.as_ref()?;
    (state.enforce_dns_only == Some(true)).then(|| {
        let finding = of(Severity::Error, state, "enforce_dns_only = true (account)")
            .because(
                "all proxied records of the account answer with the addresses of their origins, \
                 whatever their cloud shows",
            )
            .fix("switch it off when the emergency is over; until then see deploy/break-glass.md")
            .command(curl(
                "PATCH",
                &format!("/accounts/{account}/dns_settings"),
                &json!({"enforce_dns_only": false}),
            ));
        dropped(finding, edge)
    })
}

fn min_tls(state: &ZoneState) -> Option<ZoneFinding> {
    let version = state.min_tls.as_deref().filter(|version| matches!(*version, "1.0" | "1.1"))?;
    let finding = of(Severity::Info, state, format!("min_tls_version = \"{version}\""))
        .because("visitors may use TLS 1.0 or 1.1, which RFC 8996 deprecates")
        .fix("SSL/TLS, Edge Certificates, Minimum TLS Version: TLS 1.2");
    Some(finding.command(set(&state.zone.id, "min_tls_version", "1.2")))
}

/// HTTP/1.1 to the origin, where it could be HTTP/2, or has to be.
fn http1(state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) -> Option<ZoneFinding> {
    let is_used = edge.has_https && is_encrypted(state);
    let version = state.origin_http.as_deref().filter(|version| is_used && *version == "1")?;
    let calling = hosts.iter().filter(|host| host.has_grpc).map(|host| host.name.clone());
    let calling: Vec<String> = calling.collect();
    let set_to = format!("origin_max_http_version = \"{version}\"");
    let finding = match calling.is_empty() {
        true => of(Severity::Info, state, set_to)
            .because("Cloudflare connects by HTTP/1.1: each request in flight needs a connection"),
        false => of(Severity::Error, state, set_to)
            .hosts(calling)
            .because("gRPC needs HTTP/2 to the origin")
            .visitors("failed calls (gRPC)"),
    };
    let fix = "Speed, Settings, Protocol Optimization, HTTP/2 to Origin: on";
    Some(finding.fix(fix).command(set(&state.zone.id, "origin_max_http_version", "2")))
}

/// Certificates of Origin CA that end soon, without another one for the same hosts that lasts.
fn certificates(state: &ZoneState, hosts: &[&ServedHost], now: i64) -> Vec<ZoneFinding> {
    let all = state.origin_certificates.as_deref().unwrap_or_default();
    let lasts = |certificate: &OriginCertificate| {
        certificate.expires.is_none_or(|expires| expires - now > SOON)
    };
    let mut found = Vec::new();
    for ending in all.iter().filter(|certificate| !lasts(certificate)) {
        let days = (ending.expires.unwrap_or(now) - now).div_euclid(DAY);
        let needing = hosts.iter().filter(|host| {
            covers(ending, host) && !all.iter().any(|other| lasts(other) && covers(other, host))
        });
        let needing: Vec<String> = needing.map(|host| host.name.clone()).collect();
        // One that has expired long ago was replaced by a certificate from elsewhere.
        if needing.is_empty() || days < 0 {
            continue;
        }
        found.push(
            of(Severity::Warning, state, "certificates (Origin CA)")
                .hosts(needing)
                .because(format!("the only certificate of Origin CA for it ends in {days} days"))
                .visitors("526 from then on, under Full (strict), if it is the one in use")
                .fix("SSL/TLS, Origin Server, Create Certificate; then replace the Secret"),
        );
    }
    found
}

fn covers(certificate: &OriginCertificate, host: &ServedHost) -> bool {
    certificate.hostnames.iter().any(|name| match &host.pattern {
        HostPattern::Exact(exact) => name.matches(exact),
        pattern => name == pattern,
    })
}
