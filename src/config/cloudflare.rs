//! `[cloudflare]`: the list of its addresses, and what requests that come through it have to show.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Uri, uri::Scheme};
use ipnet::IpNet;

use super::admit::NEVER_CLOUDFLARE;
use super::defaults;
use super::raw::{self, Table};
use super::units::{self, Fault};
use super::values::{duration, path, subdomain};
use crate::error::Advice;
use crate::net::addr::special_net;
use crate::pki::zone_secret::secret_name;

/// The broadest IPv4 network of a list, as a prefix length: Cloudflare's own is a /13, and four times all of
/// theirs is less than a /9.
pub const BROADEST_V4: u8 = 10;

/// The same for IPv6, where theirs is a /29.
pub const BROADEST_V6: u8 = 24;

/// The section `[cloudflare]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloudflare {
    /// The source of the list.
    pub origin: ListOrigin,
    /// Further ranges from which Cloudflare connects, beside the list: dedicated egress addresses, own prefixes
    /// (BYOIP), private networks. `None`: there are none.
    pub extra: Option<ListOrigin>,
    /// How long what has left the list is admitted still.
    pub removal_delay: Duration,
    /// Workers of which zones may send requests.
    pub worker_zones: WorkerZones,
    /// A field that every request of Cloudflare has to carry.
    pub secret: Option<SecretHeader>,
    /// PEM file with the CAs in the Custom Origin Trust Store of zones: Cloudflare trusts them in our
    /// certificates. `None`: there are none. As written.
    pub trust_store: Option<PathBuf>,
}

/// The source of the list of Cloudflare's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOrigin {
    /// What is compiled in, kept up to date from Cloudflare's API.
    Published {
        /// `https` URL that answers as `GET /client/v4/ips` of Cloudflare's API does.
        url: Uri,
        /// PEM file with the only CAs to trust, for a mirror. `None`: the public CAs.
        ca_file: Option<PathBuf>,
        /// How often to ask. `None`: never, only what is compiled in or was kept is used.
        refresh: Option<Duration>,
        /// Whether to ask for the addresses of the China Network (JD Cloud) as well.
        jdcloud: bool,
    },
    /// A file of CIDRs, or of the API's JSON, instead.
    File(PathBuf),
    /// A key of a ConfigMap, likewise.
    ConfigMap {
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
        /// Key in `data`.
        key: String,
    },
    /// These networks, written in the configuration: for further ranges only.
    Networks(Vec<IpNet>),
}

impl ListOrigin {
    /// The file, or the key of a ConfigMap, for messages. Empty for the others.
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::ConfigMap { namespace, name, key } => format!("{namespace}/{name}/{key}"),
            Self::Published { .. } | Self::Networks(_) => String::new(),
        }
    }
}

/// Zones whose Workers may send requests. Any customer's Worker can send them: its requests come from
/// Cloudflare's addresses and carry `CF-Worker`, the zone that owns it (Cloudflare documentation, "HTTP
/// request headers").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerZones {
    /// Workers are not looked at.
    Any,
    /// Only Workers of these zones, in lower case; none at all if empty.
    Only(Vec<String>),
}

/// A field that only the operator's zone sends, by a Transform Rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretHeader {
    /// Name of the field; it does not reach the upstream.
    pub name: HeaderName,
    /// File with the values that are accepted, a line each. As written.
    pub file: PathBuf,
}

/// Reads the table. Faulty values are reported and replaced.
pub(super) fn section(table: &Table<'_>) -> Cloudflare {
    let removal_delay = duration(table, "removal_delay");
    let zones =
        table.list("worker_zones").map(|list| list.strings(&table.path("worker_zones"), zone_name));
    Cloudflare {
        origin: origin(table),
        extra: extra(table),
        removal_delay: removal_delay.unwrap_or(defaults::CLOUDFLARE_REMOVAL_DELAY),
        worker_zones: zones.map_or(WorkerZones::Any, WorkerZones::Only),
        secret: secret(table),
        trust_store: table.read("trust_store_file", path),
    }
}

fn origin(table: &Table<'_>) -> ListOrigin {
    let url = table.read("url", |value| {
        raw::string(value).and_then(|text| https(text, defaults::CLOUDFLARE_URL))
    });
    let ca_file = table.read("ca_file", path);
    let refresh = match table.read("refresh", |value| Ok(raw::string(value) == Ok("off"))) {
        Some(true) => None,
        _ => Some(duration(table, "refresh").unwrap_or(defaults::CLOUDFLARE_REFRESH)),
    };
    let jdcloud = table.read("jdcloud", raw::boolean);
    let file = table.read("file", path);
    let config_map = table.read("config_map", |value| raw::string(value).and_then(config_map));
    if file.is_some() && config_map.is_some() {
        let fault =
            Fault::new("cloudflare.file is already the source of the list", "remove one of them");
        table.complain("config_map", fault);
    }
    if let Some(path) = file {
        return ListOrigin::File(path);
    }
    config_map.unwrap_or_else(|| ListOrigin::Published {
        url: url.unwrap_or(Uri::from_static(defaults::CLOUDFLARE_URL)),
        ca_file,
        refresh,
        jdcloud: jdcloud.unwrap_or(false),
    })
}

