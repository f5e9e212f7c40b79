//! `secret-header`: a field that only the operator's zone adds, with values out of a Secret. None of them is ever quoted.

use super::{Context, Fields, credentials};
use crate::control::quote::quote;
use crate::error::Advice;
use crate::model::Why;
use crate::model::middleware::{SecretRule, SecretSource, Step};
use crate::pki::zone_secret::{SecretValues, secret_name};
use std::sync::Arc;

/// Reads `header` and `secret`. Each key of the Secret has values, one a line.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Step> {
    let header = fields.required("header", "write the name of the field")?;
    let name = secret_name(header)
        .map_err(|error| {
            fields.refuse("header", format!("{} {}", quote(header), error.reason()), error.fix());
        })
        .ok();
    let secret_name = fields.required("secret", "name a Secret with the accepted values")?;
    let secret = credentials::secret(fields, context, secret_name)?;
    let values = credentials::values(&secret);
    match SecretValues::parse(values.values().map(|value| &**value)) {
        Ok(values) => {
            let source = SecretSource::Values(Arc::new(values));
            Some(Step::SecretHeader(Box::new(SecretRule {
                name: name?,
                source,
                hosts: Vec::new(),
            })))
        }
        Err(error) => {
            let reason = format!("Secret {} {}", quote(secret_name), error.reason());
            fields.refuse_for(Why::SecretUnusable, "secret", reason, error.fix());
            None
        }
    }
}
