//! What an auth server is asked.

use super::super::RequestView;
use super::denied::original_url;
use crate::error::Reason;
use crate::model::middleware::{AuthFlavour, ForwardAuth};
use crate::net::fields::{FieldMap, Fields};
use crate::net::message::Request;
use crate::upstream::body::{RequestBody, Whole, WholeReader};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri, Version};

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");
const X_SENT_FROM: HeaderName = HeaderName::from_static("x-sent-from");

/// What is said of the client: true, as `clean_request` has put it there, or as an earlier step of the route
/// has changed it.
const FORWARDED: [HeaderName; 4] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Fields of the connection to a pod and of the framing of a body, which the question does not share.
const NOT_ASKED: [HeaderName; 7] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
];

/// The request to the auth server; `body` is that of the client, if it is to see that.
pub(super) fn of(
    auth: &ForwardAuth,
    request: &RequestView<'_>,
    body: Option<&Whole>,
) -> Result<Request<RequestBody>, Reason> {
    let mut headers = fields(&auth.request_fields, request.request.headers());
    headers.set(header::HOST, auth.service.host.clone());
    let method = match &auth.flavour {
        _ if auth.method.is_some() => auth.method.clone().unwrap_or_default(),
        AuthFlavour::Traefik if auth.keep_method => request.request.method().clone(),
        AuthFlavour::AppSec(_) if body.is_some() => Method::POST,
        _ => Method::GET,
    };
    match &auth.flavour {
        AuthFlavour::Traefik => tell_traefik(&mut headers, request)?,
        AuthFlavour::Nginx => tell_nginx(&mut headers, request)?,
        AuthFlavour::AppSec(key) => tell_appsec(&mut headers, request, key)?,
    }
    for (name, value) in &auth.told_fields {
        headers.set(name.clone(), value.clone());
    }
    let body = match body.filter(|body| !body.bytes().is_empty()) {
        Some(whole) => {
            // The pod's own is another: this one has nothing to do with the upload any more.
            RequestBody::Whole(WholeReader::new(Whole::of_ours(whole.bytes().clone())))
        }
        None => {
            if matches!(method, Method::POST | Method::PUT | Method::PATCH) {
                headers.set(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            RequestBody::Empty
        }
    };
    let mut asked = Request::new(body);
    *asked.method_mut() = method;
    *asked.uri_mut() = target(&auth.service.uri);
    *asked.headers_mut() = headers;
    Ok(asked)
}

/// Path and query of the address, in origin form.
fn target(address: &Uri) -> Uri {
    address.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// All fields that are passed on, or those of `authRequestHeaders`.
fn fields(chosen: &[HeaderName], headers: &FieldMap) -> FieldMap {
    if chosen.is_empty() {
        let mut all = headers.clone();
        for name in NOT_ASKED {
            all.remove(name);
        }
        return all;
    }
    let mut some = FieldMap::new();
    for name in chosen.iter().filter(|name| !NOT_ASKED.contains(name)).chain(&FORWARDED) {
        some.remove(name);
        for value in headers.get_all(name) {
            some.append(name, value.clone());
        }
    }
    some
}

/// Path and query as they are at this point of the chain.
fn path_and_query(uri: &Uri) -> Result<HeaderValue, Reason> {
    let text = uri.path_and_query().map_or("/", |all| all.as_str());
    HeaderValue::from_str(text).map_err(|_| Reason::AuthUnavailable)
}

fn method(request: &RequestView<'_>) -> Result<HeaderValue, Reason> {
    HeaderValue::from_str(request.request.method().as_str()).map_err(|_| Reason::AuthUnavailable)
}

fn tell_traefik(headers: &mut impl Fields, request: &RequestView<'_>) -> Result<(), Reason> {
    headers.set(X_FORWARDED_METHOD, method(request)?);
    headers.set(X_FORWARDED_URI, path_and_query(request.request.uri())?);
    Ok(())
}

/// ingress-nginx, `rootfs/etc/nginx/template/nginx.tmpl`, the location of `auth-url`.
fn tell_nginx(headers: &mut impl Fields, request: &RequestView<'_>) -> Result<(), Reason> {
    let url = HeaderValue::try_from(original_url(request)).map_err(|_| Reason::AuthUnavailable)?;
    headers.set(X_ORIGINAL_URL, url);
    headers.set(X_ORIGINAL_METHOD, method(request)?);
    headers.set(X_AUTH_REQUEST_REDIRECT, path_and_query(&request.origin.target.uri)?);
    headers.set(X_SENT_FROM, HeaderValue::from_static("nginx-ingress-controller"));
    Ok(())
}

/// CrowdSec documentation, "WAF / Bouncer Communication Protocol".
fn tell_appsec(
    headers: &mut impl Fields,
    request: &RequestView<'_>,
    key: &HeaderValue,
) -> Result<(), Reason> {
    let address = request.origin.visitor_address().ok_or(Reason::AuthUnavailable)?;
    let address = HeaderValue::from_str(&address.to_string());
    let agent = request.request.headers().get(header::USER_AGENT).cloned();
    let version = match request.origin.version {
        Version::HTTP_10 => "10",
        Version::HTTP_2 => "20",
        _ => "11",
    };
    let fields = [
        ("x-crowdsec-appsec-ip", address.map_err(|_| Reason::AuthUnavailable)?),
        ("x-crowdsec-appsec-uri", path_and_query(&request.origin.target.uri)?),
        ("x-crowdsec-appsec-host", request.origin.target.host.clone()),
        ("x-crowdsec-appsec-verb", method(request)?),
        ("x-crowdsec-appsec-api-key", key.clone()),
        ("x-crowdsec-appsec-user-agent", agent.unwrap_or(HeaderValue::from_static(""))),
        ("x-crowdsec-appsec-http-version", HeaderValue::from_static(version)),
    ];
    for (name, value) in fields {
        headers.set(HeaderName::from_static(name), value);
    }
    Ok(())
}
