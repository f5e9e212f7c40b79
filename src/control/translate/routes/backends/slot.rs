//! One backend, while somebody uses it.

use super::Touched;
use crate::control::translate::report::Problem;
use crate::control::translate::service::PortRead;
use crate::control::translate::wanted::{AskedScheme, Wanted};
use crate::model::{BackendId, BackendSpec, BackendState, Broken, Protocol, Treatment};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One backend.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: Arc<BackendId>,
    pub(super) wanted: Wanted,
    /// Shared with the model.
    pub(super) spec: Arc<BackendSpec>,
    pub(super) problem: Option<Arc<Problem>>,
    /// The Ingresses that name it, by number.
    pub(super) users: BTreeSet<usize>,
}

impl Slot {
    pub(super) fn new(id: Arc<BackendId>) -> Self {
        let spec = BackendSpec {
            key: id.key.clone(),
            // Of a Service: until it is resolved, later in the same update.
            state: BackendState::Broken(id.broken.unwrap_or(Broken::ServiceMissing)),
            protocol: Protocol::Http,
            treatment: Treatment::default(),
        };
        let (wanted, spec) = (Wanted::default(), Arc::new(spec));
        Self { id, wanted, spec, problem: None, users: BTreeSet::new() }
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
        let is_other_protocol = self.spec.protocol != protocol;
        if is_other_protocol || self.spec.treatment != treatment {
            let spec = Arc::make_mut(&mut self.spec);
            spec.treatment = treatment;
            // `compile` finds equal settings without reading them if they are the same value, so the old one is kept.
            if is_other_protocol {
                spec.protocol = protocol;
            }
            touched.replace(number);
        }
        if self.spec.state == state {
            return;
        }
        match (&self.spec.state, &state) {
            (BackendState::Resolved(_), BackendState::Resolved(_)) => {
                touched.endpoints.insert(number);
                touched.states.insert(number);
            }
            _ => touched.replace(number),
        }
        Arc::make_mut(&mut self.spec).state = state;
    }

    pub(super) fn set_problem(&mut self, problem: Option<Arc<Problem>>, touched: &mut Touched) {
        if self.problem != problem {
            self.problem = problem;
            touched.readings.extend(&self.users);
        }
    }
}
