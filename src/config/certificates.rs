//! `[[certificate]]`: pairs of files.

use std::path::PathBuf;

use super::keys;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::path;

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

/// Reads the tables. Faulty ones are reported and left out.
pub(super) fn section(root: &Table<'_>) -> Vec<CertificateFiles> {
    let mut certificates: Vec<CertificateFiles> = Vec::new();
    for table in root.tables(&keys::CERTIFICATE).unwrap_or_default() {
        let fix = |what| format!("name the PEM file with the {what}");
        let cert_file = table.require("cert_file", &fix("certificate and its chain"), path);
        let key_file = table.require("key_file", &fix("key"), path);
        let default = table.read("default", raw::boolean).unwrap_or(false);
        if default && certificates.iter().any(|other| other.default) {
            let problem = "another certificate is already the default";
            table.complain("default", Fault::new(problem, "remove one of them"));
        }
        if certificates.iter().any(|other| Some(&other.cert_file) == cert_file.as_ref()) {
            let problem = "the file is already used by another certificate";
            table.complain("cert_file", Fault::new(problem, "remove one of them"));
        }
        if let (Some(cert_file), Some(key_file)) = (cert_file, key_file) {
            certificates.push(CertificateFiles { cert_file, key_file, default });
        }
    }
    certificates
}
