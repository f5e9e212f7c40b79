//! The SSL mode of a zone against listeners and certificates.
//!
//! Source: Cloudflare's documentation, SSL/TLS, "Encryption modes", and "ERR_TOO_MANY_REDIRECTS".

use super::command::set;
use super::finding::ZoneFinding;
use super::served::{Edge, ServedHost};
use crate::control::zone::ZoneState;
use crate::model::Severity;
use crate::pki::client_certificate::Mode;
use std::collections::BTreeMap;

/// Where the mode is in the dashboard.
const PAGE: &str = "SSL/TLS, Overview, Configure, Custom SSL/TLS";
/// What connects a visitor to a port that nobody listens at.
const REFUSED: &str = "521, or 522 where packets are dropped";

/// What the mode causes.
pub(super) fn findings(state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) -> Vec<ZoneFinding> {
    match state.ssl.as_deref() {
        None => Vec::new(),
        Some("off") => off(state, edge, hosts),
        Some("flexible") => flexible(state, edge, hosts),
        Some("full") => full(state, edge, hosts),
        Some(mode @ ("strict" | "origin_pull")) => strict(state, mode, edge, hosts),
        Some(mode) => {
            let known = mode.len() <= 32 && mode.bytes().all(|it| it.is_ascii_graphic());
            let mode = if known { mode } else { "(unreadable)" };
            vec![
                finding(Severity::Info, state, mode)
                    .because("this version of ravelin does not know this mode"),
            ]
        }
    }
}

/// Whether the origin is reached by TLS at all.
pub(super) fn is_encrypted(state: &ZoneState) -> bool {
    !matches!(state.ssl.as_deref(), Some("off" | "flexible"))
}

fn finding(level: Severity, state: &ZoneState, mode: &str) -> ZoneFinding {
    ZoneFinding::new(level, &state.zone.name, format!("ssl = \"{mode}\""))
}

/// The mode to change to: strict where every host is ready for it.
fn better(finding: ZoneFinding, state: &ZoneState, hosts: &[&ServedHost]) -> ZoneFinding {
    let is_ready = |host: &&ServedHost| host.strict.as_ref().is_some_and(|it| it.status.is_none());
    let (name, value) = match hosts.iter().all(is_ready) {
        true => ("Full (strict)", "strict"),
        false => ("Full, and Full (strict) when every host has a certificate", "full"),
    };
    finding.fix(format!("{PAGE}: {name}")).command(set(&state.zone.id, "ssl", value))
}

fn off(state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) -> Vec<ZoneFinding> {
    let mut found = Vec::new();
    let all = finding(Severity::Error, state, "off").because(
        "Cloudflare sends visitors with https to http, and connects to port 80 without TLS",
    );
    let all = all.visitors("pages without encryption");
    found.push(without_https(all, edge, state, hosts));
    let redirecting = hosts.iter().filter(|host| host.redirects).map(|host| host.name.clone());
    let redirecting: Vec<String> = redirecting.collect();
    if !redirecting.is_empty() {
        let looping = finding(Severity::Error, state, "off")
            .hosts(redirecting)
            .because("ravelin redirects to https, and Cloudflare redirects back to http")
            .visitors("ERR_TOO_MANY_REDIRECTS");
        found.push(without_https(looping, edge, state, hosts));
    }
    found.extend(closed_port(state, "off", edge.has_http, "http"));
    found.extend(plain_pulls(state, "off", hosts));
    found
}

fn flexible(state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) -> Vec<ZoneFinding> {
    let mut found = Vec::new();
    let mut because =
        "Cloudflare connects to port 80 without TLS, for visitors with https as well, so an \
                       attacker on the way can read and change what is sent"
            .to_owned();
    if edge.has_https {
        because.push_str(", and the certificates here are not used");
    }
    if hosts.iter().any(|host| host.redirects) {
        because.push_str(
            "; redirects to https by ravelin look at the visitor's scheme and do not loop",
        );
    }
    let all = finding(Severity::Warning, state, "flexible").because(because).visitors(
        "a loop (ERR_TOO_MANY_REDIRECTS) where a pod redirects to https without \
         looking at X-Forwarded-Proto",
    );
    found.push(without_https(all, edge, state, hosts));
    found.extend(closed_port(state, "flexible", edge.has_http, "http"));
    found.extend(plain_pulls(state, "flexible", hosts));
    found
}

