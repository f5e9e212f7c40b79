//! What a scrape has, and what it costs: as configured, compressed, and beside other questions.

use crate::support::{Builder, Client, Edge, Metrics, Upstream, edge_to, ingress, rule};
use flate2::read::GzDecoder;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A proxy for so many hosts, each asked once.
fn asked(hosts: usize, builder: Builder) -> Edge {
    let rules: Vec<_> =
        (0..hosts).map(|host| rule(&name(host), &[("/", "Prefix", "web")])).collect();
    let rules: Vec<_> = rules
        .chunks(50)
        .enumerate()
        .map(|(n, rules)| (n, ingress(&format!("i{n}"), rules)))
        .collect();
    let mut builder = builder;
    for (number, ingress) in rules {
        builder = builder.object(&format!("hosts{number}.json"), &ingress);
    }
    let edge = builder.start();
    let mut client = edge.connect();
    for host in 0..hosts {
        assert_eq!(client.get(&name(host), "/").status(), 200);
    }
    edge
}

fn name(host: usize) -> String {
    format!("h{host}.example")
}

fn page(edge: &Edge) -> String {
    Client::connect(edge.admin()).get("admin", "/metrics").text().to_owned()
}

/// Lines that have the label of a host.
fn lines_of(page: &str, host: usize) -> usize {
    let label = format!("host=\"{}\"", name(host));
    page.lines().filter(|line| line.contains(&label)).count()
}

#[test]
fn a_route_costs_one_line_by_default_and_nothing_before_it_is_asked() {
    let upstream = Upstream::saying("ok");
    let edge = asked(2, edge_to(&[upstream.addr()]));
    let page = page(&edge);
    assert_eq!((lines_of(&page, 0), lines_of(&page, 1), lines_of(&page, 2)), (1, 1, 0));
    let metrics = Metrics::parse(&page);
    assert_eq!(metrics.sum("ravelin_request_duration_seconds_count", &[("listener", "web")]), 2.0);
    assert_eq!(metrics.sum("ravelin_body_bytes_total", &[("direction", "out")]), 4.0);
}

#[test]
fn labels_and_buckets_are_as_configured() {
    let upstream = Upstream::saying("ok");
    let to = || edge_to(&[upstream.addr()]).set("metrics", "buckets", "[0.5, 60]");
    let edge = asked(2, to().set("metrics", "per_route", "\"all\""));
    let all = page(&edge);
    // Requests, two histograms of three buckets, a sum and a count each, and bytes in and out.
    assert_eq!(lines_of(&all, 0), 1 + 2 * (3 + 2) + 2);
    assert!(all.contains("le=\"0.5\"") && all.contains("le=\"60.0\""), "{all}");
    let of_one = [("host", "h1.example")];
    let metrics = Metrics::parse(&all);
    assert_eq!(metrics.sum("ravelin_upstream_duration_seconds_count", &of_one), 1.0);

    let edge = asked(2, to().set("metrics", "labels", "[\"service\"]"));
    let few = page(&edge);
    let requests: Vec<_> =
        few.lines().filter(|line| line.starts_with("ravelin_requests_total")).collect();
    assert_eq!(
        requests,
        ["ravelin_requests_total{listener=\"web\",service=\"ns/web:http\",status=\"2xx\",\
          reason=\"\"} 2"]
    );

    let edge = asked(2, to().set("metrics", "per_route", "\"none\""));
    let none = page(&edge);
    assert!(none.contains(
        "ravelin_requests_total{listener=\"web\",method=\"GET\",status=\"2xx\",reason=\"\"} 2\n"
    ));
    assert_eq!(lines_of(&none, 0), 0);
}

