//! Whether one host can be served to visitors without Cloudflare.

use super::HostPaths;
use crate::cli::certificates::Certificates;
use crate::model::{HostPattern, Severity};
use crate::pki::certificate::{Authorities, CaKind, Certificate, Proof};
use crate::pki::client_certificate::BreakGlassAccess;
use crate::pki::full_strict::{Judgement, Verdict, judge};
use crate::tls::store::{now, shown};
use crate::tls::{Snapshot, TlsPeer};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Up to this many paths are named; of more, the first and their number.
const MOST_PATHS: usize = 3;

/// What to do about a certificate that visitors do not trust.
const TRUSTED: &str = "name a Secret with a certificate of a public CA beside it in spec.tls (from cert-manager with \
    DNS-01, say), or a public wildcard in [[certificate]]";

/// What a visitor needs and does not get.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Lack {
    severity: &'static str,
    /// From a closed set.
    what: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    fix: &'static str,
    #[serde(skip)]
    level: Severity,
}

impl Lack {
    fn new(
        level: Severity,
        what: &'static str,
        reason: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self { severity: level.as_str(), what, reason: reason.into(), fix, level }
    }

    fn text(&self) -> String {
        match self.fix {
            "" => self.reason.clone(),
            fix => format!("{} (fix: {fix})", self.reason),
        }
    }
}

/// What is to be said of a host.
#[derive(Debug, Serialize)]
pub(super) struct HostRow {
    host: String,
    /// `ready`; `partly`: but for some paths; `closed`: it stays so, as was decided or cannot be otherwise; `not_ready`;
    /// `not_judged`.
    state: &'static str,
    /// Where the certificate is from that visitors are presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Lack>,
}

impl HostRow {
    /// How bad the worst is that is missing.
    pub(super) fn level(&self) -> Option<Severity> {
        self.missing.iter().map(|lack| lack.level).min()
    }

    pub(super) fn text(&self) -> String {
        let Self { host, state, certificate, days_left, missing } = self;
        let from = certificate.as_ref().map_or_else(String::new, |from| format!(" ({from})"));
        let words: Vec<String> = missing.iter().map(Lack::text).collect();
        let words = words.join("; ");
        let line = match (*state, days_left) {
            ("ready", Some(days)) => format!("ready, {days} days left{from}"),
            ("ready", None) => "ready".to_owned(),
            ("not_ready", _) => format!("not ready: {words}{from}"),
            ("partly", _) => format!("ready but for {words}{from}"),
            ("closed", _) => format!("stays closed: {words}"),
            _ => format!("not judged: {words}"),
        };
        let severity = match self.level() {
            Some(level @ (Severity::Error | Severity::Warning)) => format!("{}: ", level.as_str()),
            Some(Severity::Info) | None => String::new(),
        };
        format!("{severity}break-glass {host}: {line}\n")
    }
}

/// Judges hosts, each chain once.
pub(super) struct HostJudge<'j> {
    certificates: &'j Certificates<'j>,
    awaited: &'j BTreeSet<String>,
    authorities: &'j Authorities,
    snapshot: &'j Snapshot,
    has_tls: bool,
    now: i64,
    /// By address, which nothing else has while the snapshot holds the certificate.
    proofs: HashMap<usize, Proof>,
}

impl<'j> HostJudge<'j> {
    pub(super) fn new(
        certificates: &'j Certificates<'j>,
        awaited: &'j BTreeSet<String>,
        authorities: &'j Authorities,
        snapshot: &'j Snapshot,
        has_tls: bool,
    ) -> Self {
        let (now, proofs) = (now(), HashMap::new());
        Self { certificates, awaited, authorities, snapshot, has_tls, now, proofs }
    }

    pub(super) fn judge(&mut self, host: &HostPattern, paths: &HostPaths) -> HostRow {
        let mut row = HostRow {
            host: host.to_string(),
            state: "ready",
            certificate: None,
            days_left: None,
            missing: Vec::new(),
        };
        let awaited = if self.has_tls { self.read_certificate(host, &mut row) } else { None };
        // What is asked of a wildcard is asked of the names that it stands for.
        let name = row.host.replacen('*', "name", 1);
        row.missing.extend(self.certificates.break_glass(&name).and_then(of_clients));
        let is_closed = !row.missing.is_empty() || !paths.has_open;
        row.missing.extend(of_access(&paths.closed));
        row.state = match row.level() {
            Some(Severity::Error) => "not_ready",
            Some(_) if !is_closed => "partly",
            Some(_) => "closed",
            None if awaited.is_some() => "not_judged",
            None => "ready",
        };
        row.missing.extend(awaited);
        row
    }

