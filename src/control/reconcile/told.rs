//! What the log says of findings: a line each, of many alike the first ones and how many more there are. A
//! start with 5 000 broken Ingresses writes a page, and not the log of a day.

use crate::model::{Diagnostic, Kind, Severity, Why};
use std::collections::BTreeMap;

/// Lines of one sort for each table: as many as fit on a screen.
const MOST: usize = 20;

/// Findings that are alike: of a severity and a cause, about objects of a kind.
type Sort = (Severity, Kind, Why);

/// Those that have a line, and of each sort how many have none.
fn bounded<'f>(findings: &[&'f Diagnostic]) -> (Vec<&'f Diagnostic>, BTreeMap<Sort, usize>) {
    let mut seen: BTreeMap<Sort, usize> = BTreeMap::new();
    // That nothing is served is a block of its own.
    let findings = findings.iter().filter(|finding| finding.why != Why::NothingServed);
    let has_line = |finding: &&&Diagnostic| {
        let count = seen.entry((finding.severity, finding.object.kind, finding.why)).or_default();
        *count += 1;
        *count <= MOST
    };
    let lines = findings.filter(has_line).copied().collect();
    seen.retain(|_, count| *count > MOST);
    seen.values_mut().for_each(|count| *count -= MOST);
    (lines, seen)
}

/// Logs new problems.
pub(super) fn news(findings: &[&Diagnostic]) {
    let (lines, more) = bounded(findings);
    for finding in lines {
        let (object, field) = (&finding.object, &finding.field);
        let (reason, fix) = (&finding.reason, &finding.fix);
        match finding.severity {
            Severity::Error => {
                tracing::warn!(%object, %field, %reason, %fix, "not served as written");
            }
            Severity::Warning => {
                tracing::info!(%object, %field, %reason, %fix, "possibly not served as intended");
            }
            Severity::Info => tracing::debug!(%object, %field, %reason, "not for this ravelin"),
        }
    }
    let fix = "`ravelin check` lists them";
    for ((severity, kind, why), more) in more {
        let (kind, why) = (kind.as_str(), why.as_str());
        match severity {
            Severity::Error => tracing::warn!(more, kind, why, fix, "more not served as written"),
            Severity::Warning => {
                tracing::info!(more, kind, why, fix, "more possibly not served as intended");
            }
            Severity::Info => tracing::debug!(more, kind, why, "more not for this ravelin"),
        }
    }
}

/// Logs errors that were resolved.
pub(super) fn mended(findings: &[&Diagnostic]) {
    let is_error = |finding: &&&Diagnostic| finding.severity == Severity::Error;
    let errors: Vec<&Diagnostic> = findings.iter().filter(is_error).copied().collect();
    let (lines, more) = bounded(&errors);
    for finding in lines {
        tracing::info!(object = %finding.object, field = %finding.field, "resolved");
    }
    for ((_, kind, why), more) in more {
        tracing::info!(more, kind = kind.as_str(), why = why.as_str(), "more resolved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectRef;

    fn mk_finding(kind: Kind, why: Why, number: usize) -> Diagnostic {
        let object = ObjectRef::new(kind, "shop", &format!("x-{number}"));
        let (field, reason, fix) = (String::new(), "is broken".to_owned(), "fix it".to_owned());
        Diagnostic { severity: Severity::Error, object, field, why, reason, fix }
    }

    #[test]
    fn of_many_alike_the_first_have_a_line_and_the_others_are_counted() {
        let broken =
            (0..5_000).map(|number| mk_finding(Kind::Ingress, Why::ServiceMissing, number));
        let others = [
            mk_finding(Kind::Ingress, Why::SecretUnusable, 0),
            mk_finding(Kind::Service, Why::ServiceMissing, 0),
        ];
        let all: Vec<Diagnostic> = broken.chain(others).collect();
        let all: Vec<&Diagnostic> = all.iter().collect();
        let (lines, more) = bounded(&all);
        assert_eq!(lines.len(), MOST + 2);
        assert_eq!(lines[..MOST], all[..MOST]);
        assert_eq!(lines[MOST..], all[5_000..]);
        let sort = (Severity::Error, Kind::Ingress, Why::ServiceMissing);
        assert_eq!(more.into_iter().collect::<Vec<_>>(), [(sort, 4_980)]);
        let (lines, more) = bounded(&all[..MOST]);
        assert_eq!((lines.len(), more.len()), (MOST, 0));
    }
}
