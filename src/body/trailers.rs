//! Trailers, without what only a header section may carry.

use crate::client_ip::is_claim;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::Frame;

/// Removes from trailers what only a header section may carry (RFC 9110 section 6.5.1), and what a
/// backend might merge into the fields that we vouch for.
pub fn clean_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            remove_forbidden(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

fn remove_forbidden(trailers: &mut HeaderMap) {
    let names: Vec<HeaderName> = trailers.keys().filter(|n| is_forbidden(n)).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// Framing, routing, authentication and content fields, and everything that names the client.
fn is_forbidden(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 16] = [
        header::AUTHORIZATION,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::EXPECT,
        header::HOST,
        header::PROXY_AUTHORIZATION,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VIA,
    ];
    NAMES.contains(name) || is_claim(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_lose_framing_and_identity_and_keep_the_rest() {
        let mut trailers = HeaderMap::new();
        for name in [
            "content-length",
            "transfer-encoding",
            "host",
            "authorization",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-real-ip",
            "cf-connecting-ip",
            "cf_connecting_ip",
            "forwarded",
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
}
