//! `[tracing]`: spans as the OpenTelemetry Collector reads them, what pods are told, and collectors that are away, slow or
//! refuse.

mod away;
mod receiver;

use crate::support::{Builder, Client, Edge, Refusing, Upstream, edge, edge_to, ingress, rule};
use receiver::{Collector, Span};
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A proxy that traces all requests.
fn traced(builder: Builder, endpoint: &str) -> Builder {
    builder.set("tracing", "endpoint", &format!("{endpoint:?}")).set("tracing", "sample_rate", "1")
}

/// The parts of a `traceparent`.
fn parent(field: Option<&str>) -> Vec<String> {
    field.expect("it is there").split('-').map(str::to_owned).collect()
}

/// The server span, and those of its attempts.
fn of_request(spans: Vec<Span>) -> (Span, Vec<Span>) {
    let (mut server, client): (Vec<_>, Vec<_>) = spans.into_iter().partition(Span::is_server);
    assert_eq!(server.len(), 1, "{server:?}");
    let server = server.remove(0);
    for span in &client {
        assert_eq!(span.text("parentSpanId"), server.text("spanId"));
        assert_eq!(span.text("traceId"), server.text("traceId"));
    }
    (server, client)
}

/// One request, of which both spans arrive, and are what pod and access log were told.
fn check_one(collector: &Collector, edge: &Edge, pod: &Upstream) {
    assert_eq!(edge.get("shop.example", "/cart?token=s3cret").status(), 200);
    let (server, client) = of_request(collector.await_spans(2));
    let [client] = &*client else { panic!("{client:?}") };
    assert_eq!(server.text("parentSpanId"), "", "it begins here");
    assert_eq!(server.text("name"), "GET /");
    let told = parent(pod.only_request().field("traceparent"));
    assert_eq!(told, ["00", client.text("traceId"), client.text("spanId"), "01"]);
    let line = edge.await_log(1).remove(0);
    let ids = (&line["trace_id"], &line["span_id"]);
    assert_eq!(ids, (&server.text("traceId").into(), &server.text("spanId").into()));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/cart"),
        ("url.query", ""),
        ("server.address", "shop.example"),
        ("client.address", "127.0.0.1"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("http.route", "/"),
        ("k8s.ingress.name", "all"),
        ("k8s.service.name", "web"),
        ("ravelin.entry_point", "web"),
    ] {
        assert_eq!(server.attribute(key), value, "{key}");
    }
    assert_eq!(client.attribute("url.full"), format!("http://{}/cart", pod.addr()));
    assert_eq!(client.attribute("network.peer.port"), pod.addr().port().to_string());
    let resource = collector.resource();
    for expected in ["service.name=edge", "deployment.environment.name=test"] {
        assert!(resource.contains(&expected.to_owned()), "{resource:?}");
    }
}

#[test]
fn spans_of_a_request_reach_the_collector_in_every_way_that_otlp_has() {
    for scheme in ["http", "https"] {
        let Some(collector) = Collector::start(scheme == "https") else { return };
        for protocol in ["http", "grpc"] {
            for compression in ["none", "gzip"] {
                let pod = Upstream::saying("pod");
                let endpoint = collector.endpoint(scheme, protocol);
                let ca = format!("{:?}", collector.path("ca.pem"));
                let builder = traced(edge_to(&[pod.addr()]), &endpoint)
                    .set("tracing", "protocol", &format!("{protocol:?}"))
                    .set("tracing", "compression", &format!("{compression:?}"))
                    .set("tracing", "service_name", "\"edge\"")
                    .set("tracing", "resource", "[\"deployment.environment.name=test\"]");
                let builder = match scheme {
                    "https" => builder.set("tracing", "ca_file", &ca),
                    _ => builder,
                };
                let edge = builder.start();
                check_one(&collector, &edge, &pod);
                // On the connection that there is.
                edge.get("shop.example", "/");
                collector.await_spans(4);
                let exported = [("result", "exported")];
                edge.await_metric("ravelin_trace_spans_total", &exported, 4.0);
                edge.await_metric("ravelin_traced_requests_total", &[("by", "rate")], 2.0);
                collector.forget();
            }
        }
    }
}

