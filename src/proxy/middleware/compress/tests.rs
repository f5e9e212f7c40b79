//! Which responses are compressed, and what becomes of their fields.

use super::*;
use crate::net::fields::FieldMap;

fn rules() -> Compress {
    Compress {
        default: None,
        min_bytes: 1024,
        encodings: vec!["br", "gzip"],
        excluded: Vec::new(),
        included: Vec::new(),
    }
}

fn map(fields: &[(&'static str, &'static str)]) -> FieldMap {
    let mut headers = FieldMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn may(rules: &Compress, status: u16, fields: &[(&'static str, &'static str)]) -> bool {
    let status = StatusCode::from_u16(status).expect("a status");
    may_be_compressed(rules, status, &map(fields))
}

#[test]
fn what_must_not_be_changed_is_not_compressed() {
    let plain = ("content-type", "text/plain");
    assert!(may(&rules(), 200, &[plain]));
    assert!(may(&rules(), 404, &[plain, ("content-length", "1024")]));
    assert!(may(&rules(), 200, &[]), "a type is not asked for");
    assert!(may(&rules(), 200, &[plain, ("content-encoding", "Identity")]));
    for (status, field) in [
        (200, ("content-length", "1023")),
        (204, plain),
        (205, plain),
        (206, plain),
        (200, ("content-range", "bytes 0-1/2000")),
        (200, ("content-encoding", "br")),
        (200, ("content-encoding", "")),
        (200, ("cache-control", "public, No-Transform")),
        (200, ("content-digest", "sha-256=:x:")),
        (200, ("repr-digest", "sha-256=:x:")),
        (200, ("content-md5", "x")),
    ] {
        assert!(!may(&rules(), status, &[plain, field]), "{status} {field:?}");
    }
}

#[test]
fn streams_and_what_is_compressed_already_stay_as_they_are() {
    for name in [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web-text",
        "image/png",
        "image/jpeg",
        "video/mp4",
        "audio/ogg",
        "font/woff2",
        "application/zip",
    ] {
        assert!(!may(&rules(), 200, &[("content-type", name)]), "{name}");
    }
    for name in ["image/svg+xml", "text/html; charset=utf-8", "application/json", "image/bmp"] {
        assert!(may(&rules(), 200, &[("content-type", name)]), "{name}");
    }
}

#[test]
fn lists_of_types_are_compared_without_parameters() {
    let excluding = Compress { excluded: vec!["text/html".into()], ..rules() };
    assert!(!may(&excluding, 200, &[("content-type", "Text/HTML; charset=utf-8")]));
    assert!(may(&excluding, 200, &[("content-type", "text/htmlx")]));
    let included = vec!["image/png".into(), "application/grpc".into()];
    let including = Compress { included, ..rules() };
    assert!(may(&including, 200, &[("content-type", "image/png")]));
    assert!(!may(&including, 200, &[("content-type", "text/html")]));
    assert!(!may(&including, 200, &[]));
    assert!(!may(&including, 200, &[("content-type", "application/grpc")]));
}

#[test]
fn vary_is_said_once() {
    for (before, after) in [
        (&[][..], &["Accept-Encoding"][..]),
        (&["Origin"], &["Origin", "Accept-Encoding"]),
        (&["origin, accept-encoding"], &["origin, accept-encoding"]),
        (&["*"], &["*"]),
    ] {
        let fields: Vec<_> = before.iter().map(|value| ("vary", *value)).collect();
        let mut headers = map(&fields);
        vary(&mut headers);
        assert_eq!(headers.get_all("vary").collect::<Vec<_>>(), after);
    }
}

#[test]
fn a_client_is_told_the_tag_that_it_has() {
    for (tag, known, expected) in [
        ("\"a\"", Some("W/\"a\""), "W/\"a\""),
        ("\"a\"", Some("\"b\", W/\"a\""), "W/\"a\""),
        ("\"a\"", Some("\"a\""), "\"a\""),
        ("\"a\"", None, "\"a\""),
        ("W/\"a\"", Some("W/\"a\""), "W/\"a\""),
    ] {
        let mut headers = map(&[("etag", tag)]);
        let known = known.map(HeaderValue::from_static);
        revalidated(&mut headers, known.as_ref());
        assert_eq!(headers.get("etag").map(HeaderValue::as_bytes), Some(expected.as_bytes()));
    }
}
