//! `[dns]`: whether names are resolved for Services of type ExternalName, and where.

use super::raw::{self, Table};
use super::units::Fault;
use std::net::SocketAddr;

/// Name servers that may be given: those after the third would be asked after half a minute.
const MOST_SERVERS: usize = 3;

/// `[dns]`: names of Services of type ExternalName.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Whether Services of type ExternalName are served. Default: no.
    pub external_names: bool,
    /// Name servers, at most three. Empty: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
}

pub(super) fn section(table: &Table<'_>) -> Dns {
    let external_names = table.read("external_names", raw::boolean).unwrap_or(false);
    let list = table.list("servers");
    let servers = list.map(|list| list.strings(&table.path("servers"), server)).unwrap_or_default();
    if servers.len() > MOST_SERVERS {
        let problem = format!("{} are too many", servers.len());
        table.complain("servers", Fault::new(problem, "name three at most"));
    }
    if !servers.is_empty() && !external_names {
        let problem = "it has no effect with external_names = false";
        table.complain("servers", Fault::new(problem, "remove it, or set external_names = true"));
    }
    Dns { external_names, servers }
}

fn server(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let problem = format!("\"{text}\" is not an address with a port");
        Fault::new(problem, "write one such as \"10.43.0.10:53\" or \"[2001:db8::53]:53\"")
    })
}