/// The source of the further ranges: at most one of three keys.
fn extra(table: &Table<'_>) -> Option<ListOrigin> {
    let networks = table.list("extra").map(|list| {
        let nets = list.strings(&table.path("extra"), extra_network);
        ListOrigin::Networks(nets)
    });
    let file = table.read("extra_file", path).map(ListOrigin::File);
    let map = table.read("extra_config_map", |value| raw::string(value).and_then(config_map));
    let mut named = None;
    let each = [("extra", networks), ("extra_file", file), ("extra_config_map", map)];
    for (key, origin) in each.into_iter().filter_map(|(key, origin)| Some((key, origin?))) {
        match &named {
            None => named = Some((key, origin)),
            Some((first, _)) => {
                let problem = format!("cloudflare.{first} is already the source of further ranges");
                table.complain(key, Fault::new(problem, "remove one of them"));
            }
        }
    }
    named.map(|(_, origin)| origin).filter(|origin| *origin != ListOrigin::Networks(Vec::new()))
}

/// One further range. What is in it names the clients of its requests, so a network that could hold anybody but
/// Cloudflare is refused.
fn extra_network(text: &str) -> Result<IpNet, Fault> {
    let too_broad = |net: &IpNet| match net {
        IpNet::V4(_) => (net.prefix_len() < BROADEST_V4).then_some(BROADEST_V4),
        IpNet::V6(_) => (net.prefix_len() < BROADEST_V6).then_some(BROADEST_V6),
    };
    if let Some(broadest) = text.parse().ok().as_ref().and_then(too_broad) {
        let problem = format!(
            "\"{text}\" is broader than a /{broadest}: requests from all of it could name any client"
        );
        return Err(Fault::new(problem, "write the ranges that Cloudflare gave you"));
    }
    let net = units::net(text)?;
    if let Some(word) = special_net(&net) {
        let problem =
            format!("\"{text}\" has {word} addresses, from which Cloudflare cannot connect");
        return Err(Fault::new(problem, "write the ranges that Cloudflare gave you"));
    }
    if NEVER_CLOUDFLARE.iter().any(|never| never.contains(&net) || net.contains(never)) {
        let problem =
            format!("\"{text}\" overlaps 104.28.0.0/14, which has users of WARP behind it");
        return Err(Fault::new(problem, "write the ranges that Cloudflare gave you"));
    }
    Ok(net)
}

/// The name of a zone, in lower case.
pub(super) fn zone_name(text: &str) -> Result<String, Fault> {
    subdomain(&text.to_ascii_lowercase()).map_err(|_| {
        let fix = "write a zone's name, such as \"example.com\"";
        Fault::new(format!("\"{text}\" is not a zone"), fix)
    })
}

/// A field with a secret, and the file with its values: both or none.
pub(super) fn secret(table: &Table<'_>) -> Option<SecretHeader> {
    let name = table.read("secret_header", |value| {
        let text = raw::string(value)?;
        secret_name(text)
            .map_err(|error| Fault::new(format!("\"{text}\" {}", error.reason()), error.fix()))
    });
    let file = table.read("secret_file", path);
    match (name, file) {
        (Some(name), Some(file)) => Some(SecretHeader { name, file }),
        (Some(_), None) if !table.has("secret_file") => {
            let fix = "name the file with the secret in secret_file";
            table.complain("secret_header", Fault::new("secret_file is not set", fix));
            None
        }
        (None, Some(_)) if !table.has("secret_header") => {
            let fix = "name the header in secret_header";
            table.complain("secret_file", Fault::new("secret_header is not set", fix));
            None
        }
        // Neither is there, or what is there was reported.
        _ => None,
    }
}

/// A list that can be modified in transit is not trustworthy, nor are keys.
pub(super) fn https(text: &str, example: &str) -> Result<Uri, Fault> {
    let fix = format!("write a URL such as \"{example}\"");
    let uri: Uri =
        text.parse().map_err(|_| Fault::new(format!("\"{text}\" is not a URL"), fix.clone()))?;
    if uri.scheme() != Some(&Scheme::HTTPS) || uri.host().is_none_or(str::is_empty) {
        return Err(Fault::new(format!("\"{text}\" is not an https URL"), fix));
    }
    Ok(uri)
}

pub(super) fn config_map(text: &str) -> Result<ListOrigin, Fault> {
    let parts: Vec<&str> = text.split('/').collect();
    match *parts {
        [namespace, name, key] if parts.iter().all(|part| !part.is_empty()) => {
            Ok(ListOrigin::ConfigMap {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                key: key.to_owned(),
            })
        }
        _ => Err(Fault::new(
            format!("\"{text}\" is not a key of a ConfigMap"),
            "write \"namespace/name/key\"",
        )),
    }
}
