//! `[[zone]]`: what requests for hosts have to show of the zone that they came through, and what pods are told of
//! its client certificate.

use super::access::{host, list};
use super::cloudflare::{secret, zone_name};
use super::keys;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::count;
use super::{SecretHeader, WorkerZones};
use crate::model::HostPattern;
use crate::model::middleware::CertificateHeaders;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// How often a request may pass Cloudflare. Each time but the first is a Worker, or a zone whose record leads to
/// another.
const CDN_PASSES: RangeInclusive<usize> = 1..=100;

/// What some hosts ask for. At least one of its parts asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneTable {
    /// The hosts; empty for all of them. No host is in two tables.
    pub hosts: Vec<HostPattern>,
    /// A field that only the operator's zone adds.
    pub secret: Option<SecretHeader>,
    /// Workers of which zones may send requests.
    pub workers: WorkerZones,
    /// How often a request may have passed Cloudflare, and then no other network. `None`: nobody looks.
    pub passes: Option<NonZeroU32>,
    /// The fields of RFC 9440 that pods get. `None`: none.
    pub headers: Option<CertificateHeaders>,
}

/// Reads the tables. Faulty ones are reported.
pub(super) fn section(root: &Table<'_>) -> Vec<ZoneTable> {
    let mut all: Vec<ZoneTable> = Vec::new();
    for table in root.tables(&keys::ZONE).unwrap_or_default() {
        let workers = table
            .list("worker_zones")
            .map(|list| list.strings(&table.path("worker_zones"), zone_name));
        let passes = table.read("max_cdn_passes", |value| count(value, &CDN_PASSES));
        let passes = passes.and_then(|passes| u32::try_from(passes).ok());
        let read = ZoneTable {
            hosts: list(&table, "hosts", host),
            secret: secret(&table),
            workers: workers.map_or(WorkerZones::Any, WorkerZones::Only),
            passes: passes.and_then(NonZeroU32::new),
            headers: headers(&table),
        };
        check(&table, &read, &all);
        all.push(read);
    }
    all
}

/// Reports a table that asks for nothing, and hosts of another one.
fn check(table: &Table<'_>, read: &ZoneTable, others: &[ZoneTable]) {
    if !keys::ZONE.keys.iter().any(|key| *key != "hosts" && table.has(key)) {
        let fix = "write what its requests have to show, such as secret_header and secret_file";
        table.complain("hosts", Fault::new("the table asks for nothing", fix));
    }
    let is_known = |host: &&HostPattern| others.iter().any(|other| other.hosts.contains(host));
    if let Some(host) = read.hosts.iter().find(is_known) {
        let problem = format!("\"{host}\" is already in another table");
        table.complain("hosts", Fault::new(problem, "remove one of the two"));
    } else if read.hosts.is_empty()
        && !table.has("hosts")
        && others.iter().any(|other| other.hosts.is_empty())
    {
        let problem = "another table is already for all hosts";
        table.complain("hosts", Fault::new(problem, "set hosts in one of the two"));
    }
}

fn headers(table: &Table<'_>) -> Option<CertificateHeaders> {
    let key = "client_certificate_headers";
    let names = table.list(key)?;
    let names = names.each(&table.path(key), |item| raw::string(item).map(str::to_owned));
    let read = CertificateHeaders::parse(names.iter().map(String::as_str));
    let fix = "write [\"Client-Cert\"] or [\"Client-Cert\", \"Client-Cert-Chain\"]";
    let problem = |problem| table.complain(key, Fault::new(format!("the list {problem}"), fix));
    read.map_err(problem).ok()
}
