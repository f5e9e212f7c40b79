//! EndpointSlices to endpoints (discovery.k8s.io/v1).
//!
//! All slices of a Service are joined. An endpoint that is in two of them, as happens while the
//! controller moves it, is taken once, in its better state.

use super::balancing::Preference;
use super::fields;
use super::names::Names;
use super::near::{Here, Proximity, mark_near};
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::{EndpointSpec, EndpointState, Severity, Why};
use crate::net::addr::{EndpointAddr, special};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What of a slice can be used.
#[derive(Default)]
pub(super) struct SliceRead<'s> {
    /// Name ("" for an unnamed one) and number of the TCP ports.
    ports: Vec<(&'s str, u16)>,
    endpoints: Vec<EndpointRead<'s>>,
    /// Of its endpoints on our node the zone, the first by name.
    own_zone: Option<&'s str>,
}

impl<'s> SliceRead<'s> {
    /// The zone that it says our node is in.
    pub(super) fn own_zone(&self) -> Option<&'s str> {
        self.own_zone
    }

    /// The names of the ports of its endpoints, if it has any.
    pub(super) fn port_names(&self) -> impl Iterator<Item = &'s str> {
        let ports = if self.endpoints.is_empty() { &[][..] } else { &self.ports[..] };
        ports.iter().map(|(name, _)| *name)
    }
}

struct EndpointRead<'s> {
    ip: IpAddr,
    state: EndpointState,
    node: Option<&'s str>,
    zone: Option<&'s str>,
    place: Proximity,
}

/// `addressType`.
#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

/// Reads a slice and reports what cannot be used.
pub(super) fn read<'s>(
    slice: &'s EndpointSlice,
    here: &Here<'_>,
    report: &mut Report<'_>,
) -> SliceRead<'s> {
    let EndpointSlice { address_type, endpoints, metadata: _, ports } = slice;
    let family = match address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        "FQDN" => {
            let problem =
                Problem::error(Why::Unsupported, "", "is FQDN", "use IPv4 or IPv6 addresses");
            report.add("addressType", problem.with(Severity::Warning));
            return SliceRead::default();
        }
        other => {
            let reason = format!("{} is not an address type", quote(other));
            report.add("addressType", Problem::invalid("", reason, "use IPv4 or IPv6"));
            return SliceRead::default();
        }
    };
    let mut read = SliceRead::default();
    for (position, port) in ports.iter().flatten().enumerate() {
        let EndpointPort { app_protocol: _, name, port, protocol } = port;
        // A port without a number means all ports, which no HTTP backend is.
        let Some(port) = port.filter(|_| fields::is_tcp(protocol.as_deref())) else {
            continue;
        };
        match fields::port(port) {
            Ok(port) => read.ports.push((name.as_deref().unwrap_or_default(), port)),
            Err(problem) => report.add(&format!("ports[{position}].port"), problem),
        }
    }
    for (position, endpoint) in endpoints.iter().enumerate() {
        match read_endpoint(endpoint, family, here) {
            Ok(endpoint) => {
                let is_ours = endpoint.node.is_some() && endpoint.node == here.node;
                let zone = endpoint.zone.filter(|_| is_ours);
                read.own_zone = read.own_zone.into_iter().chain(zone).min();
                read.endpoints.push(endpoint);
            }
            Err(problem) => report.add_below(&format!("endpoints[{position}]"), problem),
        }
    }
    read
}

fn read_endpoint<'s>(
    endpoint: &'s Endpoint,
    family: Family,
    here: &Here<'_>,
) -> Result<EndpointRead<'s>, Problem> {
    let Endpoint {
        addresses,
        conditions,
        deprecated_topology: _,
        hints,
        hostname: _,
        node_name,
        target_ref: _,
        zone,
    } = endpoint;
    // Further addresses have no defined meaning (discovery/v1 Endpoint.addresses).
    let Some(address) = addresses.first() else {
        let problem = Problem::invalid("addresses", "is empty", "give each endpoint one address");
        return Err(problem.with(Severity::Warning));
    };
    Ok(EndpointRead {
        ip: read_address(address, family, here.loopback)?,
        state: state(conditions.as_ref()),
        node: node_name.as_deref(),
        zone: zone.as_deref(),
        place: Proximity::of(node_name.as_deref(), zone.as_deref(), hints.as_ref(), here),
    })
}

