//! Who may ask: by another server's word, by password, by digest.

mod basic;
mod digest;
mod forward;
mod forward_bodies;
mod logged_in;
mod sign_in;

use crate::support::{Stepped, backend_key};
use http::{HeaderName, HeaderValue, Uri};
use ravelin::model::middleware::{AuthFlavour, AuthService, ForwardAuth, ForwardedTrust, Step};

/// `forwardAuth` to the Service `auth`, with Traefik's defaults.
fn forward_auth() -> ForwardAuth {
    ForwardAuth {
        service: AuthService {
            uri: Uri::from_static("http://auth.default.svc:9000/verify?x=1"),
            host: HeaderValue::from_static("auth.default.svc:9000"),
            backend: backend_key("auth"),
        },
        trust: ForwardedTrust::Verified,
        response_fields: Vec::new(),
        response_pattern: None,
        request_fields: Vec::new(),
        cookies: Vec::new(),
        body: None,
        max_response_body: 1024 * 1024,
        keep_location: false,
        keep_method: false,
        sign_in: None,
        flavour: AuthFlavour::Traefik,
        method: None,
        told_fields: Vec::new(),
    }
}

fn step(auth: ForwardAuth) -> Step {
    Step::ForwardAuth(Box::new(auth))
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}
