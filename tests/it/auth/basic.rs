//! `basicAuth`: who gets in, what their pod is told, and what becomes of those who try passwords.

use super::{Stepped, name};
use crate::support::{Edge, Message, Upstream};
use http::HeaderValue;
use ravelin::model::middleware::{BasicAuth, Credential, PasswordHash, Step};
use std::net::IpAddr;

/// `crypt("secret", "$2y$05$abcdefghijklmnopqrstuu")`.
const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// `alice` and `bob`, whose passwords are `secret`; carol has hers in clear.
fn basic_auth() -> BasicAuth {
    let user = |user: &str, hash| Credential { user: user.into(), hash };
    let apr1 = PasswordHash::Md5Crypt {
        magic: "apr1",
        salt: "saltsalt".into(),
        hash: "LrttParrLPdxvgutaSXWJ0".into(),
    };
    BasicAuth {
        users: vec![
            user("alice", PasswordHash::Bcrypt(BCRYPT.into())),
            user("bob", apr1),
            user("carol", PasswordHash::Clear("pass word".into())),
        ],
        challenge: HeaderValue::from_static("Basic realm=\"traefik\""),
        user_field: None,
        remove_header: false,
    }
}

fn edge(pod: &Upstream, change: impl FnOnce(&mut BasicAuth)) -> Edge {
    let mut auth = basic_auth();
    change(&mut auth);
    let step = Step::BasicAuth(Box::new(auth));
    Stepped::new(pod.addr()).route("", "/", vec![step]).start()
}

const ALICE: &str = "YWxpY2U6c2VjcmV0";
const BOB: &str = "Ym9iOnNlY3JldA==";
const CAROL: &str = "Y2Fyb2w6cGFzcyB3b3Jk";

fn ask(edge: &Edge, from: u8, credentials: &str) -> Message {
    let from = IpAddr::from([127, 0, 0, from]);
    let mut client = crate::support::Client::connect_from(from, edge.addr());
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-User: root\r\nX_User: root\r\n\
         Authorization: Basic {credentials}\r\n\r\n"
    ));
    client.response()
}

#[test]
fn each_user_gets_in_by_the_right_password_alone() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    for (from, credentials) in [(1, ALICE), (2, BOB), (3, CAROL), (4, ALICE)] {
        assert_eq!(ask(&edge, from, credentials).status(), 200, "{credentials}");
    }
    // alice:wrong, nobody:secret, bob:, carol:secret.
    for credentials in ["YWxpY2U6d3Jvbmc=", "bm9ib2R5OnNlY3JldA==", "Ym9iOg==", "Y2Fyb2w6c2VjcmV0"]
    {
        let response = ask(&edge, 5, credentials);
        assert_eq!(response.status(), 401, "{credentials}");
        assert_eq!(response.field("www-authenticate"), Some("Basic realm=\"traefik\""));
        assert!(response.text().contains("unauthorized"));
    }
    let response = edge.get("a", "/");
    assert_eq!((response.status(), response.field("www-authenticate").is_some()), (401, true));
    assert_eq!(pod.requests().len(), 4);
    let field = pod.requests()[0].field("authorization").map(str::to_owned);
    assert_eq!(field, Some(format!("Basic {ALICE}")));
}

#[test]
fn the_pod_is_told_the_user_and_not_the_password_if_that_is_wanted() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |auth| {
        auth.user_field = Some(name("x-user"));
        auth.remove_header = true;
    });
    // The second time from what is remembered.
    for _ in 0..2 {
        assert_eq!(ask(&edge, 1, ALICE).status(), 200);
    }
    for request in pod.requests() {
        assert_eq!(request.field("x-user"), Some("alice"));
        assert_eq!((request.field("x_user"), request.field("authorization")), (None, None));
    }
}

#[test]
fn a_visitor_who_tries_passwords_is_braked_and_others_are_not() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    assert_eq!(ask(&edge, 1, ALICE).status(), 200);
    let wrong = "YWxpY2U6d3Jvbmc=";
    let statuses: Vec<u16> = (0..12).map(|_| ask(&edge, 1, wrong).status()).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    let refused = ask(&edge, 1, BOB);
    assert_eq!(refused.status(), 429, "it is not looked at");
    let wait: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(ask(&edge, 1, ALICE).status(), 200, "who is logged in stays so");
    assert_eq!(ask(&edge, 2, BOB).status(), 200, "another visitor");
    for _ in 0..100 {
        ask(&edge, 1, wrong);
    }
    assert_eq!(ask(&edge, 1, ALICE).status(), 429, "guesses come to an end");
    edge.await_metric("ravelin_requests_total", &[("reason", "unauthorized")], 10.0);
}

#[test]
fn a_page_that_asks_for_much_at_once_logs_in_once() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    let mut clients: Vec<_> = (0..30).map(|_| edge.connect()).collect();
    for client in &mut clients {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {ALICE}\r\n\r\n"));
    }
    for mut client in clients {
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn without_users_nobody_gets_in() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |auth| auth.users.clear());
    assert_eq!(ask(&edge, 1, ALICE).status(), 401);
}
