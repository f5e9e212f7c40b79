//! `digestAuth`: who gets in, with curl as a client, and with a client of ours where that is too well-behaved.

#[path = "../../support/md5_hex.rs"]
mod md5_hex;

use super::{Stepped, name};
use crate::support::{Client, Edge, Message, Upstream, program};
use md5_hex::md5_hex;
use ravelin::model::middleware::{DigestAuth, DigestUser, Step};
use std::net::IpAddr;
use std::process::Command;

/// `ann`, whose password is `secret`.
fn digest_auth() -> DigestAuth {
    let hash = "e008efc4676c740d22dfb8460b00c71f".into();
    DigestAuth {
        users: vec![DigestUser { user: "ann".into(), hash }],
        realm: "traefik".into(),
        user_field: None,
        remove_header: false,
    }
}

fn edge(pod: &Upstream, change: impl FnOnce(&mut DigestAuth)) -> Edge {
    let mut auth = digest_auth();
    change(&mut auth);
    let step = Step::DigestAuth(Box::new(auth));
    Stepped::new(pod.addr()).route("", "/", vec![step]).start()
}

/// Status and number of log-ins that curl needs for some URLs on one connection; `None` without curl.
fn curl(edge: &Edge, user: &str, paths: &[&str]) -> Option<String> {
    let mut command = Command::new(program("curl")?);
    command.args(["--silent", "--noproxy", "*", "--max-time", "20", "--digest", "--user", user]);
    command.args(["--path-as-is", "--write-out", "%{http_code} "]);
    for path in paths {
        command.args(["--output", "/dev/null"]).arg(format!("http://{}{path}", edge.addr()));
    }
    let output = command.output().expect("it can be run");
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn ask(edge: &Edge, from: u8, authorization: &str) -> Message {
    let from = IpAddr::from([127, 0, 0, from]);
    let mut client = Client::connect_from(from, edge.addr());
    let lines = "X-User: root\r\nX_User: root\r\n";
    client.send(format!(
        "GET /x?a=b HTTP/1.1\r\nHost: a\r\n{lines}Authorization: {authorization}\r\n\r\n"
    ));
    client.response()
}

/// A nonce that has just been given out.
fn nonce(edge: &Edge) -> String {
    parameter(&edge.get("a", "/x"), "nonce").expect("a challenge")
}

fn parameter(response: &Message, name: &str) -> Option<String> {
    let challenge = response.field("www-authenticate")?;
    let (_, rest) = challenge.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

fn credentials(password: &str, nonce: &str, count: &str) -> String {
    let secret = md5_hex(&format!("ann:traefik:{password}"));
    let request = md5_hex("GET:/x?a=b");
    let response = md5_hex(&format!("{secret}:{nonce}:{count}:c:auth:{request}"));
    format!(
        "Digest username=\"ann\", realm=\"traefik\", nonce=\"{nonce}\", uri=\"/x?a=b\", qop=auth, \
         nc={count}, cnonce=\"c\", response=\"{response}\", algorithm=MD5"
    )
}

#[test]
fn curl_gets_in_by_the_right_password_alone() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    // The second URL is asked for with the nonce of the first, and as it is written.
    let Some(said) = curl(&edge, "ann:secret", &["/x?a=b", "/y//z%2fa", "/"]) else { return };
    assert_eq!(said, "200 200 200");
    assert_eq!(pod.requests().len(), 3);
    for wrong in ["ann:wrong", "eva:secret", "ann:", ":secret"] {
        assert_eq!(curl(&edge, wrong, &["/x"]).as_deref(), Some("401"), "{wrong}");
    }
    assert_eq!(pod.requests().len(), 3);
}

#[test]
fn a_challenge_is_that_of_traefik_and_no_other_scheme_gets_in() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    for authorization in ["Basic YW5uOnNlY3JldA==", "Digest username=\"ann\"", "Bearer x"] {
        let response = ask(&edge, 1, authorization);
        assert_eq!(response.status(), 401, "{authorization}");
        assert!(response.text().contains("unauthorized"));
        let [nonce, opaque] = ["nonce", "opaque"].map(|name| parameter(&response, name));
        let (nonce, opaque) = (nonce.expect("one"), opaque.expect("one"));
        assert_eq!(
            response.field("www-authenticate"),
            Some(&*format!(
                "Digest realm=\"traefik\", nonce=\"{nonce}\", opaque=\"{opaque}\", \
                 algorithm=\"MD5\", qop=\"auth\""
            ))
        );
    }
    assert_eq!(pod.requests().len(), 0);
}

