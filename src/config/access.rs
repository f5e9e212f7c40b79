//! `[[access]]`: where the keys of a team of Cloudflare Access are, if they are not at the team's own address.

use super::cloudflare::https;
use super::keys;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::path;
use crate::error::Advice;
use crate::pki::access::Team;
use http::Uri;
use std::path::PathBuf;

/// An address as Cloudflare documents it ("Validate JWTs"), for messages.
const CERTS_URL: &str = "https://example.cloudflareaccess.com/cdn-cgi/access/certs";

/// A team whose keys are fetched in another way than by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The team. No two tables are about one.
    pub team: Team,
    /// Where its keys are. `None`: at the address that Cloudflare documents.
    pub certs_url: Option<Uri>,
    /// PEM file with the only CAs to trust there. `None`: the public CAs. As written; read for each attempt.
    pub ca_file: Option<PathBuf>,
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
        let Some(team) = team else { continue };
        if all.iter().any(|other| other.team == team) {
            let problem = format!("another table is about \"{}\" already", team.name());
            table.complain("team", Fault::new(problem, "write one table for each team"));
            continue;
        }
        all.push(Access { team, certs_url, ca_file });
    }
    all
}

fn team(text: &str) -> Result<Team, Fault> {
    let fix = "write the name of the team, such as \"example\"";
    Team::parse(text).map_err(|error| Fault::new(format!("\"{text}\" {}", error.reason()), fix))
}