    /// Reads what visitors are presented. Returns what is said if it is still to come.
    fn read_certificate(&mut self, host: &HostPattern, row: &mut HostRow) -> Option<Lack> {
        let certificate = shown(self.snapshot, host, TlsPeer::Stranger);
        let lack = match certificate {
            None => {
                let reason = "it has no certificate, so handshakes are refused";
                Some(Lack::new(Severity::Error, "certificate", reason, TRUSTED))
            }
            Some(certificate) => {
                row.certificate = self.certificates.origin(certificate);
                self.distrust(host, certificate, row)
            }
        };
        let lack = lack?;
        let awaited = self.certificates.missing(host).filter(|it| self.awaited.contains(it));
        if let Some(secret) = awaited {
            let reason = format!("{secret} is not in the input, and is to be made elsewhere");
            return Some(Lack::new(Severity::Info, "certificate", reason, ""));
        }
        row.missing.push(lack);
        None
    }

    /// Why visitors do not trust a certificate, if they do not.
    fn distrust(
        &mut self,
        host: &HostPattern,
        certificate: &Arc<Certificate>,
        row: &mut HostRow,
    ) -> Option<Lack> {
        let at = Arc::as_ptr(certificate).addr();
        let (authorities, now) = (self.authorities, self.now);
        let proof = self.proofs.entry(at).or_insert_with(|| authorities.prove(certificate, now));
        let judgement = judge(host, certificate, proof, now);
        row.days_left = judgement.days_left;
        let (reason, fix) = untrusted(certificate, proof, &judgement)?;
        Some(Lack::new(Severity::Error, "certificate", reason, fix))
    }
}

/// What a browser has against a certificate, and the fix.
fn untrusted(
    certificate: &Certificate,
    proof: &Proof,
    judgement: &Judgement,
) -> Option<(String, &'static str)> {
    let of_origin_ca = certificate.is_of_origin_ca() || *proof == Proof::Trusted(CaKind::OriginCa);
    let reason = match proof {
        _ if of_origin_ca => {
            "its certificate is of Cloudflare Origin CA, which browsers do not trust".to_owned()
        }
        Proof::SelfSigned => "its certificate is self-signed".to_owned(),
        Proof::UnknownIssuer { issuer } => {
            format!("the chain of its certificate ends at {issuer}, which is no public CA")
        }
        Proof::Incomplete { issuer } => format!(
            "the issuer of its certificate, {issuer}, is no public CA, and no intermediate certificate is with it"
        ),
        _ if judgement.verdict == Verdict::KeyUnsupported => {
            "its certificate has a kind of key that browsers do not verify".to_owned()
        }
        _ if judgement.verdict.status().is_some() => {
            let reason = &judgement.reason;
            return Some((format!("its certificate is refused: {reason}"), judgement.fix));
        }
        _ if certificate.names().is_empty() => {
            "its certificate has no DNS name in subjectAltName".to_owned()
        }
        _ => return None,
    };
    Some((reason, TRUSTED))
}

/// A certificate that is asked of clients, and that visitors do not have.
fn of_clients(break_glass: BreakGlassAccess) -> Option<Lack> {
    match break_glass {
        BreakGlassAccess::Open => None,
        BreakGlassAccess::Closed => {
            let reason = "it requires a client certificate, and ravelin.dev/break-glass or break_glass says \"closed\"";
            Some(Lack::new(Severity::Info, "client_certificate", reason, ""))
        }
        BreakGlassAccess::Unsaid => {
            let reason = "it requires a client certificate, which visitors do not have";
            let fix = "annotate its Ingress with ravelin.dev/break-glass: open, or closed if it is to stay closed; where \
                       [[client_certificate]] requires it, set break_glass there";
            Some(Lack::new(Severity::Error, "client_certificate", reason, fix))
        }
    }
}

/// Paths that ask for a token of Cloudflare Access, or a secret header.
fn of_access(closed: &BTreeSet<String>) -> Option<Lack> {
    let named: Vec<&str> = closed.iter().map(String::as_str).take(MOST_PATHS).collect();
    let more = closed.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| {
        let reason = format!(
            "{}{more}: a token of Cloudflare Access or a secret header is asked for, which visitors without Cloudflare cannot have",
            named.join(", ")
        );
        Lack::new(Severity::Warning, "access", reason, "")
    })
}
