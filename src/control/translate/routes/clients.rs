//! What the Ingresses of a host ask of its clients, all together.
//!
//! A host belongs to the namespace of the oldest Ingress that names it in `spec.tls`, or else of the
//! oldest one that names it at all: nobody else's annotations count for it, neither to weaken its
//! policy nor to shut its clients out. Of those that count the strictest does; where several require
//! different certificates, none is good. A host of which its Ingresses say nothing has the policy of
//! its wildcard, if that is the same namespace's.

use super::pool::Pool;
use super::reading::Reading;
use super::secrets::Secrets;
use super::slab::Slab;
use super::{Map, Name, Set};
use crate::control::translate::annotations::field;
use crate::control::translate::clients::{CLIENT_CERTIFICATE, ClientsRead, IssuerName};
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::object_ref;
use crate::control::translate::report::{Problem, Report};
use crate::model::{Diagnostic, HostPattern, Ingress};
use crate::model::{HostClients, Issuer};
use crate::pki::client_certificate::{Authority, BreakGlassAccess, Mode, Subjects};
use std::sync::Arc;

/// What one Ingress asks, and of whose clients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clients {
    pub(super) read: ClientsRead,
    /// Its hosts, sorted, each once.
    pub(super) hosts: Box<[HostPattern]>,
}

impl Clients {
    /// The Secret with the authority, in the namespace of the Ingress.
    pub(super) fn secret(&self, namespace: &Arc<str>) -> Option<Name> {
        self.read.secret(namespace)
    }
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Policies {
    last: Vec<HostClients>,
    found: Reported,
}

/// What an Ingress says of a host.
type Say<'r> = (&'r Ingress, &'r ClientsRead);

impl Policies {
    /// Reads all of it again. Returns it if it changed. `is_asking`: whether an Ingress asks anything of clients.
    pub(super) fn update(
        &mut self,
        is_asking: bool,
        readings: &Slab<Reading>,
        authorities: &Secrets<Authority>,
        pool: &Pool,
        findings: &mut Findings,
    ) -> Option<Vec<HostClients>> {
        let ours = || readings.iter().map(|(_, reading)| reading).filter(|r| r.foreign.is_none());
        let (mut now, mut found) = (Vec::new(), Vec::new());
        if is_asking {
            let mut ours: Vec<&Reading> = ours().collect();
            ours.sort_by(|a, b| a.ingress.by_age(&b.ingress));
            now = combine(&ours, authorities, &mut found);
        }
        if let Some((namespace, read)) = pool.clients()
            && now.iter().all(|client| client.host != HostPattern::Any)
        {
            now.push(HostClients {
                host: HostPattern::Any,
                mode: read.mode,
                issuer: issuer_of(read, namespace, authorities),
                subjects: read.subjects.clone(),
                tls13_only: read.tls13_only,
                break_glass: read.break_glass,
            });
        }
        findings.replace(&mut self.found, found);
        if now == self.last {
            return None;
        }
        self.last.clone_from(&now);
        Some(now)
    }
}

/// `ours` in the order of their age.
fn combine(
    ours: &[&Reading],
    authorities: &Secrets<Authority>,
    found: &mut Vec<Diagnostic>,
) -> Vec<HostClients> {
    let owners = owners(ours);
    let mut says: Map<&HostPattern, Vec<Say<'_>>> = Map::default();
    for reading in ours {
        let Some(clients) = &reading.served.clients else { continue };
        for host in &clients.hosts {
            let owner = owners.get(host).copied();
            if owner == Some(&reading.ingress.namespace) {
                says.entry(host).or_default().push((&reading.ingress, &clients.read));
                continue;
            }
            let owner = owner.map_or("another one", |owner| owner);
            let reason = format!("has no effect on {host}, which belongs to namespace {owner}");
            let fix = "ask its owner, or use a host of your own";
            report(&reading.ingress, Problem::invalid("", reason, fix), found);
        }
    }
    let mut all: Map<&HostPattern, HostClients> = Map::default();
    for (host, says) in says {
        all.insert(host, strictest(host, &says, authorities, found));
    }
    let broad = all.keys().any(|host| !matches!(host, HostPattern::Exact(_)));
    let inherited: Vec<(&HostPattern, HostClients)> = match broad {
        true => owners.keys().filter_map(|host| inherit(host, &owners, &all)).collect(),
        false => Vec::new(),
    };
    all.extend(inherited);
    let mut all: Vec<HostClients> = all.into_values().collect();
    all.sort_by(|a, b| a.host.cmp(&b.host));
    all
}

/// The namespace that each host belongs to.
fn owners<'r>(ours: &[&'r Reading]) -> Map<&'r HostPattern, &'r Arc<str>> {
    let mut owners = Map::default();
    for reading in ours {
        for host in reading.served.tls.iter().flat_map(|tls| &tls.hosts) {
            owners.entry(host).or_insert(&reading.ingress.namespace);
        }
    }
    for reading in ours {
        let served = &reading.served;
        let aliases = served.rules.iter().filter(|rule| rule.matching.is_alias);
        let aliases: Set<&HostPattern> = aliases.map(|rule| &rule.host).collect();
        let of_rules = served.rules.iter().map(|rule| &rule.host);
        let of_default = served.defaults.iter().flat_map(|default| &default.hosts);
        let of_clients = served.clients.iter().flat_map(|clients| &clients.hosts);
        let all = of_rules.chain(of_default).chain(of_clients);
        for host in all.filter(|host| !aliases.contains(host)) {
            owners.entry(host).or_insert(&reading.ingress.namespace);
        }
        if served.defaults.iter().any(|default| default.hosts.is_empty()) {
            owners.entry(&HostPattern::Any).or_insert(&reading.ingress.namespace);
        }
    }
    // An alias is nobody's claim to a host that has rules.
    for reading in ours {
        for rule in reading.served.rules.iter().filter(|rule| rule.matching.is_alias) {
            owners.entry(&rule.host).or_insert(&reading.ingress.namespace);
        }
    }
    owners
}

