//! `ravelin check`.

use super::break_glass::{BreakGlassArgs, BreakGlassReport};
use super::certificates::{self, Certificates};
use super::checkout::{Input, JudgedAs, JudgedFindings};
use super::findings::{self, DiagnosticJson};
use super::zones::{self, ZoneArgs, ZoneReport};
use super::{Failure, Output, What, full_strict, manifests, say, table};
use crate::model::{Diagnostic, Severity};
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
    /// What is set at Cloudflare, against what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    cloudflare: Option<&'a ZoneReport>,
    /// Whether hosts can be served without Cloudflare.
    #[serde(skip_serializing_if = "Option::is_none")]
    break_glass: Option<&'a BreakGlassReport>,
    errors: usize,
    warnings: usize,
}

/// Prints what would be served and what would not. `verbose`: with a line for each annotation that makes
/// no difference.
pub(super) fn check(
    what: &What,
    zone: &ZoneArgs,
    break_glass: &BreakGlassArgs,
    paths: Vec<PathBuf>,
    verbose: bool,
) -> Result<u8, Failure> {
    zone.refuse_token(&paths)?;
    let mut api = zone.api()?;
    let read = manifests::read(what, paths)?;
    let (build, input) = (&read.build, &read.input);
    let certificates = Certificates::of(read.config.as_ref(), build);
    let JudgedFindings { findings: found, awaited } = input.judge(&build.findings);
    let mut strict = certificates.strict(&build.table)?;
    strict.retain(|row| !awaited.contains(row.object()));
    let compare = |api: &mut _| zones::compare(api, zone, &read, &certificates, &strict);
    let cloudflare = api.as_mut().map(compare).transpose()?;
    let glass = break_glass.judge(&read, &certificates, &awaited)?;
    let of_reports = |severity| {
        cloudflare.as_ref().map_or(0, |report| report.count(severity))
            + glass.as_ref().map_or(0, |report| report.count(severity))
    };
    let rows = certificates.rows.iter();
    let errors = of_reports(Severity::Error)
        + findings::count(&found, Severity::Error)
        + rows.clone().filter(|row| row.error.is_some()).count()
        + usize::from(certificates.policies.is_err());
    let warnings = of_reports(Severity::Warning)
        + findings::count(&found, Severity::Warning)
        + rows.filter(|row| row.warning.is_some()).count()
        + strict.iter().filter(|row| row.is_warning()).count();
    let mut routes = table::rows(&build.table);
    input.adjust(&mut routes);
    let (zones, glass) = (cloudflare.as_ref(), glass.as_ref());
    let certificates = &certificates;
    let checked =
        Checked { routes, certificates, strict, found, zones, glass, input, errors, warnings };
    say(&match what.output {
        Output::Text => checked.text(verbose),
        Output::Json => checked.json()?,
    })?;
    Ok(u8::from(errors > 0))
}

/// All that is printed.
struct Checked<'c> {
    routes: Vec<table::Row>,
    certificates: &'c Certificates<'c>,
    strict: Vec<full_strict::Row>,
    found: Vec<Diagnostic>,
    zones: Option<&'c ZoneReport>,
    glass: Option<&'c BreakGlassReport>,
    input: &'c Input,
    errors: usize,
    warnings: usize,
}

impl Checked<'_> {
    fn text(&self, verbose: bool) -> String {
        let Self { routes, certificates, strict, found, zones, glass, .. } = self;
        let Self { input, errors, warnings, .. } = self;
        let count = routes.len();
        let table = if routes.is_empty() { String::new() } else { table::text(routes) + "\n" };
        let findings = findings::text(found, verbose);
        let input = input.text();
        let mut shown = certificates.text();
        if let Err(error) = &certificates.policies {
            shown.push_str(&format!("error: client_certificate: {error}\n"));
        }
        let strict: String = strict.iter().map(full_strict::Row::text).collect();
        let zones = zones.map_or_else(String::new, ZoneReport::text);
        let glass = glass.map_or_else(String::new, BreakGlassReport::text);
        format!(
            "{table}{shown}{strict}{findings}{zones}{glass}{input}{count} routes, {errors} errors, \
             {warnings} warnings\n"
        )
    }

    fn json(self) -> Result<String, Failure> {
        json(&Report {
            judged_as: self.input.judged_as(),
            routes: self.routes,
            certificates: &self.certificates.rows,
            full_strict: &self.strict,
            clients: self.certificates.policies.as_ref().err(),
            findings: self.found.iter().map(DiagnosticJson::from).collect(),
            cloudflare: self.zones,
            break_glass: self.glass,
            errors: self.errors,
            warnings: self.warnings,
        })
    }
}

/// A value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| Failure { code: 1, text: error.to_string() })
}
