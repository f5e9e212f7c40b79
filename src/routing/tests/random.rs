//! The compiled table against a scan of all rules, on rules and requests of few parts, so that they
//! meet often.

use super::{compile, mk_ingress, mk_key, mk_model};
use crate::model::{
    BackendId, DefaultBackend, EntryPoints, HostPattern, Ingress, Model, PathKind, PathPattern,
    Rule,
};
use proptest::prelude::*;
use std::sync::Arc;

const INGRESSES: usize = 4;

/// `Ingress` and, but for a default backend, rule and path: what identifies a route.
type Winner = (String, Option<(usize, usize)>);

/// The documented precedence, by looking at everything.
fn reference(model: &Model, host: &str, path: &str) -> Option<Winner> {
    let hosts = matching_hosts(host);
    let best = |host: &HostPattern| {
        let rules = model.rules.iter();
        rules.filter(|rule| rule.host == *host && rule.path.matches(path)).min_by_key(|rule| {
            let exact_first = rule.path.kind != PathKind::Exact;
            let longest_first = std::cmp::Reverse(rule.path.text.len());
            (exact_first, longest_first, rule.ingress.created, rule.rule, rule.position)
        })
    };
    let name = |ingress: &Ingress| ingress.name.to_string();
    if let Some(rule) = hosts.iter().find_map(best) {
        return Some((name(&rule.ingress), Some((rule.rule, rule.position))));
    }
    let default = |host: &HostPattern| {
        let all = model.defaults.iter();
        let named = all.filter(|default| *host == HostPattern::Any || default.hosts.contains(host));
        named.min_by_key(|default| (!default.hosts.is_empty(), default.ingress.created))
    };
    hosts.iter().find_map(default).map(|default| (name(&default.ingress), None))
}

/// The patterns that are for a host, the most specific first.
fn matching_hosts(host: &str) -> Vec<HostPattern> {
    let mut hosts = vec![HostPattern::Exact(host.into())];
    let (label, suffix) = host.split_once('.').unwrap_or_default();
    if !label.is_empty() {
        hosts.push(HostPattern::Wildcard(suffix.into()));
    }
    hosts.push(HostPattern::Any);
    hosts
}

fn winner(model: &Model, host: &str, path: &str) -> Option<Winner> {
    let table = compile(model, None);
    table.lookup(host, path).map(|id| {
        let route = table.route(id);
        (route.ingress.to_owned(), route.position)
    })
}

/// Names of one to three labels out of two.
fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..4)
        .prop_map(|labels| labels.join("."))
}

fn patterns() -> impl Strategy<Value = HostPattern> {
    prop_oneof![
        4 => names().prop_map(|name| HostPattern::Exact(name.into())),
        2 => names().prop_map(|name| HostPattern::Wildcard(name.into())),
        1 => Just(HostPattern::Any),
    ]
}

/// Canonical paths of up to four short elements, some of which sort around the slash.
fn paths() -> impl Strategy<Value = String> {
    let elements = prop::sample::select(vec!["a", "b", "a-", "a.b", "ab", "%2F"]);
    (prop::collection::vec(elements, 0..5), any::<bool>()).prop_map(|(elements, slash)| {
        let mut path: String = elements.iter().map(|element| format!("/{element}")).collect();
        if slash || path.is_empty() {
            path.push('/');
        }
        path
    })
}

/// Rules of a few Ingresses, numbered in each as they come, and their default backends.
fn models() -> impl Strategy<Value = Model> {
    let kinds = prop::sample::select(vec![PathKind::Exact, PathKind::Prefix, PathKind::Prefix]);
    let rules = prop::collection::vec((patterns(), kinds, paths(), 0..INGRESSES), 0..24);
    let defaults = prop::collection::vec((0..INGRESSES, any::<bool>()), 0..3);
    (rules, defaults).prop_map(|(rules, defaults)| {
        let mut model = mk_model(INGRESSES + 1);
        let mut counts = [0; INGRESSES];
        let mut all = Vec::new();
        for (host, kind, path, ingress) in rules {
            let path = PathPattern::new(kind, &path).expect("canonical");
            let (rule, position) = (counts[ingress] / 3, counts[ingress] % 3);
            counts[ingress] += 1;
            all.push(Rule {
                host,
                path,
                backend: BackendId::of(mk_key("web")),
                ingress: Arc::new(mk_ingress(ingress)),
                rule,
                position,
                matching: Default::default(),
                middlewares: None,
            });
        }
        model.rules = all.into_iter().collect();
        for (ingress, bare) in defaults {
            // One Ingress without rules among them, at the end of the order.
            let ingress = if bare { INGRESSES } else { ingress };
            let ingress = Arc::new(mk_ingress(ingress));
            let of = model.rules.iter().filter(|rule| rule.ingress == ingress);
            let mut hosts: Vec<_> = of.map(|rule| rule.host.clone()).collect();
            hosts.sort();
            hosts.dedup();
            if model.defaults.iter().all(|other| other.ingress != ingress) {
                model.defaults.push(DefaultBackend {
                    backend: BackendId::of(mk_key("web")),
                    ingress,
                    hosts,
                    entry_points: EntryPoints::ALL,
                    middlewares: None,
                });
            }
        }
        model
    })
}

fn requests() -> impl Strategy<Value = Vec<(String, String)>> {
    let hosts = prop_oneof![
        8 => names(),
        1 => names().prop_map(|name| format!(".{name}")),
        1 => Just(String::new()),
    ];
    prop::collection::vec((hosts, paths()), 60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn lookup_agrees_with_a_scan_of_all_rules(model in models(), requests in requests()) {
        for (host, path) in requests {
            prop_assert_eq!(
                winner(&model, &host, &path), reference(&model, &host, &path), "{} {}", host, path
            );
        }
    }

    #[test]
    fn the_order_of_rules_and_defaults_changes_nothing(
        (model, shuffled) in models().prop_flat_map(|model| {
            let rules: Vec<Rule> = model.rules.iter().map(|rule| Rule::clone(rule)).collect();
            let orders = (Just(rules).prop_shuffle(), Just(model.defaults.clone()).prop_shuffle());
            let like = model.clone();
            let shuffled = orders.prop_map(move |(rules, defaults)| {
                let rules = rules.into_iter().collect();
                Model { rules, defaults, ..like.clone() }
            });
            (Just(model), shuffled)
        }),
        requests in requests(),
    ) {
        for (host, path) in requests {
            prop_assert_eq!(winner(&shuffled, &host, &path), winner(&model, &host, &path));
        }
    }

    #[test]
    fn every_rule_that_is_not_taken_by_an_equal_one_is_in_the_table(model in models()) {
        let table = compile(&model, None);
        let mut distinct: Vec<_> = model.rules.iter().map(|rule| {
            let text = match rule.path.kind {
                PathKind::Exact => &rule.path.text,
                PathKind::Prefix => rule.path.prefix(),
            };
            (&rule.host, rule.path.kind, text)
        }).collect();
        distinct.sort();
        distinct.dedup();
        let with_path = table.routes().filter(|&id| table.route(id).position.is_some()).count();
        prop_assert_eq!(with_path, distinct.len());
        for id in table.routes() {
            let route = table.route(id);
            prop_assert_eq!(route.path.starts_with('/'), true);
            prop_assert_eq!(route.host.is_empty(), route.host_pattern() == "*");
        }
    }
}
