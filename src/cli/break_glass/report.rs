//! What is printed of the check.

use super::edge::{EdgeLack, EdgeState};
use super::host::HostRow;
use crate::model::Severity;
use serde::Serialize;

/// The switch, what is missing for all hosts, and a row for each host.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct BreakGlassReport {
    /// Where the switch is, and what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    switch: Option<String>,
    missing: Vec<EdgeLack>,
    hosts: Vec<HostRow>,
    /// Whether switch, listeners and limits were not looked at: without a configuration.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    only_hosts: bool,
}

impl BreakGlassReport {
    pub(super) fn new(edge: EdgeState, hosts: Vec<HostRow>) -> Self {
        let only_hosts = edge.is_unknown();
        let EdgeState { switch, lacks: missing, .. } = edge;
        Self { switch, missing, hosts, only_hosts }
    }

    /// How many findings are of this severity: one for a host.
    pub(in crate::cli) fn count(&self, severity: Severity) -> usize {
        let edge = self.missing.iter().filter(|lack| lack.level() == severity).count();
        edge + self.hosts.iter().filter(|row| row.level() == Some(severity)).count()
    }

    /// A line each.
    pub(in crate::cli) fn text(&self) -> String {
        let Self { switch, missing, hosts, only_hosts } = self;
        let switch =
            switch.as_ref().map_or_else(String::new, |said| format!("break-glass switch {said}\n"));
        let unknown = match only_hosts {
            true => {
                "break-glass: switch, listeners and limits are not looked at without --config\n"
            }
            false => "",
        };
        let missing: String = missing.iter().map(EdgeLack::text).collect();
        let hosts: String = hosts.iter().map(HostRow::text).collect();
        format!("{switch}{unknown}{missing}{hosts}")
    }
}
