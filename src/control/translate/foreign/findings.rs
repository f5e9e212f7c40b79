//! What is said of annotations that are not obeyed.

use super::others::Mend;
use super::{Controller, Guard, IGNORE, Outcome, Subject};
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::control::translate::annotations::{Annotations, field, ignored};
use crate::control::translate::report::{Problem, Report};
use crate::model::{Severity, Why};

/// One annotation, and where findings about it go.
pub(super) struct Say<'a, 'r> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) subject: Subject<'a>,
    pub(super) report: &'a mut Report<'r>,
    /// The fix for an unknown annotation that restricts.
    pub(super) mend: Option<Mend>,
}

impl Say<'_, '_> {
    fn add(&mut self, severity: Severity, why: Why, reason: String, fix: impl Into<String>) {
        self.report.add(&field(self.name), Problem::error(why, "", reason, fix).with(severity));
    }

    /// The routes that an annotation is for.
    fn routes(&self) -> &'static str {
        match self.subject {
            Subject::Ingress(_) => "the routes of this Ingress answer 503",
            Subject::Service => "the routes to this Service answer 503",
        }
    }

    /// The finding about an annotation that ravelin or another controller reads.
    pub(super) fn outcome(&mut self, outcome: Outcome) {
        let serve_without = format!("list it in {IGNORE} to serve without it");
        match outcome {
            Outcome::Obeyed => {}
            Outcome::Tunes(instead) => {
                self.add(Severity::Info, Why::AnnotationIgnored, not_obeyed(instead), "");
            }
            Outcome::Differs(instead, fix) => {
                self.add(Severity::Warning, Why::AnnotationIgnored, not_obeyed(instead), fix);
            }
            Outcome::Restricts(guard) => {
                let mend = match self.mend.take() {
                    Some(mend) => mend.order(),
                    None => format!("{}; then remove it", guard.instead()),
                };
                let (what, routes) = (self.restriction(guard), self.routes());
                let reason = format!("{what}, and is not supported: {routes}");
                let fix = format!("{mend}, or {serve_without}");
                self.add(Severity::Error, Why::RestrictionUnsupported, reason, fix);
            }
            Outcome::Alters(change) => {
                let (what, instead, routes) = (change.what(), change.instead(), self.routes());
                let reason = format!("{what}, and is not supported: {routes}");
                let fix = format!("{instead}; then remove it, or {serve_without}");
                self.add(Severity::Error, Why::AnnotationUnsupported, reason, fix);
            }
            Outcome::LeftOut => {
                let reason =
                    "makes this Ingress a canary with no share of requests: it is ignored, and the \
                        other Ingress of its hosts gets all requests"
                        .to_owned();
                let fix = format!("remove the Ingress, or {serve_without}, like any other Ingress");
                self.add(Severity::Error, Why::AnnotationUnsupported, reason, fix);
            }
        }
    }

    /// What a restriction does; with its value where that is no secret and says something.
    fn restriction(&self, guard: Guard) -> String {
        match guard {
            Guard::Middlewares | Guard::Sources | Guard::Rate | Guard::Body => {
                format!("{} {}", quote(self.value), guard.what())
            }
            Guard::Authentication
            | Guard::Certificate
            | Guard::Firewall
            | Guard::Snippet
            | Guard::Condition
            | Guard::PodTls
            | Guard::UnknownRouterKey
            | Guard::Unread
            | Guard::Unknown => guard.what().to_owned(),
        }
    }

    /// Says of an annotation that is listed in [`IGNORE`] what is served without. Whether there is
    /// anything to ignore.
    pub(super) fn ignored(&mut self, outcome: Outcome) -> bool {
        let what = match outcome {
            Outcome::Restricts(guard) => guard.what(),
            Outcome::Alters(change) => change.what(),
            Outcome::LeftOut => "makes this Ingress a canary",
            Outcome::Obeyed | Outcome::Tunes(_) | Outcome::Differs(..) => return false,
        };
        self.report.add(&field(self.name), ignored(Some(what)));
        true
    }

    /// Says of a key that its controller does not know. `meant`: what it does below another prefix.
    pub(super) fn unknown(&mut self, controller: &Controller, meant: Option<Guard>, mend: &Mend) {
        let name = controller.name;
        if let Some(guard) = meant.filter(|_| !self.value.is_empty()) {
            let what = guard.what();
            let reason = format!(
                "{what}, by its name, but is not an annotation of {name}: it has no effect, and it protects nothing"
            );
            let fix = format!("{}, and remove it", guard.instead());
            return self.add(Severity::Warning, Why::AnnotationIgnored, reason, fix);
        }
        let reason = format!("is not an annotation of {name}: it has no effect");
        self.add(Severity::Warning, Why::UnknownField, reason, mend.question());
    }

    /// Says of an annotation that its controller does not read it on such an object.
    pub(super) fn misplaced(&mut self, controller: &Controller, outcome: Outcome) {
        let (here, there) = match self.subject {
            Subject::Ingress(_) => ("an Ingress", "Service"),
            Subject::Service => ("a Service", "Ingress"),
        };
        let name = controller.name;
        let reason = match outcome {
            Outcome::Restricts(guard) => {
                let what = guard.what();
                format!("{what}, but {name} does not read it on {here}: it protects nothing")
            }
            _ => format!("has no effect on {here}, not even with {name}"),
        };
        let fix = format!("move it to the {there}, or remove it");
        self.add(Severity::Warning, Why::AnnotationIgnored, reason, fix);
    }

    /// Reports an annotation of ravelin that has no effect.
    pub(super) fn unread(&mut self, mend: &Mend) {
        let reason = "is unknown, and has no effect".to_owned();
        self.add(Severity::Warning, Why::UnknownField, reason, mend.question());
    }

    /// Says of an annotation whose controller has no table.
    pub(super) fn strange(&mut self, controller: &str) {
        let reason = format!("is an annotation of {controller}, and is not supported");
        self.add(Severity::Info, Why::AnnotationIgnored, reason, "");
    }
}

impl Mend {
    pub(super) fn of(near: Option<String>) -> Self {
        near.map_or(Self::Remove, Self::Write)
    }

    /// As the first of two things to do.
    fn order(&self) -> String {
        match self {
            Self::Write(near) => format!("write {near}"),
            Self::Move(kind) => format!("move it to the {kind}"),
            Self::Remove => "remove it".to_owned(),
        }
    }

    /// As the one fix.
    fn question(&self) -> String {
        match self {
            Self::Write(near) => format!("did you mean {near}?"),
            Self::Move(_) | Self::Remove => self.order(),
        }
    }
}

fn not_obeyed(instead: &str) -> String {
    format!("is not supported: {instead}")
}

/// Reports what [`IGNORE`] lists and the object does not have.
pub(super) fn check_ignored(
    annotations: Annotations<'_>,
    ignored: &[&str],
    report: &mut Report<'_>,
) {
    for name in ignored.iter().filter(|name| annotations.get(name).is_none()) {
        let reason = format!("lists {}, which this object does not have", quote(name));
        let fix = match nearest(name, annotations.all().map(|(name, _)| name)) {
            Some(near) => format!("did you mean {near}?"),
            None => "write whole names, separated by commas".to_owned(),
        };
        let problem = Problem::error(Why::Invalid, "", reason, fix).with(Severity::Warning);
        report.add(&field(IGNORE), problem);
    }
}
