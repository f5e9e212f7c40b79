//! Which requests tell whether two proxies serve the same: made from the rules, each at its place and at its edges.

mod sample;
mod sketch;

use self::sketch::{FILLER, Sketch, asks_for, edges, ways};
use crate::model::{Condition, HostPattern, Ingress, Model, PathKind, Rule};
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Most paths at the edges of one rule.
const MOST_EDGES: usize = 12;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The first is that of requests that are sent with one alone.
    pub(super) methods: Vec<Method>,
    /// Hosts; all of them if there are none.
    pub(super) hosts: Vec<String>,
    /// Whether with TLS, for each way that both proxies are to be asked in.
    pub(super) secure: Vec<bool>,
    /// Most requests.
    pub(super) most: usize,
}

/// The requests.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) routes: Vec<Routed>,
    /// Those that tell most come first: one of each route, then the others.
    pub(super) requests: Vec<Planned>,
    /// The routes that each host of a request has, also those whose requests others send as well.
    pub(super) hosts: BTreeMap<String, BTreeSet<usize>>,
    pub(super) remarks: Vec<Remark>,
    /// How many are more than asked for.
    pub(super) left_out: usize,
}

/// A route, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Routed {
    /// `Kind namespace/name`.
    pub(super) object: String,
    pub(super) field: String,
    /// Host and path.
    pub(super) rule: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Planned {
    /// Position in [`Plan::routes`].
    pub(super) route: usize,
    pub(super) secure: bool,
    pub(super) method: Method,
    pub(super) host: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is to be known of a route that is not compared, or not in every way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Remark {
    pub(super) object: String,
    pub(super) field: String,
    pub(super) text: String,
}

/// A request, and the turn in which it comes.
struct Turn {
    rank: usize,
    request: Planned,
}

/// A plan in the making.
struct Planner<'w> {
    wanted: &'w Wanted,
    plan: Plan,
    turns: Vec<Turn>,
}

impl Plan {
    /// The requests for what a model serves.
    pub(super) fn of(model: &Model, wanted: &Wanted) -> Self {
        let mut routes: BTreeMap<Routed, Condition> = BTreeMap::new();
        for rule in model.rules.iter() {
            let ingress = &rule.ingress;
            // A rule is there once for each group of entry points.
            let routed = routed(ingress, rule);
            let first = condition(rule);
            match routes.remove(&routed) {
                Some(other) if other != first => {
                    routes.insert(routed, Condition::Any(vec![other, first]));
                }
                _ => drop(routes.insert(routed, first)),
            }
        }
        for default in &model.defaults {
            let everywhere = [HostPattern::Any];
            let hosts = if default.hosts.is_empty() { &everywhere[..] } else { &default.hosts };
            for host in hosts {
                let object = object(&default.ingress);
                let (field, rule) = ("spec.defaultBackend".to_owned(), format!("{host} (default)"));
                let path = Condition::Path(format!("/{FILLER}/default").into());
                let all = of_host(host).into_iter().chain([path]).collect();
                routes.insert(Routed { object, field, rule }, Condition::All(all));
            }
        }
        let mut planner = Planner { wanted, plan: Self::default(), turns: Vec::new() };
        for (routed, condition) in routes {
            planner.add(routed, &condition);
        }
        planner.finish()
    }
}

