//! `ravelin.dev/worker-zones` and `ravelin.dev/max-cdn-passes`: whose Workers, and which networks.

use super::{annotated, ask, behind_balancer, refused, through_cloudflare};
use crate::support::Upstream;

#[test]
fn workers_are_let_in_by_the_zone_that_owns_them() {
    let pod = Upstream::saying("pod");
    let edge = behind_balancer(&pod)
        .object("any.json", &annotated("any", &[("worker-zones", "any")]))
        .object("none.json", &annotated("none", &[("worker-zones", "none")]))
        .object(
            "some.json",
            &annotated("some", &[("worker-zones", "Example.com, ann.workers.dev")]),
        )
        .object("unset.json", &annotated("unset", &[]))
        .start();
    let own = ["CF-Worker: example.com\r\n", "cf-worker: ANN.workers.dev\r\n"];
    let other = [
        "CF-Worker: evil.example\r\n",
        "CF-Worker: sub.example.com\r\n",
        "CF-Worker: workers.dev\r\n",
        "CF-Worker:\r\n",
        "CF-Worker: example.com, evil.example\r\n",
        "CF-Worker: example.com\r\nCF-Worker: evil.example\r\n",
        "Connection: cf-worker\r\nCF-Worker: evil.example\r\n",
    ];
    let mut refusals = 0;
    for (host, passes) in [
        ("any", [true, true, true]),
        ("unset", [true, true, true]),
        ("some", [true, true, false]),
        ("none", [true, false, false]),
    ] {
        for (lines, passes) in
            [([""].as_slice(), passes[0]), (&own, passes[1]), (&other, passes[2])]
        {
            for lines in lines {
                let answer = through_cloudflare(edge.addr(), host, lines);
                if passes {
                    assert_eq!(answer.status(), 200, "{host}: {lines}");
                } else {
                    refused(&answer, 403, "worker_refused");
                    refusals += 1;
                }
            }
        }
    }
    edge.await_metric(
        "ravelin_requests_total",
        &[("reason", "worker_refused")],
        f64::from(refusals),
    );
    // Through a tunnel in the cluster: whoever names a Worker is taken at its word.
    let addr = edge.listener(0);
    let mut client = crate::support::Client::connect_from([127, 0, 0, 5].into(), addr);
    client.send("GET / HTTP/1.1\r\nHost: none\r\nCF-Worker: example.com\r\n\r\n");
    refused(&client.response(), 403, "worker_refused");
}

#[test]
fn requests_that_passed_other_networks_or_cloudflare_too_often_are_refused() {
    let pod = Upstream::saying("pod");
    let edge = behind_balancer(&pod)
        .object("once.json", &annotated("once", &[("max-cdn-passes", "1")]))
        .object("twice.json", &annotated("twice", &[("max-cdn-passes", "2")]))
        .object("unset.json", &annotated("unset", &[]))
        .start();
    let mut refusals = 0_u32;
    for (lines, passes) in [
        ("", Some(1)),
        ("CDN-Loop: cloudflare\r\n", Some(1)),
        ("CDN-Loop: cloudflare; loops=1\r\n", Some(1)),
        ("CDN-Loop: cloudflare; loops=1; subreqs=1\r\n", Some(1)),
        ("CDN-Loop: cloudflare; loops=2\r\n", Some(2)),
        ("CDN-Loop: cloudflare, cloudflare\r\n", Some(2)),
        ("CDN-Loop: cloudflare\r\nCDN-Loop: cloudflare\r\n", Some(2)),
        ("CDN-Loop: cloudflare; loops=3\r\n", Some(3)),
        ("CDN-Loop: fastly, cloudflare\r\n", None),
        ("CDN-Loop: cloudflare\r\nCDN-Loop: other.example:8080\r\n", None),
        ("CDN-Loop: cloudflare; loops=x\r\n", None),
        ("Connection: cdn-loop\r\nCDN-Loop: fastly\r\n", None),
    ] {
        for (host, most) in [("once", 1), ("twice", 2), ("unset", u32::MAX)] {
            let answer = through_cloudflare(edge.addr(), host, lines);
            if passes.is_some_and(|passes| passes <= most) || host == "unset" {
                assert_eq!(answer.status(), 200, "{host}: {lines}");
            } else {
                refused(&answer, 403, "cdn_loop_refused");
                refusals += 1;
            }
        }
    }
    let count = f64::from(refusals);
    edge.await_metric("ravelin_requests_total", &[("reason", "cdn_loop_refused")], count);
    let log = edge.await_log(36);
    let refused = log.iter().filter(|line| line["reason"] == "cdn_loop_refused");
    assert_eq!(refused.count(), usize::try_from(refusals).expect("few"));
    // The pod gets the field in any case (RFC 8586 section 2).
    let last = pod.requests().pop().expect("a request");
    assert_eq!(last.field("cdn-loop"), Some("fastly"));
}

#[test]
fn fields_with_a_certificate_are_removed_from_every_client() {
    let pod = Upstream::saying("pod");
    let edge = behind_balancer(&pod)
        .object("a.json", &annotated("a", &[("client-certificate-headers", "Client-Cert")]))
        .object("b.json", &annotated("b", &[]))
        .start();
    let forged = "Client-Cert: :Zm9yZ2Vk:\r\nClient_Cert: :Zm9yZ2Vk:\r\n\
                  Client-Cert-Chain: :Zm9yZ2Vk:\r\nclient-cert_chain: :Zm9yZ2Vk:\r\n\
                  Client-Certs: kept\r\n";
    for host in ["a", "b"] {
        assert_eq!(through_cloudflare(edge.addr(), host, forged).status(), 200);
        let mut client = crate::support::Client::connect_from([127, 0, 0, 5].into(), edge.addr());
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{forged}\r\n"));
        assert_eq!(client.response().status(), 200);
    }
    for request in pod.requests() {
        assert!(!format!("{request:?}").contains("Zm9yZ2Vk"), "{request:?}");
        assert_eq!(request.field("client-certs"), Some("kept"));
    }
}

#[test]
fn a_value_that_says_nothing_lets_nobody_in() {
    let pod = Upstream::saying("pod");
    let edge = crate::support::edge().service("pod", &[pod.addr()]).start();
    for (number, annotation) in [
        ("worker-zones", ""),
        ("worker-zones", "any, example.com"),
        ("worker-zones", "https://example.com"),
        ("max-cdn-passes", ""),
        ("max-cdn-passes", "0"),
        ("max-cdn-passes", "true"),
        ("client-certificate-headers", ""),
        ("client-certificate-headers", "Client-Cert-Chain"),
    ]
    .into_iter()
    .enumerate()
    {
        let host = format!("wrong{number}");
        edge.put(&format!("{host}.json"), &annotated(&host, &[annotation]).to_string());
        refused(&ask(edge.addr(), &host, ""), 503, "middleware_unusable");
    }
    assert_eq!(pod.requests().len(), 0);
}
