//! `ravelin check --break-glass`: whether each host can be served to visitors who come without Cloudflare, and whether the
//! switch is there.
//!
//! The certificate is that of a handshake with a visitor, judged as a browser does, and what is asked of clients that of
//! the request path.

mod edge;
mod host;
mod report;

pub(super) use report::BreakGlassReport;

use super::Failure;
use super::certificates::Certificates;
use super::manifests::Read;
use crate::model::HostPattern;
use crate::model::middleware::{Chain, Step, is_about};
use crate::pki::certificate::{Authorities, CaKind, read_bounded};
use crate::routing::Table;
use clap::Args;
use edge::EdgeState;
use host::{HostJudge, HostRow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The options of the check.
#[derive(Debug, Args)]
pub(super) struct BreakGlassArgs {
    /// Say of each host whether visitors without Cloudflare could be served while break-glass is on, or what is
    /// missing. A host that could not is an error.
    #[arg(long)]
    break_glass: bool,
    /// A PEM file with further CAs that visitors trust. Default: the public CAs.
    #[arg(long, value_name = "FILE", requires = "break_glass")]
    break_glass_ca: Option<PathBuf>,
}

impl BreakGlassArgs {
    /// Judges the hosts; `None` if that is not asked for. `awaited` are Secrets that are still to come.
    pub(super) fn judge(
        &self,
        read: &Read,
        certificates: &Certificates<'_>,
        awaited: &BTreeSet<String>,
    ) -> Result<Option<BreakGlassReport>, Failure> {
        if !self.break_glass {
            return Ok(None);
        }
        let authorities = self.authorities()?;
        let edge = EdgeState::of(read);
        let snapshot = certificates.snapshot()?;
        let mut judge =
            HostJudge::new(certificates, awaited, &authorities, &snapshot, edge.has_tls());
        let hosts = hosts(&read.build.table).into_iter();
        let rows: Vec<HostRow> = hosts.map(|(host, paths)| judge.judge(&host, &paths)).collect();
        Ok(Some(BreakGlassReport::new(edge, rows)))
    }

    /// The CAs of visitors; Origin CA is told from those that nobody knows.
    fn authorities(&self) -> Result<Authorities, Failure> {
        let mut authorities = Authorities::of_cloudflare();
        if let Some(path) = &self.break_glass_ca {
            let wrong = |problem: String| Failure::usage(format!("--break-glass-ca: {problem}"));
            let pem = read_bounded(path).map_err(|error| wrong(error.to_string()))?;
            let added = authorities.add(CaKind::Public, &pem);
            added.map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        }
        Ok(authorities)
    }
}

/// The paths of a host.
#[derive(Debug, Default)]
struct HostPaths {
    /// Those that ask for a token of Cloudflare Access, or a secret header.
    closed: BTreeSet<String>,
    /// Whether others do not.
    has_open: bool,
}

/// The hosts of rules, in order. Rules without a host are for names that nobody lists.
fn hosts(table: &Table) -> BTreeMap<HostPattern, HostPaths> {
    let mut hosts: BTreeMap<HostPattern, HostPaths> = BTreeMap::new();
    for id in table.routes() {
        let route = table.route(id);
        let host = match (route.host, route.wildcard) {
            ("", _) => continue,
            (name, true) => HostPattern::Wildcard(name.into()),
            (name, false) => HostPattern::Exact(name.into()),
        };
        // What is asked of a wildcard is asked of the names that it stands for.
        let name = host.to_string().replacen('*', "name", 1);
        let paths = hosts.entry(host).or_default();
        if table.chain(id).is_some_and(|chain| asks_for_proof(chain, &name)) {
            paths.closed.insert(route.path.to_owned());
        } else {
            paths.has_open = true;
        }
    }
    hosts
}

fn asks_for_proof(chain: &Chain, host: &str) -> bool {
    chain.iter().any(|named| {
        let step = match &named.step {
            Step::Exempt(exemption) => &exemption.step.step,
            step => step,
        };
        match step {
            Step::Access(rule) => is_about(&rule.hosts, host),
            Step::SecretHeader(rule) => is_about(&rule.hosts, host),
            _ => false,
        }
    })
}
