//! `[source]`: where the objects come from, and which of them are ours.
//!
//! The keys of one kind are refused with the other: an operator who sets a directory with
//! `kind = "kubernetes"` expects it to be read.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::defaults;
use super::raw::{self, Table};
use super::units::{self, Fault};
use super::values::{duration, namespace, path, subdomain, unknown_word};

/// `[source]`: the source of the manifests, and which of them are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The sort of source.
    pub kind: SourceKind,
    /// The IngressClass whose Ingresses are served: a DNS subdomain name (RFC 1123).
    pub ingress_class: String,
    /// Classes of other controllers that are served as well, as when one is replaced: IngressRoutes too.
    pub ingress_classes: Vec<String>,
    /// Whether the status of Ingresses of those classes is written. Default: no, as their controller writes it.
    pub status_of_other_classes: bool,
    /// Whether Ingresses that name no class are served too. Default: no.
    pub ingress_without_class: bool,
    /// How long Ingresses of a deleted IngressClass are served. Zero: not at all.
    pub class_grace: Duration,
    /// Which namespaces may add paths to a host.
    pub hosts: HostPolicy,
    /// Whose Middlewares an Ingress may name.
    pub middlewares: MiddlewarePolicy,
    /// `metadata.name` of the Node that we run on. `None`: what the environment says.
    pub node_name: Option<String>,
}

/// Which namespaces may add paths to a host that Ingresses of several namespaces name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostPolicy {
    /// Everybody's, as Ingress says.
    #[default]
    Shared,
    /// Those of the namespace whose Ingress on the host is the oldest.
    FirstNamespace,
}

/// Whose Middlewares an Ingress may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MiddlewarePolicy {
    /// Those of all namespaces, as with Traefik.
    #[default]
    AnyNamespace,
    /// Those of its own namespace.
    OwnNamespace,
}

impl MiddlewarePolicy {
    /// Whether an object of namespace `own` may name one of namespace `other`.
    pub fn allows(self, own: &str, other: &str) -> bool {
        self == Self::AnyNamespace || own == other
    }
}

/// The sort of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A directory of manifests.
    Directory {
        /// As written: relative to the working directory. Need not exist when the file is parsed.
        path: PathBuf,
    },
    /// The API server of a cluster.
    Kubernetes(Kubernetes),
}

/// How a cluster is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// A kubeconfig file. `None`: the service account of the pod that we run in.
    pub kubeconfig: Option<PathBuf>,
    /// The namespaces that are followed, each once. Empty: all of them.
    pub namespaces: Vec<String>,
    /// How long one watch lasts before it is reopened. More than zero, at most
    /// [`super::MAX_DURATION`]; the API server counts whole seconds.
    pub watch_timeout: Duration,
    /// How long the API server may be silent while it owes an answer.
    pub request_timeout: Duration,
    /// How often the watch cache is compared with the API server.
    pub consistency_check: Duration,
    /// What is written into the cluster. `None`: nothing.
    pub write_back: Option<WriteBack>,
}

/// Writes of the elected instance into the cluster: the status of Ingresses, and Events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBack {
    /// `metadata.name` of the Lease by which the instances agree on one, in the namespace of the
    /// pod.
    pub lease: String,
    /// Label selector of ravelin's pods, in the same namespace: their nodes are in the status.
    pub pod_selector: String,
    /// IP addresses and host names for the status. Empty: those of the nodes with a ready pod.
    pub addresses: Vec<String>,
}

impl Default for WriteBack {
    fn default() -> Self {
        Self {
            lease: defaults::LEASE.to_owned(),
            pod_selector: defaults::POD_SELECTOR.to_owned(),
            addresses: Vec::new(),
        }
    }
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            namespaces: Vec::new(),
            watch_timeout: defaults::WATCH_TIMEOUT,
            request_timeout: defaults::REQUEST_TIMEOUT,
            consistency_check: defaults::CONSISTENCY_CHECK,
            write_back: Some(WriteBack::default()),
        }
    }
}

