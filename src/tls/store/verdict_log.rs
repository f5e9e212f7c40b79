//! What the log says of the verdicts under Full (strict): a line for each host whose verdict has
//! changed, and one for all the hosts that have no certificate yet, because that is how a zone on
//! Flexible looks.

use super::self_check::Judged;
use crate::model::HostPattern;
use crate::pki::full_strict::Verdict;
use std::collections::BTreeMap;

/// Most hosts that one change writes a line about; the others are counted.
const MOST_LINES: usize = 20;

/// Hosts without a certificate that a line names.
const NAMED: usize = 3;

/// The known verdicts, as of the last check.
#[derive(Debug, Default)]
pub(super) struct VerdictLog(BTreeMap<HostPattern, Verdict>);

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
enum Line<'j> {
    /// The verdict of a host is another one.
    Changed(&'j Judged),
    /// Hosts are new and have no certificate.
    Uncovered { hosts: Vec<&'j HostPattern>, others_have: bool },
    /// Further hosts whose verdict is another one.
    More(usize),
}

impl VerdictLog {
    /// Writes what has changed since the last time.
    pub(super) fn write(&mut self, judged: &[Judged]) {
        for line in self.news(judged) {
            match line {
                Line::Changed(judged) => changed(judged),
                Line::Uncovered { hosts, others_have } => uncovered(&hosts, others_have),
                Line::More(more) => tracing::warn!(
                    more,
                    "the verdict of more hosts changed under Full (strict): see ravelin_tls_full_strict"
                ),
            }
        }
    }

    fn news<'j>(&mut self, judged: &'j [Judged]) -> Vec<Line<'j>> {
        let (mut lines, mut hosts) = (Vec::new(), Vec::new());
        for one in judged {
            let verdict = one.judgement.verdict;
            match self.0.get(&one.host) {
                None if verdict == Verdict::NoCertificate => hosts.push(&one.host),
                before if before.copied().unwrap_or(Verdict::Ok) == verdict => {}
                _ => lines.push(Line::Changed(one)),
            }
        }
        let more = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        if more > 0 {
            lines.push(Line::More(more));
        }
        if !hosts.is_empty() {
            let has = |one: &Judged| one.judgement.verdict != Verdict::NoCertificate;
            lines.push(Line::Uncovered { hosts, others_have: judged.iter().any(has) });
        }
        let verdicts = judged.iter().map(|one| (one.host.clone(), one.judgement.verdict));
        self.0 = verdicts.collect();
        lines
    }
}

fn changed(Judged { host, object, certificate, judgement }: &Judged) {
    let certificate = certificate.as_deref().unwrap_or("none");
    let (verdict, fix) = (judgement.verdict.label(), judgement.fix);
    match judgement.verdict.status() {
        None if judgement.verdict == Verdict::Ok => {
            tracing::info!(%host, object, certificate, "Full (strict) accepts the certificate again");
        }
        None => {
            let days = judgement.days_left;
            let message = "a certificate expires soon";
            tracing::warn!(%host, object, certificate, days, fix, "{message}");
        }
        Some(status) => {
            let reason = &judgement.reason;
            tracing::warn!(
                %host, object, certificate, verdict, status, reason, fix,
                "Cloudflare refuses the certificate under Full (strict)"
            );
        }
    }
}

/// Nothing is wrong where no host has a certificate: the zone is on Flexible.
fn uncovered(hosts: &[&HostPattern], others_have: bool) {
    let named: Vec<String> = hosts.iter().take(NAMED).map(ToString::to_string).collect();
    let (count, named) = (hosts.len(), named.join(", "));
    if others_have {
        tracing::warn!(
            hosts = count,
            named,
            fix = "name a Secret for them in spec.tls of an Ingress",
            "hosts have no certificate: under Full (strict), clients get 525"
        );
    } else {
        tracing::info!(
            hosts = count,
            named,
            "no host has a certificate: Cloudflare can connect only in mode Flexible"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::full_strict::Judgement;

    fn judged(host: &str, verdict: Verdict) -> Judged {
        Judged {
            host: HostPattern::parse(Some(host)).expect("a host"),
            object: "Ingress shop/web".into(),
            certificate: (verdict != Verdict::NoCertificate).then(|| "Secret shop/cert".into()),
            judgement: Judgement { verdict, ..Judgement::of_nothing() },
        }
    }

    #[test]
    fn a_zone_on_flexible_gets_one_line_however_many_hosts_it_has() {
        let hosts: Vec<_> = (0..50).map(|n| format!("h{n:02}.example")).collect();
        let bare = |host: &String| judged(host, Verdict::NoCertificate);
        let all: Vec<_> = hosts.iter().map(bare).collect();
        let mut log = VerdictLog::default();
        let [Line::Uncovered { hosts, others_have: false }] = &log.news(&all)[..] else {
            panic!("one line")
        };
        assert_eq!(hosts.len(), 50);
        assert_eq!(log.news(&all), []);
    }

    #[test]
    fn a_host_that_loses_its_certificate_has_a_line_of_its_own() {
        let (a, b) = ("a.example", "b.example");
        let mut log = VerdictLog::default();
        let before = [judged(a, Verdict::Ok), judged(b, Verdict::NoCertificate)];
        let line = Line::Uncovered { hosts: vec![&before[1].host], others_have: true };
        assert_eq!(log.news(&before), [line]);
        let after = [judged(a, Verdict::NoCertificate), judged(b, Verdict::Ok)];
        let both = [Line::Changed(&after[0]), Line::Changed(&after[1])];
        assert_eq!(log.news(&after), both, "and b.example is accepted");
    }

    #[test]
    fn many_changes_are_counted() {
        let hosts: Vec<_> = (0..30).map(|n| format!("h{n:02}.example")).collect();
        let expired = |host: &String| judged(host, Verdict::Expired);
        let all: Vec<_> = hosts.iter().map(expired).collect();
        let mut log = VerdictLog::default();
        let lines = log.news(&all);
        assert_eq!((lines.len(), lines.last()), (MOST_LINES + 1, Some(&Line::More(10))));
    }
}
