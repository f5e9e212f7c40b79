//! All findings, kept up to date by what each reader finds.
//!
//! Several readers may find the same, as the file of a manifest and the translation of its object
//! do: it is listed once, for as long as one of them does.

use crate::model::Diagnostic;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one reader found: sorted, each once.
pub(super) type Reported = Box<[Arc<Diagnostic>]>;

/// The findings of all readers, sorted, with the number of readers that have each.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: BTreeMap<Arc<Diagnostic>, usize>,
    changed: bool,
}

impl Findings {
    /// Puts what a reader finds now in the place of what it found before.
    pub(super) fn replace(&mut self, found: &mut Reported, mut now: Vec<Diagnostic>) {
        if found.is_empty() && now.is_empty() {
            return;
        }
        now.sort();
        now.dedup();
        if found.iter().map(|old| &**old).eq(&now) {
            return;
        }
        let now: Reported = now.into_iter().map(|finding| self.add(finding)).collect();
        for old in std::mem::replace(found, now) {
            self.remove(&old);
        }
    }

    /// Whether a finding has come or gone since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// All of them, sorted, each once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.keys().map(|finding| &**finding)
    }

    /// The same as a list that others may hold.
    pub(super) fn list(&self) -> Arc<[Arc<Diagnostic>]> {
        self.all.keys().cloned().collect()
    }

    fn add(&mut self, finding: Diagnostic) -> Arc<Diagnostic> {
        let finding = match self.all.get_key_value(&finding) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(finding),
        };
        let readers = self.all.entry(Arc::clone(&finding)).or_default();
        *readers += 1;
        self.changed |= *readers == 1;
        finding
    }

    fn remove(&mut self, finding: &Arc<Diagnostic>) {
        if let Some(readers) = self.all.get_mut(finding) {
            *readers -= 1;
            if *readers == 0 {
                self.all.remove(finding);
                self.changed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, ObjectRef, Severity, Why};

    fn mk_finding(name: &str) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            object: ObjectRef::new(Kind::Service, "default", name),
            field: String::new(),
            why: Why::Invalid,
            reason: String::new(),
            fix: String::new(),
        }
    }

    #[test]
    fn a_finding_is_listed_once_and_for_as_long_as_a_reader_has_it() {
        let mut findings = Findings::default();
        let (mut one, mut other) = (Reported::default(), Reported::default());
        let names = |findings: &Findings| {
            findings.list().iter().map(|f| f.object.name.to_string()).collect::<Vec<_>>()
        };
        findings.replace(&mut one, ["b", "a", "a"].map(mk_finding).into());
        assert_eq!(names(&findings), ["a", "b"]);
        assert!(findings.take_changed());
        findings.replace(&mut other, ["a"].map(mk_finding).into());
        findings.replace(&mut one, ["b"].map(mk_finding).into());
        assert!(!findings.take_changed(), "the other reader still has it");
        assert_eq!(names(&findings), ["a", "b"]);
        findings.replace(&mut other, Vec::new());
        assert!(findings.take_changed());
        assert_eq!(names(&findings), ["b"]);
    }
}
