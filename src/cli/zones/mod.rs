//! `ravelin check --cloudflare`: what is set for the zones of served hosts, against what is served.
//!
//! ```text
//! token -> control::zone (read) -> ZoneState \
//! configuration, manifests -> served -> ServedHost, Edge -> ssl, origin_pulls, records, zone -> findings
//! ```
//!
//! The judgements are pure. They name the zone or the host, what is set, what visitors get, and the fix in
//! the dashboard and as a command.

mod command;
mod finding;
mod origin_pulls;
mod records;
mod report;
mod served;
mod ssl;
mod zone;

pub(super) use report::ZoneReport;

use super::certificates::Certificates;
use super::manifests::Read;
use super::{Failure, full_strict};
use crate::control::zone::{PUBLIC_API, TOKEN_VARIABLE, Token, Zone, ZoneApi};
use clap::Args;
use served::{Edge, ServedHost};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// The options of the comparison.
#[derive(Debug, Args)]
pub(super) struct ZoneArgs {
    /// Compare with what is set at Cloudflare for the zones of the hosts. Needs --config and an API token
    /// (--cloudflare-token, or the variable CLOUDFLARE_API_TOKEN). Only reads.
    #[arg(long, requires = "config")]
    pub(super) cloudflare: bool,
    /// A file with the API token. Never write the token itself on a command line.
    #[arg(long, value_name = "FILE", requires = "cloudflare")]
    cloudflare_token: Option<PathBuf>,
    /// A public address of a node or load balancer that DNS records should have; may be given several times.
    /// Default: the ready Nodes of the input.
    #[arg(long, value_name = "ADDRESS", requires = "cloudflare")]
    node_address: Vec<IpAddr>,
    /// The base of Cloudflare's API.
    #[arg(long, value_name = "URL", requires = "cloudflare", default_value = PUBLIC_API)]
    cloudflare_api: String,
    /// A PEM file with the only CAs to trust for the API. Default: the public CAs.
    #[arg(long, value_name = "FILE", requires = "cloudflare")]
    cloudflare_ca: Option<PathBuf>,
}

impl ZoneArgs {
    /// A client of the API; `None` if the comparison is not wanted. Before anything is read: without a
    /// token there is nothing to wait for.
    pub(super) fn api(&self) -> Result<Option<ZoneApi>, Failure> {
        if !self.cloudflare {
            return Ok(None);
        }
        let variable = std::env::var(TOKEN_VARIABLE).ok();
        let token = Token::read(self.cloudflare_token.as_deref(), variable.as_deref());
        let token = token.map_err(|error| Failure::usage(error.to_string()))?;
        let api = ZoneApi::new(&self.cloudflare_api, self.cloudflare_ca.clone(), token);
        api.map(Some).map_err(|error| Failure::usage(error.to_string()))
    }

    /// Refuses a token among the paths, without repeating it.
    pub(super) fn refuse_token(&self, paths: &[PathBuf]) -> Result<(), Failure> {
        let is_token = |path: &PathBuf| {
            path.to_str().is_some_and(Token::is_like) && std::fs::symlink_metadata(path).is_err()
        };
        match self.cloudflare && paths.iter().any(is_token) {
            true => Err(Failure::usage(NO_TOKEN_HERE)),
            false => Ok(()),
        }
    }
}

/// What is said of a token on the command line.
pub(super) const NO_TOKEN_HERE: &str = "--cloudflare takes no value, and a token does not belong on a \
     command line, where other users can read it: write it into a file and name that with \
     --cloudflare-token, or set CLOUDFLARE_API_TOKEN";

/// Reads the zones of the served hosts and compares.
pub(super) fn compare(
    api: &mut ZoneApi,
    args: &ZoneArgs,
    read: &Read,
    certificates: &Certificates<'_>,
    strict: &[full_strict::Row],
) -> Result<ZoneReport, Failure> {
    let Some(config) = &read.config else {
        return Err(Failure::usage("--cloudflare needs --config FILE"));
    };
    let edge = Edge::of(config, args, &read.nodes);
    let hosts = served::hosts(&read.build, certificates, strict)?;
    let zones = match api.zones() {
        Ok(zones) => zones,
        Err(error) => return Ok(ZoneReport::unavailable(&error)),
    };
    let mut report = ZoneReport::default();
    let mut by_zone: BTreeMap<usize, Vec<&ServedHost>> = BTreeMap::new();
    for host in &hosts {
        match zone_of(&zones, &host.name) {
            Some(zone) => by_zone.entry(zone).or_default().push(host),
            None => report.without_zone(&host.name),
        }
    }
    report.sees(zones.iter().map(|zone| zone.name.as_str()));
    let mut accounts = BTreeMap::new();
    for (zone, hosts) in by_zone {
        let state = api.read(zones[zone].clone(), &mut accounts);
        report.add(&state, &edge, &hosts);
    }
    Ok(report)
}

/// The zone of a host: the longest name that it ends with; of two with one name, the active one.
fn zone_of(zones: &[Zone], host: &str) -> Option<usize> {
    let host = host.strip_prefix("*.").unwrap_or(host);
    let ends = |zone: &Zone| {
        let above = host.strip_suffix(zone.name.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    };
    let all = zones.iter().enumerate().filter(|(_, zone)| ends(zone));
    let best = all.max_by_key(|(_, zone)| (zone.name.len(), zone.status == "active"));
    best.map(|(position, _)| position)
}
