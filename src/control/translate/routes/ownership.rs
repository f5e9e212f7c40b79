//! Whose paths a host has, where Ingresses of several namespaces name it.
//!
//! By the semantics of Ingress everybody may add a path to any host, `/login` to that of another
//! namespace. `shared` says so on each of the Ingresses; `first-namespace` serves the paths of the
//! namespace alone whose Ingress on the host is the oldest. Hosts are compared as they are written:
//! `*.example.com` and `a.example.com` are two, and each has a first namespace of its own.
//!
//! Costs what the touched hosts have, and a look at what is refused.

use super::assembly::merge;
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
    DefaultBackend, Diagnostic, HostPattern, Ingress, Kind, Model, Rule, Severity, Why,
};
use crate::routing::{rules_of, table_order};

/// What the policy keeps out of the model, and what is said of it.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    policy: HostPolicy,
    /// Rules that are not served, by host.
    refused: Map<HostPattern, Vec<Rule>>,
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

    /// Visits every rule that is not served; those that are not kept are forgotten.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Rule) -> bool) {
        self.refused.retain(|_, rules| {
            rules.retain_mut(&mut keep);
            !rules.is_empty()
        });
    }

    /// Decides who has the hosts that were touched.
    pub(super) fn divide(&mut self, hosts: &Set<HostPattern>, model: &mut Model) {
        let back = hosts.iter().filter_map(|host| self.refused.remove(host));
        let mut back: Vec<Rule> = back.flatten().collect();
        back.sort_by(table_order);
        merge(&mut model.rules, back, table_order);
        self.set_aside(self.yielding(hosts, model), model);
        if self.policy == HostPolicy::Shared {
            return;
        }
        let of_defaults = oldest_defaults(&self.defaults);
        let mut out = Vec::new();
        for host in hosts {
            let range = rules_of(&model.rules, host);
            let of_rules = model.rules[range.clone()].iter().map(|rule| rule.ingress).min();
            let oldest = of_rules.into_iter().chain(of_defaults.get(host).copied()).min();
            let Some(oldest) = oldest else { continue };
            out.extend(range.filter(|&at| !is_of_one(model, model.rules[at].ingress, oldest)));
        }
        self.set_aside(out, model);
        let kept = self.defaults.iter().filter_map(|default| {
            let mut default = default.clone();
            let had_hosts = !default.hosts.is_empty();
            default.hosts.retain(|host| {
                let first = model.rules.get(rules_of(&model.rules, host).start);
                let rule = first.filter(|rule| rule.host == *host).map(|rule| rule.ingress);
                let owner = rule.unwrap_or_else(|| of_defaults[host]);
                is_of_one(model, default.ingress, owner)
            });
            // Without hosts it would be for all of them, and come first.
            (!had_hosts || !default.hosts.is_empty()).then_some(default)
        });
        model.defaults = kept.collect();
    }

    /// Where the rules of aliases are whose hosts have rules or default backends of their own.
    fn yielding(&self, hosts: &Set<HostPattern>, model: &Model) -> Vec<usize> {
        let mut out = Vec::new();
        for host in hosts {
            let range = rules_of(&model.rules, host);
            let is_alias = |at: &usize| model.rules[*at].matching.is_alias;
            if range.clone().any(|at| is_alias(&at))
                && (range.clone().any(|at| !is_alias(&at))
                    || self.asking(model).iter().any(|default| default.hosts.contains(host)))
            {
                out.extend(range.filter(is_alias));
            }
        }
        out
    }

    /// The default backends as their Ingresses ask for them.
    fn asking<'a>(&'a self, model: &'a Model) -> &'a [DefaultBackend] {
        match self.policy {
            HostPolicy::Shared => &model.defaults,
            HostPolicy::FirstNamespace => &self.defaults,
        }
    }

    /// Takes the rules at these positions out of the model.
    fn set_aside(&mut self, mut out: Vec<usize>, model: &mut Model) {
        if out.is_empty() {
            return;
        }
        out.sort_unstable();
        let mut out = out.into_iter().peekable();
        let mut position = 0;
        let refused = &mut self.refused;
        model.rules.retain(|rule| {
            let is_out = out.next_if_eq(&position).is_some();
            position += 1;
            if is_out {
                refused.entry(rule.host.clone()).or_default().push(rule.clone());
            }
            !is_out
        });
    }

    /// Says which Ingresses do not serve a host that is an alias of theirs.
    fn report_aliases(
        &self,
        host: &HostPattern,
        served: &[Rule],
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
        let all = served.iter().map(|rule| rule.ingress).chain(named.map(|own| own.ingress));
        let Some(owner) = all.min() else { return };
        let first = object_ref(&model.ingresses[owner]);
        for rule in refused {
            let (annotation, verb, fix) = match rule.leads_to() {
                Some(_) => (FROM_TO_WWW, "redirect", "remove it, or that host"),
                None => (SERVER_ALIAS, "serve", "remove it from the list"),
            };
            let reason = format!("does not {verb} {host}, which is a host of {first}");
            let problem = Problem::error(Why::HostShared, "", reason, fix);
            let object = object_ref(&model.ingresses[rule.ingress]);
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
            let rules = &model.rules[rules_of(&model.rules, host)];
            match self.policy {
                // One without a host has no owner.
                HostPolicy::Shared if *host == HostPattern::Any => {}
                HostPolicy::Shared => report_shared(host, rules, &model.ingresses, &mut now),
                HostPolicy::FirstNamespace => self.report_refused(host, rules, model, &mut now),
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
        served: &[Rule],
        model: &Model,
        found: &mut Vec<Diagnostic>,
    ) {
        let named = self.defaults.iter().filter(|default| default.hosts.contains(host));
        let of_defaults: Vec<usize> = named.map(|default| default.ingress).collect();
        let all = served.iter().map(|rule| rule.ingress).chain(of_defaults.iter().copied());
        let Some(owner) = all.min() else { return };
        let first = object_ref(&model.ingresses[owner]);
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
            let object = object_ref(&model.ingresses[rule.ingress]);
            let place = BackendPlace::of(object.kind, rule);
            let what = format!("{} is", rule.path);
            Report::new(&object, found).add(&place.field("path"), problem(&what));
        }
        for ingress in of_defaults.into_iter().filter(|at| !is_of_one(model, *at, owner)) {
            let object = object_ref(&model.ingresses[ingress]);
            Report::new(&object, found).add("spec.defaultBackend", problem("is"));
        }
    }
}

