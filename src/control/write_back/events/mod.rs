//! Events on the objects that are not served as written: what is wrong and what to do about it,
//! where `kubectl describe` shows it.
//!
//! They are `events.k8s.io/v1` Events, which `describe` finds by the object's uid and prints with
//! the count and the times of their series. Errors are of type Warning; what is merely suspicious
//! is of type Normal, so that alerts on Warnings stay worth reading. What is not for us, and files,
//! have none.
//!
//! A finding is written once it has lasted. When a written finding is resolved, a Normal Event of
//! the reason `Resolved` follows, for Events cannot be taken back.
//!
//! If it is resolved while there is no leader, the next leader reports that: it reads the existing Events when its term
//! begins.
//!
//! The name of an Event follows from what it says. So a new leader that does not know what its
//! predecessor wrote finds it by the attempt to create it, and says nothing twice.

mod ledger;
mod post;
mod standing;

pub use ledger::EventLimits;
pub(super) use ledger::{Ledger, Next};
pub(super) use post::{Reporter, Said, post};
pub(super) use standing::standing;

use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use crate::net::beginning::beginning;
use std::sync::Arc;

/// The longest note that the API server takes, in bytes (`NoteLengthLimit` in pkg/apis/core
/// validation).
const MAX_NOTE_BYTES: usize = 1024;

/// The namespace of Events on cluster-wide objects, by convention and validation.
pub(in crate::control) const CLUSTER_WIDE: &str = "default";

/// How much of an object's name is in that of its Event: names have up to 253 characters, and 17
/// are needed for the hash.
const MAX_PREFIX_BYTES: usize = 230;

/// A diagnostic with the identity of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectDiagnostic {
    /// What is wrong.
    pub diagnostic: Diagnostic,
    /// The object's `metadata.uid`, where it is known: `kubectl describe` shows only Events with
    /// the right one.
    pub uid: Option<Arc<str>>,
}

/// Where an Event is: its namespace and name. Two findings with the same are the same finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct EventKey {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

/// An Event to be, without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) key: EventKey,
    /// The key of the Event about the finding: its own, except for an Event that reports it as resolved.
    pub(super) of: EventKey,
    pub(super) is_mended: bool,
    pub(super) object: ObjectRef,
    pub(super) uid: Option<Arc<str>>,
    pub(super) severity: Severity,
    pub(super) why: Why,
    pub(super) note: String,
}

impl Notice {
    /// The Event for a finding, if it gets one. `scope` keeps two installations in one cluster
    /// apart.
    pub(super) fn of(finding: &ObjectDiagnostic, scope: &str) -> Option<Self> {
        let ObjectDiagnostic { diagnostic, uid } = finding;
        let Diagnostic { severity, object, field, why, reason, fix } = diagnostic;
        if *severity == Severity::Info || matches!(object.kind, Kind::File | Kind::Cluster) {
            return None;
        }
        let parts = [
            scope,
            object.kind.as_str(),
            &object.namespace,
            &object.name,
            uid.as_deref().unwrap_or_default(),
            field,
            why.as_str(),
            reason,
        ];
        let key = key(object, &parts);
        Some(Self {
            of: key.clone(),
            is_mended: false,
            key,
            object: object.clone(),
            uid: uid.clone(),
            severity: *severity,
            why: *why,
            note: note(field, reason, fix),
        })
    }

    /// The Event that says that what this one says is right again.
    pub(super) fn mended(&self, scope: &str) -> Self {
        let Self { of, object, uid, .. } = self;
        let key = key(object, &[scope, "mended", &of.name]);
        // The fix has been made.
        let was = self.note.split(". Fix: ").next().unwrap_or_default();
        let note = cut(format!("resolved: {was}"));
        let (object, uid) = (object.clone(), uid.clone());
        Self { key, is_mended: true, of: of.clone(), object, uid, note, ..self.clone() }
    }
}

/// The namespace and name of an Event on an object.
fn key(object: &ObjectRef, parts: &[&str]) -> EventKey {
    let namespace = if object.namespace.is_empty() { CLUSTER_WIDE } else { &object.namespace };
    let prefix = beginning(&object.name, MAX_PREFIX_BYTES).trim_end_matches(['.', '-']);
    let name = format!("{prefix}.{:016x}", fnv(parts));
    EventKey { namespace: namespace.into(), name: name.into() }
}

/// `field: reason. Fix: fix`, cut to what an Event holds.
fn note(field: &str, reason: &str, fix: &str) -> String {
    let mut note = String::new();
    if !field.is_empty() {
        note.push_str(field);
        note.push_str(": ");
    }
    note.push_str(reason);
    if !fix.is_empty() {
        note.push_str(". Fix: ");
        note.push_str(fix);
    }
    cut(note)
}

fn cut(mut note: String) -> String {
    if note.len() > MAX_NOTE_BYTES {
        note.truncate(beginning(&note, MAX_NOTE_BYTES - "...".len()).len());
        note.push_str("...");
    }
    note
}

/// FNV-1a, 64 bits: the same in every version and on every machine. Who makes two findings collide
/// silences one Event in a namespace of his own.
fn fnv(parts: &[&str]) -> u64 {
    // A byte that is in no UTF-8 text keeps the parts apart.
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