#[test]
fn a_visitors_trace_goes_on_and_is_bounded() {
    let Some(collector) = Collector::start(false) else { return };
    let pod = Upstream::saying("pod");
    let edge = traced(edge_to(&[pod.addr()]), &collector.endpoint("http", "http"))
        .set("tracing", "sample_rate", "0")
        .set("tracing", "parent_limit", "1")
        .start();
    let given = format!("00-{TRACE}-{SPAN}-01");
    let mut client = edge.connect();
    // Of the requests of a second or two, at most as many are traced.
    for _ in 0..20 {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nTraceparent: {given}\r\nTracestate: k=v\r\n\r\n"
        ));
        assert_eq!(client.response().status(), 200);
    }
    let requests = pod.requests();
    let first = parent(requests[0].field("traceparent"));
    assert_eq!(
        (&*first[1], &*first[3], requests[0].field("tracestate")),
        (TRACE, "01", Some("k=v"))
    );
    let (server, client) =
        of_request(collector.await_spans(2)[..2].iter().map(|s| Span(s.0.clone())).collect());
    assert_eq!((server.text("traceId"), server.text("parentSpanId")), (TRACE, SPAN));
    assert_eq!((client[0].text("spanId"), server.text("traceState")), (&*first[2], "k=v"));
    let declined = requests
        .iter()
        .filter(|request| request.field("traceparent") == Some(&format!("00-{TRACE}-{SPAN}-00")));
    let declined = declined.count();
    assert!((15..20).contains(&declined), "{declined}");
    let limited = edge.metrics().sum("ravelin_trace_parents_limited_total", &[]);
    assert_eq!(limited, f64::from(u32::try_from(declined).expect("few")));
}

#[test]
fn requests_that_are_not_traced_are_marked_and_have_no_ids() {
    let pod = Upstream::saying("pod");
    let nobody = Refusing::new();
    let edge = traced(edge_to(&[pod.addr()]), &format!("http://{}", nobody.addr()))
        .set("tracing", "sample_rate", "0.0")
        .set("tracing", "propagation", "[\"w3c\", \"b3\"]")
        .start();
    edge.get("a", "/");
    let request = pod.only_request();
    assert_eq!((&*parent(request.field("traceparent"))[3], request.field("b3")), ("00", Some("0")));
    let line = edge.await_log(1).remove(0);
    assert_eq!((line.get("trace_id"), line.get("span_id")), (None, None));
    assert_eq!(edge.metrics().sum("ravelin_traced_requests_total", &[]), 0.0);
}

#[test]
fn without_tracing_fields_of_traces_pass_as_they_are() {
    let pod = Upstream::saying("pod");
    let edge = edge_to(&[pod.addr()]).start();
    let mut client = edge.connect();
    let fields = ["b3: 1", "traceparent: any", "tracestate: k=v", "x-b3-sampled: 1"];
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", fields.join("\r\n")));
    assert_eq!(client.response().status(), 200);
    let all = pod.only_request().sorted_fields();
    assert!(fields.iter().all(|field| all.contains(&(*field).to_owned())), "{all:?}");
    edge.get("a", "/");
    assert_eq!(pod.requests()[1].field("traceparent"), None);
}

