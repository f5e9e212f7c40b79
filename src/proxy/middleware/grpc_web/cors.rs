//! Cross-origin resource sharing of gRPC-Web (Fetch standard, CORS protocol), as Traefik has it: credentials are
//! allowed, and preflights are answered that name `X-Grpc-Web`.

use super::super::StepAnswer;
use crate::error::Reason;
use crate::net::fields::Fields;
use crate::net::message::Request;
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN,
    VARY,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const X_GRPC_WEB: &[u8] = b"x-grpc-web";

/// Methods that a preflight may ask for.
const METHODS: [&[u8]; 3] = [b"POST", b"GET", b"HEAD"];

/// `Origin`, if it is one that may call.
pub(super) fn allowed(origins: &[Arc<str>], headers: &impl Fields) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let is_it = |one: &Arc<str>| &**one == "*" || one.as_bytes() == origin.as_bytes();
    origins.iter().any(is_it).then(|| origin.clone())
}

/// The answer to a preflight for a call.
pub(super) fn preflight<B>(origins: &[Arc<str>], request: &Request<B>) -> Option<StepAnswer> {
    let headers = request.headers();
    let (asked, method) =
        (headers.get(ACCESS_CONTROL_REQUEST_HEADERS)?, headers.get(ACCESS_CONTROL_REQUEST_METHOD)?);
    let mut names = asked.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let is_for_calls = names.any(|name| name.eq_ignore_ascii_case(X_GRPC_WEB));
    if *request.method() != Method::OPTIONS || !is_for_calls {
        return None;
    }
    let mut answer = StepAnswer::of(Reason::CorsPreflight).with_body("");
    for name in [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
        answer = answer.with(VARY, HeaderValue::from(name));
    }
    let Some(origin) = allowed(origins, headers) else { return Some(answer) };
    if !METHODS.contains(&method.as_bytes()) {
        return Some(answer);
    }
    let answer = answer
        .with(ACCESS_CONTROL_ALLOW_ORIGIN, origin)
        .with(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"))
        .with(ACCESS_CONTROL_ALLOW_METHODS, method.clone())
        .with(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone())
        .with(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(answer)
}

/// Lets an origin that may call read the response, with all of its fields and the status.
pub(super) fn on_response(origin: Option<&HeaderValue>, headers: &mut impl Fields) {
    headers.append(VARY, HeaderValue::from(ORIGIN));
    let Some(origin) = origin else { return };
    headers.set(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.set(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let mut exposed: BTreeSet<&str> =
        headers.iter().map(|(name, _): (&HeaderName, _)| name.as_str()).collect();
    exposed.extend(["grpc-status", "grpc-message"]);
    let exposed = exposed.into_iter().collect::<Vec<_>>().join(", ");
    // Names of fields are always a value.
    if let Ok(exposed) = HeaderValue::try_from(exposed) {
        headers.set(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}
