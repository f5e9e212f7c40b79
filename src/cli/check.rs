//! `ravelin check`.

use super::certificates::{self, Certificates};
use super::checkout::{JudgedAs, JudgedFindings};
use super::findings::{self, DiagnosticJson};
use super::{Failure, Output, What, full_strict, manifests, say, table};
use crate::model::Severity;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct Report<'a> {
    judged_as: JudgedAs,
    routes: Vec<table::Row>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    certificates: &'a [certificates::Row],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    full_strict: &'a [full_strict::Row],
    /// Why the process would not start with what is asked of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<&'a String>,
    findings: Vec<DiagnosticJson<'a>>,
    errors: usize,
    warnings: usize,
}

/// Prints what would be served and what would not. `verbose`: with a line for each annotation that makes
/// no difference.
pub(super) fn check(what: &What, paths: Vec<PathBuf>, verbose: bool) -> Result<u8, Failure> {
    let read = manifests::read(what, paths)?;
    let (build, input) = (read.build, read.input);
    let certificates = Certificates::of(read.config.as_ref(), &build);
    let JudgedFindings { findings: found, awaited } = input.judge(&build.findings);
    let mut strict = certificates.strict(&build.table)?;
    strict.retain(|row| !awaited.contains(row.object()));
    let rows = certificates.rows.iter();
    let errors = findings::count(&found, Severity::Error)
        + rows.clone().filter(|row| row.error.is_some()).count()
        + usize::from(certificates.policies.is_err());
    let warnings = findings::count(&found, Severity::Warning)
        + rows.filter(|row| row.warning.is_some()).count()
        + strict.iter().filter(|row| row.is_warning()).count();
    let mut routes = table::rows(&build.table);
    input.adjust(&mut routes);
    let page = match what.output {
        Output::Text => {
            let count = routes.len();
            let table = if routes.is_empty() { String::new() } else { table::text(&routes) + "\n" };
            let findings = findings::text(&found, verbose);
            let input = input.text();
            let mut shown = certificates.text();
            if let Err(error) = &certificates.policies {
                shown.push_str(&format!("error: client_certificate: {error}\n"));
            }
            let strict: String = strict.iter().map(full_strict::Row::text).collect();
            format!(
                "{table}{shown}{strict}{findings}{input}{count} routes, {errors} errors, {warnings} \
                 warnings\n"
            )
        }
        Output::Json => {
            let findings = found.iter().map(DiagnosticJson::from).collect();
            let clients = certificates.policies.as_ref().err();
            let (certificates, full_strict) = (&certificates.rows[..], &strict[..]);
            json(&Report {
                judged_as: input.judged_as(),
                routes,
                certificates,
                full_strict,
                clients,
                findings,
                errors,
                warnings,
            })?
        }
    };
    say(&page)?;
    Ok(u8::from(errors > 0))
}

/// A value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| Failure { code: 1, text: error.to_string() })
}