#[test]
fn a_request_that_was_seen_gets_in_once_and_the_client_is_told_to_take_another_nonce() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    let nonce = nonce(&edge);
    // Requests on several connections overtake each other.
    for count in ["00000002", "00000001"] {
        let seen = credentials("secret", &nonce, count);
        assert_eq!(ask(&edge, 1, &seen).status(), 200, "{count}");
        let again = ask(&edge, 2, &seen);
        assert_eq!(again.status(), 401);
        assert!(again.field("www-authenticate").expect("one").ends_with(", stale=true"));
    }
    let foreign = ask(&edge, 1, &credentials("secret", "bm9uY2U", "00000001"));
    assert!(foreign.field("www-authenticate").expect("one").ends_with(", stale=true"));
    // Who has not the password is not told.
    let wrong = ask(&edge, 1, &credentials("wrong", "bm9uY2U", "00000001"));
    assert!(!wrong.field("www-authenticate").expect("one").contains("stale"));
    // A wrong password uses no count up.
    assert_eq!(ask(&edge, 1, &credentials("wrong", &nonce, "00000003")).status(), 401);
    assert_eq!(ask(&edge, 1, &credentials("secret", &nonce, "00000003")).status(), 200);
    // What was seen is for its own target.
    let other = credentials("secret", &nonce, "00000004").replace("/x?a=b", "/x");
    assert_eq!(ask(&edge, 1, &other).status(), 401);
    assert_eq!(pod.requests().len(), 3);
    edge.await_metric("ravelin_digest_nonces", &[], 1.0);
}

#[test]
fn the_pod_is_told_the_user_and_not_the_digest_if_that_is_wanted() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |auth| {
        auth.user_field = Some(name("x-user"));
        auth.remove_header = true;
    });
    let nonce = nonce(&edge);
    assert_eq!(ask(&edge, 1, &credentials("secret", &nonce, "00000001")).status(), 200);
    let request = pod.only_request();
    assert_eq!(request.field("x-user"), Some("ann"));
    assert_eq!((request.field("x_user"), request.field("authorization")), (None, None));
}

#[test]
fn a_visitor_who_tries_passwords_is_braked_and_others_are_not() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |_| {});
    let (own, guessed) = (nonce(&edge), nonce(&edge));
    assert_eq!(ask(&edge, 1, &credentials("secret", &own, "00000001")).status(), 200);
    let wrong = credentials("wrong", &guessed, "00000001");
    let statuses: Vec<u16> = (0..12).map(|_| ask(&edge, 1, &wrong).status()).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    let refused = ask(&edge, 1, &credentials("secret", &guessed, "00000001"));
    assert_eq!(refused.status(), 429, "it is not looked at");
    let wait: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    let next = credentials("secret", &own, "00000002");
    assert_eq!(ask(&edge, 1, &next).status(), 200, "who is logged in stays so");
    let elsewhere = credentials("secret", &guessed, "00000001");
    assert_eq!(ask(&edge, 2, &elsewhere).status(), 200, "another visitor");
    for _ in 0..100 {
        ask(&edge, 1, &wrong);
    }
    let last = credentials("secret", &own, "00000003");
    assert_eq!(ask(&edge, 1, &last).status(), 429, "guesses come to an end");
}

#[test]
fn without_users_nobody_gets_in() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, |auth| auth.users.clear());
    let nonce = nonce(&edge);
    assert_eq!(ask(&edge, 1, &credentials("secret", &nonce, "00000001")).status(), 401);
}
