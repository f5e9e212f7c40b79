//! Spans, as the messages of OpenTelemetry read them.

use super::*;
use crate::balance::{Endpoint, EndpointSet};
use crate::error::Reason;
use crate::model::{EndpointSpec, EndpointState};
use crate::net::addr::{EndpointAddr, PeerAddr};
use crate::telemetry::SeriesLabels;
use crate::telemetry::access_log::{ConnectionText, Line, More};
use crate::telemetry::traces::record::Finished;
use http::StatusCode;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use std::time::{Duration, Instant};

fn endpoint(addr: &str) -> Arc<Endpoint> {
    let addr: std::net::SocketAddr = addr.parse().expect("literal");
    let spec = EndpointSpec {
        addr: EndpointAddr::new(addr.ip(), addr.port()),
        state: EndpointState::Ready,
        node: None,
        zone: None,
        near: false,
    };
    Arc::clone(&EndpointSet::new(&[spec].into_iter().collect(), None).usable()[0])
}

/// A text, number or list in the words of a test.
fn shown(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => {
            let values = list.values.iter().filter_map(|value| value.value.as_ref());
            values.map(shown).collect::<Vec<_>>().join("|")
        }
        other => format!("{other:?}"),
    }
}

fn attributes(span: &Span) -> Vec<String> {
    let value = |pair: &KeyValue| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        format!("{}={}", pair.key, value.map(shown).unwrap_or_default())
    };
    span.attributes.iter().map(value).collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ends a request with what is changed in its line.