/// Says on each Ingress of a host that another namespace has paths on it.
fn report_shared(
    host: &HostPattern,
    rules: &[Rule],
    ingresses: &[Ingress],
    found: &mut Vec<Diagnostic>,
) {
    let Some(oldest) = rules.iter().map(|rule| rule.ingress).min() else { return };
    let of = |ingress: usize| &ingresses[ingress].namespace;
    let others = rules.iter().map(|rule| rule.ingress).filter(|&at| of(at) != of(oldest));
    let Some(other) = others.min() else { return };
    let mut said = Set::default();
    for rule in rules.iter().filter(|rule| said.insert((rule.ingress, rule.rule))) {
        let (object, is_first) =
            (object_ref(&ingresses[rule.ingress]), of(rule.ingress) == of(oldest));
        let theirs = object_ref(&ingresses[if is_first { other } else { oldest }]);
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
fn oldest_defaults(defaults: &[DefaultBackend]) -> Map<HostPattern, usize> {
    let mut oldest = Map::default();
    for default in defaults {
        for host in &default.hosts {
            let at: &mut usize = oldest.entry(host.clone()).or_insert(default.ingress);
            *at = default.ingress.min(*at);
        }
    }
    oldest
}

fn is_of_one(model: &Model, one: usize, other: usize) -> bool {
    model.ingresses[one].namespace == model.ingresses[other].namespace
}