#[test]
fn a_scraper_that_takes_gzip_gets_it() {
    let upstream = Upstream::saying("ok");
    let edge = asked(200, edge_to(&[upstream.addr()]));
    let plain = page(&edge);
    let mut client = Client::connect(edge.admin());
    client.send("GET /metrics HTTP/1.1\r\nHost: admin\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert!(answer.body.len() < plain.len() / 5, "{} of {}", answer.body.len(), plain.len());
    let mut text = String::new();
    GzDecoder::new(&*answer.body).read_to_string(&mut text).expect("gzip");
    assert_eq!(Metrics::parse(&text).sum("ravelin_requests_total", &[]), 200.0);
}

#[test]
fn scrapes_that_nobody_reads_keep_no_one_from_asking() {
    let upstream = Upstream::saying("ok");
    let builder = edge_to(&[upstream.addr()]).set("metrics", "per_route", "\"all\"");
    let edge = asked(300, builder);
    let hang = || {
        let mut scrape = TcpStream::connect(edge.admin()).expect("it listens");
        scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
        // It has begun.
        scrape.read_exact(&mut [0]).expect("an answer");
        scrape
    };
    let stuck = [hang()];
    for target in ["/readyz", "/livez"] {
        assert_eq!(Client::connect(edge.admin()).get("admin", target).status(), 200);
    }
    // There is room for another scrape.
    assert!(page(&edge).ends_with("# EOF\n"));
    assert_eq!(edge.get("h1.example", "/").status(), 200);
    drop(stuck);
}

/// Not a test: `cargo test --release --test it -- --ignored --nocapture the_cost_of_a_scrape` prints the
/// table of `config/behaviour.md`.
#[test]
#[ignore = "prints figures; run it in a release build"]
fn the_cost_of_a_scrape() {
    let mut table = String::new();
    for hosts in [100, 1_000, 5_000] {
        for per_route in ["requests", "all"] {
            let upstream = Upstream::saying("ok");
            let value = format!("\"{per_route}\"");
            let edge =
                asked(hosts, edge_to(&[upstream.addr()]).set("metrics", "per_route", &value));
            let timed = |coding: &str| {
                let begun = Instant::now();
                let mut client = Client::connect(edge.admin());
                client.send(format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{coding}\r\n"));
                (client.response().body.len(), begun.elapsed().as_millis())
            };
            let (plain, took) = timed("");
            let (gzip, gzip_took) = timed("Accept-Encoding: gzip\r\n");
            let _ = writeln!(
                table,
                "{hosts} routes, per_route = {per_route}: {plain} B in {took} ms; gzip {gzip} B in \
                 {gzip_took} ms"
            );
        }
    }
    println!("{table}");
}

#[test]
fn requests_are_counted_by_the_colo_that_cloudflare_names_and_by_none_that_others_do() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit_only("sources", "104.16.0.0/13, 192.0.2.0/24")
        .listener("proxy_protocol_from", "[\"127.0.0.0/8\"]")
        .start();
    let ask = |source: &str, ray: &str| {
        let mut stream = TcpStream::connect(edge.addr()).expect("a balancer may connect");
        let proxy = format!("PROXY TCP4 {source} 127.0.0.1 4711 80\r\n");
        let request =
            format!("GET / HTTP/1.1\r\nHost: h\r\nCF-Ray: {ray}\r\nConnection: close\r\n\r\n");
        stream.write_all((proxy + &request).as_bytes()).expect("the kernel takes it");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{source}");
    };
    for (source, ray) in [
        ("104.16.0.1", "230b030023ae2822-SJC"),
        ("104.16.0.2", "230b030023ae2823-SJC"),
        ("104.16.0.1", "230b030023ae2824-FRA"),
        ("104.16.0.1", "no ray"),
        ("192.0.2.1", "230b030023ae2825-AMS"),
    ] {
        ask(source, ray);
    }
    let family = "ravelin_cloudflare_colo_requests_total";
    for (colo, count) in [("SJC", 2.0), ("FRA", 1.0), ("other", 1.0)] {
        edge.await_metric(family, &[("colo", colo)], count);
    }
    edge.await_metric(family, &[], 4.0);
}
