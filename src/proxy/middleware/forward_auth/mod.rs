//! `forwardAuth`: another server decides on each request. In the words of Traefik, of `auth-url` of
//! ingress-nginx, and of CrowdSec's AppSec component.
//!
//! **Invariant**: a request goes on only if the server has said so. Whatever else comes of asking refuses it.

mod asked;
mod denied;
mod held;

pub(super) use held::hold;

use super::subrequest::{Bounds, Reply, ask};
use super::{RequestView, ResponseView, Services, StepAnswer, twins};
use crate::error::Reason;
use crate::model::middleware::{AuthFlavour, ForwardAuth};
use crate::net::fields::Fields;
use crate::proxy::middleware::StepNote;
use http::header::{self, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use std::time::Duration;

/// How long an auth server may take, with the body of its answer: as in Traefik.
const MOST_TIME: Duration = Duration::from_secs(30);

/// Fields of an answer that say how it is framed, or for which host a request is: never for a request to a pod.
const NEVER_COPIED: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TRAILER,
    header::CONNECTION,
    header::UPGRADE,
];

/// Asks the auth server, and has the request go on or not.
pub(super) async fn wait(
    auth: &ForwardAuth,
    request: &mut RequestView<'_>,
    services: Services<'_>,
) -> Result<(), Box<StepAnswer>> {
    let body = match auth.body {
        Some(bound) => hold(request, bound, services.account).await?,
        None => None,
    };
    let asked = asked::of(auth, request, body.as_deref()).map_err(StepAnswer::of)?;
    let bounds = Bounds { time: MOST_TIME, body: auth.max_response_body };
    let reply = ask(&auth.service.backend, asked, services, bounds).await.map_err(|reason| {
        tracing::debug!(backend = %auth.service.backend, why = reason.label(), "no auth answer");
        StepAnswer::of(match reason {
            Reason::MemoryExhausted => reason,
            _ => Reason::AuthUnavailable,
        })
    })?;
    let accepts = match auth.flavour {
        AuthFlavour::AppSec(_) => reply.status == StatusCode::OK,
        AuthFlavour::Traefik | AuthFlavour::Nginx => reply.status.is_success(),
    };
    if !accepts {
        return Err(Box::new(denied::answer(auth, request, reply)));
    }
    accept(auth, request, &reply);
    Ok(())
}

/// Removes what the client itself says of what the auth server would.
pub(super) fn forget(auth: &ForwardAuth, request: &mut RequestView<'_>) {
    let headers = request.headers();
    for name in auth.response_fields.iter().filter(|name| !NEVER_COPIED.contains(name)) {
        twins::remove(headers, name);
    }
    if let Some(pattern) = &auth.response_pattern {
        let may_copy = |name: &str| !NEVER_COPIED.iter().any(|never| never == name);
        twins::remove_matching(headers, |name: &str| {
            may_copy(name) && pattern.is_match(&twins::canonical(name))
        });
    }
}

/// Tells the pod what the auth server said of the client. What the client says of that itself is removed.
fn accept(auth: &ForwardAuth, request: &mut RequestView<'_>, reply: &Reply) {
    let headers = request.headers();
    for name in auth.response_fields.iter().filter(|name| !NEVER_COPIED.contains(name)) {
        twins::remove(headers, name);
        copy(&reply.headers, name, headers);
    }
    if let Some(pattern) = &auth.response_pattern {
        let matches = |name: &str| pattern.is_match(&twins::canonical(name));
        let may_copy = |name: &str| !NEVER_COPIED.iter().any(|never| never == name);
        let is_due = |name: &str| may_copy(name) && matches(name);
        twins::remove_matching(headers, is_due);
        for name in reply.headers.names().filter(|name| is_due(name.as_str())) {
            headers.remove(name);
            copy(&reply.headers, name, headers);
        }
    }
    let cookies = cookies(auth, &reply.headers);
    if !cookies.is_empty() {
        request.note(StepNote::Cookies(cookies));
    }
}

fn copy(from: &impl Fields, name: &HeaderName, to: &mut impl Fields) {
    for value in from.get_all(name) {
        to.append(name, value.clone());
    }
}

/// The cookies of an answer that the client gets. ingress-nginx passes all of them on.
fn cookies(auth: &ForwardAuth, headers: &impl Fields) -> Vec<HeaderValue> {
    let all = headers.get_all(SET_COOKIE);
    let is_wanted = |value: &&HeaderValue| {
        auth.flavour == AuthFlavour::Nginx
            || auth.cookies.iter().any(|name| name.as_bytes() == cookie_name(value))
    };
    all.filter(is_wanted).cloned().collect()
}

fn cookie_name(value: &HeaderValue) -> &[u8] {
    value.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// Gives the client the cookies of the auth server, in place of the pod's of the same names.
pub(super) fn on_response(response: &mut ResponseView<'_>) {
    let Some(StepNote::Cookies(cookies)) = response.note.take() else { return };
    let names: Vec<&[u8]> = cookies.iter().map(cookie_name).collect();
    let of_pod = response.headers.get_all(SET_COOKIE);
    let others: Vec<HeaderValue> =
        of_pod.filter(|value| !names.contains(&cookie_name(value))).cloned().collect();
    response.headers.remove(SET_COOKIE);
    for value in others.into_iter().chain(cookies) {
        response.headers.append(SET_COOKIE, value);
    }
}