/// The keys that only one kind has.
const OF_DIRECTORY: [&str; 1] = ["directory"];
const OF_KUBERNETES: [&str; 8] = [
    "kubeconfig",
    "namespaces",
    "watch_timeout",
    "request_timeout",
    "consistency_check",
    "write_back",
    "lease",
    "pod_selector",
];

#[derive(Clone, Copy)]
enum Word {
    Directory,
    Kubernetes,
}

/// Reads `[source]`. `None` only after something was reported.
pub(super) fn section(table: &Table<'_>) -> Option<SourceConfig> {
    let fix = "write kind = \"kubernetes\" or kind = \"directory\"";
    let word = table.require("kind", fix, |value| match raw::string(value)? {
        "directory" => Ok(Word::Directory),
        "kubernetes" => Ok(Word::Kubernetes),
        other => Err(unknown_word(other, &["kubernetes", "directory"])),
    });
    // What another kind needs is not asked for: the kind is the mistake.
    let kind = match word {
        None => None,
        Some(Word::Directory) => directory(table),
        Some(Word::Kubernetes) => Some(SourceKind::Kubernetes(kubernetes(table))),
    };
    let class = table.read("ingress_class", |value| raw::string(value).and_then(subdomain));
    let without_class = table.read("ingress_without_class", raw::boolean);
    Some(SourceConfig {
        kind: kind?,
        ingress_class: class.unwrap_or_else(|| defaults::INGRESS_CLASS.to_owned()),
        ingress_classes: table
            .list("ingress_classes")
            .map(|list| list.strings(&table.path("ingress_classes"), subdomain))
            .unwrap_or_default(),
        status_of_other_classes: table
            .read("status_of_other_classes", raw::boolean)
            .unwrap_or(false),
        ingress_without_class: without_class.unwrap_or(false),
        class_grace: table.read("class_grace", class_grace).unwrap_or(defaults::CLASS_GRACE),
        hosts: table.read("hosts", hosts).unwrap_or_default(),
        middlewares: table.read("middlewares", middlewares).unwrap_or_default(),
        node_name: table.read("node_name", |value| raw::string(value).and_then(node_name)),
    })
}

fn hosts(value: &DeValue<'_>) -> Result<HostPolicy, Fault> {
    match raw::string(value)? {
        "shared" => Ok(HostPolicy::Shared),
        "first-namespace" => Ok(HostPolicy::FirstNamespace),
        other => Err(unknown_word(other, &["shared", "first-namespace"])),
    }
}

fn middlewares(value: &DeValue<'_>) -> Result<MiddlewarePolicy, Fault> {
    match raw::string(value)? {
        "any-namespace" => Ok(MiddlewarePolicy::AnyNamespace),
        "own-namespace" => Ok(MiddlewarePolicy::OwnNamespace),
        other => Err(unknown_word(other, &["any-namespace", "own-namespace"])),
    }
}

/// A duration, or `off`.
fn class_grace(value: &DeValue<'_>) -> Result<Duration, Fault> {
    match raw::string(value)? {
        "off" => Ok(Duration::ZERO),
        text => units::duration(text)
            .map_err(|Fault { problem, fix }| Fault::new(problem, format!("{fix}, or \"off\""))),
    }
}

/// The name of a Node, which is a DNS subdomain as that of an IngressClass is.
fn node_name(text: &str) -> Result<String, Fault> {
    subdomain(text).map_err(|_| {
        let fix = "write metadata.name of the Node: a-z, 0-9, - and dots";
        Fault::new(format!("\"{text}\" cannot be the name of a Node"), fix)
    })
}

fn directory(table: &Table<'_>) -> Option<SourceKind> {
    refuse(table, &OF_KUBERNETES, "kubernetes");
    if table.list("status_addresses").is_some_and(|list| !list.is_empty()) {
        let problem = "manifests in a directory have no status to write to";
        table.complain("status_addresses", Fault::new(problem, "leave the list empty"));
    }
    let path = table.require("directory", "name a directory of manifests", path);
    Some(SourceKind::Directory { path: path? })
}

