//! `[[client_certificate]]`: what is asked of the clients of hosts.

use std::path::PathBuf;

use toml::de::DeValue;

use super::keys;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::{one_of, path, unknown_word};
use crate::model::HostPattern;
use crate::pki::client_certificate::{BreakGlassAccess, CLOUDFLARE, Mode, Subjects};

/// The client certificate policy of hosts. Reads no files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The hosts; empty for all of them. No host is in two tables.
    pub hosts: Vec<HostPattern>,
    /// What happens without a good certificate.
    pub mode: Mode,
    /// The required CA; set unless the mode is `off`.
    pub authority: Option<AuthoritySource>,
    /// The accepted subjects. Default: every certificate of the CA.
    pub subjects: Subjects,
    /// Whether the hosts are open in break-glass, where the mode is `require`.
    pub break_glass: BreakGlassAccess,
}

/// Where an authority is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthoritySource {
    /// Cloudflare's shared one, built in.
    Cloudflare,
    /// A PEM file. As written: relative to the working directory.
    File(PathBuf),
}

/// Reads the tables. Faulty ones are reported and left out.
pub(super) fn section(root: &Table<'_>) -> Vec<ClientCertificate> {
    let mut all: Vec<ClientCertificate> = Vec::new();
    for table in root.tables(&keys::CLIENT_CERTIFICATE).unwrap_or_default() {
        let hosts = table.list("hosts").map(|list| list.strings("client_certificate.hosts", host));
        let hosts = hosts.unwrap_or_default();
        let fix = "write \"off\", \"request\" or \"require\"";
        let mode = table.require("policy", fix, |value| one_of(value, &Mode::WORDS));
        let authority = authority(&table, mode);
        let subjects = table
            .list("subjects")
            .map(|list| list.strings("client_certificate.subjects", |value| Ok(value.to_owned())));
        let subjects = subjects.unwrap_or_default();
        let subjects = Subjects::new(subjects.iter().map(String::as_str)).unwrap_or_else(|error| {
            let fix = "write common names, or DNS names, e-mail addresses or URIs";
            table.complain("subjects", Fault::new(error.to_string(), fix));
            Subjects::default()
        });
        let break_glass =
            table.read("break_glass", |value| one_of(value, &BreakGlassAccess::WORDS));
        let break_glass = break_glass.unwrap_or_default();
        let is_known = |host: &HostPattern| all.iter().any(|other| other.hosts.contains(host));
        if let Some(host) = hosts.iter().find(|host| is_known(host)) {
            let problem = format!("\"{host}\" is already in another table");
            table.complain("hosts", Fault::new(problem, "remove one of the two"));
        } else if hosts.is_empty() && all.iter().any(|other| other.hosts.is_empty()) {
            let problem = "another table is already for all hosts";
            table.complain("hosts", Fault::new(problem, "set hosts in one of the two"));
        }
        if let Some(mode) = mode {
            all.push(ClientCertificate { hosts, mode, authority, subjects, break_glass });
        }
    }
    all
}

fn authority(table: &Table<'_>, mode: Option<Mode>) -> Option<AuthoritySource> {
    let built_in = table.read("ca", built_in);
    let file = table.read("ca_file", path).map(AuthoritySource::File);
    let fault = |problem: &str, fix: &str| Fault::new(problem.to_owned(), fix.to_owned());
    let has = ["ca", "ca_file"].map(|key| table.has(key));
    if has == [true, true] {
        let problem = "`ca` is set as well";
        table.complain("ca_file", fault(problem, "remove one of the two"));
    }
    if has == [false, false] && matches!(mode, Some(Mode::Request | Mode::Require)) {
        let fix = "name the PEM file of the CA, or write ca = \"cloudflare\"";
        table.complain("ca_file", fault("the key is missing", fix));
    }
    built_in.or(file)
}

fn built_in(value: &DeValue<'_>) -> Result<AuthoritySource, Fault> {
    match raw::string(value)? {
        CLOUDFLARE => Ok(AuthoritySource::Cloudflare),
        other => Err(unknown_word(other, &[CLOUDFLARE])),
    }
}

fn host(text: &str) -> Result<HostPattern, Fault> {
    let fix = "write a DNS name, or `*.` before one; leave the key out for all hosts";
    if text.is_empty() {
        return Err(Fault::new("the host is empty", fix));
    }
    HostPattern::parse(Some(text)).map_err(|reason| Fault::new(format!("\"{text}\" {reason}"), fix))
}
