//! Whom a request is from, and what the upstream is told of that.

use crate::http::client_ip::{Scheme, identify};
use crate::http::{ForwardedFields, HeaderTrust};
use crate::net::fields::Fields;
use crate::proxy::Downstream;
use crate::telemetry::Unnamed;
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::net::IpAddr;

/// The sender of one request.
pub(super) struct RequestOrigin<'d> {
    fields: Cow<'d, ForwardedFields>,
    /// The address of the client.
    ip: IpAddr,
    /// The scheme of the visitor, where it is known from a trusted peer.
    scheme: Option<Scheme>,
    via_cloudflare: bool,
    unnamed: Option<Unnamed>,
}

impl<'d> RequestOrigin<'d> {
    /// Reads it: from the fields if the peer may speak for others, else it is the peer.
    pub(super) fn of(downstream: &'d Downstream, headers: &impl Fields) -> Self {
        let peer = &downstream.fields;
        let Some(trusted) = downstream.trusted else {
            let fields = Cow::Borrowed(peer);
            let ip = downstream.peer.ip();
            return Self { fields, ip, scheme: None, via_cloudflare: false, unnamed: None };
        };
        let identity = identify(downstream.peer, trusted, downstream.gate.believed(), headers);
        let told = identity.scheme.map(|scheme| HeaderValue::from_static(scheme.as_str()));
        let fields = ForwardedFields {
            client: identity.text,
            proto: told.unwrap_or_else(|| peer.proto.clone()),
            port: peer.port.clone(),
        };
        Self {
            fields: Cow::Owned(fields),
            ip: identity.client.ip(),
            scheme: identity.scheme,
            via_cloudflare: identity.via_cloudflare,
            unnamed: identity.unnamed,
        }
    }

    /// The client, if it may be another than the peer.
    pub(super) fn client(&self) -> Option<&HeaderValue> {
        match &self.fields {
            Cow::Borrowed(_) => None,
            Cow::Owned(fields) => Some(&fields.client),
        }
    }

    /// The address of the client, as far as it is proven.
    pub(super) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether Cloudflare's rules are for this request.
    pub(super) fn via_cloudflare(&self) -> bool {
        self.via_cloudflare
    }

    /// Whether the visitor came with TLS, which may end before us.
    pub(super) fn is_over_tls(&self) -> bool {
        self.fields.proto == Scheme::Https.as_str()
    }

    /// Why the client could not be told, if so.
    pub(super) fn unnamed(&self) -> Option<Unnamed> {
        self.unnamed
    }

    /// The forwarded fields for the upstream. `host` is the one that the visitor asked for.
    pub(super) fn fields(mut self, host: &HeaderValue) -> Cow<'d, ForwardedFields> {
        if let (Some(scheme), Cow::Owned(fields)) = (self.scheme, &mut self.fields) {
            fields.port = port(host, scheme);
        }
        self.fields
    }

    /// Which of the request's own claims go on.
    pub(super) fn vouched<'s>(&self, secret: Option<&'s HeaderName>) -> HeaderTrust<'s> {
        let unnamed = self.unnamed.is_some_and(|unnamed| unnamed != Unnamed::Absent);
        HeaderTrust { via_cloudflare: self.via_cloudflare, unnamed, secret }
    }
}

/// The port that the visitor connected to: the one in `Host`, or else the scheme's.
fn port(host: &HeaderValue, scheme: Scheme) -> HeaderValue {
    let bytes = host.as_bytes();
    let named = bytes.iter().rposition(|&byte| byte == b':').map(|colon| &bytes[colon + 1..]);
    // The colons of an IPv6 address are followed by its bracket sooner or later.
    let digits = named.filter(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit));
    match (digits.and_then(|digits| HeaderValue::from_bytes(digits).ok()), scheme) {
        (Some(port), _) => port,
        (None, Scheme::Http) => HeaderValue::from_static("80"),
        (None, Scheme::Https) => HeaderValue::from_static("443"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_visitors_url() {
        for (host, scheme, expected) in [
            ("a.example", Scheme::Https, "443"),
            ("a.example", Scheme::Http, "80"),
            ("a.example:8443", Scheme::Https, "8443"),
            ("a.example:", Scheme::Https, "443"),
            ("a.example:x", Scheme::Http, "80"),
            ("[2001:db8::1]", Scheme::Https, "443"),
            ("[2001:db8::1]:8080", Scheme::Http, "8080"),
        ] {
            assert_eq!(port(&HeaderValue::from_static(host), scheme), expected, "{host}");
        }
    }
}
