//! The report, as data: totals first, worst first.

use super::around::{self, Matter, Plan, Topic};
use super::chart::{Configuration, Left, Told, Weight, configuration};
use super::differences::{self, Difference};
use super::documents::Documents;
use super::input::Gathered;
use super::installation::{Front, Installation};
use super::routes::{Cause, Judge, RouteVerdict, Verdict, by_object};
use super::subject::References;
use super::{Reading, around::is_classless};
use crate::app;
use crate::cli::certificates::Certificates;
use crate::cli::checkout::{JudgedAs, JudgedFindings};
use crate::cli::run::config_failure;
use crate::cli::{Failure, full_strict};
use crate::control::reconcile::build;
use crate::control::translate::Options;
use crate::model::{Diagnostic, Kind, Model, Severity};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What will differ.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Report {
    pub(super) judged_as: JudgedAs,
    pub(super) class: String,
    pub(super) totals: Totals,
    pub(in crate::cli) routes: Vec<RouteVerdict>,
    /// Differences that hold for some of the routes.
    pub(in crate::cli) differences: Vec<Difference>,
    /// Differences that hold for every route.
    pub(in crate::cli) everywhere: Vec<Difference>,
    /// What to do besides.
    pub(super) matters: Vec<Matter>,
    /// What the input itself keeps from being judged.
    pub(super) unread: Vec<Cause>,
    pub(super) configuration: Proposal,
    /// For what is written into a directory.
    #[serde(skip)]
    pub(super) overlay: Overlay,
    /// What ravelin is to serve.
    #[serde(skip)]
    pub(in crate::cli) model: Model,
}

