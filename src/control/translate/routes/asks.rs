//! What an Ingress asks of all of its rules.

use crate::model::{Algorithm, Https, Ingress, Timeouts};
use std::num::NonZeroU64;
use std::sync::Arc;

/// What an Ingress asks of all of its rules.
#[derive(Default)]
pub(super) struct Asks {
    pub(super) https: Https,
    pub(super) timeouts: Option<Box<Timeouts>>,
    pub(super) balance: Option<Algorithm>,
    pub(super) raw_path: bool,
    pub(super) max_body: Option<NonZeroU64>,
}

impl Asks {
    /// An Ingress of this name that asks for them.
    pub(super) fn ingress(self, namespace: Arc<str>, name: Arc<str>) -> Ingress {
        let Self { https, timeouts, balance, raw_path, max_body } = self;
        Ingress { namespace, name, created: 0, https, timeouts, balance, raw_path, max_body }
    }

    /// Whether they are what an Ingress asks for already.
    pub(super) fn are_of(&self, ingress: &Ingress) -> bool {
        self.https == ingress.https
            && self.timeouts == ingress.timeouts
            && self.balance == ingress.balance
            && self.raw_path == ingress.raw_path
            && self.max_body == ingress.max_body
    }
}
