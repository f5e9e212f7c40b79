//! How an Ingress has its visitors brought to TLS, by annotations.

use super::annotations::{Annotations, HSTS, HTTPS_REDIRECT, field};
use super::report::{Flaw, Report};
use crate::error::Advice;
use crate::model::{Hsts, Https};

/// Reads it. What is not said, or cannot be understood, is as in `default`.
pub(super) fn read(
    annotations: Annotations<'_>,
    default: &Https,
    report: &mut Report<'_>,
) -> Https {
    let redirect = annotations.switch(HTTPS_REDIRECT).unwrap_or_else(|flaw| {
        report.add(&field(HTTPS_REDIRECT), flaw);
        None
    });
    let hsts = match annotations.get(HSTS).map(|text| (text, Hsts::parse(text))) {
        None => default.hsts.clone(),
        Some(("off", _)) => None,
        Some((_, Ok(hsts))) => Some(hsts),
        Some((_, Err(error))) => {
            let (reason, fix) = (error.reason(), error.fix());
            report.add(&field(HSTS), Flaw::invalid("", reason, format!("{fix}, or \"off\"")));
            default.hsts.clone()
        }
    };
    Https { redirect: redirect.unwrap_or(default.redirect), hsts }
}
