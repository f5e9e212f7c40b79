//! A client's request fields on their way to the upstream.

use super::values::{is_framing_alias, is_pseudo, is_type_of_grpc, join_cookies, may_change_to};
use super::{ForwardedFields, Found, HeaderTrust, Noted};
use crate::net::fields::{FieldMap, Fields, is_claim, is_cloudflares};
use http::header::{self, HeaderName, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

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
        // The body is framed again, from what has been read.
        "content-length" => {
            noted.content_length = true;
            false
        }
        // We answer it ourselves, when the upstream begins to take the body.
        "expect" => false,
        "host" => {
            found.host = value == host;
            true
        }
        other => {
            found.cookies += usize::from(other == "cookie");
            noted.look(other, value, vouched.via_cloudflare);
            is_believed(name, value, fields, vouched)
        }
    });
    // Fields that `Connection` names are removed before any is added.
    found.remove_named(headers);
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

impl Noted {
    /// Takes note of a field that goes on.
    fn look(&mut self, name: &str, value: &HeaderValue, via_cloudflare: bool) {
        match name {
            "content-type" => self.grpc = is_type_of_grpc(value),
            "authorization" | "cookie" => self.personal = true,
            "accept" => self.accept = Some(value.clone()),
            "user-agent" => self.user_agent = Some(value.clone()),
            "cf-ray" if via_cloudflare => self.cf_ray = Some(value.clone()),
            _ => {}
        }
    }
}
