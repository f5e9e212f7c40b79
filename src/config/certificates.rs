//! `[[certificate]]`: pairs of files, and Secrets.

use std::path::PathBuf;

use super::keys;
use super::raw::{self, Table};
use super::source::{SourceConfig, SourceKind};
use super::units::Fault;
use super::values::{namespace, path, subdomain};

/// A certificate and its key, in files. Nothing here looks into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate, then what leads to its authority. As written: relative to the working
    /// directory.
    pub cert_file: PathBuf,
    /// PEM: its key (PKCS#8, PKCS#1 or SEC1). As written.
    pub key_file: PathBuf,
    /// Whether it is presented for an absent or unknown server name. Default: no.
    pub default: bool,
}

/// A Secret of the cluster whose certificate is presented for all of its names, in every namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSecret {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Whether it is presented for an absent or unknown server name. Default: no.
    pub default: bool,
}

/// All of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CertificateTables {
    pub(super) files: Vec<CertificateFiles>,
    pub(super) secrets: Vec<CertificateSecret>,
}

/// Reads the tables. Faulty ones are reported and left out.
pub(super) fn section(root: &Table<'_>, source: Option<&SourceConfig>) -> CertificateTables {
    let mut all = CertificateTables::default();
    let mut has_default = false;
    for table in root.tables(&keys::CERTIFICATE).unwrap_or_default() {
        let default = table.read("default", raw::boolean).unwrap_or(false);
        if default && has_default {
            let problem = "another certificate is already the default";
            table.complain("default", Fault::new(problem, "remove one of them"));
        }
        has_default |= default;
        match table.read("secret", |value| raw::string(value).and_then(secret)) {
            Some((namespace, name)) => {
                for key in ["cert_file", "key_file"].into_iter().filter(|key| table.has(key)) {
                    let fault = Fault::new("it has no effect with secret", "remove one of the two");
                    table.complain(key, fault);
                }
                if let Some(fault) = unfollowed(&namespace, source) {
                    table.complain("secret", fault);
                }
                all.secrets.push(CertificateSecret { namespace, name, default });
            }
            None if table.has("secret") => {}
            None => all.files.extend(files(&table, &all.files, default)),
        }
    }
    all
}

/// Of a Secret that is not read, because its namespace is not followed.
fn unfollowed(namespace: &str, source: Option<&SourceConfig>) -> Option<Fault> {
    let SourceKind::Kubernetes(settings) = &source?.kind else { return None };
    let namespaces = &settings.namespaces;
    if namespaces.is_empty() || namespaces.iter().any(|followed| followed == namespace) {
        return None;
    }
    let problem =
        format!("namespace {namespace} is not in source.namespaces, so the Secret is not read");
    Some(Fault::new(problem, "add the namespace there, with the rights in it, or move the Secret"))
}

/// `known` are the tables before it.
fn files(table: &Table<'_>, known: &[CertificateFiles], default: bool) -> Option<CertificateFiles> {
    let fix = |what| format!("name the PEM file with the {what}");
    let cert_file = table.require("cert_file", &fix("certificate and its chain"), path);
    let key_file = table.require("key_file", &fix("key"), path);
    if known.iter().any(|other| Some(&other.cert_file) == cert_file.as_ref()) {
        let problem = "the file is already used by another certificate";
        table.complain("cert_file", Fault::new(problem, "remove one of them"));
    }
    Some(CertificateFiles { cert_file: cert_file?, key_file: key_file?, default })
}

/// `namespace/name`.
fn secret(text: &str) -> Result<(String, String), Fault> {
    let parts = text.split_once('/');
    let parts =
        parts.and_then(|(space, name)| Some((namespace(space).ok()?, subdomain(name).ok()?)));
    parts.ok_or_else(|| {
        let fix = "write NAMESPACE/NAME of the Secret";
        Fault::new(format!("\"{text}\" does not name a Secret"), fix)
    })
}
