//! DNS records against the addresses of nodes.
//!
//! Source: Cloudflare's documentation, DNS, "Proxy status", "Round-robin DNS" and "Wildcard DNS records".

use super::command::{curl, delete};
use super::finding::ZoneFinding;
use super::served::{Edge, Nodes, ServedHost};
use crate::control::zone::{Record, RecordTarget, ZoneState};
use crate::model::{HostPattern, Severity};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Where they are in the dashboard.
const PAGE: &str = "DNS, Records";
/// Most CNAMEs that are followed within the zone.
const MOST_NAMES: usize = 8;
/// Most commands of a finding: the others are like them.
const MOST_COMMANDS: usize = 6;
/// The end of the names of tunnels.
const TUNNEL: &str = ".cfargotunnel.com";

/// Where a host leads.
enum Found<'s> {
    /// Addresses; whether the name is proxied.
    Addresses(Vec<&'s Record>, bool),
    /// A tunnel.
    Tunnel(&'s str),
    /// A name outside the zone.
    Elsewhere(&'s Record, &'s str, bool),
    /// No record.
    Nothing,
}

/// A wrong thing about records, the same for several hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Missing,
    Stale {
        all: bool,
        addresses: BTreeSet<(IpAddr, String)>,
    },
    Grey(BTreeSet<String>),
    Tunnel(String),
    Elsewhere(String),
    /// Addresses of nodes, and the name of the records.
    Absent(BTreeSet<IpAddr>, String),
}

/// What the records cause.
pub(super) fn findings(state: &ZoneState, edge: &Edge, hosts: &[&ServedHost]) -> Vec<ZoneFinding> {
    let Some(records) = &state.records else { return Vec::new() };
    let mut by_name: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_name.entry(&record.name).or_default().push(record);
    }
    let mut alike: BTreeMap<Wrong, Vec<String>> = BTreeMap::new();
    for host in hosts {
        let found = find(&by_name, &state.zone.name, &host.pattern);
        for wrong in judge(&found, &edge.nodes) {
            alike.entry(wrong).or_default().push(host.name.clone());
        }
    }
    alike.iter().map(|(wrong, hosts)| describe(state, edge, wrong, hosts)).collect()
}

/// The records that answer for a host: its own, else those of the closest wildcard.
fn find<'s>(
    records: &BTreeMap<&str, Vec<&'s Record>>,
    zone: &str,
    host: &HostPattern,
) -> Found<'s> {
    let mut name = host.to_string();
    let mut is_proxied = false;
    for step in 0..MOST_NAMES {
        let Some(here) = closest(records, zone, &name) else {
            return Found::Nothing;
        };
        is_proxied |= here.iter().any(|record| record.is_proxied);
        let alias = here.iter().find_map(|record| match &record.target {
            RecordTarget::Name(target) => Some((*record, target.as_str())),
            RecordTarget::Address(_) => None,
        });
        let Some((record, target)) = alias else {
            return Found::Addresses(here.clone(), is_proxied);
        };
        if target.ends_with(TUNNEL) {
            return Found::Tunnel(target);
        }
        let is_inside = target == zone || target.ends_with(&format!(".{zone}"));
        if !is_inside || step + 1 == MOST_NAMES {
            return Found::Elsewhere(record, target, is_proxied);
        }
        name = target.to_owned();
    }
    Found::Nothing
}

fn closest<'r, 's>(
    records: &'r BTreeMap<&str, Vec<&'s Record>>,
    zone: &str,
    name: &str,
) -> Option<&'r Vec<&'s Record>> {
    if let Some(own) = records.get(name) {
        return Some(own);
    }
    let mut parent = name;
    while parent != zone {
        let (_, rest) = parent.split_once('.')?;
        if let Some(wildcard) = records.get(format!("*.{rest}").as_str()) {
            return Some(wildcard);
        }
        parent = rest;
    }
    None
}

fn judge(found: &Found<'_>, nodes: &Nodes) -> Vec<Wrong> {
    let (records, is_proxied) = match found {
        Found::Nothing => return vec![Wrong::Missing],
        Found::Tunnel(target) => return vec![Wrong::Tunnel((*target).to_owned())],
        Found::Elsewhere(record, target, is_proxied) => {
            let grey = (!is_proxied).then(|| Wrong::Grey(BTreeSet::from([record.id.clone()])));
            return grey.into_iter().chain([Wrong::Elsewhere((*target).to_owned())]).collect();
        }
        Found::Addresses(records, is_proxied) => (records, *is_proxied),
    };
    let ids = || records.iter().map(|record| record.id.clone()).collect();
    let mut wrong: Vec<Wrong> = (!is_proxied).then(|| Wrong::Grey(ids())).into_iter().collect();
    let Nodes::Known(nodes) = nodes else { return wrong };
    let named = records.iter().filter_map(|record| match record.target {
        RecordTarget::Address(address) => Some((address, record.id.clone())),
        RecordTarget::Name(_) => None,
    });
    let named: BTreeSet<(IpAddr, String)> = named.collect();
    let is_node = |address: &IpAddr| nodes.iter().any(|node| node.contains(address));
    let stale: BTreeSet<_> =
        named.iter().filter(|(address, _)| !is_node(address)).cloned().collect();
    if !stale.is_empty() {
        wrong.push(Wrong::Stale { all: stale.len() == named.len(), addresses: stale });
    }
    let is_named = |address: &IpAddr| named.iter().any(|(it, _)| it == address);
    let absent = nodes.iter().filter(|node| !node.iter().any(is_named));
    let absent: BTreeSet<IpAddr> = absent.filter_map(|node| node.first().copied()).collect();
    if let Some(record) = records.first().filter(|_| !absent.is_empty()) {
        wrong.push(Wrong::Absent(absent, record.name.clone()));
    }
    wrong
}

