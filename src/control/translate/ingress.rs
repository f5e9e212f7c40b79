//! One Ingress, read and checked by itself; the objects it refers to are looked up elsewhere.

use super::annotations::{Annotations, RAW_PATH, field};
use super::backend_place::BackendPlace;
use super::balancing;
use super::clients::{self, ClientsRead};
use super::entry_points::EntryPointTable;
use super::fields::BackendRead;
use super::foreign::{self, Subject};
use super::path_matching::{Matched, PathMatching};
use super::report::{Problem, Report};
use super::{aliases, body_size, fields, https, timeouts, www};
use crate::model::{
    Algorithm, Broken, EntryPoints, HostPattern, Https, NamedStep, Ordered, PathPattern, Severity,
    Timeouts, Why,
};
use k8s_openapi::api::networking::v1::{
    HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressSpec, IngressTLS,
};
use std::num::NonZeroU64;
use std::sync::Arc;

/// What of an Ingress can be served.
#[derive(Default)]
pub(super) struct IngressRead<'i> {
    /// `spec.defaultBackend` with the hosts of the rules, sorted, each once.
    pub(super) default: Option<(BackendRead<'i>, Vec<HostPattern>)>,
    pub(super) rules: Vec<RuleRead<'i>>,
    pub(super) tls: Vec<TlsRead<'i>>,
    pub(super) entry_points: EntryPoints,
    pub(super) https: Https,
    pub(super) timeouts: Option<Box<Timeouts>>,
    pub(super) balance: Option<Algorithm>,
    pub(super) raw_path: bool,
    pub(super) max_body: Option<NonZeroU64>,
    /// Why no route of it is served, though each has its place: annotations that are not obeyed.
    pub(super) refused: Option<Broken>,
    /// What is asked of clients, with the hosts: all that it names, sorted, each once.
    pub(super) clients: Option<(ClientsRead, Vec<HostPattern>)>,
}

impl<'i> IngressRead<'i> {
    /// The hosts of its rules that it serves, sorted, each once.
    pub(super) fn hosts(&self) -> Vec<HostPattern> {
        let served = self.rules.iter().filter(|rule| !rule.is_redirect());
        let mut hosts: Vec<_> = served.map(|rule| rule.host.clone()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// Adds what a TLSOption asks of the clients of its hosts, or refuses its routes.
    pub(super) fn ask(&mut self, asked: Result<Option<ClientsRead>, Broken>) {
        match asked {
            Err(broken) => self.refused = self.refused.or(Some(broken)),
            Ok(None) => {}
            Ok(Some(asked)) => {
                let (read, hosts) = match self.clients.take() {
                    Some((own, hosts)) => (own.with(asked), hosts),
                    None => (asked, self.hosts()),
                };
                self.clients = Some((read, hosts));
            }
        }
    }

    /// Adds the rules of its first host for these hosts.
    fn add_aliases(&mut self, aliases: &[HostPattern]) {
        let mut of_rules = self.rules.iter().map(|rule| &rule.host);
        let Some(first) = of_rules.find(|host| **host != HostPattern::Any) else { return };
        let of_first = self.rules.iter().filter(|rule| rule.host == *first);
        let for_each =
            |rule: &RuleRead<'i>| aliases.iter().map(|host| rule.for_alias(host)).collect();
        let added: Vec<RuleRead<'i>> = of_first.flat_map::<Vec<_>, _>(for_each).collect();
        self.rules.extend(added);
    }

    /// Adds the redirects from hosts with and without `www.`. They name the backend of their rule, which gets none of
    /// their requests.
    fn add_redirects(&mut self, all: Vec<www::Www>) {
        for www::Www { from, of, step } in all {
            let Some(rule) = self.rules.iter().find(|rule| !rule.is_alias && rule.host == of)
            else {
                continue;
            };
            let first = rule.paths.first().map(|path| (path.position, path.backend.clone()));
            let default = self.default.as_ref().map(|(backend, _)| (0, backend.clone()));
            let Some((position, backend)) = first.or(default) else { continue };
            let own = Some(OwnStep { step, is_alone: true });
            let pattern = PathPattern::all();
            let path = PathRead { position, pattern, ordered: None, own, backend };
            self.rules.push(RuleRead {
                rule: rule.rule,
                host: from,
                is_alias: true,
                paths: vec![path],
            });
        }
    }

    /// The hosts of its rules that are aliases.
    fn aliases(&self) -> impl Iterator<Item = &HostPattern> {
        self.rules.iter().filter(|rule| rule.is_alias).map(|rule| &rule.host)
    }

    /// What its annotations ask for all of its rules. `refused`: why none of them is served, as far as is known.
    pub(super) fn asking(
        annotations: Annotations<'_>,
        mut https: Https,
        refused: Option<Broken>,
        report: &mut Report<'_>,
    ) -> Self {
        let max_body = body_size::read(annotations, report);
        let refused = refused.or(max_body.err());
        // The request would be refused after the redirect to TLS, so it is refused at once.
        https.redirect &= refused.is_none();
        let max_body = max_body.unwrap_or_default();
        let timeouts = timeouts::read(annotations, report);
        let balance = balancing::of_ingress(annotations, report);
        let raw_path = read_raw_path(annotations, report);
        Self { refused, https, timeouts, balance, raw_path, max_body, ..Self::default() }
    }
}

/// One of `spec.rules`.
#[derive(Clone)]
pub(super) struct RuleRead<'i> {
    /// Position in `spec.rules`.
    pub(super) rule: usize,
    pub(super) host: HostPattern,
    /// Whether another rule has this host as an alias.
    pub(super) is_alias: bool,
    pub(super) paths: Vec<PathRead<'i>>,
}

impl RuleRead<'_> {
    /// Whether it only leads to another host.
    fn is_redirect(&self) -> bool {
        self.paths.iter().any(|path| path.own.as_ref().is_some_and(|own| own.is_alone))
    }

