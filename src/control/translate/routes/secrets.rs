//! The Secrets that Ingresses name, each looked at once, and who names them.

use super::{Map, Name, Touched};
use crate::certificate::Certificate;
use crate::control::objects::Objects;
use crate::control::translate::report::Flaw;
use crate::control::translate::secret;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The Secrets in use.
#[derive(Debug, Default)]
pub(super) struct Secrets(Map<Name, InUse>);

#[derive(Debug, Default)]
struct InUse {
    certificate: Option<Arc<Certificate>>,
    flaw: Option<Flaw>,
    /// The Ingresses that name it, by number.
    users: BTreeSet<usize>,
}

impl Secrets {
    /// Adds a user.
    pub(super) fn acquire(&mut self, name: &Name, user: usize, touched: &mut Touched) {
        let in_use = self.0.entry(name.clone()).or_default();
        if in_use.users.is_empty() {
            touched.secrets.insert(name.clone());
        }
        in_use.users.insert(user);
    }

    /// Takes a user away. A Secret without users is forgotten.
    pub(super) fn release(&mut self, name: &Name, user: usize) {
        if let Some(in_use) = self.0.get_mut(name) {
            in_use.users.remove(&user);
            if in_use.users.is_empty() {
                self.0.remove(name);
            }
        }
    }

    /// Looks at a Secret, if it is in use.
    pub(super) fn check(&mut self, objects: &Objects, wanted: &Name, touched: &mut Touched) {
        let Some(in_use) = self.0.get_mut(wanted) else {
            return;
        };
        let (namespace, name) = wanted;
        let secret = objects.secrets().get(namespace, name).map(|secret| &**secret);
        let (certificate, flaw) = match secret::read(namespace, name, secret) {
            Ok(certificate) => (Some(Arc::new(certificate)), None),
            Err(flaw) => (None, Some(flaw)),
        };
        let is_same = match (&certificate, &in_use.certificate) {
            (Some(now), Some(before)) => now.is_same(before),
            (now, before) => now.is_none() == before.is_none(),
        };
        touched.certificates |= !is_same;
        in_use.certificate = certificate;
        if in_use.flaw != flaw {
            in_use.flaw = flaw;
            touched.readings.extend(&in_use.users);
        }
    }

    /// The certificate in a Secret, if there is one that can be used.
    pub(super) fn certificate(&self, name: &Name) -> Option<&Arc<Certificate>> {
        self.0.get(name)?.certificate.as_ref()
    }

    /// What is wrong with a Secret, for every Ingress that names it.
    pub(super) fn flaw(&self, name: &Name) -> Option<&Flaw> {
        self.0.get(name)?.flaw.as_ref()
    }
}
