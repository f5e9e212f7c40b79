//! What an Ingress asks of all of its rules.

use crate::control::translate::ingress::IngressRead;
use crate::model::{Algorithm, Https, Ingress, ObjectRef, Timeouts};
use std::num::NonZeroU64;

/// What an Ingress asks of all of its rules.
#[derive(Default)]
pub(super) struct Asks {
    pub(super) has_status: bool,
    pub(super) https: Https,
    pub(super) timeouts: Option<Box<Timeouts>>,
    pub(super) balance: Option<Algorithm>,
    pub(super) raw_path: bool,
    pub(super) max_body: Option<NonZeroU64>,
}

impl Asks {
    /// Those that were read.
    pub(super) fn of_read(read: IngressRead<'_>) -> Self {
        let IngressRead { https, timeouts, balance, raw_path, max_body, .. } = read;
        Self { has_status: true, https, timeouts, balance, raw_path, max_body }
    }

    /// An object of this name that asks for them.
    pub(super) fn of(self, object: &ObjectRef, created: i64) -> Ingress {
        let ObjectRef { kind, namespace, name } = object.clone();
        let Self { has_status, https, timeouts, balance, raw_path, max_body } = self;
        Ingress {
            kind,
            namespace,
            name,
            created,
            has_status,
            https,
            timeouts,
            balance,
            raw_path,
            max_body,
        }
    }

    /// Whether they are what an Ingress asks for already.
    pub(super) fn are_of(&self, ingress: &Ingress) -> bool {
        self.has_status == ingress.has_status
            && self.https == ingress.https
            && self.timeouts == ingress.timeouts
            && self.balance == ingress.balance
            && self.raw_path == ingress.raw_path
            && self.max_body == ingress.max_body
    }
}
