//! What is not served as written, with its fix.

use super::Sources;
use super::question::Search;
use super::window::Window;
use crate::model::Diagnostic;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub(super) struct FindingRow {
    severity: &'static str,
    /// Kind, namespace and name.
    object: String,
    field: String,
    /// The cause, as in `ravelin_rejected_objects`.
    reason: &'static str,
    text: String,
    fix: String,
}

impl From<&Diagnostic> for FindingRow {
    fn from(finding: &Diagnostic) -> Self {
        let Diagnostic { severity, object, field, why, reason, fix } = finding;
        Self {
            severity: severity.as_str(),
            object: object.to_string(),
            field: field.clone(),
            reason: why.as_str(),
            text: reason.clone(),
            fix: fix.clone(),
        }
    }
}

impl Sources {
    /// Errors first.
    pub(super) fn findings(&self, search: &Search) -> Window<FindingRow> {
        let all = self.telemetry.findings();
        let is_asked = |finding: &&Arc<Diagnostic>| {
            let object = &finding.object;
            let texts = [&*object.namespace, &*object.name, object.kind.as_str(), &*finding.field];
            search.matches(&texts) || search.matches(&[finding.why.as_str()])
        };
        let found: Vec<_> = all.iter().filter(is_asked).collect();
        let part = &found[search.bounds.range(found.len())];
        let rows = part.iter().map(|finding| FindingRow::from(&***finding)).collect();
        search.bounds.window(self.tables.load().generation(), found.len(), rows)
    }
}