    /// The same for an alias of its host.
    fn for_alias(&self, host: &HostPattern) -> Self {
        Self { host: host.clone(), is_alias: true, ..self.clone() }
    }
}

/// One of `http.paths`.
#[derive(Clone)]
pub(super) struct PathRead<'i> {
    /// Position in `http.paths`.
    pub(super) position: usize,
    pub(super) pattern: PathPattern,
    pub(super) ordered: Option<Arc<Ordered>>,
    /// The step of this path alone.
    pub(super) own: Option<OwnStep>,
    pub(super) backend: BackendRead<'i>,
}

/// A step that one path has.
#[derive(Clone)]
pub(super) struct OwnStep {
    pub(super) step: Arc<NamedStep>,
    /// Whether it comes in the place of those of the Ingress and the Service, and not after them.
    pub(super) is_alone: bool,
}

/// One of `spec.tls` that names a Secret.
pub(super) struct TlsRead<'i> {
    /// Position in `spec.tls`.
    pub(super) position: usize,
    pub(super) secret_name: &'i str,
    /// The hosts that it is for: those of the entry, or else of the rules. [`HostPattern::Any`] is
    /// not among them.
    pub(super) hosts: Vec<HostPattern>,
}

/// Reads an Ingress and reports what cannot be served. `https` is for one that does not say, and `points` are those
/// that it may name.
pub(super) fn read<'i>(
    ingress: &'i Ingress,
    https: &Https,
    points: &EntryPointTable,
    report: &mut Report<'_>,
) -> IngressRead<'i> {
    let Ingress { metadata, spec, status: _ } = ingress;
    let annotations = Annotations::of(metadata);
    let consequences = foreign::judge(annotations, Subject::Ingress(spec.as_ref()), report);
    let clients = clients::read(annotations, report);
    let points = points.read(annotations, report);
    let mut paths = PathMatching::read(annotations, report);
    paths.expressions = consequences.expressions;
    let Some(spec) = spec else {
        return read_nothing(report);
    };
    let IngressSpec { default_backend, ingress_class_name, rules, tls } = spec;
    check_class(ingress_class_name.as_deref(), report);
    let rules = rules.as_deref().unwrap_or_default();
    if rules.is_empty() && default_backend.is_none() {
        return read_nothing(report);
    }
    let has_tls = tls.as_ref().is_some_and(|tls| !tls.is_empty());
    let https = https::read(annotations, has_tls, points.is_secure, https, report);
    let refused = consequences.broken.or(points.broken).or(paths.broken);
    let mut read = IngressRead::asking(annotations, https, refused, report);
    read.entry_points = points.entry_points;
    let has_rules = !rules.is_empty();
    for (position, rule) in rules.iter().enumerate() {
        let has_default = default_backend.is_some();
        read.rules.extend(read_rule(position, rule, has_default, &paths, report));
    }
    let mut hosts = read.hosts();
    let aliases = aliases::read(annotations, &hosts, report);
    read.add_aliases(&aliases);
    let of_rules: Vec<_> =
        hosts.iter().filter(|host| **host != HostPattern::Any).cloned().collect();
    read.default = default_backend
        .as_ref()
        .and_then(|backend| read_default(backend, has_rules, &hosts, report));
    read.add_redirects(www::read(metadata, &hosts, &aliases, report));
    let mut of_tls = Vec::new();
    read.tls = read_tls(tls.as_deref().unwrap_or_default(), &of_rules, &mut of_tls, report);
    read.clients = clients.map(|clients| {
        hosts.extend((!has_rules).then_some(HostPattern::Any));
        hosts.append(&mut of_tls);
        hosts.extend(read.aliases().cloned());
        hosts.sort();
        hosts.dedup();
        (clients, hosts)
    });
    if consequences.left_out {
        (read.rules, read.default) = (Vec::new(), None);
    }
    read
}

