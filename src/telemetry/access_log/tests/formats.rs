//! Lines of every format, whole, and whatever bytes a client sends.

use super::super::details::LoggedName;
use super::super::*;
use crate::config::{AccessLogFilter, AccessLogFormat, LogConfig, LoggedHeaders};
use crate::net::addr::PeerAddr;
use crate::net::fields::{FieldMap, Fields};
use crate::telemetry::kept_fields::KeptField;
use crate::telemetry::traces::{TraceIds, TraceParent};
use crate::telemetry::{SeriesLabels, TlsSuite, TlsVersion};
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;
use std::time::{Duration, Instant};

const FORMATS: [AccessLogFormat; 4] = [
    AccessLogFormat::Ravelin,
    AccessLogFormat::Otel,
    AccessLogFormat::Traefik,
    AccessLogFormat::TraefikClf,
];

/// The grok pattern of lines of text in crowdsecurity/traefik-logs (CrowdSec's hub, `parsers/s01-parse/crowdsecurity/traefik-logs.yaml`
/// at b03cb59b), with its sub-patterns written out as in CrowdSec's grokky: IPORHOST and URI are simpler here and take less.
const CROWDSEC_CLF: &str = concat!(
    r#"^(?P<remote_addr>[0-9A-Za-z.:-]+) - (?P<remote_user>[a-zA-Z0-9\.\@\-\+_%]+) "#,
    r#"\[(?P<time_local>\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "#,
    r#""(?P<verb>\b\w+\b) (?P<request>.*?) HTTP/(?P<http_version>\d+(?:\.\d+)?)" (?P<status>[0-9-]+) "#,
    r#"(?P<body_bytes_sent>[0-9-]+) "(?P<http_referer>[^"]*)" "(?P<http_user_agent>[^"]*)" "#,
    r#"(?P<count>\d+) "(?P<router>.*?)" "(?P<url>https?://[^\s"]+|h2c://[^\s"]+|-)" (?P<ms>\d+)ms$"#,
);

/// The pattern of router names there.
const CROWDSEC_ROUTER: &str = r"^([a-zA-Z0-9._-]+@[0-9A-Za-z.-]+(:\d+)?|-)$";

fn config(format: AccessLogFormat) -> LogConfig {
    let names = |names: &[&'static str]| names.iter().map(|n| HeaderName::from_static(n)).collect();
    LogConfig {
        format,
        query: true,
        headers: LoggedHeaders {
            request: names(&["referer", "x-test"]),
            response: names(&["content-type"]),
            redacted: names(&["authorization"]),
        },
        ..LogConfig::default()
    }
}

fn fields(fields: &[(&'static str, &[u8])]) -> FieldMap {
    let mut map = FieldMap::default();
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            map.push(HeaderName::from_static(name), value);
        }
    }
    map
}

/// A request with these fields, through a log of this configuration.
struct Sent<'a> {
    headers: &'a [(&'static str, &'a [u8])],
    host: &'a [u8],
    path: &'a str,
    query: Option<&'a str>,
    method: &'a str,
    user: Option<&'a [u8]>,
}

const SENT: Sent<'static> = Sent {
    headers: &[
        ("user-agent", b"agent \"1\""),
        ("referer", b"https://b.example/"),
        ("x-test", b"a"),
        ("x-test", b"b"),
        ("authorization", b"Bearer secret"),
        ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ],
    host: b"shop.example:8443",
    path: "/cart/7",
    query: Some("q=1"),
    method: "GET",
    user: None,
};

fn route() -> RouteDetails {
    RouteDetails { path: "/cart".into(), rule_hash: None, scheme: "http" }
}

fn written(config: &LogConfig, sent: &Sent<'_>) -> String {
    written_of(config, sent, None)
}

