//! `forwardAuth`: another server decides on each request.

use super::address::{self, Address};
use super::texts::{field_name, field_value, pattern};
use super::{Context, Fields};
use crate::control::quote::quote;
use crate::model::middleware::{
    AuthFlavour, AuthService, ForwardAuth, ForwardBody, ForwardedTrust, SignIn, Step,
};
use http::{HeaderName, Uri};

/// Most bytes of a body that are held for the server, and of its answer, where the Middleware sets no limit: Traefik
/// would hold any number.
const MOST_BODY: u64 = 1024 * 1024;

const KNOWN: [&str; 14] = [
    "address",
    "tls",
    "trustForwardHeader",
    "authResponseHeaders",
    "authResponseHeadersRegex",
    "authRequestHeaders",
    "addAuthCookiesToResponse",
    "headerField",
    "forwardBody",
    "maxBodySize",
    "maxResponseBodySize",
    "preserveLocationHeader",
    "preserveRequestMethod",
    "authSigninURL",
];

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Step> {
    fields.know(&KNOWN);
    let response_pattern =
        fields.text("authResponseHeadersRegex").filter(|text| !text.is_empty()).and_then(|text| {
            // Traefik compares names as Go spells them, `X-Auth-User`; ours are in lower case.
            let text = format!("(?i:{text})");
            fields.parse("authResponseHeadersRegex", &text, pattern(&text), "correct it")
        });
    fields.tell("trustForwardHeader", "the server is always told what was verified of the client");
    let response_fields = names(fields, "authResponseHeaders");
    let request_fields = names(fields, "authRequestHeaders");
    let cookies = fields.texts("addAuthCookiesToResponse").into_iter().map(Into::into).collect();
    fields.tell("headerField", "no log line of ours names the user");
    let body = body(fields);
    let max_response_body = limit(fields, "maxResponseBodySize");
    let keep_location = fields.flag("preserveLocationHeader");
    let keep_method = fields.flag("preserveRequestMethod");
    let sign_in = sign_in(fields);
    let trust = address::trust(fields, context);
    let service = service(fields, context, trust)?;
    Some(Step::ForwardAuth(Box::new(ForwardAuth {
        service,
        trust: ForwardedTrust::Verified,
        response_fields,
        response_pattern,
        request_fields,
        cookies,
        body,
        max_response_body,
        keep_location,
        keep_method,
        sign_in,
        flavour: AuthFlavour::Traefik,
        method: None,
        told_fields: Vec::new(),
    })))
}

fn names(fields: &mut Fields<'_, '_, '_>, key: &str) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for text in fields.texts(key) {
        names.extend(fields.parse(key, text, field_name(text), "write names of fields"));
    }
    names
}

fn body(fields: &mut Fields<'_, '_, '_>) -> Option<ForwardBody> {
    let max = limit(fields, "maxBodySize");
    fields.flag("forwardBody").then_some(ForwardBody { max })
}

/// A number of bytes; -1, and none, are the most that is held.
fn limit(fields: &mut Fields<'_, '_, '_>, key: &str) -> u64 {
    match fields.number(key) {
        None => MOST_BODY,
        Some(-1) => {
            let reason = format!("is -1: at most {MOST_BODY} bytes are held");
            fields.warn(key, reason, "write the number of bytes that are needed");
            MOST_BODY
        }
        Some(bytes) => u64::try_from(bytes).unwrap_or_else(|_| {
            fields.refuse(key, format!("{bytes} is negative"), "write the number of bytes");
            MOST_BODY
        }),
    }
}

fn sign_in(fields: &mut Fields<'_, '_, '_>) -> Option<SignIn> {
    let url = fields.text("authSigninURL").filter(|url| !url.is_empty())?;
    if url.parse::<Uri>().is_err() {
        let reason = format!("{} is not an address", quote(url));
        fields.refuse("authSigninURL", reason, "write one such as https://login.example.com");
    }
    Some(SignIn { url: url.into(), parameter: None })
}

fn service(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
    trust: Option<crate::pki::endpoint_tls::Trust>,
) -> Option<AuthService> {
    let text = fields.required("address", "write the address of the server that decides")?;
    let fix = "write one such as http://auth.default.svc.cluster.local:9000/verify";
    let address = fields.parse("address", text, Address::parse(text), fix)?;
    let host = fields.parse("address", text, field_value(&address.authority), fix)?;
    let backend = address::backend(&address, trust, context);
    Some(AuthService { uri: address.uri, host, backend })
}
