//! What a client gets that an auth server has refused.

use super::super::subrequest::Reply;
use super::super::{RequestView, StepAnswer};
use crate::error::Reason;
use crate::model::middleware::{AuthFlavour, ForwardAuth, SignIn};
use crate::net::fields::Fields;
use http::header::{self, HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{StatusCode, Uri};

/// The answer for a client, made of that of the auth server.
pub(super) fn answer(auth: &ForwardAuth, request: &RequestView<'_>, reply: Reply) -> StepAnswer {
    match (&auth.flavour, &auth.sign_in) {
        (AuthFlavour::AppSec(_), _) => of_appsec(&reply),
        (_, Some(sign_in)) if reply.status == StatusCode::UNAUTHORIZED => {
            let mut answer = to_sign_in(sign_in, request);
            if auth.flavour == AuthFlavour::Nginx {
                let cookies = reply.headers.get_all(SET_COOKIE);
                answer.headers.extend(cookies.map(|cookie| (SET_COOKIE, cookie.clone())));
            }
            answer
        }
        (AuthFlavour::Nginx, _) => of_nginx(&reply),
        (AuthFlavour::Traefik, _) => as_it_is(auth, reply),
    }
}

/// Status, fields and body as the auth server has sent them.
fn as_it_is(auth: &ForwardAuth, Reply { status, mut headers, body }: Reply) -> StepAnswer {
    // Of what is sent here, which with HEAD is nothing.
    headers.remove(header::CONTENT_LENGTH);
    if !auth.keep_location
        && let Some(location) = headers.get(LOCATION)
        && let Some(resolved) = resolved(&auth.service.uri, location)
    {
        headers.set(LOCATION, resolved);
    }
    StepAnswer { headers, ..StepAnswer::of(Reason::AuthDenied).with_status(status).with_body(body) }
}

/// ngx_http_auth_request_module: 401 with its challenge, and 403. nginx takes other answers for errors; to refuse
/// with the other statuses of clients' faults is as safe, and tells more.
fn of_nginx(reply: &Reply) -> StepAnswer {
    if !reply.status.is_client_error() {
        return StepAnswer::of(Reason::AuthUnavailable);
    }
    let mut answer = StepAnswer::of(Reason::AuthDenied).with_status(reply.status);
    if reply.status == StatusCode::UNAUTHORIZED {
        let challenges = reply.headers.get_all(WWW_AUTHENTICATE);
        answer.headers.extend(challenges.map(|value| (WWW_AUTHENTICATE, value.clone())));
    }
    answer
}

/// CrowdSec documentation, "WAF / Bouncer Communication Protocol": 403 with what to do, 401 for a wrong key, 500
/// for an error. A captcha cannot be shown here, so that it is a refusal.
fn of_appsec(reply: &Reply) -> StepAnswer {
    if reply.status != StatusCode::FORBIDDEN {
        return StepAnswer::of(Reason::AuthUnavailable);
    }
    let told: Option<u16> = serde_json::from_slice::<serde_json::Value>(&reply.body)
        .ok()
        .and_then(|told| told.get("http_status")?.as_u64())
        .and_then(|status| u16::try_from(status).ok());
    let status = told.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| status.is_client_error() || status.is_server_error());
    StepAnswer::of(Reason::AuthDenied).with_status(status.unwrap_or(StatusCode::FORBIDDEN))
}

fn to_sign_in(sign_in: &SignIn, request: &RequestView<'_>) -> StepAnswer {
    let SignIn { url, parameter } = sign_in;
    let target = &request.origin.target;
    let uri = target.uri.path_and_query().map_or("/", |all| all.as_str());
    let host = target.host.to_str().unwrap_or_default();
    let escaped_uri = escaped(uri);
    let variables = [
        ("$escaped_request_uri", escaped_uri.as_str()),
        ("$request_uri", uri),
        ("$scheme", scheme(request)),
        ("$host", host),
    ];
    let mut location = filled(url, &variables);
    if let Some(parameter) = parameter {
        location.push(if location.contains('?') { '&' } else { '?' });
        location.push_str(&format!("{parameter}={}://{host}{escaped_uri}", scheme(request)));
    }
    match HeaderValue::try_from(location) {
        Ok(location) => StepAnswer::of(Reason::AuthDenied)
            .with_status(StatusCode::FOUND)
            .with(LOCATION, location)
            .with_body(""),
        Err(_) => StepAnswer::of(Reason::AuthUnavailable),
    }
}

/// A text with values in the place of variables. What a value has of variables stays as it is.
fn filled(text: &str, variables: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let found = variables.iter().find(|(name, _)| from.starts_with(name));
        let (value, taken) = found.map_or(("$", 1), |(name, value)| (*value, name.len()));
        out.push_str(value);
        rest = &from[taken..];
    }
    out.push_str(rest);
    out
}

/// The scheme of a request, as its visitor has it, or as an earlier step has said.
fn scheme(request: &RequestView<'_>) -> &'static str {
    let told = request.request.headers().get("x-forwarded-proto").map(HeaderValue::as_bytes);
    match told {
        Some(b"https" | b"wss") => "https",
        Some(b"http" | b"ws") => "http",
        _ if request.origin.over_tls => "https",
        _ => "http",
    }
}

/// The address of a request, as it was asked for.
pub(super) fn original_url(request: &RequestView<'_>) -> String {
    let target = &request.origin.target;
    let uri = target.uri.path_and_query().map_or("/", |all| all.as_str());
    format!("{}://{}{uri}", scheme(request), target.host.to_str().unwrap_or_default())
}

/// A text as a value of a query: all but the unreserved characters of RFC 3986 are escaped.
pub(in crate::proxy::middleware) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A relative reference as an address (RFC 3986 section 5.2); `None` if it is one already.
fn resolved(base: &Uri, location: &HeaderValue) -> Option<HeaderValue> {
    let text = location.to_str().ok()?;
    let scheme = base.scheme_str().unwrap_or("http");
    let is_absolute = text.split_once(':').is_some_and(|(scheme, _)| {
        let mut bytes = scheme.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if is_absolute {
        return None;
    }
    let authority = base.authority()?;
    let path = base.path();
    let whole = if text.starts_with("//") {
        format!("{scheme}:{text}")
    } else if text.starts_with('/') {
        format!("{scheme}://{authority}{text}")
    } else if text.starts_with('?') {
        format!("{scheme}://{authority}{path}{text}")
    } else {
        let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
        format!("{scheme}://{authority}{folder}{text}")
    };
    HeaderValue::try_from(whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_reference_is_of_the_auth_server() {
        let base = Uri::from_static("http://auth.example:9000/api/verify?x=1");
        for (location, expected) in [
            ("/login", Some("http://auth.example:9000/login")),
            ("login?rd=a:b", Some("http://auth.example:9000/api/login?rd=a:b")),
            ("?again", Some("http://auth.example:9000/api/verify?again")),
            ("//other.example/x", Some("http://other.example/x")),
            ("https://other.example/x", None),
        ] {
            let resolved = resolved(&base, &HeaderValue::from_static(location));
            assert_eq!(resolved.as_ref().map(HeaderValue::as_bytes), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn variables_are_filled_in_once() {
        let variables = [("$request_uri", "/?x=$host"), ("$host", "a.example")];
        let filled = filled("https://$host/s?rd=$request_uri$x$", &variables);
        assert_eq!(filled, "https://a.example/s?rd=/?x=$host$x$");
    }

    #[test]
    fn what_is_escaped_is_one_value_of_a_query() {
        assert_eq!(escaped("/a b?c=d&e=~"), "%2Fa%20b%3Fc%3Dd%26e%3D~");
    }
}