#[test]
fn each_attempt_has_a_span_and_the_pod_is_told_that_of_its_own() {
    let Some(collector) = Collector::start(false) else { return };
    let (pod, refusing) = (Upstream::saying("pod"), Refusing::new());
    let edge = traced(edge(), &collector.endpoint("http", "grpc"))
        .set("tracing", "protocol", "\"grpc\"")
        .set("upstream", "eject_after", "0")
        .service("a", &[pod.addr(), refusing.addr()])
        .object("h.json", &ingress("h", &[rule("h", &[("/", "Prefix", "a")])]))
        .start();
    let tried = |edge: &Edge| {
        let line = edge.get("h", "/");
        assert_eq!(line.status(), 200);
        edge.metrics().sum("ravelin_upstream_retries_total", &[("reason", "connect_failed")])
    };
    // One of two is chosen, so that soon it is the one that refuses.
    let mut count = 1;
    while tried(&edge) < 0.5 {
        count += 1;
    }
    let spans = collector.await_spans(2 * count + 1);
    let failed = spans.iter().find(|span| span.attribute("error.type") == "connect_failed");
    let failed = failed.expect("the attempt at the one that refuses");
    let trace: Vec<_> =
        spans.iter().filter(|span| span.text("traceId") == failed.text("traceId")).collect();
    assert_eq!(trace.len(), 3, "{trace:?}");
    assert_eq!(failed.attribute("server.port"), refusing.addr().port().to_string());
    assert_eq!(failed.0["status"]["code"], 2);
    let again = trace.iter().find(|span| span.attribute("http.request.resend_count") == "1");
    let again = again.expect("the second attempt");
    let told = pod.requests().pop().expect("the last");
    assert_eq!(parent(told.field("traceparent"))[2], again.text("spanId"));
    let server = trace.iter().find(|span| span.is_server()).expect("one");
    assert_eq!(server.attribute("ravelin.retries"), "1");
}

#[test]
fn what_no_route_or_no_pod_answers_has_a_span_with_the_reason() {
    let Some(collector) = Collector::start(false) else { return };
    let edge = traced(edge(), &collector.endpoint("http", "http"))
        .service("a", &[])
        .object("h.json", &ingress("h", &[rule("h", &[("/", "Prefix", "a")])]))
        .start();
    assert_eq!(edge.get("other", "/").status(), 404);
    assert_eq!(edge.get("h", "/").status(), 503);
    let spans = collector.await_spans(2);
    let seen: Vec<_> =
        spans.iter().map(|span| (span.attribute("error.type"), &span.0["status"])).collect();
    let unset = &Value::Object(serde_json::Map::new());
    let error = &serde_json::json!({"code": 2});
    assert_eq!(seen, [("no_route".to_owned(), unset), ("no_endpoint".to_owned(), error)]);
}

#[test]
fn the_last_spans_of_a_process_that_ends_arrive() {
    let Some(collector) = Collector::start(false) else { return };
    let pod = Upstream::saying("pod");
    let edge = traced(edge_to(&[pod.addr()]), &collector.endpoint("http", "http")).start();
    let mut client = edge.connect();
    for _ in 0..10 {
        client.get("a", "/");
    }
    drop(edge);
    assert_eq!(collector.await_spans(20).len(), 20);
}

#[test]
fn a_bucket_of_the_durations_leads_to_a_trace_for_scrapes_of_openmetrics() {
    let pod = Upstream::saying("pod");
    let nobody = Refusing::new();
    let edge = traced(edge_to(&[pod.addr()]), &format!("http://{}", nobody.addr())).start();
    edge.get("a", "/");
    let line = edge.await_log(1).remove(0);
    let trace_id = line["trace_id"].as_str().expect("it is traced").to_owned();
    let scrape = |accept: &str| {
        let mut client = Client::connect(edge.admin());
        client.send(format!("GET /metrics HTTP/1.1\r\nHost: admin\r\nAccept: {accept}\r\n\r\n"));
        client.response().text().to_owned()
    };
    let page = scrape("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5");
    let begins = "ravelin_request_duration_seconds_bucket{";
    let exemplars: Vec<_> = page.lines().filter(|line| line.contains(" # {")).collect();
    let [exemplar] = *exemplars else { panic!("{exemplars:?}") };
    assert!(exemplar.starts_with(begins), "{exemplar}");
    assert!(exemplar.contains(&format!("# {{trace_id=\"{trace_id}\"}} ")), "{exemplar}");
    assert!(page.ends_with("# EOF\n"));
    let plain = scrape("text/plain");
    assert!(plain.contains(begins) && !plain.contains(&trace_id));
    assert_eq!(plain.lines().count(), page.lines().count());
}