/// The fix: another mode, which needs a listener for it first.
fn without_https(
    finding: ZoneFinding,
    edge: &Edge,
    state: &ZoneState,
    hosts: &[&ServedHost],
) -> ZoneFinding {
    if edge.has_https {
        return better(finding, state, hosts);
    }
    finding.fix(format!("add a listener with protocol = \"https\" and certificates; then {PAGE}"))
}

/// No listener for what Cloudflare connects to.
fn closed_port(
    state: &ZoneState,
    mode: &str,
    is_open: bool,
    protocol: &str,
) -> Option<ZoneFinding> {
    let port = if protocol == "http" { 80 } else { 443 };
    (!is_open).then(|| {
        finding(Severity::Error, state, mode)
            .because(format!(
                "Cloudflare connects to port {port}, and no listener has protocol = \"{protocol}\""
            ))
            .visitors(REFUSED)
            .fix(format!("add a listener with protocol = \"{protocol}\" on port {port}"))
    })
}

/// A client certificate cannot be presented without TLS.
fn plain_pulls(state: &ZoneState, mode: &str, hosts: &[&ServedHost]) -> Option<ZoneFinding> {
    let requiring = hosts.iter().filter(|host| host.demand.mode == Mode::Require);
    let requiring: Vec<String> = requiring.map(|host| host.name.clone()).collect();
    (!requiring.is_empty()).then(|| {
        finding(Severity::Error, state, mode)
            .hosts(requiring)
            .because("the policy requires a client certificate, which needs TLS to the origin")
            .visitors("403 client_certificate_required")
            .fix(format!("{PAGE}: Full (strict)"))
            .command(set(&state.zone.id, "ssl", "strict"))
    })
}

fn full(state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) -> Vec<ZoneFinding> {
    if !edge.has_https {
        return closed_port(state, "full", false, "https").into_iter().collect();
    }
    let verdicts = || hosts.iter().filter_map(|host| Some((host, host.strict.as_ref()?)));
    let bare = verdicts().filter(|(_, verdict)| !verdict.has_certificate);
    let bare: Vec<String> = bare.map(|(host, _)| host.name.clone()).collect();
    if !bare.is_empty() {
        return vec![no_certificate(state, "full", bare)];
    }
    let mut because =
        "Cloudflare accepts any certificate of the origin, so an attacker in between can \
                       read and change what is sent"
            .to_owned();
    let ready = verdicts().all(|(_, verdict)| verdict.status.is_none());
    if ready {
        because.push_str("; all hosts are ready for Full (strict)");
    }
    let all = finding(Severity::Warning, state, "full").because(because);
    vec![match ready {
        true => better(all, state, hosts),
        false => all.fix(format!(
            "give every host the certificate that \"full (strict)\" above asks for; then {PAGE}: \
             Full (strict)"
        )),
    }]
}

fn no_certificate(state: &ZoneState, mode: &str, hosts: Vec<String>) -> ZoneFinding {
    finding(Severity::Error, state, mode)
        .hosts(hosts)
        .because("Cloudflare connects with TLS, and no certificate is presented for this name")
        .visitors("525")
        .fix(
            "SSL/TLS, Origin Server, Create Certificate; put it into a Secret and name that in \
             spec.tls of the Ingress",
        )
}

fn strict(state: &ZoneState, mode: &str, edge: &Edge, hosts: &[&ServedHost]) -> Vec<ZoneFinding> {
    let mut found: Vec<ZoneFinding> =
        closed_port(state, mode, edge.has_https, "https").into_iter().collect();
    let mut alike: BTreeMap<(u16, &str, &str), Vec<String>> = BTreeMap::new();
    let mut bare = Vec::new();
    for host in hosts {
        let Some(verdict) = &host.strict else { continue };
        match verdict.status {
            Some(_) if !verdict.has_certificate => bare.push(host.name.clone()),
            Some(status) => {
                let key = (status, verdict.words.as_str(), verdict.fix);
                alike.entry(key).or_default().push(host.name.clone());
            }
            None => {}
        }
    }
    if !bare.is_empty() {
        found.push(no_certificate(state, mode, bare));
    }
    for ((status, words, fix), hosts) in alike {
        found.push(
            finding(Severity::Error, state, mode)
                .hosts(hosts)
                .because(format!("Cloudflare refuses the certificate: {words}"))
                .visitors(status.to_string())
                .fix(format!("{fix}; SSL/TLS, Origin Server, Create Certificate has one")),
        );
    }
    found
}
