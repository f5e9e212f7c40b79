//! How large the bodies of an Ingress's requests may be, by annotations: ours, that of ingress-nginx, and
//! those of HAProxy Ingress. Ours comes first; of the others the smallest counts.
//!
//! A limit protects, so that one which is not understood leaves its routes with 503.

use super::annotations::{Annotations, MAX_BODY_SIZE, field};
use super::foreign;
use super::report::{Problem, Report};
use crate::config;
use crate::model::Broken;
use std::num::NonZeroU64;

/// Reads it. An error is why nothing of the Ingress is served, which has been reported.
pub(super) fn read(
    annotations: Annotations<'_>,
    report: &mut Report<'_>,
) -> Result<Option<NonZeroU64>, Broken> {
    let Some(text) = annotations.get(MAX_BODY_SIZE) else {
        return Ok(foreign::body_size(annotations));
    };
    let size = config::size(text).map_err(|fault| (fault.problem, fault.fix));
    let none = || ("is not a size".to_owned(), "remove it for no limit".to_owned());
    let size = size.and_then(|bytes| NonZeroU64::new(bytes as u64).ok_or_else(none));
    size.map(Some).map_err(|(reason, fix)| {
        let fix = format!("{fix}; until then the routes of this Ingress answer 503");
        report.add(&field(MAX_BODY_SIZE), Problem::invalid("", reason, fix));
        Broken::Restricted
    })
}