fn kubernetes(table: &Table<'_>) -> Kubernetes {
    refuse(table, &OF_DIRECTORY, "directory");
    let default = Kubernetes::default();
    let mut namespaces = table
        .list("namespaces")
        .map_or_else(Vec::new, |list| list.strings(&table.path("namespaces"), namespace));
    namespaces.sort();
    namespaces.dedup();
    let time = |key, default| duration(table, key).unwrap_or(default);
    Kubernetes {
        kubeconfig: table.read("kubeconfig", path),
        namespaces,
        watch_timeout: time("watch_timeout", default.watch_timeout),
        request_timeout: time("request_timeout", default.request_timeout),
        consistency_check: time("consistency_check", default.consistency_check),
        write_back: write_back(table),
    }
}

fn write_back(table: &Table<'_>) -> Option<WriteBack> {
    if table.read("write_back", raw::boolean) == Some(false) {
        let addresses = table.list("status_addresses").is_some_and(|list| !list.is_empty());
        let named = [("status_addresses", addresses)].into_iter();
        let named = named.chain(["lease", "pod_selector"].map(|key| (key, table.has(key))));
        for (key, _) in named.filter(|(_, is_named)| *is_named) {
            let fault = Fault::new("it has no effect with write_back = false", "remove one");
            table.complain(key, fault);
        }
        return None;
    }
    let default = WriteBack::default();
    let text = |key, read: fn(&str) -> Result<String, Fault>| {
        table.read(key, |value| raw::string(value).and_then(read))
    };
    let addresses = table.list("status_addresses").map(|list| {
        let mut all = list.strings(&table.path("status_addresses"), status_address);
        all.sort();
        all.dedup();
        all
    });
    Some(WriteBack {
        lease: text("lease", lease).unwrap_or(default.lease),
        pod_selector: text("pod_selector", selector).unwrap_or(default.pod_selector),
        addresses: addresses.unwrap_or_default(),
    })
}

/// An entry of `status.loadBalancer.ingress` (networking/v1 IngressLoadBalancerIngress): an IP
/// address, or a host name in lower case.
fn status_address(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() => Err(Fault::new(
            format!("clients cannot connect to {ip}"),
            "write the address that DNS points to, or leave the list empty to use the nodes' addresses",
        )),
        Ok(ip) => Ok(ip.to_string()),
        // An address that is not one would pass for a name.
        Err(_) if lower.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            Err(not_an_address(text))
        }
        Err(_) => subdomain(&lower).map_err(|_| not_an_address(text)),
    }
}

fn not_an_address(text: &str) -> Fault {
    let fix = "write it without port and network, such as \"192.0.2.1\" or \"edge.example.com\"";
    Fault::new(format!("\"{text}\" is neither an IP address nor a host name"), fix)
}

/// Longest name of the Lease, in bytes. It becomes part of the name under which the API server
/// records our writes, and that has room for 128.
pub const MAX_LEASE_BYTES: usize = 56;

fn lease(text: &str) -> Result<String, Fault> {
    match subdomain(text) {
        Ok(name) if name.len() <= MAX_LEASE_BYTES => Ok(name),
        _ => Err(Fault::new(
            format!("\"{text}\" cannot be the name of a Lease"),
            format!("write at most {MAX_LEASE_BYTES} of a-z, 0-9, - and dots"),
        )),
    }
}

/// A label selector of equalities; the API server checks the rest.
fn selector(text: &str) -> Result<String, Fault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let is_label = |part: &str| {
        part.split_once('=').is_some_and(|(key, value)| {
            !key.is_empty() && key.bytes().all(allowed) && value.bytes().all(allowed)
        })
    };
    if text.split(',').all(is_label) {
        return Ok(text.to_owned());
    }
    let fix = "write labels of the pods, such as \"app.kubernetes.io/name=ravelin\"";
    Err(Fault::new(format!("\"{text}\" is not a label selector"), fix))
}

fn refuse(table: &Table<'_>, keys: &[&str], kind: &str) {
    for key in keys.iter().filter(|key| table.has(key)) {
        let problem = format!("the key is only for kind = \"{kind}\"");
        table.complain(key, Fault::new(problem, "remove it, or change the kind"));
    }
}