impl Planner<'_> {
    fn add(&mut self, routed: Routed, condition: &Condition) {
        if self.wanted.hosts.is_empty() {
            return self.add_with(routed, condition, None);
        }
        for host in &self.wanted.hosts {
            if may_be_for(condition, host) {
                self.add_with(routed.clone(), condition, Some(host));
            }
        }
    }

    /// Adds the requests for a route: of one host, if it is given.
    fn add_with(&mut self, routed: Routed, condition: &Condition, host: Option<&str>) {
        let given = Sketch { host: host.map(str::to_owned), ..Sketch::default() };
        let usual = self.wanted.methods.first().cloned().unwrap_or(Method::GET);
        let mut found = ways(condition);
        for way in &mut found {
            way.host = given.host.clone().or_else(|| way.host.take());
        }
        found.retain(|way| way.meets(condition, &usual));
        found.dedup();
        let is_allowed = |way: &Sketch| {
            way.method.as_ref().is_none_or(|method| self.wanted.methods.contains(method))
        };
        let (allowed, refused): (Vec<_>, Vec<_>) = found.into_iter().partition(is_allowed);
        if let Some(text) = remark(condition, &allowed, &refused) {
            let Routed { object, field, .. } = routed.clone();
            self.plan.remarks.push(Remark { object, field, text });
        }
        if allowed.is_empty() {
            return;
        }
        let route = self.plan.routes.len();
        self.plan.routes.push(routed);
        for (at, way) in allowed.iter().enumerate() {
            self.send(route, usize::from(at > 0), way, &usual);
        }
        self.around(route, condition, &allowed[0], &usual);
    }

    /// Requests beside the one that a rule is for.
    fn around(&mut self, route: usize, condition: &Condition, way: &Sketch, usual: &Method) {
        if way.method.is_none() {
            let methods = self.wanted.methods.clone();
            for method in methods.into_iter().skip(1) {
                self.send(route, 1, &Sketch { method: Some(method), ..way.clone() }, usual);
            }
        }
        let mut rank = 2;
        let mut more = |this: &mut Self, way: Sketch| {
            this.send(route, rank, &way, usual);
            rank += 1;
        };
        if !way.headers.is_empty() {
            more(self, Sketch { headers: Vec::new(), ..way.clone() });
        }
        if !way.query.is_empty() {
            more(self, Sketch { query: Vec::new(), ..way.clone() });
        }
        let mut paths = edges(condition);
        paths.dedup();
        for path in paths.into_iter().take(MOST_EDGES) {
            more(self, Sketch { path: Some(path), ..way.clone() });
        }
        let is_wildcard = |it: &Condition| matches!(it, Condition::Host(HostPattern::Wildcard(_)));
        if self.wanted.hosts.is_empty() && asks_for(condition, &is_wildcard) {
            let host = Some(format!("deep.{}", way.host()));
            more(self, Sketch { host, ..way.clone() });
        }
    }

    /// Adds a request, in each of the ways to ask.
    fn send(&mut self, route: usize, rank: usize, way: &Sketch, usual: &Method) {
        let target = match way.encoded_query() {
            Some(query) => format!("{}?{query}", way.path()),
            None => way.path().to_owned(),
        };
        for &secure in &self.wanted.secure {
            let request = Planned {
                route,
                secure,
                method: way.method.clone().unwrap_or_else(|| usual.clone()),
                host: way.host().to_owned(),
                target: target.clone(),
                headers: way.headers.clone(),
            };
            self.turns.push(Turn { rank, request });
        }
    }

    fn finish(self) -> Plan {
        let Self { wanted, mut plan, mut turns } = self;
        turns.sort_by_key(|turn| (turn.rank, turn.request.route));
        for Turn { request, .. } in &turns {
            plan.hosts.entry(request.host.clone()).or_default().insert(request.route);
        }
        let mut known = HashSet::new();
        let all = turns.into_iter().map(|turn| turn.request);
        plan.requests =
            all.filter(|request| known.insert(Planned { route: 0, ..request.clone() })).collect();
        plan.left_out = plan.requests.len().saturating_sub(wanted.most);
        plan.requests.truncate(wanted.most);
        plan.remarks.sort();
        plan.remarks.dedup();
        plan
    }
}

/// What is to be known of a route, if anything.
fn remark(condition: &Condition, allowed: &[Sketch], refused: &[Sketch]) -> Option<String> {
    if allowed.is_empty() && refused.is_empty() {
        return Some(
            "not compared: no request could be made that its rule takes; the rule may contradict itself, or ask for what ravelin \
             verifies itself (X-Forwarded-*, CF-*)"
                .to_owned(),
        );
    }
    if !refused.is_empty() {
        let methods: Vec<&str> =
            refused.iter().filter_map(|way| way.method.as_ref()).map(Method::as_str).collect();
        let methods = methods.join(",");
        let what = if allowed.is_empty() { "not compared" } else { "compared in part" };
        return Some(format!(
            "{what}: its rule asks for the method {methods}, which is sent only where --methods names it"
        ));
    }
    let is_address = |it: &Condition| matches!(it, Condition::ClientIp(_));
    asks_for(condition, &is_address).then(|| {
        "its rule asks for ClientIP: whether it takes these requests depends on where compare runs"
            .to_owned()
    })
}

/// Whether a rule may be for a host, whatever else it asks for.
fn may_be_for(condition: &Condition, host: &str) -> bool {
    match condition {
        Condition::All(all) => all.iter().all(|it| may_be_for(it, host)),
        Condition::Any(any) => any.iter().any(|it| may_be_for(it, host)),
        Condition::Host(pattern) => pattern.matches(host),
        Condition::HostRegexp(pattern) => pattern.is_match(host),
        _ => true,
    }
}

fn object(ingress: &Ingress) -> String {
    format!("{} {}/{}", ingress.kind.as_str(), ingress.namespace, ingress.name)
}

fn routed(ingress: &Ingress, rule: &Rule) -> Routed {
    let field = match ingress.kind {
        crate::model::Kind::IngressRoute => format!("spec.routes[{}]", rule.rule),
        _ => format!("spec.rules[{}].http.paths[{}]", rule.rule, rule.position),
    };
    Routed { object: object(ingress), field, rule: format!("{}{}", rule.host, rule.path.text) }
}

fn of_host(host: &HostPattern) -> Option<Condition> {
    (*host != HostPattern::Any).then(|| Condition::Host(host.clone()))
}

/// All that a rule asks of a request.
fn condition(rule: &Rule) -> Condition {
    let rest = match (&rule.matching.ordered, rule.path.kind) {
        (Some(ordered), _) => ordered.condition.clone(),
        (None, PathKind::Exact) => Condition::Path((&*rule.path.text).into()),
        (None, PathKind::Prefix) => Condition::PathElements(rule.path.prefix().into()),
    };
    Condition::All(of_host(&rule.host).into_iter().chain([rest]).collect())
}

#[cfg(test)]
mod tests;
