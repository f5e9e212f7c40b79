//! From the tree to the typed configuration: one function a table.
//!
//! Each takes what it can, reports what is wrong and goes on, with the default in place of a faulty
//! value; [`super::Config::parse`] throws the result away if anything was reported.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use http::HeaderName;
use toml::de::DeValue;

use crate::error::Advice;
use crate::model::{Hsts, Https, Prefer};

use super::access;
use super::admit::Sets;
use super::break_glass;
use super::certificates;
use super::client_certificate;
use super::cloudflare;
use super::crowdsec;
use super::dns;
use super::entry_point;
use super::http2;
use super::log;
use super::metrics;
use super::raw::{self, Document, Table};
use super::source;
use super::state;
use super::tracing;
use super::units::{self, Fault};
use super::values::{
    bytes, count, duration, label, one_of, path, socket_addr, socket_path, unknown_word,
};
use super::zone;
use super::{
    AdminConfig, Admit, Cloudflare, Config, Http1, LimitsConfig, Listener, ListenerProtocol,
    Members, TimeoutsConfig, UpstreamConfig, ZoneTable, defaults, keys,
};

/// Worker threads. More than 256 cores are not known of any node; each worker has pools and
/// counters of its own.
const WORKERS: RangeInclusive<usize> = 1..=256;
/// Client connections: the usual hard limit of open files, `fs.nr_open`, is 1 048 576.
const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
/// TLS handshakes that one worker computes in a row: 100 000 would take a minute.
const HANDSHAKES: RangeInclusive<usize> = 1..=100_000;
/// Sizes of request heads: below a KiB no browser's head fits; a MiB for each of 20 000 connections
/// is more than any node has.
const HEAD_BYTES: RangeInclusive<usize> = 1024..=1024 * 1024;
/// What connections and requests may hold: below 16 MiB a few uploads would refuse the rest.
const MEMORY_BYTES: RangeInclusive<usize> = 16 << 20..=1 << 40;
/// Idle connections for one endpoint and worker.
const IDLE_PER_ENDPOINT: RangeInclusive<usize> = 0..=1024;
/// Further endpoints tried: each attempt may cost `timeouts.connect`.
const CONNECT_RETRIES: RangeInclusive<usize> = 0..=10;

/// Requests of a hundred that are sent again.
const RETRY_BUDGET: RangeInclusive<usize> = 0..=100;
/// Failures in a row: past 100, waiting for more of them helps nobody.
const EJECT_AFTER: RangeInclusive<usize> = 0..=100;

/// Reads the whole document. `None` only after something was reported.
pub(super) fn config(document: &Document<'_>) -> Option<Config> {
    let root = document.root();
    let sets = Sets::read(document);
    let workers = root.read("workers", |value| count(value, &WORKERS));
    let listeners = listeners(&root, &sets);
    let client_certificates = client_certificate::section(&root);
    let tls = root.table(&keys::TLS);
    let ticket_key_file = tls.read("ticket_key_file", path);
    let cloudflare = cloudflare::section(&root.table(&keys::CLOUDFLARE));
    let access = access::section(&root);
    let source = source::section(&root.table(&keys::SOURCE));
    let certificates = certificates::section(&root, source.as_ref());
    let (state, last_good) = state::section(&root.table(&keys::STATE), source.as_ref());
    let admin_table = root.table(&keys::ADMIN);
    let admin = admin(&admin_table, &sets);
    let zones = zone::section(&root);
    let secrets = secrets(&cloudflare, &zones);
    let log = log::section(&root, &secrets);
    let tracing = tracing::section(&root.table(&keys::TRACING), &secrets);
    let timeouts = timeouts(document, &root.table(&keys::TIMEOUTS));
    let limits = limits(&root.table(&keys::LIMITS));
    let https = https(&root.table(&keys::HTTPS));
    let http2 = http2::section(&root.table(&keys::HTTP2));
    let dns = dns::section(&root.table(&keys::DNS));
    let metrics = metrics::section(&root.table(&keys::METRICS));
    let upstream = upstream(&root.table(&keys::UPSTREAM));
    let listeners = listeners?;
    let entry_points = entry_point::section(&root, &listeners);
    let admin = admin?;
    check_tickets(&tls, &listeners);
    check_address(&admin_table, &admin, &listeners);
    Some(Config {
        workers: workers.and_then(NonZeroUsize::new).unwrap_or_else(granted_cores),
        http1: root.read("http1", |value| one_of(value, &Http1::WORDS)).unwrap_or_default(),
        listeners,
        entry_points,
        certificates: certificates.files,
        certificate_secrets: certificates.secrets,
        client_certificates,
        ticket_key_file,
        cloudflare,
        break_glass: break_glass::section(&root.table(&keys::BREAK_GLASS)),
        crowdsec: crowdsec::section(&root.table(&keys::CROWDSEC)),
        access,
        zones,
        state,
        last_good,
        source: source?,
        admin,
        log,
        tracing,
        timeouts,
        limits,
        https,
        http2,
        dns,
        metrics,
        upstream,
    })
}

