//! Headers that are removed, and headers that ravelin sets.
//!
//! Hop-by-hop headers are removed (RFC 9110 section 7.6.1), those listed in `Connection` first, so that a
//! client cannot remove a header that we set later. Headers that claim the client's address are replaced
//! by the verified one.

mod response;
mod values;

pub(super) use response::now;
pub use response::{ReplyNoted, clean_response, may_have_body};
pub use values::is_grpc;

use crate::error::Reason;
use crate::net::fields::{FieldMap, Fields, is_claim, is_cloudflares};
use http::header::{self, HeaderName, HeaderValue};
use values::{
    asks_for_trailers, is_framing_alias, is_pseudo, is_type_of_grpc, join_cookies, may_change_to,
};

/// Our name in `Server`, where the upstream gives none.
pub(super) const SERVER_NAME: &str = "ravelin";

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

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

/// The fields that every request gets, in the order of the values that `clean_request` has for
/// them.
const OURS: [HeaderName; 5] =
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT, X_REAL_IP];

/// Which of [`OURS`] are there, with our value. Putting ours in their place as they are met spares a search for each.
#[derive(Default)]
struct Ours {
    /// Positions, as bits.
    present: u8,
}

impl Ours {
    /// Puts our value in the place of another's. Of several with one name the first stays.
    fn put(
        &mut self,
        position: usize,
        value: &mut HeaderValue,
        values: &[&HeaderValue; 5],
    ) -> bool {
        if self.has(position) {
            return false;
        }
        self.present |= 1 << position;
        *value = values[position].clone();
        true
    }

    fn has(&self, position: usize) -> bool {
        self.present & (1 << position) != 0
    }
}

/// Collects the logged headers of a request that is not forwarded.
pub fn note_request(headers: &impl Fields, vouched: HeaderTrust<'_>) -> Noted {
    let field = |name: &str| headers.get(name).cloned();
    Noted {
        cf_ray: if vouched.via_cloudflare { field("cf-ray") } else { None },
        user_agent: field("user-agent"),
        content_length: false,
        upgrade: None,
        grpc: is_grpc(headers),
        trailers: false,
        refused: None,
    }
}

/// Whether a field goes on, of those that may claim something.
fn is_believed(
    name: &HeaderName,
    value: &HeaderValue,
    fields: &ForwardedFields,
    vouched: HeaderTrust<'_>,
) -> bool {
    match name.as_str() {
        // CGI and its kin would take it for the proxy of their own requests (httpoxy).
        "proxy" => false,
        "cf-connecting-ip" if vouched.unnamed => false,
        // Set with Pseudo IPv4 alone, and then it is the client.
        "cf-connecting-ipv6" if *value != fields.client => false,
        "cf-pseudo-ipv4" if !is_pseudo(value) => false,
        _ if vouched.secret == Some(name) => false,
        other if vouched.via_cloudflare && is_cloudflares(other) => true,
        other => !is_claim(other) && !is_framing_alias(other),
    }
}

/// Makes a client's request fields ready for the upstream. `host` is the one `Host` to send.
///
/// `Content-Length` is removed as well: the body is framed again, from what has been read.
pub fn clean_request(
    headers: &mut FieldMap,
    host: &HeaderValue,
    fields: &ForwardedFields,
    vouched: HeaderTrust<'_>,
) -> Noted {
    let mut noted = Noted::default();
    let mut found = Found::default();
    let mut ours = Ours::default();
    let values = [&fields.client, &fields.proto, host, &fields.port, &fields.client];
    headers.retain(|name, value| match name.as_str() {
        "x-forwarded-for" => ours.put(0, value, &values),
        "x-forwarded-proto" => ours.put(1, value, &values),
        "x-forwarded-host" => ours.put(2, value, &values),
        "x-forwarded-port" => ours.put(3, value, &values),
        "x-real-ip" => ours.put(4, value, &values),
        other if found.is_of_connection(other, value, &mut noted) => false,
        "content-length" => {
            noted.content_length = true;
            false
        }
        "content-type" => {
            noted.grpc = is_type_of_grpc(value);
            true
        }
        "cookie" => {
            found.cookies += 1;
            true
        }
        // We answer it ourselves, when the upstream begins to take the body.
        "expect" => false,
        "host" => {
            found.host = value == host;
            true
        }
        "user-agent" => {
            noted.user_agent = Some(value.clone());
            true
        }
        "cf-ray" if vouched.via_cloudflare => {
            noted.cf_ray = Some(value.clone());
            true
        }
        _ => is_believed(name, value, fields, vouched),
    });
    // Fields that `Connection` names are removed before any is added.
    for name in &found.named {
        headers.remove(name);
    }
    if found.cookies > 1 {
        join_cookies(headers);
    }
    // It is there already, but for an absolute target or HTTP/1.0.
    if !found.host {
        headers.set(header::HOST, host.clone());
    }
    for (position, name) in OURS.into_iter().enumerate() {
        if !found.named.is_empty() {
            // One of them may be ours.
            headers.set(name, values[position].clone());
        } else if !ours.has(position) {
            headers.push(name, values[position].clone());
        }
    }
    noted.refused = found.refusal();
    noted.upgrade = noted.upgrade.filter(|protocol| found.upgrade && may_change_to(protocol));
    noted
}

impl Found {
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
