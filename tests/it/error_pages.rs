//! `errors`: pages of another Service in place of responses with some statuses.

use crate::support::{Conn, Edge, Refusing, Stepped, Upstream, backend_key};
use http::{HeaderName, HeaderValue, StatusCode};
use ravelin::model::middleware::{
    BasicAuth, ClientSelector, ErrorPages, FieldChange, HeaderRules, SourceList, SourceRule,
    StatusRange, Step,
};
use std::net::SocketAddr;

/// Pages of the Service `pages` for 404 and 5xx.
fn pages() -> ErrorPages {
    let range = |first, last| StatusRange { first, last };
    ErrorPages {
        status: vec![range(404, 404), range(500, 599)],
        rewrites: Vec::new(),
        backend: backend_key("pages"),
        query: "/{status}.html?u={url}&o={originalStatus}".into(),
        request_fields: None,
        ours: true,
        nginx_fields: false,
    }
}

fn step(pages: ErrorPages) -> Step {
    Step::Errors(Box::new(pages))
}

fn field(name: &'static str, value: &'static str) -> Step {
    let change = FieldChange {
        name: HeaderName::from_static(name),
        value: Some(HeaderValue::from_static(value)),
    };
    Step::Headers(Box::new(HeaderRules { response: vec![change], ..HeaderRules::default() }))
}

fn edge(pod: SocketAddr, pages: SocketAddr, steps: Vec<Step>) -> Edge {
    Stepped::new(pod).service("pages", &[pages]).route("", "/", steps).start()
}

/// Answers with the status that the path names.
fn pod() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        while let Some(request) = conn.request() {
            let status = request.target().trim_start_matches('/').split('?').next();
            let status = status.unwrap_or("200").to_owned();
            let body = if request.method() == "HEAD" { "" } else { "of the pod" };
            let lines = "Content-Length: 10\r\nSet-Cookie: a=1\r\nX-Pod: 1\r\nAllow: GET\r\n";
            conn.send(format!("HTTP/1.1 {status} Pod\r\n{lines}\r\n{body}"));
        }
    })
}

/// Answers every request with a page, whose own status is 404.
fn page_server() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        let page = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nX-Page: 1\r\n\
                    Transfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n";
        while conn.request().is_some() && conn.send(page) {}
    })
}

#[test]
fn a_page_takes_the_place_of_the_pods_response() {
    let (pod, server) = (pod(), page_server());
    let edge = edge(pod.addr(), server.addr(), vec![step(pages())]);
    let mut client = edge.connect();
    client.send(
        "POST /404?q=1&r HTTP/1.1\r\nHost: h:1\r\nCookie: c=1\r\nIf-None-Match: \"x\"\r\n\
         Content-Type: a/b\r\nContent-Length: 4\r\n\r\nbody",
    );
    let response = client.response();
    assert_eq!((response.status(), response.text()), (404, "page"));
    assert_eq!(response.field("content-type"), Some("text/html"));
    assert_eq!((response.field("x-page"), response.field("x-pod")), (Some("1"), None));
    assert_eq!(response.field("set-cookie"), None);
    assert_eq!(response.field("content-length"), Some("4"));
    assert_eq!(response.field("allow"), Some("GET"), "it belongs to the status");
    let asked = server.only_request();
    assert_eq!(asked.start, "GET /404.html?u=http%3A%2F%2Fh%3A1%2F404%3Fq%3D1%26r&o=404 HTTP/1.1");
    assert_eq!((asked.field("host"), asked.field("cookie")), (Some("h:1"), Some("c=1")));
    for name in ["if-none-match", "content-type", "content-length"] {
        assert_eq!(asked.field(name), None, "{name}");
    }
    // What is not listed is the pod's own, on the same connection.
    let response = client.get("h:1", "/403");
    assert_eq!((response.status(), response.text()), (403, "of the pod"));
    assert_eq!(client.get("h:1", "/500").text(), "page");
    assert_eq!((pod.connections(), server.connections()), (1, 1), "connections are used again");
    let log = edge.await_log(3);
    assert_eq!((log[0]["status"].as_u64(), log[0]["reason"].as_str()), (Some(404), None));
}

