//! Diagnostics of the readers of this module: the problem without its place, and the place added.

use crate::model::{Diagnostic, ObjectRef, Severity, Why};

/// What becomes of a route whose backend is not usable.
pub(super) const UNSERVED: &str = "requests get 503";

/// What is wrong with one value. [`Report`] makes a [`Diagnostic`] of it, as the readers of values do not know
/// the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) severity: Severity,
    pub(super) why: Why,
    /// Path of the field below what was looked at.
    pub(super) field: &'static str,
    pub(super) reason: String,
    pub(super) fix: String,
}

impl Problem {
    /// Something that is not served.
    pub(super) fn error(
        why: Why,
        field: &'static str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Error, why, field, reason: reason.into(), fix: fix.into() }
    }

    /// A value that the API server would have refused.
    pub(super) fn invalid(
        field: &'static str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::error(Why::Invalid, field, reason, fix)
    }

    /// The same with another severity.
    pub(super) fn with(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same where it does not leave a route unserved, with what happens instead of that.
    pub(super) fn but(mut self, what: &str) -> Self {
        self.fix = self.fix.replace(UNSERVED, what);
        self
    }

    /// The same where everything is served, with what happens instead.
    pub(super) fn served(self, what: &str) -> Self {
        let severity = self.severity.max(Severity::Warning);
        self.but(what).with(severity)
    }
}

/// Leaves out what makes no difference, unless details are asked for.
pub(super) fn leave_out_details(findings: &mut Vec<Diagnostic>, details: bool) {
    findings.retain(|finding| details || finding.severity != Severity::Info);
}

/// The findings about one object.
pub(super) struct Report<'a> {
    object: &'a ObjectRef,
    findings: &'a mut Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    pub(super) fn new(object: &'a ObjectRef, findings: &'a mut Vec<Diagnostic>) -> Self {
        Self { object, findings }
    }

    /// Adds a problem under the whole path of its field.
    pub(super) fn add(&mut self, field: &str, problem: Problem) {
        let Problem { severity, why, field: _, reason, fix } = problem;
        let (object, field) = (self.object.clone(), field.to_owned());
        self.findings.push(Diagnostic { severity, object, field, why, reason, fix });
    }

    /// Adds a problem under a path that ends with the problem's own field.
    pub(super) fn add_below(&mut self, parent: &str, problem: Problem) {
        let field = match (parent, problem.field) {
            (parent, "") => parent.to_owned(),
            ("", field) => field.to_owned(),
            (parent, field) => format!("{parent}.{field}"),
        };
        self.add(&field, problem);
    }
}
