//! The certificate of each host: how long it is valid, and Cloudflare's verdict under Full (strict).

use super::Sources;
use super::question::Search;
use super::window::Window;
use crate::model::HostPattern;
use crate::pki::certificate::Certificate;
use crate::pki::full_strict::Verdict;
use crate::tls::store::{now, shown, time};
use crate::tls::{Snapshot, TlsPeer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60;

/// Names of a certificate that are told.
const MOST_NAMES: usize = 8;

#[derive(Debug, Serialize)]
pub(super) struct CertificateReport {
    #[serde(flatten)]
    hosts: Window<CertificateRow>,
    /// Files that cannot be used; their last good content is in use.
    failing_files: Vec<String>,
    /// Secrets that cannot be used, and what is presented instead.
    failing_secrets: BTreeMap<String, &'static str>,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    host: String,
    /// When the certificate expires; of several, the one that expires first.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    /// Whole days until then; negative if it has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    /// As in `ravelin_tls_full_strict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    /// The status that Cloudflare answers with for it, where the verdict is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    cloudflare_answers: Option<u16>,
    /// The certificate that clients other than Cloudflare are presented, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<String>,
}

/// What is known of a host.
#[derive(Clone, Copy, Default)]
struct Known {
    not_after: Option<i64>,
    verdict: Option<Verdict>,
}

impl Sources {
    /// Those that Cloudflare does not accept first, then those that expire first.
    pub(super) fn certificates(&self, search: &Search) -> CertificateReport {
        let cells = self.telemetry.certificates().read();
        let mut hosts = BTreeMap::<&str, Known>::new();
        for (host, not_after) in &cells.not_after {
            hosts.entry(host).or_default().not_after = Some(*not_after);
        }
        for (host, verdict, _) in &cells.full_strict {
            hosts.entry(host).or_default().verdict = Some(*verdict);
        }
        let mut found: Vec<_> =
            hosts.into_iter().filter(|(host, _)| search.matches(&[host])).collect();
        let total = found.len();
        found.sort_by_key(|(host, known)| {
            let refused = known.verdict.is_some_and(|verdict| verdict.status().is_some());
            (!refused, known.not_after.unwrap_or(i64::MAX), *host)
        });
        let (part, today) = (&found[search.bounds.range(total)], now());
        let snapshot = self.certificates.load();
        let rows = part.iter().map(|(host, known)| CertificateRow {
            host: (*host).to_owned(),
            not_after: known.not_after.map(time),
            days_left: known.not_after.map(|end| (end - today).div_euclid(DAY)),
            verdict: known.verdict.map(Verdict::label),
            cloudflare_answers: known.verdict.and_then(Verdict::status),
            others: for_others(&snapshot, host),
        });
        let rows = rows.collect();
        let shown = |last_good| if last_good { "last_good" } else { "nothing" };
        let secrets = cells.failing_secrets.iter().chain(&cells.failing_authorities);
        CertificateReport {
            hosts: search.bounds.window(self.tables.load().generation(), total, rows),
            failing_files: failing(&cells.files),
            failing_secrets: secrets.map(|(name, last)| (name.clone(), shown(*last))).collect(),
        }
    }
}

/// What clients other than Cloudflare are presented for a host, if that is another certificate.
fn for_others(snapshot: &Snapshot, host: &str) -> Option<String> {
    let host = HostPattern::parse(Some(host)).ok()?;
    let [own, others] =
        [TlsPeer::Cloudflare, TlsPeer::Other].map(|peer| shown(snapshot, &host, peer));
    let (own, others) = (own?, others?);
    (!Arc::ptr_eq(own, others)).then(|| words(others))
}

/// A certificate: its names, the first of them, and its end.
pub(super) fn words(certificate: &Certificate) -> String {
    let names = certificate.names().iter().take(MOST_NAMES).map(ToString::to_string);
    let names: Vec<String> = names.collect();
    format!("{}, until {}", names.join(" "), time(certificate.not_after()))
}

fn failing(files: &[(Arc<str>, bool)]) -> Vec<String> {
    files.iter().filter(|(_, failing)| *failing).map(|(file, _)| file.to_string()).collect()
}
