//! The certificates of a configuration, as `check` and `explain` see them.

mod choice;

pub(super) use choice::Choice;

use super::full_strict;
use super::{Failure, USAGE};
use crate::config::{CertificateFiles, Config};
use crate::control::reconcile::Build;
use crate::model::HostPattern;
use crate::model::{HostClients, TlsSecret};
use crate::pki::certificate::{Authorities, Certificate, LoadError};
use crate::pki::client_certificate::{BreakGlassAccess, Demand};
use crate::pki::full_strict::{Judgement, judge};
use crate::routing::Table;
use crate::tls::store::{OfFile, entries};
use crate::tls::store::{Origins, Proofs, Served, judge_all, of_secret, shown};
use crate::tls::store::{certificate, dates, now, time};
use crate::tls::store::{of_config, of_ingresses};
use crate::tls::{Policies, Snapshot, TlsPeer, covers, is_one_policy};
use serde::Serialize;
use std::sync::Arc;

/// One `[[certificate]]`, or one Secret that Ingresses name and that can be used.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    file: String,
    /// The hosts it is presented for.
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
    /// A warning about it, though it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<String>,
}

impl Row {
    fn of_files(files: &CertificateFiles, read: &Result<Arc<Certificate>, LoadError>) -> Self {
        let file = files.cert_file.display().to_string();
        let read_well = read.as_ref().ok();
        let names = read_well.map_or(&[][..], |certificate| certificate.names());
        let error = read.as_ref().err().map(ToString::to_string);
        Self { default: files.default, error, ..Self::of(file, names, read_well) }
    }

    /// `None`: what is wrong with it is among the findings.
    fn of_secret(secret: &TlsSecret) -> Option<Self> {
        let certificate = secret.certificate.as_ref()?;
        let mut names: Vec<_> = secret.hosts.iter().chain(certificate.names()).collect();
        names.sort();
        names.dedup();
        Some(Self::of(of_secret(secret), names, Some(certificate)))
    }

    fn of<'n>(
        file: String,
        names: impl IntoIterator<Item = &'n HostPattern>,
        certificate: Option<&Arc<Certificate>>,
    ) -> Self {
        Self {
            file,
            names: names.into_iter().map(ToString::to_string).collect(),
            default: false,
            key: certificate.map(|certificate| certificate.kind().as_str()),
            until: certificate.map(|certificate| time(certificate.not_after())),
            error: None,
            warning: certificate.and_then(|certificate| dates(certificate)),
        }
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
    config: Option<&'b Config>,
    files: Vec<OfFile>,
    secrets: &'b [TlsSecret],
    /// Where each certificate is from.
    origins: Origins,
    /// The demand on clients, or why the process would not start.
    pub(super) policies: Result<Policies, String>,
}

impl<'b> Certificates<'b> {
    /// Reads the files that a configuration names; the rest is of the objects.
    pub(super) fn of(config: Option<&'b Config>, build: &'b Build) -> Self {
        let secrets = &build.certificates[..];
        let all = config.map_or(&[][..], |config| &config.certificates);
        let (mut rows, mut files_read, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for files in all {
            let read = certificate(files).map(Arc::new);
            rows.push(Row::of_files(files, &read));
            let Ok(certificate) = read else { continue };
            origins.push((Arc::clone(&certificate), files.cert_file.display().to_string()));
            files_read.push((certificate, files.default));
        }
        for secret in secrets {
            rows.extend(Row::of_secret(secret));
            let certificate = secret.certificate.as_ref();
            origins.extend(certificate.map(|of| (Arc::clone(of), of_secret(secret))));
        }
        let policies = policies(config, &build.clients);
        Self { rows, config, files: files_read, secrets, origins, policies }
    }

    /// A line each.
    pub(super) fn text(&self) -> String {
        self.rows.iter().map(Row::text).collect()
    }

    /// What Cloudflare says, under Full (strict), of each host that is served with TLS. Without a
    /// configuration nobody knows which rules are; then of those of `spec.tls`.
    pub(super) fn strict(&self, table: &Table) -> Result<Vec<full_strict::Row>, Failure> {
        let none = Table::empty();
        let table = match self.config {
            Some(config) if !config.has_https() => return Ok(Vec::new()),
            Some(_) => table,
            None => &none,
        };
        let snapshot = self.snapshot()?;
        let served = Served { table, secrets: self.secrets, snapshot: &snapshot };
        let authorities = self.authorities()?;
        let judged = judge_all(served, &self.origins, &authorities, &mut Proofs::default(), now());
        Ok(judged.into_iter().map(full_strict::Row::from).collect())
    }

    /// Cloudflare's verdict, under Full (strict), on the certificate for `name` in a handshake for
    /// requests to `host`: either may be in the certificate. `None` for hosts that are no names.
    pub(super) fn judge(
        &self,
        name: Option<&str>,
        host: &str,
    ) -> Result<Option<Judgement>, Failure> {
        let pattern =
            |name| HostPattern::parse(Some(name)).ok().filter(|it| *it != HostPattern::Any);
        let Some(asked) = name.and_then(pattern) else { return Ok(None) };
        let snapshot = self.snapshot()?;
        let Some(certificate) = shown(&snapshot, &asked, TlsPeer::Cloudflare) else {
            return Ok(Some(Judgement::of_nothing()));
        };
        let proof = self.authorities()?.prove(certificate, now());
        let either = [pattern(host), Some(asked)].into_iter().flatten();
        let mut judged = either.map(|host| judge(&host, certificate, &proof, now()));
        let first = judged.next();
        Ok(judged.find(|judgement| judgement.verdict.status().is_none()).or(first))
    }

    /// What handshakes would find.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Failure> {
        let failed = |text: &String| Failure { code: 1, text: text.clone() };
        let policies = self.policies.as_ref().map_err(failed)?;
        Ok(Snapshot::build(policies, &entries(&self.files, self.secrets)))
    }

