//! Which certificate is presented for which host, and which client certificates it requires: by the files, and by
//! the Secrets that Ingresses name.
//!
//! A host belongs to the first source that names it: the operator's files, then the namespace of the oldest
//! Ingress that names it in `spec.tls`, then that of the first certificate that is for it. Nobody
//! else's certificate is presented for it: anyone who may create an Ingress could otherwise take the
//! handshakes of another one's site.

use super::client_authorities::{LastGoodAuthorities, of_ingresses};
use super::public_wildcards::{self, Owners};
use crate::model::HostPattern;
use crate::model::{CertificateRole, HostClients, TlsSecret};
use crate::pki::certificate::Certificate;
use crate::telemetry::CertificateMetrics;
use crate::tls::{Entry, HostDemand, Policies, Snapshot, SnapshotCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A certificate of a file, and whether it is the default.
pub type OfFile = (Arc<Certificate>, bool);

/// Namespace and name of a Secret.
type Name = (Arc<str>, Arc<str>);

/// Where each certificate is presented. `secrets` are in the order of the first Ingress that names each, and before them
/// those of the configuration.
pub fn entries(files: &[OfFile], secrets: &[TlsSecret]) -> Vec<Entry> {
    let mut owners = Owners::new();
    for host in files.iter().flat_map(|(certificate, _)| certificate.names()) {
        owners.insert(host, None);
    }
    let is_operators =
        |secret: &&TlsSecret| matches!(secret.role, CertificateRole::Operator { .. });
    for secret in secrets.iter().filter(is_operators) {
        let names = secret.certificate.iter().flat_map(|certificate| certificate.names());
        for host in names {
            owners.entry(host).or_insert(None);
        }
    }
    let usable: Vec<(&TlsSecret, &Arc<Certificate>)> =
        secrets.iter().filter_map(|secret| Some((secret, secret.certificate.as_ref()?))).collect();
    // A demand that cannot be used stays in force: no other one takes its place.
    for secret in secrets {
        for host in &secret.hosts {
            owners.entry(host).or_insert(Some(&secret.namespace));
        }
    }
    for (secret, certificate) in &usable {
        for host in certificate.names() {
            owners.entry(host).or_insert(Some(&secret.namespace));
        }
    }
    let has_default = files.iter().any(|(_, default)| *default)
        || secrets
            .iter()
            .any(|secret| secret.role == CertificateRole::Operator { is_default: true });
    let of_files = files
        .iter()
        .map(|(certificate, default)| Entry::of_names(Arc::clone(certificate), *default));
    let of_secrets = usable.iter().map(|(secret, certificate)| {
        let all = secret.hosts.iter().chain(certificate.names());
        let owner = match secret.role {
            CertificateRole::Operator { .. } => None,
            _ => Some(&*secret.namespace),
        };
        let ours = all.filter(|host| owners.get(host) == Some(&owner));
        let mut hosts: Vec<HostPattern> = ours.cloned().collect();
        hosts.sort();
        hosts.dedup();
        let default = match secret.role {
            CertificateRole::Routes => false,
            CertificateRole::Operator { is_default } => is_default,
            CertificateRole::Store { is_default } => is_default && !has_default,
        };
        let name = (Arc::clone(&secret.namespace), Arc::clone(&secret.name));
        Entry { certificate: Arc::clone(certificate), hosts, default, secret: Some(name) }
    });
    let mut all: Vec<Entry> = of_files.chain(of_secrets).collect();
    // Those of the configuration, and of the default TLSStore.
    let is_for_all = |position: usize| {
        let secret = position.checked_sub(files.len()).map(|secret| usable[secret].0);
        secret.is_none_or(|secret| secret.role != CertificateRole::Routes)
    };
    public_wildcards::add(&mut all, &owners, is_for_all);
    all
}

/// The certificates in force, shared by the readers of files and of Secrets.
pub struct CertStore {
    /// Whether a listener has TLS: without one, certificates are of no use, and what is asked of
    /// clients applies anyway.
    has_tls: bool,
    store: Arc<SnapshotCell>,
    metrics: Arc<CertificateMetrics>,
    known: Mutex<Known>,
}

struct Known {
    policies: Policies,
    /// Demands of the operator.
    demands: Vec<HostDemand>,
    /// Demands of Ingresses.
    clients: Vec<HostClients>,
    good_authorities: LastGoodAuthorities,
    files: Vec<OfFile>,
    secrets: Vec<TlsSecret>,
    /// Whether the Secrets have been told.
    told: bool,
    /// The last certificate of each Secret in use that could be used.
    good: HashMap<Name, Arc<Certificate>>,
}

impl CertStore {
    /// Shows nothing yet.
    pub fn new(has_tls: bool, policies: Policies, metrics: &Arc<CertificateMetrics>) -> Self {
        let known = Known {
            policies,
            demands: Vec::new(),
            clients: Vec::new(),
            good_authorities: LastGoodAuthorities::default(),
            files: Vec::new(),
            secrets: Vec::new(),
            told: false,
            good: HashMap::new(),
        };
        let metrics = Arc::clone(metrics);
        Self { has_tls, store: Arc::default(), metrics, known: Mutex::new(known) }
    }

    /// Whether a listener has TLS.
    pub fn has_tls(&self) -> bool {
        self.has_tls
    }

    /// The cell with the snapshot in force.
    pub fn store(&self) -> Arc<SnapshotCell> {
        Arc::clone(&self.store)
    }

    /// The Secrets in use, each with its presented certificate.
    pub fn secrets(&self) -> Vec<TlsSecret> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).secrets.clone()
    }

    /// Puts what the files of the configuration hold in force: certificates, and demands.
    pub(super) fn set_files(&self, files: Vec<OfFile>, demands: Vec<HostDemand>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.files, known.demands) = (files, demands);
        warn_of_hidden(&known.files);
        // At the start Secrets are still to come.
        if known.told || !known.files.is_empty() {
            self.publish(&mut known);
        }
    }

    /// Puts the client certificate policies of Ingresses in force. A Secret that becomes unusable keeps its
    /// last good CA; if it never had one, every certificate is refused.
    pub fn set_clients(&self, mut clients: Vec<HostClients>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = known.good_authorities.mend(&mut clients);
        for (secret, has_last) in &failing {
            let counts =
                if *has_last { "its last good CA applies" } else { "no certificate is accepted" };
            tracing::error!(secret, counts, "the CA for client certificates cannot be used");
        }
        known.clients = clients;
        self.metrics.update(|cells| cells.failing_authorities = failing);
        // The Secrets of the start are told next.
        if known.told {
            self.publish(&mut known);
        }
    }

    /// Puts the certificates of all Secrets in force. One that cannot be used any more leaves its
    /// last good one there, for as long as an Ingress names it.
    pub fn set_secrets(&self, mut secrets: Vec<TlsSecret>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has_tls {
            secrets.clear();
        }
        let mut good = HashMap::new();
        let mut failing = Vec::new();
        for secret in &mut secrets {
            let name = (Arc::clone(&secret.namespace), Arc::clone(&secret.name));
            if secret.certificate.is_none() {
                secret.certificate = known.good.remove(&name);
                failing.push((format!("{}/{}", name.0, name.1), secret.certificate.is_some()));
            }
            if let Some(certificate) = &secret.certificate {
                good.insert(name, Arc::clone(certificate));
            }
        }
        for (secret, _) in failing.iter().filter(|(_, has_last)| *has_last) {
            tracing::error!(
                secret,
                "a Secret cannot be used; its last good certificate is presented"
            );
        }
        (known.good, known.secrets, known.told) = (good, secrets, true);
        self.metrics.update(|cells| cells.failing_secrets = failing);
        self.publish(&mut known);
    }

    fn publish(&self, known: &mut Known) {
        match known.policies.with(&known.demands, &of_ingresses(&known.clients)) {
            Ok(policies) => known.policies = policies,
            Err(error) => {
                // The state in force stays as a whole: no certificate is presented under an older policy.
                tracing::error!(%error, "no random numbers for session tickets; the keys are unchanged");
                return;
            }
        }
        let snapshot = Snapshot::build(&known.policies, &entries(&known.files, &known.secrets));
        let ends = snapshot.names().map(|(name, shown)| {
            let end = shown.iter().map(|shown| shown.certificate().not_after()).min();
            (name.to_string(), end.unwrap_or_default())
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort();
        let shown = snapshot.names().flat_map(|(_, shown)| shown);
        let leaves: BTreeSet<_> = shown.map(|one| Arc::clone(one.certificate().leaf())).collect();
        self.metrics.update(|cells| {
            cells.not_after = ends;
            cells.leaves = leaves.into_iter().collect();
        });
        if self.has_tls && snapshot.is_empty() {
            tracing::warn!(
                "no certificate is configured: every TLS handshake is refused; name a Secret in \
                    spec.tls of an Ingress, or files in [[certificate]]"
            );
        }
        self.store.publish(snapshot);
    }
}

/// Reports certificates in files that can never be presented.
fn warn_of_hidden(files: &[OfFile]) {
    for (position, (certificate, default)) in files.iter().enumerate() {
        let is_taken = |name: &HostPattern| {
            let mut before = files[..position].iter().map(|(other, _)| other);
            before.any(|other| {
                other.kind() == certificate.kind()
                    && other.is_of_origin_ca() == certificate.is_of_origin_ca()
                    && other.names().contains(name)
            })
        };
        if !default && certificate.names().iter().all(is_taken) {
            let names: Vec<_> = certificate.names().iter().map(ToString::to_string).collect();
            tracing::warn!(
                ?names,
                "a certificate is never presented: an earlier one covers its names"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_certificate(names: &[&str]) -> Arc<Certificate> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("valid names");
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        Arc::new(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair"))
    }

    fn mk_secret(namespace: &str, name: &str, names: Option<&[&str]>, hosts: &[&str]) -> TlsSecret {
        let host = |host: &&str| HostPattern::parse(Some(host)).expect("a host");
        TlsSecret {
            namespace: namespace.into(),
            name: name.into(),
            certificate: names.map(mk_certificate),
            hosts: hosts.iter().map(host).collect(),
            role: CertificateRole::Routes,
        }
    }

    /// Hosts of each entry.
    fn hosts(files: &[OfFile], secrets: &[TlsSecret]) -> Vec<String> {
        let entries = entries(files, secrets);
        let text = |entry: &Entry| {
            let hosts: Vec<_> = entry.hosts.iter().map(ToString::to_string).collect();
            hosts.join(" ")
        };
        entries.iter().map(text).collect()
    }

    #[test]
    fn a_host_belongs_to_whom_names_it_first_and_nobody_else_is_shown_for_it() {
        let file = (mk_certificate(&["file.example", "*.wild.example"]), false);
        let secrets = [
            mk_secret("shop", "old", Some(&["a.example", "b.example"]), &["a.example"]),
            mk_secret(
                "thief",
                "young",
                Some(&["a.example", "c.example", "file.example"]),
                &["a.example", "file.example"],
            ),
            mk_secret("late", "claims", Some(&["x.example"]), &["b.example", "c.example"]),
            mk_secret("shop", "second", Some(&["a.example"]), &["a.example", "app.wild.example"]),
        ];
        assert_eq!(
            hosts(&[file], &secrets),
            [
                "file.example *.wild.example",
                "a.example",
                "",
                "b.example c.example x.example",
                "a.example app.wild.example",
            ]
        );
    }

    #[test]
    fn certificates_of_configuration_and_store_come_before_and_after_those_of_routes() {
        let of = |role, name: &str, names: &[&str]| TlsSecret {
            role,
            ..mk_secret("certs", name, Some(names), &[])
        };
        let operator = |is_default| CertificateRole::Operator { is_default };
        let store =
            of(CertificateRole::Store { is_default: true }, "store", &["a.example", "s.example"]);
        let own = mk_secret("shop", "own", Some(&["a.example", "w.example"]), &["a.example"]);
        let wide = of(operator(false), "wide", &["w.example"]);
        let all = [wide, store.clone(), own];
        assert_eq!(hosts(&[], &all), ["w.example", "s.example", "a.example"]);
        let defaults = |all: &[TlsSecret]| -> Vec<bool> {
            entries(&[], all).iter().map(|entry| entry.default).collect()
        };
        assert_eq!(defaults(&all), [false, true, false]);
        let first = of(operator(true), "first", &["x.example"]);
        assert_eq!(defaults(&[first, store]), [true, false]);
    }

    #[test]
    fn a_secret_that_breaks_leaves_its_last_good_certificate_until_nobody_names_it() {
        let shown = CertStore::new(true, Policies::new().expect("policies"), &Arc::default());
        let has = |host: &str| shown.store().load().has(host);
        let whole = || mk_secret("shop", "s", Some(&["a.example"]), &["a.example"]);
        let broken = || mk_secret("shop", "s", None, &["a.example"]);
        shown.set_secrets(vec![broken()]);
        assert!(!has("a.example"), "there was none");
        shown.set_secrets(vec![whole()]);
        assert!(has("a.example"));
        for _ in 0..2 {
            shown.set_secrets(vec![broken()]);
            assert!(has("a.example"));
            assert_eq!(shown.metrics.read().failing_secrets, [("shop/s".to_owned(), true)]);
        }
        shown.set_secrets(Vec::new());
        assert!(!has("a.example"));
        shown.set_secrets(vec![broken()]);
        assert!(!has("a.example"), "it was forgotten");
    }

    #[test]
    fn a_claim_of_a_secret_that_cannot_be_used_keeps_others_away() {
        let secrets = [
            mk_secret("shop", "broken", None, &["a.example"]),
            mk_secret("thief", "t", Some(&["a.example"]), &["a.example"]),
        ];
        assert_eq!(hosts(&[], &secrets), [""]);
    }
}
