//! What ravelin does not serve yet. A route that needs one of these is not compared: it has to answer 503 with
//! its reason, so an entry that is served fails the test until it is taken out.

use crate::cases::Case;
use crate::client::Response;
use crate::differences::like;

/// Types of middlewares, annotations without their prefix, words of `needs`, and cases by their ids.
const NOT_YET: &[&str] = &["annotations/tls-options-missing"];

/// Reasons of ravelin for what it does not serve.
const REASONS: [&str; 3] =
    ["restriction_unsupported", "annotation_unsupported", "middleware_unusable"];

/// Entries that a case needs.
pub(crate) fn needed(case: &Case) -> Vec<&'static str> {
    let kinds = case.kinds();
    let is_needed = |entry: &&&str| kinds.contains(**entry) || like(entry, &case.id());
    NOT_YET.iter().filter(is_needed).copied().collect()
}

/// Entries that no case needs.
pub(crate) fn without_case(cases: &[Case]) -> Vec<&'static str> {
    let used: Vec<&str> = cases.iter().flat_map(needed).collect();
    NOT_YET.iter().filter(|entry| !used.contains(entry)).copied().collect()
}

/// Whether ravelin refuses the route as a whole.
pub(crate) fn is_refused(response: &Response) -> bool {
    let body = String::from_utf8_lossy(&response.body);
    response.status == 503 && REASONS.iter().any(|reason| body.contains(reason))
}
