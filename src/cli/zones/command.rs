//! Commands that change what is set at Cloudflare, with the variable of the token in its place.

use crate::control::zone::{PUBLIC_API, TOKEN_VARIABLE};
use serde_json::Value;

/// A request with a JSON body, for a shell.
pub(super) fn curl(method: &str, path: &str, body: &Value) -> String {
    // Names and addresses come from validated types: none has a quote.
    format!(
        "curl -X {method} {PUBLIC_API}{path} -H \"Authorization: Bearer ${TOKEN_VARIABLE}\" \
         -H \"Content-Type: application/json\" --data '{body}'"
    )
}

/// Sets a setting of a zone.
pub(super) fn set(zone: &str, name: &str, value: &str) -> String {
    let body = serde_json::json!({ "value": value });
    curl("PATCH", &format!("/zones/{zone}/settings/{name}"), &body)
}

/// Deletes something.
pub(super) fn delete(path: &str) -> String {
    format!("curl -X DELETE {PUBLIC_API}{path} -H \"Authorization: Bearer ${TOKEN_VARIABLE}\"")
}
