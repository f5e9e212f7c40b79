//! The annotations that ask the clients of an Ingress's hosts for a certificate.
//!
//! What is not understood makes the demand stricter, never weaker: an unknown word is `require`, and
//! with a broken CA or pin, no certificate is accepted.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::Severity;
use crate::pki::client_certificate::{BreakGlassAccess, CLOUDFLARE, Mode, Subjects};
use std::sync::Arc;

/// `off`, `request` or `require`, for all hosts of the Ingress.
pub(super) const CLIENT_CERTIFICATE: &str = "ravelin.dev/client-certificate";
/// `cloudflare`, or the name of a Secret in the namespace of the Ingress, with the authority in PEM
/// under `ca.crt`.
pub(super) const CLIENT_CA: &str = "ravelin.dev/client-ca";
/// Pins, separated by commas: [`Subjects`].
pub(super) const CLIENT_SUBJECT: &str = "ravelin.dev/client-subject";
/// `open` or `closed`: what becomes of hosts that require a certificate while break-glass is on.
pub(super) const BREAK_GLASS: &str = "ravelin.dev/break-glass";

/// Longest name of an object (RFC 1123 subdomain), in bytes.
const MOST_NAME_BYTES: usize = 253;

/// What the annotations of one Ingress ask.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClientsRead {
    pub(super) mode: Mode,
    /// `None`: no certificate is accepted.
    pub(super) issuer: Option<IssuerName>,
    pub(super) subjects: Subjects,
    /// Whether TLS 1.2 is refused.
    pub(super) tls13_only: bool,
    /// Whether its hosts are open in break-glass.
    pub(super) break_glass: BreakGlassAccess,
}

impl ClientsRead {
    pub(super) fn of(mode: Mode, issuer: Option<IssuerName>, subjects: Subjects) -> Self {
        let break_glass = BreakGlassAccess::Unsaid;
        Self { mode, issuer, subjects, tls13_only: false, break_glass }
    }

    /// Whether another one asks Cloudflare for the same.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        let Self { mode, issuer, subjects, tls13_only, break_glass: _ } = self;
        *mode == other.mode
            && *issuer == other.issuer
            && *subjects == other.subjects
            && *tls13_only == other.tls13_only
    }

    /// The Secret with the authority, for an object of this namespace.
    pub(super) fn secret(&self, namespace: &Arc<str>) -> Option<(Arc<str>, Arc<str>)> {
        match &self.issuer {
            Some(IssuerName::Secret(other, name)) => {
                Some((Arc::clone(other.as_ref().unwrap_or(namespace)), Arc::clone(name)))
            }
            _ => None,
        }
    }

    /// The stricter of the two; of equals this.
    pub(super) fn with(self, other: Self) -> Self {
        let tls13_only = self.tls13_only || other.tls13_only;
        let break_glass = self.break_glass.min(other.break_glass);
        let stricter = if other.mode > self.mode { other } else { self };
        Self { tls13_only, break_glass, ..stricter }
    }
}

/// An authority, by its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum IssuerName {
    Cloudflare,
    /// Of another namespace, or that of the object; by its name.
    Secret(Option<Arc<str>>, Arc<str>),
}

/// The Secret that annotations name as the authority, if they name one.
pub fn authority_secret(annotations: &std::collections::BTreeMap<String, String>) -> Option<&str> {
    let name = annotations.get(CLIENT_CA)?.trim();
    is_secret_name(name).then_some(name)
}

/// Adds what is said of break-glass to all that an object asks of clients. What is not understood leaves its hosts closed.
pub(super) fn read_break_glass(
    annotations: Annotations<'_>,
    clients: Option<&mut ClientsRead>,
    report: &mut Report<'_>,
) {
    let said = annotations.word(BREAK_GLASS, &BreakGlassAccess::WORDS);
    let said = said.unwrap_or_else(|mut problem| {
        problem.reason.push_str(", so its hosts stay closed while break-glass is on");
        report.add(&field(BREAK_GLASS), problem);
        None
    });
    match (clients, said) {
        (Some(clients), Some(said)) if clients.break_glass == BreakGlassAccess::Unsaid => {
            clients.break_glass = said;
        }
        (None, Some(BreakGlassAccess::Open)) => {
            let reason = format!(
                "has no effect without {CLIENT_CERTIFICATE}, or a TLSOption with clientAuth: hosts for which nobody \
                 requires a certificate are open in break-glass anyway"
            );
            let fix =
                "remove it; for hosts of [[client_certificate]], set break_glass = \"open\" there";
            let problem = Problem::invalid("", reason, fix);
            report.add(&field(BREAK_GLASS), problem.with(Severity::Warning));
        }
        _ => {}
    }
}

/// Reads the annotations. `None`: the Ingress says nothing of certificates of clients.
pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> Option<ClientsRead> {
    let mode = match annotations.word(CLIENT_CERTIFICATE, &Mode::WORDS) {
        Ok(Some(mode)) => mode,
        Ok(None) => {
            let names = [CLIENT_CA, CLIENT_SUBJECT];
            let alone = names.into_iter().find(|name| annotations.get(name).is_some())?;
            let reason =
                format!("is set without {CLIENT_CERTIFICATE}, which defaults to `require`");
            let fix = format!("add {CLIENT_CERTIFICATE}: `request` or `require`");
            report.add(&field(alone), Problem::invalid("", reason, fix));
            Mode::Require
        }
        Err(mut problem) => {
            problem.reason.push_str(", so `require` applies");
            report.add(&field(CLIENT_CERTIFICATE), problem);
            Mode::Require
        }
    };
    if mode == Mode::Off {
        return Some(ClientsRead::of(mode, None, Subjects::default()));
    }
    let issuer = issuer(annotations).map_err(|problem| report.add(&field(CLIENT_CA), problem)).ok();
    let subjects = annotations.get(CLIENT_SUBJECT).map(Subjects::parse).transpose();
    let subjects = subjects.map_err(|error| {
        let reason = format!("{error}: no certificate is accepted");
        let fix = "write values separated by commas, or remove it";
        report.add(&field(CLIENT_SUBJECT), Problem::invalid("", reason, fix));
    });
    match subjects {
        Ok(subjects) => Some(ClientsRead::of(mode, issuer, subjects.unwrap_or_default())),
        Err(()) => Some(ClientsRead::of(mode, None, Subjects::default())),
    }
}

fn issuer(annotations: Annotations<'_>) -> Result<IssuerName, Problem> {
    let fix = format!("write `{CLOUDFLARE}`, or the name of a Secret with the CA in ca.crt");
    match annotations.get(CLIENT_CA) {
        None => {
            let reason = "is missing: no certificate is accepted";
            Err(Problem::invalid("", reason, format!("add it: {fix}")))
        }
        Some(CLOUDFLARE) => Ok(IssuerName::Cloudflare),
        Some(name) if is_secret_name(name) => Ok(IssuerName::Secret(None, name.into())),
        Some(other) => {
            let reason =
                format!("{} is not the name of a Secret: no certificate is accepted", quote(other));
            Err(Problem::invalid("", reason, fix))
        }
    }
}

/// Whether it can be the name of a Secret, and is not the word for Cloudflare's authority.
fn is_secret_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.iter().all(|byte| is_inner(byte) || *byte == b'-')
            && bytes.first().is_some_and(is_inner)
            && bytes.last().is_some_and(is_inner)
    };
    name != CLOUDFLARE && name.len() <= MOST_NAME_BYTES && name.split('.').all(is_label)
}
