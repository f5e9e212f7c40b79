//! Tables of a row of models: a recompiled one routes as a compiled one does, and shares the rest.

use super::{mk_backend, mk_default, mk_endpoints, mk_key, mk_model, mk_rule};
use crate::balance::InFlight;
use crate::model::{BackendId, ChangedBackend, Delta, HostPattern, Model, Protocol};
use crate::net::passes;
use crate::routing::{Publisher, Table, compile, recompile};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many that there are several parts.
const HOSTS: usize = 400;

/// What there is: by the number of an Ingress its host, its Service and whether it has a default backend.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cluster {
    ingresses: BTreeMap<usize, (String, usize, bool)>,
    /// Services that are other than the rest.
    odd: BTreeMap<usize, Protocol>,
}

impl Cluster {
    fn full() -> Self {
        let own = |number| (number, (format!("h{number}.example"), number, false));
        Self { ingresses: (0..HOSTS).map(own).collect(), ..Self::default() }
    }

    fn model(&self) -> Model {
        let mut model = mk_model(HOSTS);
        let mut services: Vec<_> =
            self.ingresses.values().map(|(_, service, _)| format!("s{service}")).collect();
        services.sort();
        services.dedup();
        let (mut rules, mut defaults) = (Vec::new(), Vec::new());
        let backend = |service: &String| {
            let number: usize = service[1..].parse().expect("a number");
            let mut backend = mk_backend(service, mk_endpoints(&[1]));
            backend.protocol = self.odd.get(&number).cloned().unwrap_or(Protocol::Http);
            backend
        };
        model.backends = services.iter().map(backend).collect();
        for (&ingress, (host, service, has_default)) in &self.ingresses {
            let service = format!("s{service}");
            let backend = || BackendId::of(mk_key(&service));
            for (path, position) in [("Prefix /", 0), ("Exact /x", 1)] {
                let rule = mk_rule(host, path, ingress, 0, position);
                rules.push(crate::model::Rule { backend: backend(), ..rule });
            }
            if *has_default {
                let default = mk_default(ingress, &[host]);
                defaults.push(crate::model::DefaultBackend { backend: backend(), ..default });
            }
        }
        (model.rules, model.defaults) = (rules.into_iter().collect(), defaults);
        model
    }

    /// How it differs from the one before, of which the number was `since`.
    fn delta(&self, before: &Self, since: u64) -> Delta {
        let mut hosts = Vec::new();
        for number in 0..HOSTS {
            let (old, new) = (before.ingresses.get(&number), self.ingresses.get(&number));
            if old != new {
                let both = old.into_iter().chain(new);
                hosts.extend(both.clone().map(|(host, ..)| super::mk_host(host)));
                let has_default = both.clone().any(|(.., has_default)| *has_default);
                hosts.extend(has_default.then_some(HostPattern::Any));
            }
        }
        let (old, new) = (before.model().backends, self.model().backends);
        let both = old.entries().chain(new.entries()).map(|(id, _)| id);
        let changed: BTreeSet<_> = both.filter(|id| old.get(id) != new.get(id)).collect();
        let changed = changed.into_iter().map(|id| {
            let service = id.key.service[1..].parse().expect("a number");
            ChangedBackend { id: Arc::clone(id), hosts: Some(self.hosts_of(service)) }
        });
        let (backends, defaults) = (changed.collect(), hosts.contains(&HostPattern::Any));
        Delta { since, now: since + 1, hosts, backends, defaults, tcp: false }
    }

    /// The hosts that lead to a Service.
    fn hosts_of(&self, service: usize) -> Vec<HostPattern> {
        let users = self.ingresses.values().filter(|(_, other, _)| *other == service);
        let hosts = |(host, _, has_default): &(String, usize, bool)| {
            let any = has_default.then_some(HostPattern::Any);
            [super::mk_host(host)].into_iter().chain(any)
        };
        users.flat_map(hosts).collect()
    }
}

/// What a table answers to each host.
fn answers(table: &Table) -> Vec<String> {
    let hosts = (0..HOSTS).map(|number| format!("h{number}.example"));
    let hosts = hosts.chain(["wild.sub.example".to_owned(), "else.example".to_owned()]);
    let one = |host: String| {
        let found = ["/", "/x", "/y/z"].map(|path| {
            table.lookup(&host, path).map(|id| {
                let backend = table.backend(id);
                format!("{:?} {} {:?}", table.route(id), backend.key, backend.protocol)
            })
        });
        format!("{host}: {found:?}")
    };
    let counts =
        format!("{} {} {}", table.route_count(), table.host_count(), table.routes().count());
    hosts.map(one).chain([counts]).collect()
}

