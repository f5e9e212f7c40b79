//! Findings, as lines for people and for programs.

use crate::model::{Rejected, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Finding<'a> {
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

impl<'a> From<&'a Rejected> for Finding<'a> {
    fn from(finding: &'a Rejected) -> Self {
        let Rejected { severity, object, field, why, reason, fix } = finding;
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
pub(super) fn count(findings: &[Rejected], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// So many objects with the same finding are told one by one.
const MAX_ALIKE: usize = 3;

/// A line each; but one for many objects of which the same is to be said.
pub(super) fn text(findings: &[Rejected]) -> String {
    let mut alike: BTreeMap<_, Vec<&Rejected>> = BTreeMap::new();
    for finding in findings {
        let Rejected { severity, object, field, why: _, reason, fix } = finding;
        alike.entry((severity, object.kind, field, reason, fix)).or_default().push(finding);
    }
    let mut out = String::new();
    for finding in findings {
        let Rejected { severity, object, field, why: _, reason, fix } = finding;
        let others = &alike[&(severity, object.kind, field, reason, fix)];
        let is_first = std::ptr::eq(others[0], finding);
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