/// Fields in which the configuration expects a secret.
fn secrets<'c>(cloudflare: &'c Cloudflare, zones: &'c [ZoneTable]) -> Vec<&'c HeaderName> {
    let of_zones = zones.iter().filter_map(|zone| zone.secret.as_ref());
    cloudflare.secret.iter().chain(of_zones).map(|own| &own.name).collect()
}

fn check_tickets(tls: &Table<'_>, listeners: &[Listener]) {
    let has_tls = listeners.iter().any(|listener| listener.protocol.may_end_tls());
    if !has_tls && tls.has("ticket_key_file") {
        let fix = "write protocol = \"https\" in a listener, or remove the key";
        tls.complain("ticket_key_file", Fault::new("no listener uses TLS", fix));
    }
}

/// The cores that affinity and cgroup quota leave us; one, if the system does not say.
fn granted_cores() -> NonZeroUsize {
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(*WORKERS.end()).map_or(cores, |most| cores.min(most))
}

fn listeners(root: &Table<'_>, sets: &Sets) -> Option<Vec<Listener>> {
    let tables = root.tables(&keys::LISTENER)?;
    if tables.is_empty() {
        let fix = "write [[listener]] with name and address";
        root.complain("listener", Fault::new("there is no listener", fix));
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for table in &tables {
        let Some(listener) = listener(table, sets) else {
            continue;
        };
        if listeners.iter().any(|other| other.name == listener.name) {
            let problem = format!("\"{}\" is already the name of another listener", listener.name);
            table.complain("name", Fault::new(problem, "names are metric labels; choose another"));
        }
        if let Some(same) = listeners.iter().find(|other| collide(other.address, listener.address))
        {
            let problem =
                format!("{} is already the address of listener \"{}\"", same.address, same.name);
            table.complain("address", Fault::new(problem, "use another address or port"));
        }
        listeners.push(listener);
    }
    Some(listeners)
}

fn listener(table: &Table<'_>, sets: &Sets) -> Option<Listener> {
    let name = table.require("name", "give it one, such as name = \"web\"", |value| {
        match raw::string(value)? {
            "admin" => Err(Fault::new(
                "\"admin\" is reserved for the admin port in metrics and logs",
                "choose another name",
            )),
            name => label(name),
        }
    });
    let address = table.require("address", "write address = \"[::]:80\" for all", socket_addr);
    let protocol = table.read("protocol", protocol).unwrap_or(ListenerProtocol::Http);
    let admit = admit(table, "admit", sets, defaults::LISTENER_ADMIT);
    let kernel_filter = table.read("kernel_filter", raw::boolean);
    let nets = |key| table.list(key).map(|list| list.strings(&table.path(key), units::net));
    Some(Listener {
        name: name?,
        address: address?,
        protocol,
        admit: admit?,
        kernel_filter: kernel_filter.unwrap_or(true),
        proxy_protocol_from: nets("proxy_protocol_from").unwrap_or_default(),
        trusted_proxies: nets("trusted_proxies").unwrap_or_default(),
    })
}

fn protocol(value: &DeValue<'_>) -> Result<ListenerProtocol, Fault> {
    match raw::string(value)? {
        "http" => Ok(ListenerProtocol::Http),
        "https" => Ok(ListenerProtocol::Https),
        "tcp" => Ok(ListenerProtocol::Tcp),
        other => Err(unknown_word(other, &["http", "https", "tcp"])),
    }
}

fn admit(table: &Table<'_>, key: &'static str, sets: &Sets, default: &str) -> Option<Admit> {
    let Some(list) = table.list(key) else {
        return Admit::built_in(default);
    };
    let names = list.strings(&table.path(key), |name| Ok(name.to_owned()));
    if names.is_empty() && !list.is_empty() {
        // Not one name is a string, and each was reported.
        return None;
    }
    sets.admit(names).map_err(|fault| table.complain(key, fault)).ok()
}

fn admin(table: &Table<'_>, sets: &Sets) -> Option<AdminConfig> {
    let address = table.read("address", socket_addr).unwrap_or(defaults::ADMIN_ADDRESS);
    let admitted = |key: &'static str, default| {
        let admit = admit(table, key, sets, default)?;
        if admit.sets.iter().any(|set| set.members == Members::Cloudflare) {
            let problem =
                "the admin port cannot admit Cloudflare's addresses: all its customers share them";
            let fix = "use other sets, such as \"loopback\" or one of your own";
            table.complain(key, Fault::new(problem, fix));
        }
        Some(admit)
    };
    let admit = admitted("admit", defaults::ADMIN_ADMIT)?;
    let admit_status = admitted("admit_status", defaults::ADMIN_ADMIT_STATUS)?;
    Some(AdminConfig { address, admit, admit_status, socket: table.read("socket", socket_path) })
}