fn describe(state: &ZoneState, edge: &Edge, wrong: &Wrong, hosts: &[String]) -> ZoneFinding {
    let of = |level, set: &str| {
        ZoneFinding::new(level, &state.zone.name, set).hosts(hosts.iter().cloned())
    };
    let id = &state.zone.id;
    match wrong {
        Wrong::Missing => {
            let finding = of(Severity::Error, "dns_records: none")
                .because("no A, AAAA or CNAME record answers for this name, nor a wildcard")
                .visitors("\"server not found\" (NXDOMAIN)")
                .fix(format!(
                    "{PAGE}, Add record: A, the address of a node, Proxied; one for each node"
                ));
            let addresses = addresses(&edge.nodes);
            let each = hosts.iter().flat_map(|host| addresses.iter().map(move |it| (host, *it)));
            each.take(MOST_COMMANDS)
                .fold(finding, |it, (host, address)| it.command(add(id, host, address)))
        }
        Wrong::Stale { all, addresses } => stale(of, id, *all, addresses),
        Wrong::Grey(records) => grey(of, id, edge, records),
        Wrong::Tunnel(target) => of(Severity::Warning, &format!("CNAME {target}"))
            .because(
                "this is a Cloudflare Tunnel: visitors come through cloudflared, and neither \
                 listeners, gate nor certificates of ravelin see Cloudflare's addresses",
            )
            .fix(format!(
                "none needed, if the tunnel is intended; otherwise {PAGE}: replace it by A \
                 records of the nodes"
            )),
        Wrong::Elsewhere(target) => of(Severity::Info, &format!("CNAME {target}"))
            .because("the name is outside the zone: whether it leads to the nodes is not checked"),
        Wrong::Absent(missing, name) => {
            let list = list(missing.iter());
            let finding = of(Severity::Warning, "dns_records")
                .because(format!("no record has the node's address {list}: it gets no visitors"))
                .fix(format!("{PAGE}, Add record: A or AAAA, Proxied"));
            missing.iter().fold(finding, |it, address| it.command(add(id, name, *address)))
        }
    }
}

fn stale(
    of: impl Fn(Severity, &str) -> ZoneFinding,
    id: &str,
    all: bool,
    addresses: &BTreeSet<(IpAddr, String)>,
) -> ZoneFinding {
    let list = list(addresses.iter().map(|(address, _)| address));
    let (level, visitors) = match all {
        true => (Severity::Error, "522, or the answer of somebody else's server"),
        false => (
            Severity::Warning,
            "522 or 521 after a delay, for their share of requests, where the one retry of \
             Cloudflare fails too",
        ),
    };
    let finding = of(level, &format!("dns_records = {list}"))
        .because("no ready node has this address")
        .visitors(visitors)
        .fix(format!("{PAGE}: delete it, or change it to the address of a node"));
    let delete = |record: &String| delete(&format!("/zones/{id}/dns_records/{record}"));
    addresses.iter().fold(finding, |finding, (_, record)| finding.command(delete(record)))
}

fn grey(
    of: impl Fn(Severity, &str) -> ZoneFinding,
    id: &str,
    edge: &Edge,
    records: &BTreeSet<String>,
) -> ZoneFinding {
    let finding = match edge.admits_any {
        false => of(Severity::Error, "proxied = false")
            .because(
                "the record is DNS only (grey cloud): visitors connect directly, and the gate drops \
                 every source but Cloudflare",
            )
            .visitors("a timeout"),
        true => of(Severity::Warning, "proxied = false")
            .because(
                "the record is DNS only (grey cloud): visitors connect directly, without \
                 Cloudflare's protection, and browsers do not trust Origin CA",
            )
            .visitors("the site, or a certificate warning"),
    };
    let finding = finding.fix(format!("{PAGE}, Edit: Proxy status on (orange cloud)"));
    let body = json!({"proxied": true});
    let change =
        |record: &String| curl("PATCH", &format!("/zones/{id}/dns_records/{record}"), &body);
    records.iter().fold(finding, |finding, record| finding.command(change(record)))
}

fn add(id: &str, host: &str, address: IpAddr) -> String {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    let body = json!({"type": kind, "name": host, "content": address, "proxied": true});
    curl("POST", &format!("/zones/{id}/dns_records"), &body)
}

/// One address of each node.
fn addresses(nodes: &Nodes) -> Vec<IpAddr> {
    let Nodes::Known(nodes) = nodes else { return Vec::new() };
    nodes.iter().filter_map(|node| node.first().copied()).collect()
}

fn list<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> String {
    addresses
        .map(ToString::to_string)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
}
