//! Headers that are removed, and headers that ravelin sets.
//!
//! Hop-by-hop headers are removed (RFC 9110 section 7.6.1), those listed in `Connection` first, so that a
//! client cannot remove a header that we set later. Headers that claim the client's address are replaced
//! by the verified one.

mod request;
mod response;
mod values;

pub use request::clean_request;
pub(super) use response::now;
pub use response::{ReplyNoted, clean_interim, clean_response, may_have_body};
pub use values::is_grpc;

use crate::error::Reason;
use crate::net::fields::{FieldMap, Fields};
use http::header::{self, HeaderName, HeaderValue};
use values::asks_for_trailers;

/// Our name in `Server`, where the upstream gives none.
pub(super) const SERVER_NAME: &str = "ravelin";

/// The forwarded headers that describe the client to the upstream. Cloned by reference.
#[derive(Clone, Debug)]
pub struct ForwardedFields {
    /// `X-Forwarded-For` and `X-Real-IP`: the client's address.
    pub client: HeaderValue,
    /// `X-Forwarded-Proto`: `http` or `https`.
    pub proto: HeaderValue,
    /// `X-Forwarded-Port`: the port that the client connected to.
    pub port: HeaderValue,
}

/// Which of a request's own claims go on.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderTrust<'a> {
    /// Whether its `CF-*` fields are Cloudflare's. Everybody else's are removed.
    pub via_cloudflare: bool,
    /// Whether `CF-Connecting-IP` was not usable: then it is not forwarded.
    pub unnamed: bool,
    /// The field with the operator's secret, which is for us alone.
    pub secret: Option<&'a HeaderName>,
}

/// Properties of a request's headers, collected on the way through, for the log and for framing.
#[derive(Debug, Default)]
pub struct Noted {
    /// `CF-Ray`, if it is Cloudflare's.
    pub cf_ray: Option<HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<HeaderValue>,
    /// `Accept`, by which our own answers are text or JSON.
    pub accept: Option<HeaderValue>,
    /// Whether it identifies the client: `Cookie`, `Authorization`.
    pub personal: bool,
    /// Whether there was a `Content-Length`.
    pub content_length: bool,
    /// The protocol that the client would change to, as it wrote it.
    pub upgrade: Option<HeaderValue>,
    /// Whether it is a call of gRPC, which reads errors from `grpc-status` alone.
    pub grpc: bool,
    /// Whether `TE` requested trailers, as gRPC does.
    pub trailers: bool,
    /// Why the fields cannot be obeyed, if so.
    pub refused: Option<Reason>,
}

/// Which networks a request has passed (RFC 8586).
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Elements of all `Connection` fields of a message together. Each has to be looked up and removed;
/// real ones have one or two.
const MOST_OPTIONS: usize = 64;

/// The findings of one pass over the fields.
#[derive(Default)]
struct Found {
    /// Other fields that `Connection` names, which have to go.
    named: Vec<HeaderName>,
    framing: bool,
    cookies: usize,
    /// Whether `Connection` has the option `upgrade`.
    upgrade: bool,
    /// `Host` as it is to be sent.
    host: bool,
    date: bool,
    server: bool,
    /// How many elements `Connection` has.
    options: usize,
    /// How many transfer codings there are, and whether one of them is not `chunked`.
    codings: usize,
    other_coding: bool,
    /// How many `Content-Length` there are, and whether one of them is no plain number.
    lengths: usize,
    odd_length: bool,
}

/// Collects the logged headers of a request that is not forwarded.
pub fn note_request(headers: &impl Fields, vouched: HeaderTrust<'_>) -> Noted {
    let field = |name: &str| headers.get(name).cloned();
    Noted {
        cf_ray: if vouched.via_cloudflare { field("cf-ray") } else { None },
        user_agent: field("user-agent"),
        accept: field("accept"),
        personal: false,
        content_length: false,
        upgrade: None,
        grpc: is_grpc(headers),
        trailers: false,
        refused: None,
    }
}

impl Found {
    /// Removes the fields that `Connection` names.
    fn remove_named(&self, headers: &mut FieldMap) {
        for name in &self.named {
            headers.remove(name);
        }
    }

    /// Whether a field is for this connection alone (RFC 9110 section 7.6.1). Takes note of what it says.
    fn is_of_connection(&mut self, name: &str, value: &HeaderValue, noted: &mut Noted) -> bool {
        match name {
            "connection" => self.name_tokens(value),
            "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "http2-settings" => {}
            "te" => noted.trailers |= asks_for_trailers(value),
            "transfer-encoding" => self.note_coding(value),
            "upgrade" => noted.upgrade = Some(value.clone()),
            _ => return false,
        }
        true
    }

    /// Collects the fields that a `Connection` value names. Framing and routing are not its to
    /// remove.
    fn name_tokens(&mut self, value: &HeaderValue) {
        for token in value.as_bytes().split(|&byte| byte == b',') {
            self.options += 1;
            if self.options > MOST_OPTIONS {
                return;
            }
            let token = token.trim_ascii();
            self.upgrade |= token.eq_ignore_ascii_case(b"upgrade");
            if token.is_empty()
                || token.eq_ignore_ascii_case(b"close")
                || token.eq_ignore_ascii_case(b"keep-alive")
            {
                continue;
            }
            match HeaderName::from_bytes(token) {
                Ok(header::HOST | header::CONTENT_LENGTH | header::TRANSFER_ENCODING) | Err(_) => {}
                // No intermediary may be asked to remove it (RFC 8586 section 2).
                Ok(name) if name == CDN_LOOP => {}
                Ok(name) => self.named.push(name),
            }
        }
    }

    fn note_coding(&mut self, value: &HeaderValue) {
        self.codings += 1;
        self.other_coding |= !value.as_bytes().eq_ignore_ascii_case(b"chunked");
    }

    fn has_too_many_options(&self) -> bool {
        self.options > MOST_OPTIONS
    }

    /// Whether the body is coded in a way that is not undone here. To pass it on without its
    /// `Transfer-Encoding` would be to pass on another one (RFC 9112 section 6.1).
    fn has_other_coding(&self) -> bool {
        self.other_coding || self.codings > 1
    }

    /// Why a request with such fields is refused, if so.
    fn refusal(&self) -> Option<Reason> {
        if self.has_too_many_options() {
            return Some(Reason::HeadersTooLarge);
        }
        self.has_other_coding().then_some(Reason::NotImplemented)
    }
}

#[cfg(test)]
fn map(fields: &[(&str, &str)]) -> FieldMap {
    let mut map = FieldMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        map.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    map
}

#[cfg(test)]
mod tests;