fn first(cluster: &Cluster) -> Table {
    let delta = Delta { since: 0, now: 1, ..Delta::default() };
    recompile(&cluster.model(), &delta, &Table::empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_row_of_changes_gives_what_the_last_model_alone_does(
        batches in prop::collection::vec(
            prop::collection::vec((0..HOSTS, 0..8_u8, 0..HOSTS), 1..6), 1..6,
        ),
    ) {
        let mut cluster = Cluster::full();
        let mut table = first(&cluster);
        for (batch, since) in batches.into_iter().zip(1..) {
            let before = cluster.clone();
            for (number, action, other) in batch {
                let own = (format!("h{number}.example"), number, false);
                let changed = match action {
                    0 | 1 => None,
                    2 => Some(own),
                    3 => Some((format!("h{other}.example"), number, true)),
                    4 => Some(("*.sub.example".to_owned(), other, false)),
                    5 => Some(("*".to_owned(), number, false)),
                    6 => Some((own.0, other, false)),
                    _ => {
                        cluster.odd.insert(other, Protocol::H2c);
                        continue;
                    }
                };
                match changed {
                    None => drop(cluster.ingresses.remove(&number)),
                    Some(ingress) => drop(cluster.ingresses.insert(number, ingress)),
                }
            }
            let model = cluster.model();
            let next = recompile(&model, &cluster.delta(&before, since), &table);
            prop_assert!(next.gone.is_some(), "it shares with the table before");
            prop_assert_eq!(answers(&next), answers(&compile(&model, None)));
            table = next;
        }
    }
}

#[test]
fn a_change_of_one_host_compiles_one_part_and_keeps_every_other_backend() {
    let mut cluster = Cluster::full();
    let old = first(&cluster);
    let before = cluster.clone();
    cluster.ingresses.remove(&7);
    let (model, delta) = (cluster.model(), cluster.delta(&before, 1));
    let seen = passes::seen();
    let new = recompile(&model, &delta, &old);
    assert_eq!(passes::seen(), seen, "it looks at what has changed, and not at all there is");
    let (chunks, same) = new.backends.sharing(&old.backends);
    assert!(chunks > 6 && same + 2 >= chunks, "{same} of {chunks}");
    let shared = old.parts.iter().zip(&new.parts).filter(|(old, new)| Arc::ptr_eq(old, new));
    assert_eq!((shared.count(), new.parts.len()), (old.parts.len() - 1, old.parts.len()));
    assert!(old.parts.len() > 8);
    let kept = new.backends().filter(|new| old.backends().any(|old| Arc::ptr_eq(old, new)));
    assert_eq!(kept.count(), HOSTS - 1);
    assert_eq!((new.route_count(), new.lookup("h7.example", "/")), (2 * HOSTS - 2, None));
}

#[test]
fn a_table_of_another_model_than_the_one_before_is_compiled_whole() {
    let mut cluster = Cluster::full();
    let old = first(&cluster);
    let before = cluster.clone();
    cluster.ingresses.remove(&7);
    let delta = Delta { hosts: Vec::new(), ..cluster.delta(&before, 5) };
    let new = recompile(&cluster.model(), &delta, &old);
    assert_eq!(new.lookup("h7.example", "/"), None);
    assert!(new.gone.is_none());
    let fallback = recompile(&before.model(), &Delta::default(), &new);
    assert!(fallback.gone.is_none() && fallback.lookup("h7.example", "/").is_some());
}

#[test]
fn what_goes_with_a_recompiled_table_is_told_and_what_stays_keeps_its_load() {
    let mut cluster = Cluster::full();
    let mut publisher = Publisher::new(first(&cluster));
    let old = publisher.current();
    let of =
        |table: &Table, host| Arc::clone(table.backend(table.lookup(host, "/").expect("a route")));
    let (gone, stays) = (of(&old, "h7.example"), of(&old, "h8.example"));
    let request = InFlight::begin(&stays.endpoints().usable()[0]);
    let before = cluster.clone();
    cluster.ingresses.remove(&7);
    cluster.odd.insert(8, Protocol::H2c);
    publisher.publish(recompile(&cluster.model(), &cluster.delta(&before, 1), &old));
    let now = of(&publisher.current(), "h8.example");
    assert!(!Arc::ptr_eq(&now, &stays), "of another protocol");
    assert_eq!(now.endpoints().usable()[0].in_flight(), 1, "with the same endpoints");
    assert!(gone.endpoints().usable()[0].has_left());
    assert!(!now.endpoints().usable()[0].has_left());
    drop(request);
}
