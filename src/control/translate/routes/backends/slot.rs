//! One backend, while somebody uses it.

use super::Touched;
use crate::control::translate::report::Problem;
use crate::control::translate::service::PortRead;
use crate::control::translate::wanted::{AskedScheme, Wanted};
use crate::model::{BackendKey, BackendSpec, BackendState, Broken, Protocol, Treatment};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One backend.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: BackendKey,
    /// As in the key of [`Backends::by_key`].
    pub(super) broken: Option<Broken>,
    pub(super) wanted: Wanted,
    pub(super) state: BackendState,
    pub(super) protocol: Protocol,
    pub(super) treatment: Treatment,
    pub(super) problem: Option<Arc<Problem>>,
    /// The Ingresses that name it, by number.
    pub(super) users: BTreeSet<usize>,
    /// Where it stands in the last model.
    pub(super) position: Option<usize>,
}

impl Slot {
    pub(super) fn new(key: BackendKey, broken: Option<Broken>) -> Self {
        Self {
            key,
            broken,
            wanted: Wanted::default(),
            // Of a Service: until it is resolved, later in the same update.
            state: BackendState::Broken(broken.unwrap_or(Broken::ServiceMissing)),
            protocol: Protocol::Http,
            treatment: Treatment::default(),
            problem: None,
            users: BTreeSet::new(),
            position: None,
        }
    }

    pub(super) fn backend(&self) -> BackendSpec {
        BackendSpec {
            key: self.key.clone(),
            state: self.state.clone(),
            protocol: self.protocol.clone(),
            treatment: self.treatment.clone(),
        }
    }

    /// Takes what has come of its Service.
    pub(super) fn take(
        &mut self,
        number: usize,
        port_read: PortRead,
        treatment: &Treatment,
        is_missing: bool,
        touched: &mut Touched,
    ) {
        let PortRead { state, protocol, problem } = port_read;
        // `suggest` writes the problem of a missing one.
        if !is_missing {
            self.set_problem(problem.map(Arc::new), touched);
        }
        // What a Service says of requests is not for connections.
        let of_connections = self.wanted.scheme.is_some_and(AskedScheme::is_of_connections);
        let mut treatment = match of_connections {
            true => Treatment { limits: treatment.limits, ..Treatment::default() },
            false => treatment.clone(),
        };
        if let Some(algorithm) = &self.wanted.algorithm {
            treatment.balancing.algorithm = algorithm.clone();
        }
        treatment.check = self.wanted.check.clone().or(treatment.check);
        treatment.timeouts = self.wanted.timeouts;
        treatment.host = self.wanted.host.unwrap_or(treatment.host);
        let is_treated_anew = self.treatment != treatment;
        self.treatment = treatment;
        if self.set_protocol(protocol) || is_treated_anew {
            touched.routes = true;
            touched.states.insert(number);
        }
        if self.state == state {
            return;
        }
        match (&self.state, &state) {
            (BackendState::Resolved(_), BackendState::Resolved(_)) => {
                touched.endpoints.insert(number);
            }
            _ => touched.routes = true,
        }
        self.state = state;
        touched.states.insert(number);
    }

    /// Returns true if the protocol changed. `compile` finds equal settings without reading them if they
    /// are the same value, so the old one is kept.
    fn set_protocol(&mut self, protocol: Protocol) -> bool {
        let is_other = self.protocol != protocol;
        if is_other {
            self.protocol = protocol;
        }
        is_other
    }

    pub(super) fn set_problem(&mut self, problem: Option<Arc<Problem>>, touched: &mut Touched) {
        if self.problem != problem {
            self.problem = problem;
            touched.readings.extend(&self.users);
        }
    }
}
