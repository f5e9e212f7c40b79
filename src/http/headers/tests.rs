//! What passes of a request's fields, what ends here, and what is ours.

use super::*;

fn cleaned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    cleaned_as(fields, HeaderTrust::default())
}

fn cleaned_as(fields: &[(&str, &str)], vouched: HeaderTrust<'_>) -> Vec<(String, String)> {
    let mut headers = map(fields);
    let fields = ForwardedFields {
        client: HeaderValue::from_static("192.0.2.1"),
        proto: HeaderValue::from_static("http"),
        port: HeaderValue::from_static("80"),
    };
    let host = HeaderValue::from_static("a.example");
    let noted = clean_request(&mut headers, &host, &fields, vouched);
    assert_eq!(noted.refused, None);
    let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
    let mut all: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    all.sort();
    all
}

/// The fields of every request after cleaning.
fn with_ours(extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let ours = [
        ("host", "a.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-proto", "http"),
        ("x-real-ip", "192.0.2.1"),
    ];
    let mut all: Vec<_> =
        ours.iter().chain(extra).map(|(n, v)| (n.to_string(), v.to_string())).collect();
    all.sort();
    all
}

#[test]
fn what_connection_names_goes_before_ours_is_added() {
    let request = [
        ("connection", "close, X-Forwarded-For, x-secret, Host"),
        ("connection", "x-real-ip"),
        ("x-secret", "1"),
        ("x-kept", "2"),
        ("host", "other"),
    ];
    assert_eq!(cleaned(&request), with_ours(&[("x-kept", "2")]));
}

#[test]
fn hop_by_hop_and_framing_fields_end_here() {
    let request = [
        ("keep-alive", "1"),
        ("proxy-connection", "1"),
        ("proxy-authorization", "1"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("expect", "100-continue"),
        ("trailer", "x-sum"),
        ("authorization", "kept"),
    ];
    assert_eq!(cleaned(&request), with_ours(&[("authorization", "kept"), ("trailer", "x-sum")]));
}

#[test]
fn a_client_cannot_name_its_own_address() {
    let request = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/x"),
        ("x-forwarded-server", "x"),
        ("x-real-ip", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x_real-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("true_client_ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("cf-connecting-ip", "6.6.6.6"),
        ("cf_connecting_ip", "6.6.6.6"),
        ("cf-ipcountry", "XX"),
        ("cf-ray", "1"),
        ("cdn-loop", "cloudflare"),
        ("client-cert", ":eA==:"),
        ("client_cert-chain", ":eA==:"),
        ("connection", "cdn-loop"),
        ("my_own", "kept"),
    ];
    let kept = [("my_own", "kept"), ("cdn-loop", "cloudflare")];
    assert_eq!(cleaned(&request), with_ours(&kept));
}

#[test]
fn what_cloudflare_says_goes_on_and_what_its_visitor_says_does_not() {
    let request = [
        ("cf-connecting-ip", "192.0.2.1"),
        ("cf-ray", "1"),
        ("cf-ipcountry", "XX"),
        ("cf_ray", "6"),
        ("cf_connecting-ip", "6.6.6.6"),
        ("cf-connecting_ip", "6.6.6.6"),
        ("cf-connecting-ipv6", "2001:db8::6"),
        ("true-client-ip", "6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
        ("x-client-ip", "6.6.6.6"),
        ("x-edge", "secret"),
    ];
    let secret = HeaderName::from_static("x-edge");
    let vouched = HeaderTrust { via_cloudflare: true, unnamed: false, secret: Some(&secret) };
    let kept = [("cf-connecting-ip", "192.0.2.1"), ("cf-ray", "1"), ("cf-ipcountry", "XX")];
    assert_eq!(cleaned_as(&request, vouched), with_ours(&kept));
    let unnamed = HeaderTrust { unnamed: true, ..vouched };
    assert_eq!(cleaned_as(&request, unnamed), with_ours(&kept[1..]));
}

#[test]
fn fields_that_cannot_be_obeyed_are_refused() {
    let refused = |name: &str, value: &str| {
        let mut headers = map(&[(name, value), (name, value)]);
        let fields = ForwardedFields {
            client: HeaderValue::from_static("192.0.2.1"),
            proto: HeaderValue::from_static("http"),
            port: HeaderValue::from_static("80"),
        };
        let host = HeaderValue::from_static("a.example");
        clean_request(&mut headers, &host, &fields, HeaderTrust::default()).refused
    };
    let named = |count: usize| vec!["a"; count].join(",");
    assert_eq!(refused("connection", &named(32)), None);
    assert_eq!(refused("connection", &named(33)), Some(Reason::HeadersTooLarge));
    assert_eq!(refused("connection", &",".repeat(60_000)), Some(Reason::HeadersTooLarge));
    assert_eq!(refused("transfer-encoding", "chunked"), Some(Reason::NotImplemented));
    assert_eq!(refused("transfer-encoding", "gzip, chunked"), Some(Reason::NotImplemented));
}

#[test]
fn nobody_chooses_the_proxy_of_a_backend() {
    assert_eq!(cleaned(&[("proxy", "http://evil.example")]), with_ours(&[]));
}
