//! `[source]`: where the objects come from, and which of them are ours.
//!
//! The keys of one kind are refused with the other: whoever names a directory beside
//! `kind = "kubernetes"` believes that it is read.

use std::path::PathBuf;
use std::time::Duration;

use super::defaults;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::{duration, namespace, path, subdomain, unknown_word};

/// `[source]`: where the manifests come from, and which of them are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The sort of source.
    pub kind: SourceKind,
    /// The IngressClass whose Ingresses are served: a DNS subdomain name (RFC 1123).
    pub ingress_class: String,
    /// Whether Ingresses that name no class are served too. Default: no.
    pub ingress_without_class: bool,
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
    /// How long one watch lasts before it is opened anew. More than zero, at most
    /// [`super::MAX_DURATION`]; the API server counts whole seconds.
    pub watch_timeout: Duration,
    /// How long the API server may be silent while it owes an answer.
    pub request_timeout: Duration,
    /// How often it is asked whether what we know is still what it has.
    pub consistency_check: Duration,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            namespaces: Vec::new(),
            watch_timeout: defaults::WATCH_TIMEOUT,
            request_timeout: defaults::REQUEST_TIMEOUT,
            consistency_check: defaults::CONSISTENCY_CHECK,
        }
    }
}

/// The keys that only one kind has.
const OF_DIRECTORY: [&str; 1] = ["directory"];
const OF_KUBERNETES: [&str; 5] =
    ["kubeconfig", "namespaces", "watch_timeout", "request_timeout", "consistency_check"];

#[derive(Clone, Copy)]
enum Word {
    Directory,
    Kubernetes,
}

/// Reads `[source]`. `None` only after something was reported.
pub(super) fn section(table: &Table<'_>) -> Option<Source> {
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
    Some(Source {
        kind: kind?,
        ingress_class: class.unwrap_or_else(|| defaults::INGRESS_CLASS.to_owned()),
        ingress_without_class: without_class.unwrap_or(false),
    })
}

fn directory(table: &Table<'_>) -> Option<SourceKind> {
    refuse(table, &OF_KUBERNETES, "kubernetes");
    if table.list("status_addresses").is_some_and(|list| !list.is_empty()) {
        let problem = "manifests in a directory have no status to write addresses into";
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
    if table.list("status_addresses").is_some_and(|list| !list.is_empty()) {
        let problem = "the status of Ingresses is not written by this version yet";
        table.complain("status_addresses", Fault::new(problem, "leave the list empty"));
    }
    let time = |key, default| duration(table, key).unwrap_or(default);
    Kubernetes {
        kubeconfig: table.read("kubeconfig", path),
        namespaces,
        watch_timeout: time("watch_timeout", default.watch_timeout),
        request_timeout: time("request_timeout", default.request_timeout),
        consistency_check: time("consistency_check", default.consistency_check),
    }
}

fn refuse(table: &Table<'_>, keys: &[&str], kind: &str) {
    for key in keys.iter().filter(|key| table.has(key)) {
        let problem = format!("the key is only for kind = \"{kind}\"");
        table.complain(key, Fault::new(problem, "remove it, or change the kind"));
    }
}
