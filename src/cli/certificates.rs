//! The certificates of a configuration, as `check` and `explain` see them.

use crate::app::certificates::{certificate, dates, time};
use crate::app::shown::{OfFile, entries};
use crate::certificate::{Certificate, LoadError};
use crate::config::{CertificateFiles, Config};
use crate::control::translate::TlsSecret;
use crate::tls::{Policy, Snapshot, covers};
use serde::Serialize;
use std::sync::Arc;

/// One `[[certificate]]`, or one Secret that Ingresses name and that can be used.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    file: String,
    /// What it is shown for.
    names: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'static str>,
    /// Until when it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Why the process would not start with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// What to look at, though it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<String>,
}

impl Row {
    fn new(files: &CertificateFiles, read: &Result<Arc<Certificate>, LoadError>) -> Self {
        let read_well = read.as_ref().ok();
        let names = read_well.map_or(&[][..], |certificate| certificate.names());
        Self {
            file: files.cert_file.display().to_string(),
            names: names.iter().map(ToString::to_string).collect(),
            default: files.default,
            key: read_well.map(|certificate| certificate.kind().as_str()),
            until: read_well.map(|certificate| time(certificate.not_after())),
            error: read.as_ref().err().map(ToString::to_string),
            warning: read_well.and_then(|certificate| dates(certificate)),
        }
    }

    /// `None`: what is wrong with it is among the findings.
    fn of_secret(secret: &TlsSecret) -> Option<Self> {
        let certificate = secret.certificate.as_ref()?;
        let mut names: Vec<_> = secret.hosts.iter().chain(certificate.names()).collect();
        names.sort();
        names.dedup();
        Some(Self {
            file: format!("Secret {}/{}", secret.namespace, secret.name),
            names: names.iter().map(ToString::to_string).collect(),
            default: false,
            key: Some(certificate.kind().as_str()),
            until: Some(time(certificate.not_after())),
            error: None,
            warning: dates(certificate),
        })
    }

    /// As a line.
    fn text(&self) -> String {
        if let Some(error) = &self.error {
            return format!("error: certificate: {error}\n");
        }
        let mut names = self.names.join(" ");
        if self.default {
            names.push_str(if names.is_empty() { "default" } else { " (default)" });
        }
        let (key, until) = (self.key.unwrap_or_default(), self.until.as_deref());
        let until = until.unwrap_or_default();
        let line = format!("certificate {}: {names}, {key}, until {until}\n", self.file);
        match &self.warning {
            Some(warning) => format!("{line}warning: certificate {}: {warning}\n", self.file),
            None => line,
        }
    }
}

/// The certificates, read, and a line for each.
pub(super) struct Certificates<'b> {
    pub(super) rows: Vec<Row>,
    files: Vec<OfFile>,
    secrets: &'b [TlsSecret],
}

impl<'b> Certificates<'b> {
    /// Reads the files that a configuration names; `secrets` are those that Ingresses name.
    pub(super) fn of(config: Option<&Config>, secrets: &'b [TlsSecret]) -> Self {
        let all = config.map_or(&[][..], |config| &config.certificates);
        let (mut rows, mut files_read) = (Vec::new(), Vec::new());
        for files in all {
            let read = certificate(files).map(Arc::new);
            rows.push(Row::new(files, &read));
            files_read.extend(read.ok().map(|certificate| (certificate, files.default)));
        }
        rows.extend(secrets.iter().filter_map(Row::of_secret));
        Self { rows, files: files_read, secrets }
    }

    /// A line each.
    pub(super) fn text(&self) -> String {
        self.rows.iter().map(Row::text).collect()
    }

    /// What a handshake for `name` ends with, by the look-up of the handshake: the words for the
    /// certificate, and whether a request for `host` belongs on the connection; or the words for
    /// why there is none.
    pub(super) fn shown(&self, name: Option<&str>, host: &str) -> Result<(String, bool), String> {
        let policy = Policy::new().map_err(|error| error.to_string())?;
        let entries = entries(&self.files, self.secrets);
        let snapshot = Snapshot::build(&policy, &entries);
        let found = snapshot.find(name).map_err(|why| {
            let name = name.unwrap_or("(none)");
            format!("unrecognized_name: no certificate for the name {name} ({})", why.label())
        })?;
        let certificate = found.preferred().certificate();
        let names: Vec<String> = certificate.names().iter().map(ToString::to_string).collect();
        let (key, until) = (certificate.kind().as_str(), time(certificate.not_after()));
        let mut words = format!("{}, {key}, until {until}", names.join(" "));
        if found.by_default {
            words.push_str(", the default");
        }
        if let Some(problem) = dates(certificate) {
            words.push_str(&format!("; {problem}"));
        }
        Ok((words, covers(&snapshot, certificate, found.by_default, name, host)))
    }
}
