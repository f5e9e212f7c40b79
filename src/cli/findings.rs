//! Findings, as lines for people and for programs.

use crate::model::{Diagnostic, Severity, Why};
use serde::Serialize;
use std::collections::BTreeMap;

/// A diagnostic as it is in JSON.
#[derive(Debug, Serialize)]
pub(super) struct DiagnosticJson<'a> {
    severity: &'static str,
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    field: &'a str,
    /// From a closed set.
    why: &'static str,
    reason: &'a str,
    fix: &'a str,
}

impl<'a> From<&'a Diagnostic> for DiagnosticJson<'a> {
    fn from(finding: &'a Diagnostic) -> Self {
        let Diagnostic { severity, object, field, why, reason, fix } = finding;
        Self {
            severity: severity.as_str(),
            kind: object.kind.as_str(),
            namespace: &object.namespace,
            name: &object.name,
            field,
            why: why.as_str(),
            reason,
            fix,
        }
    }
}

/// How many findings are of this severity.
pub(super) fn count(findings: &[Diagnostic], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// Up to this many objects with the same finding are listed one by one.
const MAX_ALIKE: usize = 3;

/// A line each; but, without `verbose`, one for many objects of which the same is to be said, and one for
/// each sort of annotation that makes no difference.
pub(super) fn text(findings: &[Diagnostic], verbose: bool) -> String {
    if verbose {
        return findings.iter().map(|finding| format!("{finding}\n")).collect();
    }
    let is_detail = |finding: &&Diagnostic| {
        finding.severity == Severity::Info && finding.why == Why::AnnotationIgnored
    };
    let (details, lines): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
        findings.iter().partition(is_detail);
    each(&lines) + &sorts(&details)
}

fn each(findings: &[&Diagnostic]) -> String {
    let mut alike: BTreeMap<_, Vec<&Diagnostic>> = BTreeMap::new();
    for finding in findings {
        let Diagnostic { severity, object, field, why: _, reason, fix } = finding;
        alike.entry((severity, object.kind, field, reason, fix)).or_default().push(finding);
    }
    let mut out = String::new();
    for finding in findings {
        let Diagnostic { severity, object, field, why: _, reason, fix } = finding;
        let others = &alike[&(severity, object.kind, field, reason, fix)];
        let is_first = std::ptr::eq(others[0], *finding);
        if others.len() <= MAX_ALIKE {
            out.push_str(&format!("{finding}\n"));
        } else if is_first {
            let more = others.len() - 1;
            let line = finding.to_string();
            let named = finding.object.to_string();
            let line = line.replacen(&named, &format!("{named} and {more} more"), 1);
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

/// One line for each sort, with the number of objects.
fn sorts(details: &[&Diagnostic]) -> String {
    let mut sorts: BTreeMap<(&str, &str), BTreeMap<&'static str, usize>> = BTreeMap::new();
    for finding in details {
        let kinds = sorts.entry((&finding.field, &finding.reason)).or_default();
        *kinds.entry(finding.object.kind.as_str()).or_default() += 1;
    }
    let mut text = String::new();
    for ((field, reason), kinds) in sorts {
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| many(kind, *count)).collect();
        text.push_str(&format!("info: {}: {field}: {reason}\n", kinds.join(", ")));
    }
    text
}

/// Objects of a kind, counted.
fn many(kind: &str, count: usize) -> String {
    let plural = match (count, kind) {
        (1, _) => "",
        (_, kind) if kind.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {kind}{plural}")
}
