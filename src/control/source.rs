//! Where objects come from: a directory of manifests, or the watch of a cluster.

use super::objects::Objects;
use super::reconcile::Wake;
use crate::model::Rejected;
use std::any::Any;
use std::fmt;
use std::sync::mpsc::Sender;

/// Keeps objects up to date and says when they change. Owned by the control thread.
pub trait Source: fmt::Debug + Send {
    /// Looks for changes. Returns whether objects or findings are other than at the last look.
    fn look(&mut self) -> bool;

    /// The objects as of the last look.
    fn objects(&self) -> Objects;

    /// What is wrong with the objects before they are translated, sorted.
    fn findings(&self) -> Vec<Rejected>;

    /// Begins to send [`Wake::Change`] when a look is worth while, for as long as what is returned
    /// is held. `None` if changes cannot be noticed: then they are looked for at intervals.
    fn follow(&self, wake: Sender<Wake>) -> Option<Box<dyn Any>>;
}
