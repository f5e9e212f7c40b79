//! `[[access]]`: hosts that need a token of Cloudflare Access, and where the keys of a team are.

use super::cloudflare::https;
use super::keys;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::path;
use crate::error::Advice;
use crate::model::HostPattern;
use crate::pki::access::{Team, is_audience};
use http::Uri;
use std::path::PathBuf;

/// An address as Cloudflare documents it ("Validate JWTs"), for messages.
const CERTS_URL: &str = "https://example.cloudflareaccess.com/cdn-cgi/access/certs";

/// What is asked of the requests for some hosts, and how the keys of a team are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The team.
    pub team: Team,
    /// The hosts; empty for all of them. No host is in two tables.
    pub hosts: Vec<HostPattern>,
    /// The applications whose tokens are good for them. Empty: the table asks for nothing.
    pub audiences: Vec<Box<str>>,
    /// Groups, of which the user has to be in one; everybody if there are none.
    pub groups: Vec<Box<str>>,
    /// Where the keys of the team are. `None`: at the address that Cloudflare documents. In one table of the team.
    pub certs_url: Option<Uri>,
    /// PEM file with the only CAs to trust there. `None`: the public CAs. As written; read for each attempt.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// Whether it says where the keys are.
    pub fn has_source(&self) -> bool {
        self.certs_url.is_some() || self.ca_file.is_some()
    }
}

/// Reads the tables. Faulty ones are reported and left out.
pub(super) fn section(root: &Table<'_>) -> Vec<Access> {
    let mut all: Vec<Access> = Vec::new();
    for table in root.tables(&keys::ACCESS).unwrap_or_default() {
        let fix = "write the name of the team, such as \"example\"";
        let team = table.require("team", fix, |value| raw::string(value).and_then(team));
        let certs_url = table
            .read("certs_url", |value| raw::string(value).and_then(|text| https(text, CERTS_URL)));
        let ca_file = table.read("ca_file", path);
        let hosts = list(&table, "hosts", host);
        let audiences = list(&table, "audiences", audience);
        let groups = list(&table, "groups", group);
        let Some(team) = team else { continue };
        let read = Access { team, hosts, audiences, groups, certs_url, ca_file };
        check(&table, &read, &all);
        all.push(read);
    }
    all
}

/// Reports what does not fit together, in the table or with those before it.
fn check(table: &Table<'_>, read: &Access, others: &[Access]) {
    if !table.has("audiences")
        && let Some(key) = ["hosts", "groups"].into_iter().find(|key| table.has(key))
    {
        let fix = "write the Application Audience (AUD) Tags of the applications in audiences";
        table.complain(key, Fault::new("audiences is not set", fix));
    }
    let of_team = || others.iter().filter(|other| other.team == read.team);
    if read.has_source() && of_team().any(Access::has_source) {
        let key = if table.has("certs_url") { "certs_url" } else { "ca_file" };
        let problem = format!("another table says where the keys of \"{}\" are", read.team.name());
        table.complain(key, Fault::new(problem, "remove one of the two"));
    }
    let asking = || others.iter().filter(|other| !other.audiences.is_empty());
    let is_known = |host: &&HostPattern| asking().any(|other| other.hosts.contains(host));
    if let Some(host) = read.hosts.iter().find(is_known) {
        let problem = format!("\"{host}\" is already in another table");
        table.complain("hosts", Fault::new(problem, "remove one of the two"));
    } else if !read.audiences.is_empty()
        && read.hosts.is_empty()
        && asking().any(|other| other.hosts.is_empty())
    {
        let problem = "another table is already for all hosts";
        table.complain("audiences", Fault::new(problem, "set hosts in one of the two"));
    }
}

/// A list; an empty one is reported, because it would ask for less than is meant.
pub(super) fn list<T>(table: &Table<'_>, key: &str, parse: fn(&str) -> Result<T, Fault>) -> Vec<T> {
    let Some(list) = table.list(key) else { return Vec::new() };
    let written = list.strings(&table.path(key), parse);
    if written.is_empty() && list.is_empty() {
        table.complain(key, Fault::new("the list is empty", "write values, or leave the key out"));
    }
    written
}

fn team(text: &str) -> Result<Team, Fault> {
    let fix = "write the name of the team, such as \"example\"";
    Team::parse(text).map_err(|error| Fault::new(format!("\"{text}\" {}", error.reason()), fix))
}

pub(super) fn host(text: &str) -> Result<HostPattern, Fault> {
    let fix = "write a DNS name, or `*.` before one; leave the key out for all hosts";
    if text.is_empty() {
        return Err(Fault::new("the host is empty", fix));
    }
    HostPattern::parse(Some(text)).map_err(|reason| Fault::new(format!("\"{text}\" {reason}"), fix))
}

fn audience(text: &str) -> Result<Box<str>, Fault> {
    if is_audience(text) {
        return Ok(text.into());
    }
    let fix = "copy the Application Audience (AUD) Tag of the application: 64 hexadecimal digits";
    Err(Fault::new(format!("\"{text}\" is not an AUD tag"), fix))
}

fn group(text: &str) -> Result<Box<str>, Fault> {
    if text.is_empty() {
        return Err(Fault::new("the group is empty", "write the name of a group, or remove it"));
    }
    Ok(text.into())
}
