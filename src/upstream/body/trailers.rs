//! Trailers, without what only a header section may carry.

use crate::net::fields::{Fields, is_claim, trim_values};
use bytes::Bytes;
use http::{HeaderName, header};
use http_body::Frame;

/// Removes from trailers what only a header section may carry (RFC 9110 section 6.5.1), what is for one
/// connection (section 7.6.1), and what a backend might merge into the fields that we vouch for. A
/// section of which nothing is left is none: the body ends without it.
pub fn clean_trailers(frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            remove_forbidden(&mut trailers);
            trim_values(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        }
        Err(frame) => Some(frame),
    }
}

fn remove_forbidden(trailers: &mut impl Fields) {
    let names: Vec<HeaderName> =
        trailers.iter().map(|(name, _)| name).filter(|name| is_forbidden(name)).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// Framing, routing, authentication and content fields, and everything that names the client.
fn is_forbidden(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 25] = [
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::EXPECT,
        header::HOST,
        HeaderName::from_static("http2-settings"),
        HeaderName::from_static("keep-alive"),
        header::MAX_FORWARDS,
        HeaderName::from_static("proxy"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        HeaderName::from_static("proxy-connection"),
        header::RANGE,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VIA,
        header::WWW_AUTHENTICATE,
    ];
    NAMES.contains(name) || is_claim(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::TrailerMap;
    use http::HeaderValue;

    #[test]
    fn trailers_lose_framing_and_identity_and_keep_the_rest() {
        let mut trailers = TrailerMap::new();
        for name in [
            "content-length",
            "transfer-encoding",
            "host",
            "authorization",
            "keep-alive",
            "proxy-connection",
            "http2-settings",
            "proxy",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-real-ip",
            "cf-connecting-ip",
            "cf_connecting_ip",
            "forwarded",
            "client-cert",
            "grpc-status",
            "x-checksum",
        ] {
            trailers.insert(HeaderName::from_static(name), "1".parse().expect("value"));
        }
        remove_forbidden(&mut trailers);
        let mut left: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }

    #[test]
    fn a_section_of_which_nothing_is_left_is_none() {
        let mut trailers = TrailerMap::new();
        trailers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        assert!(clean_trailers(Frame::trailers(trailers)).is_none());
        assert!(clean_trailers(Frame::data(Bytes::from_static(b"x"))).is_some());
    }
}
