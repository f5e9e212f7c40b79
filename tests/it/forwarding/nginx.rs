//! With nginx behind it: a server that keeps HTTP in its own way.

use crate::support::{Edge, Framing, Nginx};
use std::fs;

const SERVER: &str = "
    location /echo/ { return 200 \"$request_method $request_uri $http_x_forwarded_for $host\"; }
    location /away { return 302 /elsewhere; }
    location /upload { dav_methods PUT; create_full_put_path on; client_body_buffer_size 64k; }
    location /empty { return 204; }
    keepalive_timeout 75s;";

#[test]
fn files_ranges_conditions_and_heads_of_nginx_pass() {
    let Some(nginx) =
        Nginx::start(&SERVER.replace("dav_methods PUT; create_full_put_path on;", ""))
    else {
        return;
    };
    let page = "0123456789".repeat(100_000);
    fs::write(nginx.root().join("page.txt"), &page).expect("a new file");
    let edge = Edge::to(&[nginx.addr()]);
    let mut client = edge.connect();

    let whole = client.get("a.example", "/page.txt");
    assert_eq!((whole.status(), whole.text() == page), (200, true));
    assert!(whole.field("server").is_some_and(|server| server.starts_with("nginx")));
    let tag = whole.field("etag").expect("nginx gives one").to_owned();

    client.send(format!("GET /page.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n"));
    let unchanged = client.response();
    assert_eq!((unchanged.status(), unchanged.field("etag")), (304, Some(tag.as_str())));

    client.send("GET /page.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=10-14\r\n\r\n");
    let part = client.response();
    assert_eq!((part.status(), part.text()), (206, "01234"));
    assert_eq!(part.field("content-range"), Some("bytes 10-14/1000000"));

    client.ask("HEAD", "a.example", "/page.txt");
    assert_eq!(client.response_to_head().field("content-length"), Some("1000000"));

    let echo = client.get("a.example", "/echo/x/../y?q=%20");
    assert_eq!(echo.text(), "GET /echo/y?q=%20 127.0.0.1 a.example");
    assert_eq!(client.get("a.example", "/empty").framing, Framing::Bodyless);
    assert_eq!(client.get("a.example", "/away").status(), 302);
    assert_eq!(client.get("a.example", "/none").status(), 404);
    // One connection for all of it: nginx's own 404 closes nothing.
    assert!(
        (edge.metrics().sum("ravelin_upstream_connects_total", &[("result", "ok")]) - 1.0).abs()
            < 0.5
    );
}

#[test]
fn an_upload_that_nginx_refuses_early_leaves_the_next_request_alone() {
    let Some(nginx) = Nginx::start("client_max_body_size 1k; location / { return 200 ok; }") else {
        return;
    };
    let edge = Edge::to(&[nginx.addr()]);
    for _ in 0..5 {
        let mut client = edge.connect();
        client.send("POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
        assert_eq!(client.response().status(), 413);
        assert_eq!(edge.get("a", "/").text(), "ok");
    }
}