fn finish(
    fixture: &mut Fixture,
    trace: &RequestTrace,
    clients: Option<&ClientSpans>,
    reason: Option<Reason>,
    change: impl FnOnce(&mut Line<'_>),
) -> Vec<Span> {
    let peer = PeerAddr::new("198.51.100.7:4711".parse().expect("literal"));
    let (connection, labels) = (
        ConnectionText::default(),
        SeriesLabels {
            listener: "web".into(),
            host: "shop.example".into(),
            route: "shop/web".into(),
            service: "shop/cart:80".into(),
        },
    );
    let mut line = Line {
        time: Instant::now(),
        client: b"192.0.2.9",
        connection: &connection,
        route: None,
        endpoint: Some("10.0.0.2:8080"),
        cf_ray: Some(b"8f2b3c4d5e6f7a8b-FRA"),
        method: "GET",
        host: b"shop.example:8080",
        path: "/cart/7",
        protocol: "HTTP/2.0",
        status: 200,
        reason: reason.map(Reason::label),
        duration: Duration::from_millis(5),
        upstream: None,
        bytes_in: 3,
        bytes_out: 2,
        retries: 1,
        user: None,
        user_agent: Some(b"agent/1"),
        trace: Some(trace.ids()),
    };
    change(&mut line);
    let more = More {
        details: None,
        labels: Some(&labels),
        listener: 0,
        peer,
        tls: None,
        over_tls: true,
        query: Some("token=secret"),
        origin_status: reason.is_none().then_some(line.status),
        until_sent: None,
    };
    let wall = Duration::from_secs(1_700_000_000);
    let finished = Finished { line: &line, more: &more, reason, wall };
    fixture.tracer.finish(trace, clients, &finished);
    fixture.read()
}

fn route(trace: &mut RequestTrace, settings: &SpanSettings) {
    let route = TracedRoute {
        path: "/cart".into(),
        ingress: Some("web".into()),
        namespace: "shop".into(),
        service: "cart".into(),
        over_tls: false,
    };
    let secret = HeaderName::from_static("x-secret");
    trace.note_route(settings, route, [&secret].into_iter());
}

/// What the server span of the first test has.
const SERVER: [&str; 24] = [
    "http.request.method=GET",
    "url.scheme=https",
    "url.path=/cart/7",
    "server.address=shop.example",
    "server.port=8080",
    "client.address=192.0.2.9",
    "network.peer.address=198.51.100.7",
    "network.peer.port=4711",
    "network.protocol.version=2",
    "user_agent.original=agent/1",
    "http.response.status_code=200",
    "http.request.body.size=3",
    "http.response.body.size=2",
    "http.route=/cart",
    "k8s.namespace.name=shop",
    "k8s.ingress.name=web",
    "k8s.service.name=cart",
    "ravelin.route=shop/web",
    "ravelin.service=shop/cart:80",
    "ravelin.entry_point=web",
    "ravelin.endpoint=10.0.0.2:8080",
    "ravelin.cf_ray=8f2b3c4d5e6f7a8b-FRA",
    "ravelin.retries=1",
    "http.request.header.x-tenant=one|two",
];

/// Attributes that tell the pod.
fn pod(span: &Span) -> Vec<String> {
    attributes(span)[1..7].to_vec()
}

/// Those of the pod with this last number.
fn pod_of(last: u8) -> Vec<String> {
    let ip = format!("10.0.0.{last}");
    let keys = ["server.address", "network.peer.address", "k8s.pod.ip"];
    let mut all: Vec<_> = keys.map(|key| format!("{key}={ip}")).into();
    all.extend(["server.port=8080".to_owned(), "network.peer.port=8080".to_owned()]);
    all.push(format!("url.full=http://{ip}:8080/cart/7"));
    all
}

#[test]
fn the_spans_of_a_request_have_what_the_conventions_ask_for() {
    let names = ["x-secret", "x-tenant"].map(HeaderName::from_static);
    let mut fixture = Fixture::new(1.0, |config| config.request_headers = names.to_vec());
    let mut headers = fields(&[
        ("traceparent", &parent("01")),
        ("tracestate", "a=b"),
        ("x-tenant", "one"),
        ("x-tenant", "two"),
        ("x-secret", "s3cret"),
    ]);
    let mut trace = fixture.begin(&mut headers).expect("it is traced");
    let settings = Arc::clone(fixture.tracer.settings());
    route(&mut trace, &settings);
    let mut clients = ClientSpans::new(&settings, &trace);
    clients.begin(&mut headers, &endpoint("10.0.0.1:8080"), 21);
    clients.fail(Reason::ConnectFailed);
    clients.begin(&mut headers, &endpoint("10.0.0.2:8080"), 22);
    let told = headers.get("traceparent").map(HeaderValue::as_bytes);
    assert_eq!(told, Some(format!("00-{TRACE}-0000000000000016-01").as_bytes()));
    let spans = finish(&mut fixture, &trace, Some(&clients), None, |_| {});
    let [server, failed, client] = &*spans else { panic!("{spans:?}") };
    for span in &spans {
        assert_eq!((&*hex(&span.trace_id), &*span.trace_state), (TRACE, "a=b"));
    }
    assert_eq!((hex(&server.parent_span_id), server.flags), (SPAN.to_owned(), 0x301));
    assert_eq!((&*server.name, server.kind), ("GET /cart", 2));
    assert_eq!(server.end_time_unix_nano, 1_700_000_000_000_000_000);
    assert_eq!(server.end_time_unix_nano - server.start_time_unix_nano, 5_000_000);
    assert_eq!(attributes(server), SERVER);
    assert_eq!(server.status, None);
    assert_eq!(
        (&*hex(&failed.span_id), &*hex(&client.span_id)),
        ("0000000000000015", "0000000000000016")
    );
    for client in [failed, client] {
        assert_eq!((client.kind, &*client.name, client.flags), (3, "GET", 0x101));
        assert_eq!(client.parent_span_id, server.span_id);
        assert!(client.start_time_unix_nano <= client.end_time_unix_nano);
        assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
    }
    assert_eq!((pod(failed), pod(client)), (pod_of(1), pod_of(2)));
    let has = |span: &Span, text: &str| attributes(span).iter().any(|own| own == text);
    assert!(has(failed, "error.type=connect_failed") && !has(client, "error.type=connect_failed"));
    assert_eq!(failed.status.as_ref().map(|status| status.code()), Some(Code::Error));
    assert_eq!(client.status, None);
    assert!(
        has(client, "http.request.resend_count=1") && has(client, "http.response.status_code=200")
    );
    let all = format!("{spans:?}");
    assert!(!all.contains("s3cret") && !all.contains("token="), "secrets: {all}");
}

#[test]
fn the_status_of_a_span_says_whose_fault_it_was() {
    let mut fixture = Fixture::new(1.0, |config| config.query = true);
    for (status, reason, error, is_fault) in [
        (200, None, None, false),
        (308, Some(Reason::HttpsRedirect), None, false),
        (404, Some(Reason::NoRoute), Some("no_route"), false),
        (404, None, Some("404"), false),
        (500, None, Some("500"), true),
        (503, Some(Reason::NoEndpoint), Some("no_endpoint"), true),
        (200, Some(Reason::ClientGone), Some("client_gone"), false),
        (200, Some(Reason::UpstreamTruncated), Some("upstream_truncated"), true),
    ] {
        let trace = fixture.begin(&mut FieldMap::new()).expect("it is traced");
        let spans = finish(&mut fixture, &trace, None, reason, |line| line.status = status);
        let [server] = &*spans else { panic!("{spans:?}") };
        assert_eq!((&*server.name, server.parent_span_id.len(), server.flags), ("GET", 0, 0x101));
        let all = attributes(server);
        let own = all.iter().find_map(|text| text.strip_prefix("error.type="));
        assert_eq!(own, error, "{status} {reason:?}");
        let code = server.status.as_ref().map(|status| status.code());
        assert_eq!(code, is_fault.then_some(Code::Error), "{status} {reason:?}");
        assert!(all.contains(&"url.query=token=secret".to_owned()));
    }
}

#[test]
fn the_status_of_a_pod_that_is_given_up_is_that_of_its_attempt() {
    let mut fixture = Fixture::new(1.0, |_| {});
    let mut headers = FieldMap::new();
    let trace = fixture.begin(&mut headers).expect("it is traced");
    let settings = Arc::clone(fixture.tracer.settings());
    let mut clients = ClientSpans::new(&settings, &trace);
    clients.begin(&mut headers, &endpoint("10.0.0.1:80"), 1);
    clients.give_up(StatusCode::BAD_GATEWAY);
    clients.fail(Reason::UpstreamClosed);
    clients.begin(&mut headers, &endpoint("10.0.0.2:80"), 2);
    clients.forget();
    for number in 0..100 {
        clients.begin(&mut headers, &endpoint("10.0.0.3:80"), 10 + number);
    }
    let spans = finish(&mut fixture, &trace, Some(&clients), None, |_| {});
    assert_eq!(spans.len(), 17, "a bound");
    let first = attributes(&spans[1]);
    assert!(first.contains(&"error.type=502".to_owned()), "{first:?}");
    assert!(first.contains(&"http.response.status_code=502".to_owned()));
    let last = attributes(spans.last().expect("many"));
    assert!(last.contains(&"http.request.resend_count=100".to_owned()), "{last:?}");
}

#[test]
fn values_are_bounded_and_valid_whatever_a_client_sends() {
    let mut fixture = Fixture::new(1.0, |config| {
        config.request_headers = vec![HeaderName::from_static("x-long")];
    });
    let long: &'static str = "\u{1f600}".repeat(5000).leak();
    let mut headers = FieldMap::new();
    for _ in 0..100 {
        let value = HeaderValue::from_bytes(&[0xff; 900]).expect("opaque bytes");
        headers.push(HeaderName::from_static("x-long"), value);
    }
    let trace = fixture.begin(&mut headers).expect("it is traced");
    let spans = finish(&mut fixture, &trace, None, None, |line| {
        line.path = long;
        line.host = &[0xff; 30_000];
        line.method = "BREW";
        line.user_agent = Some(&[b'\\'; 30_000]);
    });
    assert_eq!(spans[0].name, "HTTP");
    assert!(spans[0].encoded_len() < 16 * 1024, "{}", spans[0].encoded_len());
    let all = attributes(&spans[0]);
    assert!(all[..2] == ["http.request.method=_OTHER", "http.request.method_original=BREW"]);
    assert_eq!(all[3], format!("url.path={}", &long[..2048]));
}

#[test]
fn a_queue_that_is_full_costs_spans_and_never_waits() {
    let mut fixture = Fixture::new(1.0, |config| config.queue = 256 << 10);
    let trace = fixture.begin(&mut FieldMap::new()).expect("it is traced");
    let line_of = |fixture: &Fixture| {
        let peer = PeerAddr::new("198.51.100.7:1".parse().expect("literal"));
        let connection = ConnectionText::default();
        let line = Line { path: &"/".repeat(2000), ..mk_line(&connection, &trace) };
        let more = mk_more(peer);
        let finished =
            Finished { line: &line, more: &more, reason: None, wall: Duration::from_secs(1) };
        fixture.tracer.finish(&trace, None, &finished);
    };
    for _ in 0..500 {
        line_of(&fixture);
    }
    fixture.tracer.flush();
    assert!(fixture.held.bytes() <= 256 << 10, "{}", fixture.held.bytes());
    let (dropped, kept) = (fixture.held.dropped(), fixture.read().len() as u64);
    assert!(dropped > 0 && kept > 0 && dropped + kept == 500, "{dropped} {kept}");
    assert_eq!(fixture.held.bytes(), 0);
}

fn mk_line<'a>(connection: &'a ConnectionText, trace: &RequestTrace) -> Line<'a> {
    Line {
        time: Instant::now(),
        client: b"192.0.2.9",
        connection,
        route: None,
        endpoint: None,
        cf_ray: None,
        method: "GET",
        host: b"a",
        path: "/",
        protocol: "HTTP/1.1",
        status: 200,
        reason: None,
        duration: Duration::ZERO,
        upstream: None,
        bytes_in: 0,
        bytes_out: 0,
        retries: 0,
        user: None,
        user_agent: None,
        trace: Some(trace.ids()),
    }
}

fn mk_more<'a>(peer: PeerAddr) -> More<'a> {
    More {
        details: None,
        labels: None,
        listener: 0,
        peer,
        tls: None,
        over_tls: false,
        query: None,
        origin_status: Some(200),
        until_sent: None,
    }
}