#[test]
fn a_page_for_an_error_of_ours_is_not_stored_whatever_its_service_says() {
    let server = Upstream::scripted(|conn: &mut Conn| {
        let page = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\nExpires: 0\r\n\
                    CDN-Cache-Control: max-age=9\r\nContent-Length: 4\r\n\r\npage";
        while conn.request().is_some() && conn.send(page) {}
    });
    let (nobody, pod) = (Refusing::new(), pod());
    let ours = edge(nobody.addr(), server.addr(), vec![step(pages())]).get("h", "/");
    assert_eq!((ours.status(), ours.text()), (502, "page"));
    assert_eq!(ours.field("cache-control"), Some("no-store"));
    assert_eq!([ours.field("expires"), ours.field("cdn-cache-control")], [None, None]);
    let of_pod = edge(pod.addr(), server.addr(), vec![step(pages())]).get("h", "/500");
    assert_eq!((of_pod.status(), of_pod.text()), (500, "page"));
    assert_eq!(of_pod.field("cache-control"), Some("public, max-age=600"));
}

#[test]
fn answers_of_our_own_get_a_page_and_keep_their_reason() {
    let (nobody, server) = (Refusing::new(), page_server());
    let edge = edge(nobody.addr(), server.addr(), vec![step(pages())]);
    let response = edge.get("h", "/");
    assert_eq!((response.status(), response.text()), (502, "page"));
    assert_eq!(response.field("cache-control"), None, "it is the page's head");
    assert!(server.only_request().target().starts_with("/502.html"));
    edge.ended("connect_failed");
    edge.await_metric(
        "ravelin_middleware_requests_total",
        &[("kind", "errors"), ("outcome", "answered")],
        1.0,
    );
}

#[test]
fn a_status_is_rewritten_for_client_and_log() {
    let (pod, server) = (pod(), page_server());
    let mut pages = pages();
    pages.rewrites = vec![(StatusRange { first: 500, last: 501 }, StatusCode::OK)];
    let edge = edge(pod.addr(), server.addr(), vec![step(pages)]);
    let response = edge.get("h", "/501");
    assert_eq!((response.status(), response.text()), (200, "page"));
    assert_eq!(response.field("allow"), None, "it is another status");
    assert!(server.only_request().target().ends_with("&o=501"));
    assert!(server.only_request().target().starts_with("/200.html"));
    assert_eq!(edge.await_log(1)[0]["status"].as_u64(), Some(200));
}

#[test]
fn head_gets_the_head_of_the_page() {
    let (pod, server) = (pod(), page_server());
    let edge = edge(pod.addr(), server.addr(), vec![step(pages())]);
    let mut client = edge.connect();
    client.ask("HEAD", "h", "/503");
    let response = client.response_to_head();
    assert_eq!((response.status(), response.field("content-length")), (503, Some("4")));
    assert_eq!(server.only_request().method(), "GET");
    assert_eq!(client.get("h", "/404").text(), "page");
}

#[test]
fn without_a_page_the_status_stays_and_the_text_is_ours() {
    let pod = pod();
    let huge = Upstream::scripted(|conn: &mut Conn| {
        conn.request();
        let body = "x".repeat(1024 * 1024 + 1);
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    });
    let closing = Upstream::scripted(|conn: &mut Conn| drop(conn.request()));
    let silent = Upstream::scripted(|conn: &mut Conn| {
        conn.request();
        conn.closes();
    });
    let nobody = Refusing::new();
    for server in [huge.addr(), closing.addr(), silent.addr(), nobody.addr()] {
        let edge = edge(pod.addr(), server, vec![step(pages())]);
        let response = edge.get("h", "/503");
        assert_eq!(response.status(), 503);
        assert!(response.text().starts_with("503 Service Unavailable\nerror_page_unavailable: "));
        assert_eq!((response.field("x-pod"), response.field("allow")), (None, Some("GET")));
        edge.ended("error_page_unavailable");
    }
    // Our own answer is as it would be without the step.
    let (gone, nobody) = (Refusing::new(), Refusing::new());
    let edge = edge(gone.addr(), nobody.addr(), vec![step(pages())]);
    let response = edge.get("h", "/");
    assert_eq!(response.status(), 502);
    assert!(response.text().contains("connect_failed: "), "{}", response.text());
    edge.ended("connect_failed");
}