fn written_of(config: &LogConfig, sent: &Sent<'_>, trace: Option<TraceIds>) -> String {
    let custom = Custom::of(config, [Arc::from("websecure")].into()).expect("not simply ravelin's");
    let headers = fields(sent.headers);
    let mut details = Details::of_request(&custom, &headers);
    details.note_response(&custom, &fields(&[("content-type", b"text/html")]));
    details.note_route(&custom, route(), [].into_iter());
    let peer = PeerAddr::new("198.51.100.4:5555".parse().expect("literal"));
    let labels = SeriesLabels {
        listener: "web".into(),
        host: "shop.example".into(),
        route: "shop/web".into(),
        service: "shop/cart:http".into(),
    };
    let connection = ConnectionText::new(peer, None, "web");
    let now = Instant::now();
    let agent = headers.get("user-agent");
    let line = Line {
        time: now,
        client: b"192.0.2.9",
        connection: &connection,
        route: None,
        endpoint: Some("10.0.0.1:80"),
        cf_ray: Some(b"8f00-FRA"),
        method: sent.method,
        host: sent.host,
        path: sent.path,
        protocol: "HTTP/2.0",
        status: 200,
        reason: None,
        duration: Duration::from_micros(6_314),
        upstream: Some(Duration::from_micros(6_000)),
        bytes_in: 3,
        bytes_out: 167,
        retries: 1,
        user: sent.user,
        user_agent: agent.map(HeaderValue::as_bytes),
        trace,
    };
    let more = More {
        details: Some(&details),
        labels: Some(&labels),
        listener: 0,
        peer,
        tls: Some(TlsFacts {
            version: TlsVersion::V1_3,
            suite: TlsSuite::Aes128Gcm,
            server_name: Some("shop.example"),
            resumed: false,
        }),
        over_tls: true,
        query: sent.query,
        origin_status: Some(200),
        until_sent: Some(Duration::from_micros(100)),
    };
    let mut clock = ClockText::default();
    clock.set(now, Duration::from_nanos(1_700_000_000_078_000_000));
    let (mut bytes, clf) = (Vec::new(), RefCell::default());
    custom.write(&line, &more, &mut Out { bytes: &mut bytes, clock: &mut clock, clf: &clf });
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn traefiks_json_has_its_names_types_and_units() {
    let line = written(&config(AccessLogFormat::Traefik), &SENT);
    let expected = concat!(
        r#"{"ClientAddr":"198.51.100.4:5555","ClientHost":"192.0.2.9","ClientPort":"5555","ClientUsername":"-","#,
        r#""DownstreamContentSize":167,"DownstreamStatus":200,"Duration":6314000,"OriginContentSize":167,"#,
        r#""OriginDuration":6214000,"OriginStatus":200,"Overhead":100000,"RequestAddr":"shop.example:8443","#,
        r#""RequestContentSize":3,"RequestCount":1,"RequestHost":"shop.example","RequestMethod":"GET","#,
        r#""RequestPath":"/cart/7?q=1","RequestPort":"8443","RequestProtocol":"HTTP/2.0","RequestScheme":"https","#,
        r#""RetryAttempts":1,"RouterName":"shop-web-shop-example-cart@kubernetes","ServiceAddr":"10.0.0.1:80","#,
        r#""ServiceName":"shop-cart-http@kubernetes","ServiceURL":"http://10.0.0.1:80","#,
        r#""StartLocal":"2023-11-14T22:13:20.071686Z","StartUTC":"2023-11-14T22:13:20.071686Z","#,
        r#""TLSCipher":"TLS_AES_128_GCM_SHA256","TLSVersion":"1.3","downstream_Content-Type":"text/html","#,
        r#""entryPointName":"websecure","level":"info","msg":"","request_Authorization":"REDACTED","#,
        r#""request_Referer":"https://b.example/","request_User-Agent":"agent \"1\"","request_X-Test":"a,b","#,
        r#""time":"2023-11-14T22:13:20Z"}"#,
        "\n"
    );
    assert_eq!(line, expected);
}

#[test]
fn traefiks_text_is_what_the_parsers_of_it_take() {
    let line = written(&config(AccessLogFormat::TraefikClf), &SENT);
    let expected = concat!(
        r#"192.0.2.9 - - [14/Nov/2023:22:13:20 +0000] "GET /cart/7?q=1 HTTP/2.0" 200 167 "#,
        r#""https://b.example/" "agent \x221\x22" 1 "shop-web-shop-example-cart@kubernetes" "http://10.0.0.1:80" 6ms"#,
        "\n"
    );
    assert_eq!(line, expected);
    let read = Regex::new(CROWDSEC_CLF).expect("a pattern");
    let read = read.captures(line.trim_end()).expect("what CrowdSec takes");
    for (name, value) in [
        ("remote_addr", "192.0.2.9"),
        ("verb", "GET"),
        ("request", "/cart/7?q=1"),
        ("http_version", "2.0"),
        ("status", "200"),
        ("body_bytes_sent", "167"),
        ("http_user_agent", r"agent \x221\x22"),
        ("url", "http://10.0.0.1:80"),
        ("ms", "6"),
    ] {
        assert_eq!(&read[name], value, "{name}");
    }
    assert!(Regex::new(CROWDSEC_ROUTER).expect("a pattern").is_match(&read["router"]));
}

#[test]
fn a_record_of_opentelemetry_has_the_names_of_the_conventions() {
    let line = written(&config(AccessLogFormat::Otel), &SENT);
    assert_eq!(line.matches('\n').count(), 1);
    let expected = concat!(
        r#"{"timestamp":"2023-11-14T22:13:20.078Z","severity_number":9,"severity_text":"INFO","#,
        r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01","#,
        r#""attributes":{"http.request.method":"GET","url.scheme":"https","url.path":"/cart/7","#,
        r#""url.query":"q=1","server.address":"shop.example","server.port":8443,"client.address":"192.0.2.9","#,
        r#""user_agent.original":"agent \"1\"","http.request.body.size":3,"http.route":"/cart","#,
        r#""network.peer.address":"198.51.100.4","network.peer.port":5555,"network.transport":"tcp","#,
        r#""tls.protocol.name":"tls","tls.protocol.version":"1.3","tls.cipher":"TLS_AES_128_GCM_SHA256","#,
        r#""tls.client.server_name":"shop.example","tls.resumed":false,"ravelin.entry_point":"websecure","#,
        r#""network.protocol.name":"http","network.protocol.version":"2","http.response.status_code":200,"#,
        r#""http.response.body.size":167,"http.server.request.duration":0.006314,"ravelin.route":"shop/web","#,
        r#""ravelin.service":"shop/cart:http","ravelin.endpoint":"10.0.0.1:80","#,
        r#""ravelin.upstream.duration":0.006000,"ravelin.retries":1,"ravelin.cf_ray":"8f00-FRA","#,
        r#""http.request.header.authorization":["REDACTED"],"#,
        r#""http.request.header.referer":["https://b.example/"],"http.request.header.x-test":["a","b"],"#,
        r#""http.response.header.content-type":["text/html"]},"body":"GET /cart/7 200"}"#,
        "\n"
    );
    assert_eq!(line, expected);
    assert!(serde_json::from_str::<Value>(&line).is_ok());
}

#[test]
fn ravelins_own_line_gets_what_was_asked_for_at_its_end() {
    let line = written(&config(AccessLogFormat::Ravelin), &SENT);
    let end = concat!(
        r#""retries":1,"query":"q=1","request_headers":{"authorization":"REDACTED","#,
        r#""referer":"https://b.example/","x-test":"a, b"},"response_headers":{"content-type":"text/html"}}"#,
        "\n"
    );
    assert!(line.ends_with(end), "{line}");
    assert!(serde_json::from_str::<Value>(&line).is_ok());
}

#[test]
fn each_format_names_the_trace_of_a_request_in_its_own_way() {
    let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let TraceParent { trace_id, span_id, .. } = TraceParent::read(parent).expect("valid");
    let ids = TraceIds { trace_id, span_id };
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    for (format, names) in [
        (AccessLogFormat::Ravelin, [&["trace_id"][..], &["span_id"]]),
        (AccessLogFormat::Otel, [&["trace_id"], &["span_id"]]),
        (AccessLogFormat::Traefik, [&["trace_id", "TraceId"], &["span_id", "SpanId"]]),
    ] {
        let line = written_of(&config(format), &SENT, Some(ids));
        let read: Value = serde_json::from_str(&line).expect("JSON");
        for (names, id) in names.into_iter().zip([trace, span]) {
            for name in names {
                assert_eq!(read[name], id, "{line}");
            }
        }
        if format == AccessLogFormat::Traefik {
            let names = read.as_object().expect("an object").keys();
            // serde_json sorts them; the line is to be sorted as well.
            let places: Vec<_> = names.map(|name| line.find(&format!("\"{name}\":"))).collect();
            assert!(places.is_sorted(), "{line}");
        }
    }
    let clf = config(AccessLogFormat::TraefikClf);
    let line = written_of(&clf, &SENT, Some(ids));
    assert_eq!(line, written(&clf, &SENT), "the text has no place for it");
}

#[test]
fn without_settings_lines_are_simply_ravelins_own() {
    assert!(Custom::of(&LogConfig::default(), Box::default()).is_none());
    let filter = AccessLogFilter { sample: 2, ..AccessLogFilter::default() };
    assert!(Custom::of(&LogConfig { filter, ..LogConfig::default() }, Box::default()).is_some());
}

#[test]
fn the_query_is_logged_if_that_is_told() {
    for format in FORMATS {
        let config = LogConfig { query: false, ..config(format) };
        let line = written(&config, &SENT);
        assert!(!line.contains("q=1"), "{line}");
    }
}

#[test]
fn no_format_has_the_value_of_a_redacted_field_or_of_a_routes_secret() {
    for format in FORMATS {
        let line = written(&config(format), &SENT);
        assert!(!line.contains("secret"), "{line}");
    }
    let custom = Custom::of(&config(AccessLogFormat::Traefik), Box::default()).expect("another");
    let mut details = Details::of_request(&custom, &fields(&[("x-test", b"secret")]));
    let route = RouteDetails { path: "/".into(), rule_hash: Some([0xab; 10]), scheme: "http" };
    details.note_route(&custom, route, [&HeaderName::from_static("x-test")].into_iter());
    let Some(KeptField { values, .. }) = details.request.first() else { panic!("it was there") };
    assert!(values.is_empty());
}

#[test]
fn names_are_written_as_go_writes_them() {
    let canonical = |name| LoggedName::new(HeaderName::from_static(name), false).canonical;
    assert_eq!(&*canonical("x-request-id"), "X-Request-Id");
    assert_eq!(&*canonical("te"), "Te");
}

#[test]
fn lines_are_bounded() {
    let long = "\u{1}\"".repeat(20_000);
    let value = vec![0xff; 20_000];
    let sent = Sent {
        headers: &[("x-test", &value), ("referer", &value), ("user-agent", &value)],
        host: long.as_bytes(),
        path: &long,
        query: Some(&long),
        method: &long,
        user: Some(long.as_bytes()),
    };
    for format in FORMATS {
        let line = written(&config(format), &sent);
        assert!(line.len() < 16 * 1024, "{format:?}: {} bytes", line.len());
    }
}

proptest! {
    #[test]
    fn whatever_a_client_sends_a_line_is_one_line_that_is_read(
        value in proptest::collection::vec(any::<u8>(), 0..40),
        host in proptest::collection::vec(any::<u8>(), 0..40),
        path in "\\PC{0,20}|[\\x00-\\x7f]{0,20}",
    ) {
        let sent = Sent {
            headers: &[
                ("user-agent", &value),
                ("referer", &value),
                ("x-test", &value),
                ("traceparent", &value),
            ],
            host: &host,
            path: &path,
            query: Some(&path),
            method: "GET",
            user: Some(&value),
        };
        for format in FORMATS {
            let line = written(&config(format), &sent);
            let ends = line.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            prop_assert!(ends == 1 && line.ends_with('\n'), "{:?}: {}", format, line);
            if format == AccessLogFormat::TraefikClf {
                prop_assert!(line.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')));
                prop_assert_eq!(line.matches('"').count(), 10, "{}", line);
            } else {
                prop_assert!(serde_json::from_str::<Value>(&line).is_ok(), "{}", line);
            }
        }
    }
}
