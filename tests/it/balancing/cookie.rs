//! By a cookie that names the pod.

use super::{ask, balance, pods, web};
use crate::support::{Client, Message, Refusing, Upstream, edge_to, slice};
use serde_json::json;

/// Name and value of the cookie that an answer sets.
fn cookie_of(answer: &Message) -> String {
    let set = answer.field("set-cookie").expect("a cookie");
    set.split(';').next().expect("a pair").to_owned()
}

fn with(client: &mut Client, cookies: &str) -> Message {
    ask(client, "203.0.113.1", &format!("Cookie: {cookies}\r\n"))
}

#[test]
fn a_visitor_with_a_cookie_meets_the_same_pod_again() {
    let pods = pods();
    let edge = web(&balance("sticky-cookie"), &[&pods[0], &pods[1], &pods[2]]).start();
    let mut client = edge.connect();
    let mut seen = Vec::new();
    for _ in 0..30 {
        let first = ask(&mut client, "203.0.113.1", "");
        let set = first.field("set-cookie").expect("a cookie");
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        let cookie = cookie_of(&first);
        let (name, token) = cookie.split_once('=').expect("a pair");
        assert_eq!((name, token.len()), ("ravelin", 16));
        for _ in 0..3 {
            let again = with(&mut client, &format!("a=b; {cookie}; c=d"));
            assert_eq!(again.text(), first.text());
            assert_eq!(again.field("set-cookie"), None, "it is not news");
        }
        seen.push((first.text().to_owned(), cookie));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
    let cookies = pods[0].requests();
    let cookie =
        |request: &&Message| request.field("cookie").is_some_and(|c| c.contains("ravelin="));
    assert!(cookies.iter().any(|request| cookie(&request)), "the pod gets it as well");
    // Another node knows it too.
    let other = web(&balance("sticky-cookie"), &[&pods[0], &pods[1], &pods[2]]).start();
    let mut client = other.connect();
    for (pod, cookie) in &seen {
        assert_eq!(with(&mut client, cookie).text(), pod);
    }
}

#[test]
fn junk_and_cookies_of_pods_that_are_gone_are_replaced() {
    let pods = pods();
    let edge = web(&balance("sticky-cookie"), &[&pods[0], &pods[1], &pods[2]]).start();
    let mut client = edge.connect();
    for junk in ["ravelin", "ravelin=", "ravelin=zzzzzzzzzzzzzzzz", "=;;; ravelin=0123456789abcdef"]
    {
        let answer = with(&mut client, junk);
        assert_eq!(answer.status(), 200);
        assert!(answer.field("set-cookie").is_some(), "{junk}");
    }
    let first = loop {
        let answer = ask(&mut client, "203.0.113.1", "");
        if answer.text() == "b" {
            break cookie_of(&answer);
        }
    };
    edge.remove("web-1.json");
    let moved = with(&mut client, &first);
    assert_ne!(moved.text(), "b");
    assert_ne!(cookie_of(&moved), first);
}

#[test]
fn visitors_with_tls_get_a_cookie_for_tls() {
    let pods = pods();
    let edge = web(&balance("sticky-cookie"), &[&pods[0]]).start();
    let answer = ask(&mut edge.connect(), "203.0.113.1", "X-Forwarded-Proto: https\r\n");
    let set = answer.field("set-cookie").expect("a cookie");
    assert!(set.contains("; Secure"), "{set}");
}

#[test]
fn the_annotations_of_traefik_name_the_cookie() {
    let pods = pods();
    let notes = json!({
        "traefik.ingress.kubernetes.io/service.sticky.cookie": "true",
        "traefik.ingress.kubernetes.io/service.sticky.cookie.name": "pod",
        "traefik.ingress.kubernetes.io/service.sticky.cookie.secure": "true",
        "traefik.ingress.kubernetes.io/service.sticky.cookie.maxage": "60",
    });
    let edge = web(&notes, &[&pods[0], &pods[1]]).start();
    let mut client = edge.connect();
    let answer = ask(&mut client, "203.0.113.1", "");
    let cookie = cookie_of(&answer);
    assert_eq!(
        answer.field("set-cookie"),
        Some(format!("{cookie}; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax").as_str())
    );
    assert!(cookie.starts_with("pod="), "{cookie}");
    assert_eq!(with(&mut client, &cookie).text(), answer.text());
}

#[test]
fn a_request_that_is_retried_elsewhere_gets_the_cookie_of_where_it_was_answered() {
    let (refusing, pod) = (Refusing::new(), Upstream::saying("alive"));
    let edge = edge_to(&[refusing.addr(), pod.addr()])
        .object("web.json", &super::annotated(&balance("sticky-cookie")))
        .listener("trusted_proxies", "[\"127.0.0.1/32\"]")
        .set("upstream", "eject_after", "0")
        .set("upstream", "retry_budget", "100")
        .start();
    let mut client = edge.connect();
    let cookies: Vec<String> = (0..20)
        .map(|_| {
            let answer = ask(&mut client, "203.0.113.1", "");
            assert_eq!(answer.text(), "alive");
            cookie_of(&answer)
        })
        .collect();
    assert!(cookies.iter().all(|cookie| *cookie == cookies[0]), "{cookies:?}");
    assert_eq!(with(&mut client, &cookies[0]).field("set-cookie"), None);
}

#[test]
fn a_pod_that_ends_and_still_serves_keeps_its_visitors_and_gets_no_others() {
    let pods = pods();
    let edge = web(&balance("sticky-cookie"), &[&pods[0], &pods[1]]).start();
    let mut client = edge.connect();
    let cookie = loop {
        let answer = ask(&mut client, "203.0.113.1", "");
        if answer.text() == "a" {
            break cookie_of(&answer);
        }
    };
    let mut ending = slice("web-0", "web", "http", pods[0].addr());
    ending["endpoints"][0]["conditions"] =
        json!({"ready": false, "serving": true, "terminating": true});
    edge.put("web-0.json", &ending.to_string());
    for _ in 0..10 {
        assert_eq!(with(&mut client, &cookie).text(), "a");
        assert_eq!(ask(&mut client, "203.0.113.1", "").text(), "b");
    }
    edge.remove("web-0.json");
    assert_eq!(with(&mut client, &cookie).text(), "b");
}
