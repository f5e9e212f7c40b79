//! The verdict on each route: served the same, differently, or not at all.

use super::differences::Difference;
use super::documents::{Document, Documents};
use super::subject::{References, Subject, Trait};
use crate::cli::checkout::{Input, JudgedAs};
use crate::cli::table::{self, Row};
use crate::control::manifest::udp_services;
use crate::model::{Diagnostic, Kind, Severity, Why};
use crate::routing::Table;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Verdict {
    /// Traefik serves it, and ravelin does not.
    NotServed,
    /// Neither of them does.
    Neither,
    Differs,
    Same,
}

/// One route.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct RouteVerdict {
    pub(in crate::cli) verdict: Verdict,
    /// `Kind namespace/name`.
    pub(in crate::cli) object: String,
    pub(in crate::cli) field: String,
    /// Host and path, or the rule.
    pub(in crate::cli) rule: String,
    /// What ravelin answers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) answer: Option<String>,
    /// Ids of differences.
    pub(in crate::cli) differences: Vec<String>,
    /// What else is to be said of it.
    pub(in crate::cli) causes: Vec<Cause>,
}

/// What is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in crate::cli) struct Cause {
    pub(in crate::cli) object: String,
    pub(in crate::cli) field: String,
    pub(in crate::cli) reason: String,
    pub(in crate::cli) fix: String,
}

impl From<&Diagnostic> for Cause {
    fn from(finding: &Diagnostic) -> Self {
        let Diagnostic { object, field, reason, fix, .. } = finding;
        let (field, reason, fix) = (field.clone(), reason.clone(), fix.clone());
        Self { object: object.to_string(), field, reason, fix }
    }
}

/// What the verdicts depend on.
pub(super) struct Judge<'j> {
    pub(super) documents: &'j Documents,
    pub(super) references: References<'j>,
    pub(super) differences: &'j [Difference],
    /// As `check` would tell them.
    pub(super) findings: &'j [Diagnostic],
    /// The same, by what `Kind namespace/name` they are about.
    pub(super) by_object: BTreeMap<String, Vec<&'j Diagnostic>>,
    pub(super) input: &'j Input,
}

/// Causes with which a route of a served object is another one than with Traefik.
const TELLING: [Why; 5] = [
    Why::AnnotationIgnored,
    Why::Unsupported,
    Why::UpstreamTls,
    Why::SecretUnusable,
    Why::MiddlewareUnusable,
];

/// Findings by their objects.
pub(super) fn by_object(findings: &[Diagnostic]) -> BTreeMap<String, Vec<&Diagnostic>> {
    let mut objects: BTreeMap<String, Vec<&Diagnostic>> = BTreeMap::new();
    for finding in findings {
        objects.entry(finding.object.to_string()).or_default().push(finding);
    }
    objects
}

impl<'j> Judge<'j> {
    /// All routes, worst first.
    pub(super) fn routes(&self, served: &Table) -> Vec<RouteVerdict> {
        let mut rows = table::rows(served);
        self.input.adjust(&mut rows);
        let hosts = Hosts::of(&rows);
        // A route that several entry points serve in several ways is one route.
        let mut routes: BTreeMap<(String, String, String), RouteVerdict> = BTreeMap::new();
        for row in &rows {
            let Some(route) = self.row(row, &hosts) else { continue };
            let key = (route.object.clone(), route.field.clone(), route.rule.clone());
            let known = routes.get(&key);
            if known.is_none_or(|known| route.verdict < known.verdict) {
                routes.insert(key, route);
            }
        }
        let objects: BTreeSet<String> = routes.values().map(|route| route.object.clone()).collect();
        let mut routes: Vec<RouteVerdict> = routes.into_values().collect();
        routes.extend(self.lost(&objects));
        routes.extend(self.unread());
        routes.sort_by(|a, b| {
            (a.verdict, &a.object, &a.rule, &a.field)
                .cmp(&(b.verdict, &b.object, &b.rule, &b.field))
        });
        routes
    }

    fn row(&self, row: &Row, hosts: &Hosts) -> Option<RouteVerdict> {
        let kind = row.object;
        let service = row.service.rsplit_once(':').map_or("", |(service, _)| service);
        let document = self.references.document(kind, &row.ingress);
        let mut subject = document
            .map(|document| self.references.subject(document, &row.field, service))
            .unwrap_or_default();
        if hosts.take_prefix_before(row) {
            subject.traits.insert(Trait::ExactAndPrefix);
        }
        let object = format!("{kind} {}", row.ingress);
        let about = self.about(&object, row, service, &subject);
        if about.iter().any(|finding| finding.reason.contains("whose backend is unusable")) {
            subject.traits.insert(Trait::ServiceMissing);
        }
        let (verdict, causes) = self.verdict(row, &about);
        if verdict == Verdict::NotServed {
            subject.traits.insert(Trait::NotServed);
        }
        for step in &mut subject.steps {
            let is_it = |it: &Diagnostic| it.severity == Severity::Error && is_of(it, &step.name);
            step.is_broken = about.iter().any(|finding| is_it(finding));
        }
        let holding: Vec<&Difference> =
            self.differences.iter().filter(|it| it.holds_for(&subject)).collect();
        let counts = holding.iter().any(|difference| difference.counts());
        let verdict = if counts { verdict.min(Verdict::Differs) } else { verdict };
        Some(RouteVerdict {
            verdict,
            object,
            field: row.field.clone(),
            rule: match row.kind {
                _ if row.object == Kind::IngressRouteTcp.as_str() => row.path.clone(),
                "Default" => format!("{} (default)", row.host),
                _ => format!("{}{}", row.host, row.path),
            },
            answer: row.answer.clone(),
            differences: told(verdict, &holding),
            causes,
        })
    }