/// What counts of what several Ingresses of one namespace say, the oldest first.
fn strictest(
    host: &HostPattern,
    says: &[Say<'_>],
    authorities: &Secrets<Authority>,
    found: &mut Vec<Diagnostic>,
) -> HostClients {
    let (oldest, first) = says[0];
    let mode = says.iter().map(|(_, read)| read.mode).max().unwrap_or_default();
    for (ingress, read) in says.iter().skip(1).filter(|(_, read)| !read.asks_as(first)) {
        let other = object_ref(oldest);
        let reason = format!(
            "sets {:?} for {host}, while {other} sets {:?}, or another CA or subject; the strictest \
                applies, and where several are required, no certificate is accepted",
            read.mode.as_str(),
            first.mode.as_str(),
        );
        let fix = "write the same annotations in both";
        report(ingress, Problem::invalid("", reason, fix), found);
    }
    let mut strict = says.iter().filter(|(_, read)| read.mode == mode);
    let counts = strict.next().copied().unwrap_or((oldest, first));
    let is_one = strict.all(|(_, read)| read.asks_as(counts.1));
    let (ingress, read) = counts;
    let issuer = match mode == Mode::Require && !is_one {
        true => None,
        false => issuer_of(read, &ingress.namespace, authorities),
    };
    let tls13_only = says.iter().any(|(_, read)| read.tls13_only);
    // All who require a certificate have to open it.
    let requiring = says.iter().filter(|(_, read)| read.mode == mode);
    let break_glass = requiring.map(|(_, read)| read.break_glass).min().unwrap_or_default();
    let (host, subjects) = (host.clone(), read.subjects.clone());
    HostClients { host, mode, issuer, subjects, tls13_only, break_glass }
}

/// The issuer that is named, with what its Secret has.
fn issuer_of(
    read: &ClientsRead,
    namespace: &Arc<str>,
    authorities: &Secrets<Authority>,
) -> Option<Issuer> {
    let secret = match read.issuer.as_ref()? {
        IssuerName::Cloudflare => return Some(Issuer::Cloudflare),
        IssuerName::Secret(..) => read.secret(namespace)?,
    };
    let authority = authorities.content(&secret).cloned();
    Some(Issuer::Secret { namespace: secret.0, name: secret.1, authority })
}

/// What a host has that says nothing itself, if it is other than what its wildcard says.
fn inherit<'r>(
    host: &&'r HostPattern,
    owners: &Map<&'r HostPattern, &'r Arc<str>>,
    all: &Map<&'r HostPattern, HostClients>,
) -> Option<(&'r HostPattern, HostClients)> {
    if all.contains_key(*host) {
        return None;
    }
    let wildcard = match host {
        HostPattern::Exact(name) => {
            let (_, parent) = name.split_once('.')?;
            Some(HostPattern::Wildcard(parent.into()))
        }
        HostPattern::Wildcard(_) => None,
        HostPattern::Any => return None,
    };
    let above = [wildcard, Some(HostPattern::Any)];
    let mut above = above.iter().flatten().filter_map(|above| all.get_key_value(above));
    let (_, found_first) = above.clone().next()?;
    let own = above.find(|(above, _)| owners.get(**above) == owners.get(*host));
    let said = match own {
        Some((_, said)) if said == found_first => return None,
        Some((_, said)) => HostClients { host: (*host).clone(), ..said.clone() },
        None => HostClients {
            host: (*host).clone(),
            mode: Mode::Off,
            issuer: None,
            subjects: Subjects::default(),
            tls13_only: false,
            break_glass: BreakGlassAccess::Unsaid,
        },
    };
    Some((host, said))
}

fn report(ingress: &Ingress, problem: Problem, found: &mut Vec<Diagnostic>) {
    Report::new(&object_ref(ingress), found).add(&field(CLIENT_CERTIFICATE), problem);
}