fn read_address(text: &str, family: Family, loopback: bool) -> Result<IpAddr, Problem> {
    const FIELD: &str = "addresses[0]";
    let (parsed, name) = match family {
        Family::V4 => (text.parse().ok().map(IpAddr::V4), "IPv4"),
        Family::V6 => (text.parse().ok().map(IpAddr::V6), "IPv6"),
    };
    // The mapped form (`::ffff:192.0.2.1`) is an IPv4 address where `addressType` says IPv6.
    let Some(ip) = parsed.filter(|ip| ip.to_canonical() == *ip) else {
        let reason = format!("{} is not an {name} address", quote(text));
        let fix = format!("the slice's addressType is {name}");
        return Err(Problem::invalid(FIELD, reason, fix).with(Severity::Warning));
    };
    let word = match special(ip) {
        Some("loopback") if loopback => return Ok(ip),
        Some(word) => word,
        None => return Ok(ip),
    };
    // Of these there is one in each family.
    let article = if matches!(word, "unspecified" | "broadcast") { "the" } else { "a" };
    let reason = format!("{} is {article} {word} address", quote(text));
    Err(Problem::invalid(FIELD, reason, "use the address of a pod"))
}

/// Absent conditions mean ready, serving and not terminating. A Service with
/// `publishNotReadyAddresses` needs nothing here: its slices say `ready`.
fn state(conditions: Option<&EndpointConditions>) -> EndpointState {
    let Some(EndpointConditions { ready, serving, terminating }) = conditions else {
        return EndpointState::Ready;
    };
    if ready.unwrap_or(true) {
        EndpointState::Ready
    } else if serving.unwrap_or(true) && terminating.unwrap_or(false) {
        EndpointState::Terminating
    } else {
        EndpointState::NotReady
    }
}

/// The endpoints of one Service port out of several slices.
#[derive(Default)]
pub(super) struct Joined(BTreeMap<EndpointAddr, (EndpointSpec, Proximity)>);

impl Joined {
    /// Adds the endpoints of a slice, with the number that this slice has for the port.
    pub(super) fn add(&mut self, slice: &SliceRead<'_>, port_name: &str, names: &mut Names) {
        let Some((_, port)) = slice.ports.iter().find(|(name, _)| *name == port_name) else {
            return;
        };
        for endpoint in &slice.endpoints {
            let addr = EndpointAddr::new(endpoint.ip, *port);
            if self.0.get(&addr).is_some_and(|(known, _)| known.state <= endpoint.state) {
                continue;
            }
            let spec = EndpointSpec {
                addr,
                state: endpoint.state,
                node: endpoint.node.map(|name| names.share(name)),
                zone: endpoint.zone.map(|name| names.share(name)),
                near: false,
            };
            self.0.insert(addr, (spec, endpoint.place));
        }
    }

    /// The endpoints of one family, sorted by address, those that come first marked: with both, a dual-stack pod would be there
    /// twice. `preferred` is the first of the Service's `ipFamilies`.
    pub(super) fn finish(self, preferred: Option<&str>, near: Preference) -> Vec<EndpointSpec> {
        let has = |v6| self.0.keys().any(|addr| addr.ip().is_ipv6() == v6);
        let v6 = match preferred {
            Some("IPv6") => has(true),
            _ => !has(false),
        };
        let of_family = |(spec, _): &(EndpointSpec, Proximity)| spec.addr.ip().is_ipv6() == v6;
        let mut all: Vec<_> = self.0.into_values().filter(of_family).collect();
        mark_near(&mut all, near);
        all.into_iter().map(|(spec, _)| spec).collect()
    }
}