/// What the overlay and the commands depend on.
#[derive(Debug)]
pub(super) struct Overlay {
    pub(super) scheduling: Vec<(&'static str, Value, String)>,
    pub(super) takes_class: bool,
    pub(super) drain_seconds: u64,
    /// Listeners that a balancer may lead to, with their ports.
    pub(super) ports: Vec<(String, u16)>,
    pub(super) installation: Installation,
    /// `ravelin.toml` without the ports that Traefik has.
    pub(super) beside: Option<String>,
}

impl Overlay {
    /// Whether ravelin first runs without the ports of the nodes, because Traefik's own pods have them.
    pub(super) fn has_stage_beside(&self) -> bool {
        self.installation.front == Front::HostNetwork && self.beside.is_some()
    }
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Totals {
    pub(super) routes: usize,
    pub(super) not_served: usize,
    pub(super) neither: usize,
    pub(super) differs: usize,
    pub(super) same: usize,
    /// Things to do around the routes.
    pub(super) matters: usize,
    /// Values that have no line in the configuration, and are lost.
    pub(super) lost_values: usize,
}

/// The configuration that comes closest.
#[derive(Debug, Serialize)]
pub(super) struct Proposal {
    pub(super) sources: Vec<String>,
    pub(super) left: Vec<Left>,
    /// `ravelin.toml`.
    pub(super) text: String,
}

impl Report {
    /// 0: all is served the same. 1: something differs, or is to be done. 2: something is not served.
    pub(super) fn code(&self) -> u8 {
        let Totals { not_served, neither, differs, matters, lost_values, .. } = self.totals;
        match not_served {
            0 => u8::from(neither + differs + matters + lost_values + self.unread.len() > 0),
            _ => 2,
        }
    }
}

pub(super) fn report(reading: &Reading, gathered: Gathered) -> Result<Report, Failure> {
    let Gathered { objects, findings, input, documents } = gathered;
    let class = reading.ingress_class.as_str();
    let is_default = documents.of("Ingress", "networking.k8s.io").any(is_classless);
    let told = Told::read(&documents);
    let installation = Installation::of(&told, &documents);
    let proposed =
        configuration(&told, class, is_default).map_err(|errors| config_failure(&errors))?;
    let options = Options {
        ingress_class: class.to_owned(),
        without_class: true,
        strict_class: false,
        loopback_endpoints: true,
        ..app::options(&proposed.config)
    };
    let built = build(&objects, findings, &options);
    let JudgedFindings { findings, awaited } = input.judge(&built.findings);
    let references = References::new(&documents, &proposed.config, proposed.strict_prefixes);
    let all = differences::all();
    let judge = Judge {
        documents: &documents,
        references,
        differences: &all,
        findings: &findings,
        by_object: by_object(&findings),
        input: &input,
    };
    let routes = judge.routes(&built.table);
    let mut strict = Certificates::of(Some(&proposed.config), &built).strict(&built.table)?;
    let is_checkout = input.judged_as() == JudgedAs::Checkout;
    let named = named_secrets(&documents);
    let to_come = |row: &full_strict::Row| is_checkout && covers(&named, row.host());
    strict.retain(|row| {
        row.is_warning()
            && !awaited.contains(row.object())
            && (row.has_certificate() || !to_come(row))
    });
    let front = installation.front;
    let plan = Plan { class, takes_class: proposed.takes_class, front };
    let mut matters = around::matters(&documents, &plan);
    matters.extend(strict.iter().map(of_certificate));
    matters.sort();
    let unread = unread(&findings);
    let (judged_as, model) = (input.judged_as(), built.model);
    let judged = Judged { judged_as, model, routes, matters, unread };
    Ok(assemble(reading, judged, all, proposed, installation))
}

/// The verdicts on the input.
struct Judged {
    judged_as: JudgedAs,
    model: Model,
    routes: Vec<RouteVerdict>,
    matters: Vec<Matter>,
    unread: Vec<Cause>,
}

fn assemble(
    reading: &Reading,
    judged: Judged,
    all: Vec<Difference>,
    proposed: Configuration,
    installation: Installation,
) -> Report {
    let Judged { judged_as, model, routes, matters, unread } = judged;
    let count = |verdict| routes.iter().filter(|route| route.verdict == verdict).count();
    let lost = proposed.left.iter().filter(|left| left.weight == Weight::Differs).count();
    let totals = Totals {
        routes: routes.len(),
        not_served: count(Verdict::NotServed),
        neither: count(Verdict::Neither),
        differs: count(Verdict::Differs),
        same: count(Verdict::Same),
        matters: matters.len(),
        lost_values: lost,
    };
    let (everywhere, some): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.everywhere);
    let holds = |it: &Difference| routes.iter().any(|route| route.differences.contains(&it.id));
    let differences = some.into_iter().filter(holds).collect();
    let Configuration { text, beside, config, left, sources, scheduling, takes_class, .. } =
        proposed;
    Report {
        judged_as,
        class: reading.ingress_class.clone(),
        totals,
        routes,
        differences,
        everywhere,
        matters,
        unread,
        configuration: Proposal { sources, left, text },
        overlay: Overlay {
            scheduling,
            takes_class,
            drain_seconds: config.timeouts.drain.as_secs(),
            ports: config
                .listeners
                .iter()
                .filter(|listener| !listener.address.ip().is_loopback())
                .map(|listener| (listener.name.to_string(), listener.address.port()))
                .collect(),
            installation,
            beside,
        },
        model,
    }
}

/// Hosts for which Ingresses name Secrets. Those that do not exist have findings of their own.
fn named_secrets(documents: &Documents) -> BTreeSet<&str> {
    let ingresses = documents.of("Ingress", "networking.k8s.io");
    let tls = ingresses.flat_map(|ingress| ingress.list("/spec/tls"));
    let named = tls.filter(|tls| tls.get("secretName").is_some());
    let hosts = named.filter_map(|tls| tls.get("hosts")?.as_array()).flatten();
    hosts.filter_map(Value::as_str).collect()
}

fn covers(named: &BTreeSet<&str>, host: &str) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    named.contains(host) || parent.is_some_and(|parent| named.contains(parent.as_str()))
}

fn of_certificate(row: &full_strict::Row) -> Matter {
    let cause = Cause {
        object: row.object().to_owned(),
        field: row.host().to_owned(),
        reason: row.words().to_owned(),
        fix: row.fix().to_owned(),
    };
    Matter { topic: Topic::Certificates, cause }
}

/// Files that could not be read, templates, and what is rendered elsewhere.
fn unread(findings: &[Diagnostic]) -> Vec<Cause> {
    let is_file = |finding: &&Diagnostic| {
        matches!(finding.object.kind, Kind::File | Kind::Cluster)
            && finding.severity < Severity::Info
            // Told by route and object.
            && finding.why != crate::model::Why::UnservedKind
    };
    findings.iter().filter(is_file).map(Cause::from).collect()
}
