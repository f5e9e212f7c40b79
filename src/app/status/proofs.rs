//! What proves that requests of a route came through the operator's own zone, strongest first: for `explain`.
//!
//! Every customer of Cloudflare sends from its addresses, so an address proves Cloudflare and nothing more. What does
//! more is in `deploy/proof-of-zone.md`, in the same order.

use crate::config::{Cloudflare, WorkerZones};
use crate::model::middleware::{Step, is_about};
use crate::pki::client_certificate::{Demand, Mode};
use crate::routing::{RouteId, Table};
use serde::Serialize;
use std::num::NonZeroU32;

/// A proof, or what makes the address a better one. The strongest is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProofKind {
    /// A client certificate of the operator's own authority is required.
    ClientCertificate,
    /// A token of Cloudflare Access is required.
    Access,
    /// A field that only the operator's zone adds is required.
    SecretHeader,
    /// None of them is.
    Address,
    /// Cloudflare's shared certificate is required: it proves Cloudflare.
    SharedCertificate,
    /// Workers of other zones are refused.
    WorkerZones,
    /// Requests that passed other networks are refused.
    CdnPasses,
}

/// One of them, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Proof {
    pub(crate) kind: ProofKind,
    pub(crate) text: String,
}

/// What is known beside the table.
#[derive(Clone, Copy, Default)]
pub(crate) struct ZoneSettings<'a> {
    /// What is asked of clients of the host in the handshake.
    pub(crate) demand: Option<&'a Demand>,
    /// What is asked of all requests through Cloudflare.
    pub(crate) cloudflare: Option<&'a Cloudflare>,
}

/// The proofs that are in force for requests of a route for a host.
pub(crate) fn proofs(
    table: &Table,
    id: RouteId,
    host: &str,
    settings: ZoneSettings<'_>,
) -> Vec<Proof> {
    let mut found: Vec<(ProofKind, String)> = Vec::new();
    found.extend(settings.demand.and_then(of_demand));
    found.extend(settings.cloudflare.into_iter().flat_map(of_cloudflare));
    let steps = table.chain(id).into_iter().flat_map(|chain| chain.iter());
    found.extend(steps.filter_map(|named| of_step(&named.step, &named.name, host)));
    if !found.iter().any(|(kind, _)| *kind < ProofKind::Address) {
        let text = "address alone: every customer of Cloudflare can send from an admitted one";
        found.push((ProofKind::Address, text.to_owned()));
    }
    // Stable: of one kind in the order of the request.
    found.sort_by_key(|(kind, _)| *kind);
    found.into_iter().map(|(kind, text)| Proof { kind, text }).collect()
}

fn of_demand(demand: &Demand) -> Option<(ProofKind, String)> {
    if demand.mode != Mode::Require {
        return None;
    }
    let is_shared = demand.authority.as_ref().is_some_and(|authority| authority.is_cloudflare());
    Some(match is_shared {
        true => {
            let text = "Cloudflare's shared client certificate, which proves Cloudflare alone";
            (ProofKind::SharedCertificate, text.to_owned())
        }
        false => (ProofKind::ClientCertificate, format!("client certificate: {demand}")),
    })
}

fn of_cloudflare(cloudflare: &Cloudflare) -> Vec<(ProofKind, String)> {
    let mut found = Vec::new();
    if let Some(secret) = &cloudflare.secret {
        let text = format!(
            "secret header {} (cloudflare.secret_header), of requests from Cloudflare's addresses",
            secret.name
        );
        found.push((ProofKind::SecretHeader, text));
    }
    if let WorkerZones::Only(zones) = &cloudflare.worker_zones {
        let text = format!("{} (cloudflare.worker_zones)", workers(zones));
        found.push((ProofKind::WorkerZones, text));
    }
    found
}

fn of_step(step: &Step, name: &str, host: &str) -> Option<(ProofKind, String)> {
    let (kind, text) = match step {
        Step::Access(rule) if is_about(&rule.hosts, host) => {
            (ProofKind::Access, format!("token of Cloudflare Access, team {}", rule.team))
        }
        Step::SecretHeader(rule) if is_about(&rule.hosts, host) => {
            (ProofKind::SecretHeader, format!("secret header {}", rule.name))
        }
        Step::WorkerZones(rule) if is_about(&rule.hosts, host) => {
            (ProofKind::WorkerZones, workers(&rule.zones))
        }
        Step::CdnPasses(rule) if is_about(&rule.hosts, host) => {
            let text = format!("{} through Cloudflare, no other network", times(rule.most));
            (ProofKind::CdnPasses, text)
        }
        _ => return None,
    };
    Some((kind, format!("{text} ({name})")))
}

fn workers(zones: &[impl AsRef<str>]) -> String {
    match zones {
        [] => "no Workers".to_owned(),
        zones => {
            let names: Vec<&str> = zones.iter().map(AsRef::as_ref).collect();
            format!("Workers of {} alone", names.join(", "))
        }
    }
}

fn times(most: NonZeroU32) -> String {
    match most.get() {
        1 => "once".to_owned(),
        most => format!("at most {most} times"),
    }
}
