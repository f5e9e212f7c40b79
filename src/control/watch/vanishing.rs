//! Kinds whose CustomResourceDefinition is deleted or gone while their objects are served on: what is said of them, and
//! where a process that starts in that state has the objects from.

use super::cluster::Cluster;
use super::scope::Scope;
use crate::control::objects::Object;
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Reads the objects of a scope as an earlier process knew them.
type Read = Box<dyn Fn(&Scope) -> Vec<Object> + Send + Sync>;

/// The kinds that are held.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// How many objects of each kind are served as they were.
    kinds: BTreeMap<Kind, usize>,
    /// Whether that has changed since it was last told.
    is_news: bool,
}

/// What else a cluster is told at its start.
#[derive(Default)]
pub(super) struct Bequest {
    /// `source.ingress_class`: Events and findings about whole kinds are about it.
    class: OnceLock<Arc<str>>,
    kept: OnceLock<Read>,
}

impl fmt::Debug for Bequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bequest").field("class", &self.class).finish_non_exhaustive()
    }
}

impl Held {
    /// What is to be said now, if it is other than before.
    pub(super) fn take_news(&mut self, bequest: &Bequest) -> Option<Vec<Diagnostic>> {
        if !std::mem::take(&mut self.is_news) {
            return None;
        }
        let class = bequest.class.get().map_or("", |class| class);
        Some(self.kinds.iter().map(|(kind, objects)| finding(*kind, *objects, class)).collect())
    }
}

fn finding(kind: Kind, objects: usize, class: &str) -> Diagnostic {
    let kind = kind.as_str();
    Diagnostic {
        severity: Severity::Error,
        object: ObjectRef::new(Kind::IngressClass, "", class),
        field: format!("CustomResourceDefinition of {kind}"),
        why: Why::Vanishing,
        reason: format!(
            "is deleted, and all objects of the kind with it: the {objects} that were known are served on, for as long as this process \
             runs, and by the next one only from a last-good state (state.cluster) in the same directory"
        ),
        fix: "install the definition again and apply the objects (deploy/swap-from-traefik.md), and replace no pod until then; if nothing \
              of them is to stay, remove last-good.jsonl from state.directory and restart"
            .to_owned(),
    }
}

impl Cluster {
    /// Names the IngressClass that findings about whole kinds are about. The first one that is given stays.
    pub fn speak_of(&self, class: &str) {
        let _ = self.bequest.class.set(class.into());
    }

    /// Has the objects of a kind without definition read by `kept`, at the start: those that an earlier process knew.
    pub fn inherit(&self, kept: impl Fn(&Scope) -> Vec<Object> + Send + Sync + 'static) {
        let _ = self.bequest.kept.set(Box::new(kept));
    }

    /// The objects of a scope as an earlier process knew them; none if nothing was kept.
    pub(super) fn inherited(&self, scope: &Scope) -> Vec<Object> {
        self.bequest.kept.get().map_or_else(Vec::new, |kept| kept(scope))
    }

    /// Notes that the objects of a kind are served on without its definition: so many, or no longer.
    pub(super) fn note_held(&self, kind: Kind, objects: Option<usize>) {
        self.with_held(|held| {
            let before = match objects {
                Some(objects) => held.kinds.insert(kind, objects),
                None => held.kinds.remove(&kind),
            };
            held.is_news |= before != objects;
        });
    }
}
