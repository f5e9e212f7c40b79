//! `[crowdsec]`: where the decisions of CrowdSec are, if they are obeyed.

use super::defaults;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::{duration, path};
use http::Uri;
use http::uri::Scheme;
use std::path::PathBuf;
use std::time::Duration;

/// A Local API of CrowdSec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrowdSec {
    /// Where it is: `http` or `https`, without a query.
    pub url: Uri,
    /// File with the key of this component (`cscli bouncers add`). As written; read for each attempt.
    pub api_key_file: PathBuf,
    /// PEM file with the only CAs to trust. `None`: the public CAs.
    pub ca_file: Option<PathBuf>,
    /// How often it is asked. More than zero.
    pub interval: Duration,
}

/// Reads the table. `None`: no decisions are obeyed.
pub(super) fn section(table: &Table<'_>) -> Option<CrowdSec> {
    let url = table.read("url", |value| raw::string(value).and_then(server));
    let key = table.read("api_key_file", path);
    let ca_file = table.read("ca_file", path);
    let interval = duration(table, "interval").unwrap_or(defaults::CROWDSEC_INTERVAL);
    if interval.is_zero() {
        table.complain("interval", Fault::new("it is zero", "write at least \"1s\""));
    }
    match (url, key) {
        (Some(url), Some(api_key_file)) => Some(CrowdSec { url, api_key_file, ca_file, interval }),
        (Some(_), None) if !table.has("api_key_file") => {
            let fix = "name a file with the key that \"cscli bouncers add ravelin\" prints";
            table.complain("url", Fault::new("api_key_file is not set", fix));
            None
        }
        (None, _) if !table.has("url") => {
            let keys = ["api_key_file", "ca_file", "interval"];
            if let Some(key) = keys.into_iter().find(|key| table.has(key)) {
                let fix = "write the address of the Local API in url";
                table.complain(key, Fault::new("url is not set", fix));
            }
            None
        }
        // What is there was reported.
        _ => None,
    }
}

fn server(text: &str) -> Result<Uri, Fault> {
    let fix = "write one such as \"http://crowdsec-service.crowdsec.svc.cluster.local:8080\"";
    let uri: Uri = text.parse().map_err(|_| Fault::new(format!("\"{text}\" is not a URL"), fix))?;
    let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !is_known || uri.host().is_none_or(str::is_empty) || uri.query().is_some() || has_user {
        return Err(Fault::new("it is not the http or https URL of a server", fix));
    }
    Ok(uri)
}
