//! Where objects come from: a directory of manifests, or the watch of a cluster.

use super::objects::Change;
use crate::model::Diagnostic;
use std::any::Any;
use std::fmt;
use std::sync::mpsc::Sender;

/// Messages that wake the control thread.
#[derive(Debug)]
pub enum Wake {
    /// Something in the watched places may have changed.
    Change,
    /// The process is leaving.
    Stop,
}

/// Keeps objects up to date and reports changes. Owned by the control thread.
pub trait Source: fmt::Debug + Send {
    /// Polls for changes. Returns the changes since the last poll, if any; at the first
    /// look that is everything.
    fn look(&mut self) -> Option<Changes>;

    /// Begins to send [`Wake::Change`] when a look is worth while, for as long as what is returned
    /// is held. `None` if changes cannot be noticed: then they are looked for at intervals.
    fn follow(&self, wake: Sender<Wake>) -> Option<Box<dyn Any>>;
}

/// Changes since the last poll.
#[derive(Debug, Default)]
pub struct Changes {
    /// Objects that were added, deleted or changed, without duplicates.
    pub objects: Vec<Change>,
    /// What is wrong with the objects before they are translated, if that is other than before.
    pub findings: Option<Vec<Diagnostic>>,
}