fn read_raw_path(annotations: Annotations<'_>, report: &mut Report<'_>) -> bool {
    let raw_path = annotations.switch(RAW_PATH).unwrap_or_else(|problem| {
        report.add(&field(RAW_PATH), problem);
        None
    });
    raw_path.unwrap_or(false)
}

/// `hosts` are those of its rules.
fn read_default<'i>(
    backend: &'i IngressBackend,
    has_rules: bool,
    hosts: &[HostPattern],
    report: &mut Report<'_>,
) -> Option<(BackendRead<'i>, Vec<HostPattern>)> {
    let (backend, problem) = fields::backend(backend);
    if let Some(problem) = problem {
        report.add(&BackendPlace::Default.field(problem.field), problem);
    }
    if hosts.is_empty() && has_rules {
        // Without hosts it would come before every other default backend: broken rules must not make
        // an Ingress stronger.
        let reason = "is not served, because no other rule has a valid host";
        report.add("spec.defaultBackend", Problem::invalid("", reason, "correct `spec.rules`"));
        return None;
    }
    Some((backend, hosts.to_vec()))
}

fn check_class(name: Option<&str>, report: &mut Report<'_>) {
    if name == Some("") {
        let problem = Problem::invalid("", "is empty", "name an IngressClass, or remove it");
        report.add("spec.ingressClassName", problem);
    }
}

fn read_nothing<'i>(report: &mut Report<'_>) -> IngressRead<'i> {
    let fix = "add one of the two";
    report.add("spec", Problem::invalid("", "has neither `rules` nor `defaultBackend`", fix));
    IngressRead::default()
}

/// `rule` is its position, and `matching` is for all of its paths.
fn read_rule<'i>(
    rule: usize,
    source: &'i IngressRule,
    has_default: bool,
    matching: &PathMatching,
    report: &mut Report<'_>,
) -> Option<RuleRead<'i>> {
    let IngressRule { host, http } = source;
    let host = match fields::host(host.as_deref()) {
        Ok(host) => host,
        Err(problem) => {
            report.add(&format!("spec.rules[{rule}].host"), problem);
            return None;
        }
    };
    let Some(HTTPIngressRuleValue { paths }) = http else {
        if !has_default {
            let reason = "has no `http` and the Ingress no `defaultBackend`: nothing to serve";
            let problem = Problem::error(Why::Unsupported, "", reason, "add `http.paths`");
            report.add(&format!("spec.rules[{rule}]"), problem.with(Severity::Warning));
        }
        return Some(RuleRead { rule, host, is_alias: false, paths: Vec::new() });
    };
    if paths.is_empty() {
        let problem = Problem::invalid("", "is empty", "add a path, `/` for all");
        report.add(&format!("spec.rules[{rule}].http.paths"), problem);
    }
    let mut read = Vec::with_capacity(paths.len());
    for (position, path) in paths.iter().enumerate() {
        let place = BackendPlace::Path { rule, position };
        let (pattern, warning) = matching.path(&host, path);
        if let Some(problem) = warning {
            report.add(&place.field(problem.field), problem);
        }
        let (backend, problem) = fields::backend(&path.backend);
        if let Some(problem) = problem {
            report.add(&place.field(problem.field), problem);
        }
        match pattern {
            Ok(Matched { pattern, ordered, rewrite, broken }) => {
                let backend = backend.broken_if(broken);
                let own = rewrite.map(|step| OwnStep { step, is_alone: false });
                read.push(PathRead { position, pattern, ordered, own, backend });
            }
            Err(problem) => report.add(&place.field(problem.field), problem),
        }
    }
    Some(RuleRead { rule, host, is_alias: false, paths: read })
}

/// `all` takes every host that is named, with a Secret or without.
fn read_tls<'i>(
    tls: &'i [IngressTLS],
    of_rules: &[HostPattern],
    all: &mut Vec<HostPattern>,
    report: &mut Report<'_>,
) -> Vec<TlsRead<'i>> {
    let mut read = Vec::new();
    for (position, entry) in tls.iter().enumerate() {
        let IngressTLS { hosts, secret_name } = entry;
        let mut named = Vec::new();
        for (number, host) in hosts.iter().flatten().enumerate() {
            let checked = match host.as_str() {
                "" => Err(Problem::invalid("", "is empty", "write a DNS name or remove it")),
                host => fields::host(Some(host)),
            };
            match checked {
                Ok(host) => named.push(host),
                Err(problem) => {
                    report.add(&format!("spec.tls[{position}].hosts[{number}]"), problem);
                }
            }
        }
        if hosts.as_ref().is_none_or(Vec::is_empty) {
            named = of_rules.to_vec();
        }
        named.sort();
        named.dedup();
        all.extend(named.iter().cloned());
        if let Some(secret_name) = secret_name.as_deref().filter(|name| !name.is_empty()) {
            read.push(TlsRead { position, secret_name, hosts: named });
        }
    }
    read
}