    /// Findings about a route: its rule or the whole object, its Service, or one of its middlewares.
    fn about(
        &self,
        object: &str,
        row: &Row,
        service: &str,
        subject: &Subject<'_>,
    ) -> Vec<&'j Diagnostic> {
        let of = |object: &str| {
            self.by_object.get(object).map_or(&[][..], Vec::as_slice).iter().copied()
        };
        let own = of(object).filter(|finding| !is_of_another_rule(finding, row));
        let mut about: Vec<&Diagnostic> = own.chain(of(&format!("Service {service}"))).collect();
        let names: BTreeSet<&str> = subject.steps.iter().map(|step| step.name.as_str()).collect();
        names.into_iter().for_each(|name| about.extend(of(&format!("Middleware {name}"))));
        about
    }

    /// By what ravelin answers, and what was found.
    fn verdict(&self, row: &Row, about: &[&Diagnostic]) -> (Verdict, Vec<Cause>) {
        let causes = |all: &[&Diagnostic]| {
            let all: BTreeSet<Cause> = all.iter().map(|finding| Cause::from(*finding)).collect();
            // What the finding about the Middleware says is enough.
            let is_known = all.iter().any(|cause| cause.object.starts_with("Middleware "));
            let follows = |cause: &Cause| is_known && cause.reason.contains("cannot be used");
            all.into_iter().filter(|cause| !follows(cause)).collect::<Vec<_>>()
        };
        if row.answer.is_none() || row.has_no_endpoint() {
            let telling: Vec<&Diagnostic> =
                about.iter().copied().filter(|finding| tells(finding)).collect();
            let verdict = if telling.is_empty() { Verdict::Same } else { Verdict::Differs };
            return (verdict, causes(&telling));
        }
        let errors: Vec<&Diagnostic> =
            about.iter().copied().filter(|finding| finding.severity == Severity::Error).collect();
        let is_checkout = self.input.judged_as() == JudgedAs::Checkout;
        // What a Git repository has not is not lost.
        let awaited = |finding: &&&Diagnostic| {
            is_checkout
                && finding.object.kind == Kind::Middleware
                && finding.reason.starts_with("there is no Secret")
        };
        let open: Vec<&&Diagnostic> = errors.iter().filter(|it| !awaited(it)).collect();
        let follows = |finding: &&&&Diagnostic| finding.reason.contains("cannot be used");
        let all_awaited = is_checkout
            && errors.iter().any(|it| awaited(&it))
            && open.iter().all(|finding| follows(&finding));
        if all_awaited {
            let mut causes =
                causes(&errors.iter().copied().filter(|it| awaited(&it)).collect::<Vec<_>>());
            for cause in &mut causes {
                cause.reason.push_str(" among the manifests: with it, the route is served");
            }
            return (Verdict::Same, causes);
        }
        let gone = |finding: &&Diagnostic| {
            matches!(finding.why, Why::ServiceMissing | Why::PortMissing)
                || finding.reason.contains("names no Middleware")
                || finding.reason.starts_with("there is no ")
        };
        let is_gone = ["service_missing", "port_missing"]
            .iter()
            .any(|reason| row.answer.as_deref().is_some_and(|answer| answer.ends_with(reason)));
        if is_gone || errors.iter().any(gone) {
            let all = if errors.is_empty() { about } else { &errors };
            return (Verdict::Neither, causes(all));
        }
        (Verdict::NotServed, causes(&errors))
    }

    /// Ingresses of which nothing is served.
    fn lost(&self, objects: &BTreeSet<String>) -> Vec<RouteVerdict> {
        let mut lost: BTreeMap<String, Vec<&Diagnostic>> = BTreeMap::new();
        for finding in self.findings {
            let kinds = [Kind::Ingress, Kind::IngressRoute, Kind::IngressRouteTcp];
            let is_route =
                kinds.contains(&finding.object.kind) && finding.severity == Severity::Error;
            if is_route && !objects.contains(&finding.object.to_string()) {
                lost.entry(finding.object.to_string()).or_default().push(finding);
            }
        }
        let lost = lost.into_iter().map(|(object, findings)| RouteVerdict {
            verdict: Verdict::NotServed,
            object,
            field: findings[0].field.clone(),
            rule: "all its rules".to_owned(),
            answer: None,
            differences: Vec::new(),
            causes: findings.iter().map(|finding| Cause::from(*finding)).collect(),
        });
        lost.collect()
    }

    /// Routes of kinds that are not read.
    fn unread(&self) -> Vec<RouteVerdict> {
        let kinds = [
            ("IngressRouteUDP", "traefik.io", Verdict::NotServed),
            ("IngressRoute", "traefik.containo.us", Verdict::Neither),
            ("IngressRouteTCP", "traefik.containo.us", Verdict::Neither),
            ("IngressRouteUDP", "traefik.containo.us", Verdict::Neither),
        ];
        let mut routes = Vec::new();
        for (kind, group, verdict) in kinds {
            for document in self.documents.of(kind, group) {
                routes.extend(unread_routes(document, verdict, self.documents));
            }
        }
        routes
    }
}