fn timeouts(document: &Document<'_>, table: &Table<'_>) -> TimeoutsConfig {
    let faults = document.faults();
    let get = |key, default| duration(table, key).unwrap_or(default);
    let timeouts = TimeoutsConfig {
        downstream_idle: get("downstream_idle", defaults::DOWNSTREAM_IDLE),
        proxy_header: get("proxy_header", defaults::PROXY_HEADER),
        tls_handshake: get("tls_handshake", defaults::TLS_HANDSHAKE),
        first_request: get("first_request", defaults::FIRST_REQUEST),
        request_head: get("request_head", defaults::REQUEST_HEAD),
        body_progress: get("body_progress", defaults::BODY_PROGRESS),
        connect: get("connect", defaults::CONNECT),
        response_head: get("response_head", defaults::RESPONSE_HEAD),
        tunnel_idle: get("tunnel_idle", defaults::TUNNEL_IDLE),
        drain: get("drain", defaults::DRAIN),
        drain_idle: get("drain_idle", defaults::DRAIN_IDLE),
        reload: get("reload", defaults::RELOAD),
        coalesce: get("coalesce", defaults::COALESCE),
        coalesce_max: get("coalesce_max", defaults::COALESCE_MAX),
    };
    // A faulty value was replaced by its default, which is no ground for a comparison.
    if document.faults() == faults {
        let short = ("drain_idle", timeouts.drain_idle);
        at_most(table, short, ("drain", timeouts.drain));
        let short = ("coalesce", timeouts.coalesce);
        at_most(table, short, ("coalesce_max", timeouts.coalesce_max));
    }
    timeouts
}

fn at_most(table: &Table<'_>, short: (&str, Duration), long: (&str, Duration)) {
    if short.1 > long.1 {
        let problem = format!("{:?} is longer than {}, {:?}", short.1, long.0, long.1);
        let fix =
            format!("shorten {} or lengthen {} (an absent key has its default)", short.0, long.0);
        table.complain(short.0, Fault::new(problem, fix));
    }
}

fn limits(table: &Table<'_>) -> LimitsConfig {
    let default = LimitsConfig::default();
    let connections = table.read("connections", |value| count(value, &CONNECTIONS));
    let handshakes = table.read("handshakes", |value| count(value, &HANDSHAKES));
    let size = |key| table.read(key, |value| bytes(value, &HEAD_BYTES));
    let memory = table.read("memory", |value| bytes(value, &MEMORY_BYTES));
    LimitsConfig {
        connections: connections.and_then(NonZeroUsize::new).unwrap_or(default.connections),
        handshakes: handshakes.and_then(NonZeroUsize::new).unwrap_or(default.handshakes),
        request_target: size("request_target").unwrap_or(default.request_target),
        header_block: size("header_block").unwrap_or(default.header_block),
        memory: memory.unwrap_or(default.memory),
    }
}

fn https(table: &Table<'_>) -> Https {
    let redirect = table.read("redirect", raw::boolean).unwrap_or_default();
    let hsts = table.read("hsts", |value| match raw::string(value)? {
        "off" => Ok(None),
        text => Hsts::parse(text).map(Some).map_err(|error| {
            let (problem, fix) = (error.reason(), error.fix());
            Fault::new(problem, format!("{fix}, or \"off\""))
        }),
    });
    Https { redirect, hsts: hsts.flatten() }
}

fn upstream(table: &Table<'_>) -> UpstreamConfig {
    let default = UpstreamConfig::default();
    let idle = duration(table, "idle");
    let per_endpoint = table.read("idle_per_endpoint", |value| count(value, &IDLE_PER_ENDPOINT));
    let small = |key, range: &RangeInclusive<usize>| {
        let number = table.read(key, |value| count(value, range));
        number.and_then(|number| u32::try_from(number).ok())
    };
    let on_status = table.read("eject_on_status", raw::boolean);
    let prefer = table.read("prefer", |value| one_of(value, &Prefer::WORDS));
    UpstreamConfig {
        idle: idle.unwrap_or(default.idle),
        idle_per_endpoint: per_endpoint.unwrap_or(default.idle_per_endpoint),
        connect_retries: small("connect_retries", &CONNECT_RETRIES)
            .unwrap_or(default.connect_retries),
        retry_budget: small("retry_budget", &RETRY_BUDGET).unwrap_or(default.retry_budget),
        eject_after: small("eject_after", &EJECT_AFTER).unwrap_or(default.eject_after),
        eject_on_status: on_status.unwrap_or(default.eject_on_status),
        prefer: prefer.unwrap_or(default.prefer),
    }
}

/// Reports an address of the admin port that a listener has.
fn check_address(table: &Table<'_>, admin: &AdminConfig, listeners: &[Listener]) {
    if let Some(same) = listeners.iter().find(|other| collide(other.address, admin.address)) {
        let problem =
            format!("{} is already the address of listener \"{}\"", admin.address, same.name);
        table.complain("address", Fault::new(problem, "use another port"));
    }
}

/// Whether two sockets would want the same place. The kernel chooses the port for 0, so that two
/// of those never meet.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}
