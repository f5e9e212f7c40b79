//! `headers`: sets and removes fields; security fields; cross-origin resource sharing (Fetch standard, "CORS
//! protocol").

use super::passage::StepNote;
use super::{RequestView, ResponseView, StepAnswer, Stop};
use crate::error::Reason;
use crate::model::middleware::{AllowedOrigins, Cors, FieldChange, HeaderRules, Security};
use crate::net::fields::Fields;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, STRICT_TRANSPORT_SECURITY, VARY,
};
use http::{HeaderValue, Method};

const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Answers a preflight, refuses hosts that are not allowed, and changes the fields that the pod gets.
pub(super) fn on_request(rules: &HeaderRules, request: &mut RequestView<'_>) -> Result<(), Stop> {
    if let Some(cors) = &rules.cors {
        let headers = request.request.headers();
        let origin = headers.get(ORIGIN).cloned();
        let is_preflight = request.request.method() == Method::OPTIONS
            && origin.is_some()
            && headers.contains(ACCESS_CONTROL_REQUEST_METHOD);
        if is_preflight {
            return Err(preflight(cors, origin.as_ref()).into());
        }
        if let Some(origin) = origin {
            request.note(StepNote::Origin(origin));
        }
    }
    let headers = request.headers();
    change(headers, &rules.request);
    if let Some(host) = &rules.host {
        headers.set(HOST, host.clone());
    }
    check_host(&rules.security, request)
}

/// Changes the fields that the client gets.
pub(super) fn on_response(rules: &HeaderRules, response: &mut ResponseView<'_>) {
    let HeaderRules { security, cors, .. } = rules;
    change(response.headers, &security.fields);
    if let Some(value) = &security.hsts
        && (response.over_tls || security.hsts_always)
    {
        response.headers.set(STRICT_TRANSPORT_SECURITY, value.clone());
    }
    change(response.headers, &rules.response);
    if let Some(cors) = cors {
        let origin = match response.note.take() {
            Some(StepNote::Origin(origin)) => Some(origin),
            _ => None,
        };
        share(cors, origin.as_ref(), response.headers);
    }
}

fn change(headers: &mut impl Fields, changes: &[FieldChange]) {
    for FieldChange { name, value } in changes {
        match value {
            Some(value) => headers.set(name, value.clone()),
            None => drop(headers.remove(name)),
        }
    }
}

/// Whether the host may be asked for: compared without regard to case, with its port.
fn check_host(security: &Security, request: &RequestView<'_>) -> Result<(), Stop> {
    let allowed = &security.allowed_hosts;
    let host = request.origin.target.host.as_bytes();
    if allowed.is_empty() || allowed.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    Err(StepAnswer::of(Reason::HostNotAllowed).into())
}

/// The answer to a preflight: what a browser may send afterwards. Neither pod nor later steps get it.
fn preflight(cors: &Cors, origin: Option<&HeaderValue>) -> StepAnswer {
    let mut answer =
        StepAnswer::of(Reason::CorsPreflight).with_status(cors.preflight).with_body("");
    let headers = &mut answer.headers;
    if cors.credentials {
        headers.set(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    }
    let fields = [
        (ACCESS_CONTROL_ALLOW_HEADERS, &cors.headers),
        (ACCESS_CONTROL_ALLOW_METHODS, &cors.methods),
        (ACCESS_CONTROL_MAX_AGE, &cors.max_age),
    ];
    for (name, value) in fields {
        headers.extend(value.clone().map(|value| (name, value)));
    }
    headers.extend(cors.origins.admit(origin).map(|value| (ACCESS_CONTROL_ALLOW_ORIGIN, value)));
    if cors.vary {
        headers.set(VARY, HeaderValue::from_static("Origin"));
    }
    answer
}

/// Says in a response who may read it.
fn share(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut impl Fields) {
    if let Some(admitted) = cors.origins.admit(origin) {
        headers.set(ACCESS_CONTROL_ALLOW_ORIGIN, admitted);
    }
    if cors.credentials {
        headers.set(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    }
    if let Some(expose) = &cors.expose {
        headers.set(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
    }
    let names_origin = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"origin"))
    };
    if cors.vary && !headers.get_all(VARY).any(names_origin) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

impl AllowedOrigins {
    /// What an origin is told of itself: `*`, or its own name.
    fn admit(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = origin?;
        let text = || origin.to_str().unwrap_or_default();
        let is_known = self.list.contains(origin)
            || self.patterns.iter().any(|pattern| pattern.is_match(text()));
        is_known.then(|| origin.clone())
    }
}
