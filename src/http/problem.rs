//! Our answers as problem details (RFC 9457), for clients that ask for JSON: programs, and probes that tell reasons
//! apart.

use crate::error::Reason;
use crate::net::fields::Fields;
use crate::net::message::Response;
use crate::net::quality::weight;
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::json;

/// Makes the text of an answer of ours problem details, if its client prefers JSON to text. `type` is `about:blank`, so
/// that `title` is the phrase of the status (RFC 9457 section 4.2.1); `reason` is the label in metrics and log.
pub fn make_problem(reason: Reason, accept: Option<&HeaderValue>, response: &mut Response<Bytes>) {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || !accept.is_some_and(prefers_json) {
        return;
    }
    let mut problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": reason.text(),
        "reason": reason.label(),
    });
    let headers = response.headers_mut();
    let wait = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    if let Some(seconds) = wait.and_then(|text| text.parse::<u64>().ok()) {
        problem["retry_after"] = seconds.into();
    }
    headers.set(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    *response.body_mut() = Bytes::from(format!("{problem}\n"));
}

/// Whether an `Accept` (RFC 9110 section 12.5.1) names JSON, and nothing of text before it. `*/*` is no wish: curl sends
/// it for people.
fn prefers_json(accept: &HeaderValue) -> bool {
    let (mut json, mut text) = (0, 0);
    for element in accept.as_bytes().split(|&byte| byte == b',') {
        let mut parts = element.split(|&byte| byte == b';');
        let range = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let wish = match &*range {
            b"application/json" | b"application/problem+json" | b"application/*" => &mut json,
            b"text/plain" | b"text/html" | b"text/*" => &mut text,
            _ => continue,
        };
        *wish = weight(parts).max(*wish);
    }
    json > 0 && json >= text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer;
    use http::StatusCode;

    #[test]
    fn json_is_for_those_who_name_it_and_do_not_prefer_text() {
        for (accept, expected) in [
            ("application/json", true),
            ("application/problem+json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json, text/plain, */*", true),
            ("text/html;q=0.5, application/json", true),
            ("application/*", true),
            ("*/*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("text/html, application/json;q=0.9", false),
            ("application/json;q=0", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            assert_eq!(prefers_json(&HeaderValue::from_static(accept)), expected, "{accept}");
        }
    }

    #[test]
    fn problem_details_have_the_reason_and_when_to_come_again() {
        let accept = HeaderValue::from_static("application/json");
        let of = |reason| {
            let mut response = answer(reason);
            make_problem(reason, Some(&accept), &mut response);
            response
        };
        let response = of(Reason::NoEndpoint);
        let content_type = response.headers().get("content-type").expect("one");
        assert_eq!(content_type, "application/problem+json");
        let problem: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        let expected = json!({
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The Service has no ready endpoint.",
            "reason": "no_endpoint",
            "retry_after": 5,
        });
        assert_eq!(problem, expected);
        for reason in Reason::ALL {
            let response = of(reason);
            let is_text = response.body().starts_with(reason.status().as_str().as_bytes());
            let is_error = reason.status() >= StatusCode::BAD_REQUEST;
            assert_eq!(is_text, !is_error, "{reason:?}");
            assert_eq!(response.headers().get("cache-control").expect("one"), "no-store");
        }
        let mut text = answer(Reason::NoEndpoint);
        make_problem(Reason::NoEndpoint, None, &mut text);
        assert!(text.body().starts_with(b"503 "), "{text:?}");
    }
}
