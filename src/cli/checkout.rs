//! Findings judged as of a checkout or as of a cluster: an object that only a cluster has is not a mistake of a Git checkout.

use super::table::Row;
use crate::control::files::Surroundings;
use crate::control::objects::Objects;
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use serde::Serialize;
use std::collections::BTreeSet;

/// The input.
#[derive(Debug)]
pub(super) enum Input {
    /// The objects of an API server.
    Cluster,
    /// Files, and what is in them.
    Files { objects: Box<Objects>, surroundings: Box<Surroundings> },
}

/// As what it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JudgedAs {
    /// All that is to be there is there, endpoints as well.
    Cluster,
    /// Manifests before they are applied.
    Checkout,
}

/// Findings after judging.
#[derive(Debug, Default)]
pub(super) struct JudgedFindings {
    pub(super) findings: Vec<Diagnostic>,
    /// Secrets that are still to come, as `Secret namespace/name`.
    pub(super) awaited: BTreeSet<String>,
}

impl Input {
    /// Without any EndpointSlice the files are not of a cluster.
    pub(super) fn judged_as(&self) -> JudgedAs {
        match self {
            Self::Files { objects, .. } if objects.slices().is_empty() => JudgedAs::Checkout,
            Self::Files { .. } | Self::Cluster => JudgedAs::Cluster,
        }
    }

    /// As a line.
    pub(super) fn text(&self) -> String {
        let files = match self {
            Self::Cluster => {
                return "checked as a cluster, listed from its API server\n".to_owned();
            }
            Self::Files { surroundings, .. } => match surroundings.files {
                1 => "1 file".to_owned(),
                number => format!("{number} files"),
            },
        };
        match self.judged_as() {
            JudgedAs::Checkout => format!(
                "checked as a repository ({files} without EndpointSlices): a Service is enough, pods are not required\n"
            ),
            JudgedAs::Cluster => format!("checked as a cluster ({files} with EndpointSlices)\n"),
        }
    }

    /// Findings as they are of these files.
    pub(super) fn judge(&self, findings: &[Diagnostic]) -> JudgedFindings {
        let Self::Files { objects, surroundings } = self else {
            return JudgedFindings { findings: findings.to_vec(), ..JudgedFindings::default() };
        };
        let is_checkout = self.judged_as() == JudgedAs::Checkout;
        let mut judged = JudgedFindings::default();
        for finding in findings {
            let mut finding = finding.clone();
            if surroundings.has_variable(&finding.reason) {
                finding.severity = Severity::Info;
                finding.fix =
                    "none needed, if the values that Flux substitutes are right".to_owned();
            } else if let Some(secret) = missing_secret(objects, &finding) {
                await_secret(objects, surroundings, &secret, is_checkout, &mut finding);
                if finding.severity != Severity::Error {
                    judged.awaited.insert(secret.to_string());
                }
            } else if finding.why == Why::ServiceMissing && is_checkout {
                let by = surroundings.bringers.get(&*finding.object.namespace);
                if let Some(by) = by {
                    finding.severity = Severity::Warning;
                    finding.reason.push_str(" among the manifests");
                    finding.fix = format!("none needed, if {by} creates it");
                }
            }
            as_written(surroundings, &mut finding);
            judged.findings.push(finding);
        }
        judged.findings.sort();
        judged
    }

    /// Rows as they are of these files.
    pub(super) fn adjust(&self, rows: &mut [Row]) {
        let Self::Files { surroundings, .. } = self else { return };
        for row in rows {
            for text in [&mut row.host, &mut row.path, &mut row.service, &mut row.ingress] {
                *text = surroundings.as_written(text);
            }
            if self.judged_as() == JudgedAs::Checkout && row.has_no_endpoint() {
                row.answer = None;
            }
        }
    }
}

fn as_written(surroundings: &Surroundings, finding: &mut Diagnostic) {
    let ObjectRef { kind, namespace, name } = &finding.object;
    let (namespace, name) = (surroundings.as_written(namespace), surroundings.as_written(name));
    finding.object = ObjectRef::new(*kind, &namespace, &name);
    finding.reason = surroundings.as_written(&finding.reason);
    finding.fix = surroundings.as_written(&finding.fix);
}

/// The Secret that a finding is about, if it is that it is not there.
fn missing_secret(objects: &Objects, finding: &Diagnostic) -> Option<ObjectRef> {
    let Diagnostic { object: ObjectRef { kind, namespace, name }, field, why, .. } = finding;
    if !matches!(why, Why::SecretUnusable | Why::UpstreamTls) {
        return None;
    }
    let annotation =
        field.strip_prefix("metadata.annotations[").and_then(|key| key.strip_suffix(']'));
    let annotated = |annotations: Option<&std::collections::BTreeMap<String, String>>| {
        annotations?.get(annotation?).cloned()
    };
    let secret = match kind {
        Kind::Ingress => {
            let ingress = objects.ingresses().get(namespace, name)?;
            let position = field.strip_prefix("spec.tls[").and_then(|rest| rest.split(']').next());
            match position.and_then(|position| position.parse::<usize>().ok()) {
                Some(position) => {
                    let tls = ingress.spec.as_ref()?.tls.as_ref()?;
                    tls.get(position)?.secret_name.clone()?
                }
                None => annotated(ingress.metadata.annotations.as_ref())?,
            }
        }
        Kind::Service => {
            let service = objects.services().get(namespace, name)?;
            annotated(service.metadata.annotations.as_ref())?
        }
        _ => return None,
    };
    let (namespace, secret) = secret.split_once('/').unwrap_or((namespace, &secret));
    let is_there = objects.secrets().get(namespace, secret).is_some();
    (!is_there).then(|| ObjectRef::new(Kind::Secret, namespace, secret))
}

/// Annotations by which an Ingress asks cert-manager for its certificates.
const ISSUERS: [&str; 5] = [
    "cert-manager.io/cluster-issuer",
    "cert-manager.io/issuer",
    "kubernetes.io/tls-acme",
    "certmanager.k8s.io/cluster-issuer",
    "certmanager.k8s.io/issuer",
];

/// Adds to the finding about a missing Secret where it will come from.
fn await_secret(
    objects: &Objects,
    surroundings: &Surroundings,
    secret: &ObjectRef,
    is_checkout: bool,
    finding: &mut Diagnostic,
) {
    let ObjectRef { kind: _, namespace, name } = secret;
    let maker = surroundings.makers.get(&(namespace.to_string(), name.to_string())).cloned();
    let asking = || {
        let ingress = (finding.object.kind == Kind::Ingress
            && finding.field.starts_with("spec.tls["))
        .then(|| objects.ingresses().get(&finding.object.namespace, &finding.object.name))??;
        let annotations = ingress.metadata.annotations.as_ref()?;
        let issuer = ISSUERS.iter().find(|issuer| annotations.contains_key(**issuer))?;
        Some(format!("cert-manager, through the annotation {issuer}"))
    };
    if let Some(maker) = maker.or_else(asking) {
        finding.severity = Severity::Info;
        finding.reason = format!("Secret {name:?} will be created by {maker}");
        finding.fix.clear();
    } else if is_checkout {
        finding.severity = Severity::Warning;
        finding.reason.push_str(" among the manifests");
        finding.fix = format!("none needed, if the cluster has it; otherwise {}", finding.fix);
    }
}
