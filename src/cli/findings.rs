//! Findings, as lines for people and for programs.

use crate::model::{Rejected, Severity};
use serde::Serialize;

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

/// A line each.
pub(super) fn text(findings: &[Rejected]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}
