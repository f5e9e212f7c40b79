//! Whose paths a host has, where Ingresses of several namespaces name it.
//!
//! By the semantics of Ingress everybody may add a path to any host, `/login` to that of another
//! namespace. `shared` says so on each of the Ingresses; `first-namespace` serves the paths of the
//! namespace alone whose Ingress on the host is the oldest. Hosts are compared as they are written:
//! `*.example.com` and `a.example.com` are two, and each has a first namespace of its own.
//!
//! Costs what the touched hosts have, and a look at what is refused.

use super::assembly::Left;
use super::{Map, Set};
use crate::config::HostPolicy;
use crate::control::translate::aliases::SERVER_ALIAS;
use crate::control::translate::annotations::field;
use crate::control::translate::backend_place::BackendPlace;
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::object_ref;
use crate::control::translate::report::{Problem, Report};
use crate::control::translate::www::FROM_TO_WWW;
use crate::model::{
    DefaultBackend, Diagnostic, HostPattern, Ingress, Kind, Model, Rule, Severity, Why, table_order,
};
use std::cmp::Ordering;
use std::sync::Arc;

/// What the policy keeps out of the model, and what is said of it.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    policy: HostPolicy,
    /// Rules that are not served, by host.
    refused: Map<HostPattern, Vec<Arc<Rule>>>,
    /// The default backends as their Ingresses ask for them.
    defaults: Vec<DefaultBackend>,
    found: Map<HostPattern, Reported>,
}

