//! What the parts of a table have together, counted part by part: nothing that a change has not touched is looked at.

use super::part::Part;
use std::sync::Arc;

/// What all parts have together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) routes: usize,
    pub(super) hosts: usize,
    /// The parts that have wildcards.
    with_wildcards: usize,
    /// The parts that have rules with an order of their own.
    with_ordered: usize,
}

impl Counts {
    pub(super) fn of(parts: &[Arc<Part>]) -> Self {
        let mut counts = Self::default();
        parts.iter().for_each(|part| counts.add(part));
        counts
    }

    /// Whether a host is a wildcard.
    pub(super) fn has_wildcards(&self) -> bool {
        self.with_wildcards > 0
    }

    /// Whether a rule has an order of its own.
    pub(super) fn has_ordered(&self) -> bool {
        self.with_ordered > 0
    }

    fn add(&mut self, part: &Part) {
        self.routes += part.routes.len();
        self.hosts += part.host_count();
        self.with_wildcards += usize::from(part.has_wildcards());
        self.with_ordered += usize::from(!part.ordered.is_empty());
    }

    /// Counts a part instead of another one.
    pub(super) fn exchange(&mut self, old: &Part, new: &Part) {
        self.add(new);
        self.routes -= old.routes.len();
        self.hosts -= old.host_count();
        self.with_wildcards -= usize::from(old.has_wildcards());
        self.with_ordered -= usize::from(!old.ordered.is_empty());
    }
}