    /// The Secret that is named for a host and is not there, or cannot be used.
    pub(super) fn missing(&self, host: &HostPattern) -> Option<String> {
        let mut secrets = self.secrets.iter();
        let missing =
            secrets.find(|secret| secret.certificate.is_none() && secret.hosts.contains(host));
        missing.map(of_secret)
    }

    fn authorities(&self) -> Result<Authorities, Failure> {
        let Some(config) = self.config else { return Ok(Authorities::of_cloudflare()) };
        let authorities = crate::tls::store::authorities(config);
        authorities.map_err(|error| Failure { code: USAGE, text: error.to_string() })
    }

    /// The demand on a client of a host.
    pub(super) fn demand(&self, host: Option<&str>, peer: TlsPeer) -> Result<&Demand, String> {
        let policies = self.policies.as_ref().map_err(Clone::clone)?;
        Ok(policies.for_peer(host, peer).demand())
    }

    /// What becomes in break-glass of a host that requires a certificate of its clients; `None` if it does not.
    pub(super) fn break_glass(&self, host: &str) -> Option<BreakGlassAccess> {
        self.policies.as_ref().ok()?.break_glass(Some(host))
    }

    /// The result of a handshake for `name` with this client, by the lookup of the handshake, and whether a request for
    /// `host` belongs on the connection; or the words for why there is none.
    pub(super) fn shown(
        &self,
        name: Option<&str>,
        host: &str,
        peer: TlsPeer,
    ) -> Result<Presented, String> {
        let snapshot = self.snapshot().map_err(|failure| failure.text)?;
        let found = snapshot.find(name).map_err(|why| {
            let name = name.unwrap_or("(none)");
            format!("unrecognized_name: no certificate for the name {name} ({})", why.label())
        })?;
        let [own, others] =
            [TlsPeer::Cloudflare, TlsPeer::Other].map(|peer| found.for_peer(peer).certificate());
        let others = (!Arc::ptr_eq(own, others)).then(|| words(others, false));
        let certificate = found.for_peer(peer).certificate();
        let belongs = covers(&snapshot, certificate, found.by_default, name, host)
            && is_one_policy(&snapshot, peer, name, host);
        Ok(Presented { certificate: words(own, found.by_default), others, belongs })
    }
}

/// What a handshake presents.
pub(super) struct Presented {
    /// To Cloudflare, in words.
    pub(super) certificate: String,
    /// To other clients, if it is another one.
    pub(super) others: Option<String>,
    /// Whether the request belongs on the connection.
    pub(super) belongs: bool,
}

fn words(certificate: &Certificate, is_default: bool) -> String {
    let names: Vec<String> = certificate.names().iter().map(ToString::to_string).collect();
    let (key, until) = (certificate.kind().as_str(), time(certificate.not_after()));
    let mut words = format!("{}, {key}, until {until}", names.join(" "));
    if is_default {
        words.push_str(", the default");
    }
    if let Some(problem) = dates(certificate) {
        words.push_str(&format!("; {problem}"));
    }
    words
}

fn policies(config: Option<&Config>, clients: &[HostClients]) -> Result<Policies, String> {
    let demands = config.map(of_config).transpose();
    let demands = demands.map_err(|error| error.to_string())?.unwrap_or_default();
    let policies = Policies::new().and_then(|none| none.with(&demands, &of_ingresses(clients)));
    policies.map_err(|error| error.to_string())
}