#[test]
fn refusals_of_steps_inside_get_a_page_and_those_outside_do_not() {
    let (pod, server) = (pod(), page_server());
    let mut all = pages();
    all.status = vec![StatusRange { first: 400, last: 599 }];
    let auth = Step::BasicAuth(Box::new(BasicAuth {
        users: Vec::new(),
        challenge: HeaderValue::from_static("Basic realm=\"x\""),
        user_field: None,
        remove_header: false,
    }));
    let nobody = Step::Source(Box::new(SourceRule {
        list: SourceList::Allow(Vec::new()),
        client: ClientSelector::Peer,
        status: StatusCode::FORBIDDEN,
    }));
    let edge = Stepped::new(pod.addr())
        .service("pages", &[server.addr()])
        .route("inside", "/", vec![step(all.clone()), auth])
        .route("outside", "/", vec![nobody, step(all)])
        .start();
    let response = edge.get("inside", "/");
    assert_eq!((response.status(), response.text()), (401, "page"));
    assert_eq!(response.field("www-authenticate"), Some("Basic realm=\"x\""));
    let response = edge.get("outside", "/");
    assert_eq!(response.status(), 403);
    assert!(response.text().contains("source_denied"), "{}", response.text());
    assert_eq!((pod.requests().len(), server.requests().len()), (0, 1));
}

#[test]
fn steps_outside_see_the_page_and_steps_inside_the_response() {
    let (pod, server) = (pod(), page_server());
    let steps = vec![field("x-outside", "1"), step(pages()), field("x-inside", "1")];
    let edge = edge(pod.addr(), server.addr(), steps);
    let response = edge.get("h", "/500");
    assert_eq!((response.field("x-outside"), response.field("x-inside")), (Some("1"), None));
    let response = edge.get("h", "/200");
    assert_eq!((response.field("x-outside"), response.field("x-inside")), (Some("1"), Some("1")));
}

#[test]
fn of_two_the_outer_one_has_the_last_word_and_falls_back_to_the_inner_one() {
    let (pod, server) = (pod(), page_server());
    let mut outer = pages();
    outer.backend = backend_key("other");
    for (other, expected) in [(true, "outer"), (false, "page")] {
        let (outer_server, nobody) = (Upstream::saying("outer"), Refusing::new());
        let addr = if other { outer_server.addr() } else { nobody.addr() };
        let edge = Stepped::new(pod.addr())
            .service("pages", &[server.addr()])
            .service("other", &[addr])
            .route("", "/", vec![step(outer.clone()), step(pages())])
            .start();
        let response = edge.get("h", "/500");
        assert_eq!((response.status(), response.text()), (500, expected));
    }
}

#[test]
fn a_response_that_is_still_coming_is_not_waited_for() {
    let pod = Upstream::scripted(|conn: &mut Conn| {
        conn.request();
        conn.send("HTTP/1.1 500 Oh\r\nContent-Length: 1000000\r\n\r\nbegin");
        conn.closes();
    });
    let server = page_server();
    let edge = edge(pod.addr(), server.addr(), vec![step(pages())]);
    let response = edge.get("h", "/");
    assert_eq!((response.status(), response.text()), (500, "page"));
    pod.await_closed(1);
}