fn unread_routes(document: &Document, verdict: Verdict, all: &Documents) -> Vec<RouteVerdict> {
    let udp;
    let (reason, fix) = match (document.kind.as_str(), verdict) {
        (_, Verdict::Neither) => (
            "Traefik 3 ignores the group traefik.containo.us as well",
            "change the group to traefik.io",
        ),
        _ => {
            udp = udp_fix(document, all);
            ("UDP is not served", udp.as_str())
        }
    };
    let routes = document.list("/spec/routes").iter().enumerate();
    let verdicts = routes.map(|(at, route)| {
        let field = format!("spec.routes[{at}]");
        let rule = route.get("match").and_then(Value::as_str).unwrap_or("(no match)").to_owned();
        let object = document.object();
        let cause = Cause {
            object: object.clone(),
            field: field.clone(),
            reason: reason.to_owned(),
            fix: fix.to_owned(),
        };
        let (answer, differences) = (None, Vec::new());
        RouteVerdict { verdict, object, field, rule, answer, differences, causes: vec![cause] }
    });
    verdicts.collect()
}

/// The Services that do the work of an IngressRouteUDP.
fn udp_fix(document: &Document, all: &Documents) -> String {
    let Document { namespace, name, value, .. } = document;
    let find = |namespace: &str, name: &str| {
        let is_it = |it: &&Document| it.namespace == namespace && it.name == name;
        all.of("Service", "").find(is_it)?.value.get("spec").cloned()
    };
    let spec = value.get("spec").unwrap_or(&Value::Null);
    match &udp_services(namespace, name, spec, find)[..] {
        [] => "a Service of type LoadBalancer that selects the pods themselves".to_owned(),
        services => format!("apply in its place: {}", services.join(" and ")),
    }
}

/// Ids of the differences that are worth telling of a route.
fn told(verdict: Verdict, holding: &[&Difference]) -> Vec<String> {
    let is_told = |difference: &&&Difference| match verdict {
        Verdict::Neither => false,
        Verdict::NotServed => difference.counts(),
        Verdict::Differs | Verdict::Same => true,
    };
    holding.iter().filter(is_told).map(|difference| difference.id.clone()).collect()
}

fn tells(finding: &Diagnostic) -> bool {
    finding.severity < Severity::Info && TELLING.contains(&finding.why)
}

/// Whether a finding is about a Middleware, by `namespace/name`.
fn is_of(finding: &Diagnostic, middleware: &str) -> bool {
    let name = format!("{}/{}", finding.object.namespace, finding.object.name);
    finding.object.kind == Kind::Middleware && name == middleware
}

/// Whether a finding about the object is about another rule of it.
fn is_of_another_rule(finding: &Diagnostic, row: &Row) -> bool {
    let is_rule = ["spec.rules[", "spec.routes[", "spec.defaultBackend"];
    is_rule.iter().any(|begin| finding.field.starts_with(begin))
        && !finding.field.starts_with(&row.field)
        && !row.field.starts_with(&finding.field)
}

/// Prefixes of each host.
struct Hosts(BTreeMap<String, Vec<String>>);

impl Hosts {
    fn of(rows: &[Row]) -> Self {
        let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.kind == "Prefix") {
            hosts.entry(row.host.clone()).or_default().push(row.path.clone());
        }
        Self(hosts)
    }

    /// Whether Traefik, which takes the longest text of a rule, takes a Prefix before this Exact path: the word
    /// `PathPrefix` is six letters longer than `Path`.
    fn take_prefix_before(&self, row: &Row) -> bool {
        let prefixes = self.0.get(&row.host).map_or(&[][..], Vec::as_slice);
        let wins = |prefix: &String| {
            row.path.starts_with(prefix.as_str()) && prefix.len() + 6 >= row.path.len()
        };
        row.kind == "Exact" && prefixes.iter().any(wins)
    }
}