impl Ownership {
    pub(super) fn new(policy: HostPolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// All default backends, whatever is served of them.
    pub(super) fn defaults<'a>(&'a mut self, model: &'a mut Model) -> &'a mut Vec<DefaultBackend> {
        match self.policy {
            HostPolicy::Shared => &mut model.defaults,
            HostPolicy::FirstNamespace => &mut self.defaults,
        }
    }

    /// Whether default backends may be served or not by whose rules come and go.
    pub(super) fn moves_defaults(&self) -> bool {
        self.policy == HostPolicy::FirstNamespace && !self.defaults.is_empty()
    }

    /// Decides who has the hosts that were touched. `left` are the Ingresses whose rules go, `came` are new rules.
    pub(super) fn divide(
        &mut self,
        hosts: &Set<HostPattern>,
        left: &Left,
        came: &mut Map<&HostPattern, Vec<Arc<Rule>>>,
        model: &mut Model,
    ) {
        let of_defaults = match self.policy {
            HostPolicy::Shared => Map::default(),
            HostPolicy::FirstNamespace => oldest_defaults(&self.defaults),
        };
        for host in hosts {
            let refused = self.refused.remove(host).unwrap_or_default();
            let all = model.rules.of(host).iter().chain(&refused);
            let kept = all.filter(|rule| !left.contains(&Arc::as_ptr(&rule.ingress)));
            let mut served: Vec<Arc<Rule>> = kept.cloned().collect();
            served.extend(came.remove(host).unwrap_or_default());
            served.sort_by(|a, b| table_order(a, b));
            let mut refused = self.yielding(host, &mut served, model);
            if self.policy == HostPolicy::FirstNamespace {
                let of_default = of_defaults.get(host).copied();
                if let Some(oldest) =
                    oldest_of(&served).into_iter().chain(of_default).min_by(by_age)
                {
                    let namespace = Arc::clone(&oldest.namespace);
                    refused
                        .extend(served.extract_if(.., |rule| rule.ingress.namespace != namespace));
                }
            }
            model.rules.set(host, served);
            if !refused.is_empty() {
                self.refused.insert(host.clone(), refused);
            }
        }
        if self.policy == HostPolicy::Shared {
            return;
        }
        let kept = self.defaults.iter().filter_map(|default| {
            let mut default = default.clone();
            let had_hosts = !default.hosts.is_empty();
            default.hosts.retain(|host| {
                let rule = model.rules.of(host).first().map(|rule| &*rule.ingress);
                let owner = rule.unwrap_or_else(|| of_defaults[host]);
                default.ingress.namespace == owner.namespace
            });
            // Without hosts it would be for all of them, and come first.
            (!had_hosts || !default.hosts.is_empty()).then_some(default)
        });
        model.defaults = kept.collect();
    }

    /// Takes the rules of aliases out of those of a host that has rules or default backends of its own.
    fn yielding(
        &self,
        host: &HostPattern,
        rules: &mut Vec<Arc<Rule>>,
        model: &Model,
    ) -> Vec<Arc<Rule>> {
        let is_alias = |rule: &Arc<Rule>| rule.matching.is_alias;
        let is_yielding = rules.iter().any(is_alias)
            && (!rules.iter().all(is_alias)
                || self.asking(model).iter().any(|default| default.hosts.contains(host)));
        match is_yielding {
            true => rules.extract_if(.., |rule| is_alias(rule)).collect(),
            false => Vec::new(),
        }
    }

    /// The default backends as their Ingresses ask for them.
    fn asking<'a>(&'a self, model: &'a Model) -> &'a [DefaultBackend] {
        match self.policy {
            HostPolicy::Shared => &model.defaults,
            HostPolicy::FirstNamespace => &self.defaults,
        }
    }

    /// Says which Ingresses do not serve a host that is an alias of theirs.
    fn report_aliases(
        &self,
        host: &HostPattern,
        served: &[Arc<Rule>],
        model: &Model,
        found: &mut Vec<Diagnostic>,
    ) {
        let refused = self.refused.get(host).into_iter().flatten();
        let mut refused = refused.filter(|rule| rule.matching.is_alias).peekable();
        if refused.peek().is_none() {
            return;
        }
        let defaults = self.asking(model).iter();
        let named = defaults.filter(|default| default.hosts.contains(host));
        let named = named.map(|own| &*own.ingress);
        let Some(owner) = oldest_of(served).into_iter().chain(named).min_by(by_age) else { return };
        let first = object_ref(owner);
        for rule in refused {
            let (annotation, verb, fix) = match rule.leads_to() {
                Some(_) => (FROM_TO_WWW, "redirect", "remove it, or that host"),
                None => (SERVER_ALIAS, "serve", "remove it from the list"),
            };
            let reason = format!("does not {verb} {host}, which is a host of {first}");
            let problem = Problem::error(Why::HostShared, "", reason, fix);
            let object = object_ref(&rule.ingress);
            let problem = problem.with(Severity::Warning);
            Report::new(&object, found).add(&field(annotation), problem);
        }
    }

    /// Says of these hosts who shares them, or what is not served.
    pub(super) fn report(
        &mut self,
        hosts: &Set<HostPattern>,
        model: &Model,
        findings: &mut Findings,
    ) {
        for host in hosts {
            let mut now = Vec::new();
            let rules = model.rules.of(host);
            match self.policy {
                // One without a host has no owner.
                HostPolicy::Shared if *host == HostPattern::Any => {}
                HostPolicy::Shared => report_shared(host, rules, &mut now),
                HostPolicy::FirstNamespace => self.report_refused(host, rules, &mut now),
            }
            self.report_aliases(host, rules, model, &mut now);
            if now.is_empty() {
                if let Some(mut found) = self.found.remove(host) {
                    findings.replace(&mut found, now);
                }
            } else {
                findings.replace(self.found.entry(host.clone()).or_default(), now);
            }
        }
    }

    fn report_refused(
        &self,
        host: &HostPattern,
        served: &[Arc<Rule>],
        found: &mut Vec<Diagnostic>,
    ) {
        let named = self.defaults.iter().filter(|default| default.hosts.contains(host));
        let of_defaults: Vec<&Ingress> = named.map(|default| &*default.ingress).collect();
        let all = oldest_of(served).into_iter().chain(of_defaults.iter().copied());
        let Some(owner) = all.min_by(by_age) else { return };
        let first = object_ref(owner);
        let fix = "use a host of your own, or ask for source.hosts = \"shared\"";
        let problem = |what: &str| {
            let reason = format!(
                "{what} not served on host {host}, which belongs to namespace {}: its {first} is the \
                 oldest there",
                first.namespace
            );
            Problem::error(Why::HostShared, "", reason, fix)
        };
        let refused = self.refused.get(host).into_iter().flatten();
        for rule in refused.filter(|rule| !rule.matching.is_alias) {
            let object = object_ref(&rule.ingress);
            let place = BackendPlace::of(object.kind, rule);
            let what = format!("{} is", rule.path);
            Report::new(&object, found).add(&place.field("path"), problem(&what));
        }
        let is_other = |other: &&Ingress| other.namespace != owner.namespace;
        for ingress in of_defaults.into_iter().filter(is_other) {
            let object = object_ref(ingress);
            Report::new(&object, found).add("spec.defaultBackend", problem("is"));
        }
    }
}

/// Says on each Ingress of a host that another namespace has paths on it.
fn report_shared(host: &HostPattern, rules: &[Arc<Rule>], found: &mut Vec<Diagnostic>) {
    let Some(oldest) = oldest_of(rules) else { return };
    let is_first = |ingress: &Ingress| ingress.namespace == oldest.namespace;
    let all = rules.iter().map(|rule| &*rule.ingress);
    let Some(other) = all.filter(|one| !is_first(one)).min_by(by_age) else { return };
    let mut said = Set::default();
    for rule in rules.iter().filter(|rule| said.insert((Arc::as_ptr(&rule.ingress), rule.rule))) {
        let object = object_ref(&rule.ingress);
        let theirs = object_ref(if is_first(&rule.ingress) { other } else { oldest });
        let reason = format!("is {host}, on which {theirs} of another namespace also has paths");
        let fix =
            "use hosts of your own, or set source.hosts = \"first-namespace\" to keep others out";
        let problem = Problem::error(Why::HostShared, "", reason, fix).with(Severity::Warning);
        let place = match rule.matching.is_alias {
            true if rule.leads_to().is_some() => field(FROM_TO_WWW),
            true => field(SERVER_ALIAS),
            false if object.kind == Kind::IngressRoute => {
                format!("spec.routes[{}].match", rule.rule)
            }
            false => format!("spec.rules[{}].host", rule.rule),
        };
        Report::new(&object, found).add(&place, problem);
    }
}

/// The oldest Ingress with a default backend for each host.
fn oldest_defaults(defaults: &[DefaultBackend]) -> Map<&HostPattern, &Ingress> {
    let mut oldest: Map<&HostPattern, &Ingress> = Map::default();
    for default in defaults {
        for host in &default.hosts {
            let at = oldest.entry(host).or_insert(&default.ingress);
            if default.ingress.by_age(at).is_lt() {
                *at = &default.ingress;
            }
        }
    }
    oldest
}

fn oldest_of(rules: &[Arc<Rule>]) -> Option<&Ingress> {
    rules.iter().map(|rule| &*rule.ingress).min_by(by_age)
}

fn by_age(a: &&Ingress, b: &&Ingress) -> Ordering {
    a.by_age(b)
}
