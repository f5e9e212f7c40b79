//! `forwardAuth`: what the auth server is asked, and what becomes of its answer.

use super::{Stepped, forward_auth, name, step};
use crate::support::{Conn, Edge, Message, Refusing, Upstream};
use http::HeaderValue;
use ravelin::model::middleware::{AuthFlavour, ForwardAuth, Pattern};
use std::net::SocketAddr;

/// An auth server that answers every request so.
fn auth_saying(answer: &'static str) -> Upstream {
    Upstream::scripted(
        move |conn: &mut Conn| while conn.request().is_some() && conn.send(answer) {},
    )
}

fn pod() -> Upstream {
    Upstream::saying("pod")
}

fn cookies(response: &Message) -> Vec<&str> {
    let all = response.fields.iter().filter(|(name, _)| name == "set-cookie");
    all.map(|(_, value)| value.as_str()).collect()
}

fn edge(pod: &Upstream, auth: SocketAddr, change: impl FnOnce(&mut ForwardAuth)) -> Edge {
    let mut settings = forward_auth();
    change(&mut settings);
    Stepped::new(pod.addr()).service("auth", &[auth]).route("", "/", vec![step(settings)]).start()
}

const YES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn ask(edge: &Edge, head: &str) -> Message {
    let mut client = edge.connect();
    client.send(head);
    client.response()
}

#[test]
fn the_auth_server_is_told_of_the_client_what_is_true() {
    let (pod, auth) = (pod(), auth_saying(YES));
    let edge = edge(&pod, auth.addr(), |_| {});
    let response = ask(
        &edge,
        "GET /a%20b//c?q=%2f HTTP/1.1\r\nHost: a.example\r\nCookie: s=1\r\nX-Forwarded-For: 1.2.3.4\r\n\
         X-Forwarded-Uri: /public\r\nX-Forwarded-Method: OPTIONS\r\nConnection: x-hop\r\nX-Hop: 1\r\n\
         X-Own: 2\r\n\r\n",
    );
    assert_eq!((response.status(), response.text()), (200, "pod"));
    let asked = auth.only_request();
    assert_eq!(asked.start, "GET /verify?x=1 HTTP/1.1");
    assert_eq!(
        asked.sorted_fields(),
        [
            "cookie: s=1",
            "host: auth.default.svc:9000",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: a.example",
            "x-forwarded-method: GET",
            &format!("x-forwarded-port: {}", edge.addr().port()),
            "x-forwarded-proto: http",
            "x-forwarded-uri: /a%20b/c?q=%2f",
            "x-own: 2",
            "x-real-ip: 127.0.0.1",
        ]
    );
    assert_eq!(pod.only_request().field("x-forwarded-uri"), None);
}

#[test]
fn only_the_fields_that_are_named_are_sent_and_what_is_said_of_the_client() {
    let (pod, auth) = (pod(), auth_saying(YES));
    let edge = edge(&pod, auth.addr(), |auth| {
        auth.request_fields = vec![name("cookie")];
        auth.keep_method = true;
    });
    let head =
        "POST /x HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\nX-Own: 2\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(ask(&edge, head).status(), 200);
    let asked = auth.only_request();
    assert_eq!(asked.start, "POST /verify?x=1 HTTP/1.1");
    let mut names: Vec<&str> = asked.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-length",
            "cookie",
            "host",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-method",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-forwarded-uri",
        ]
    );
    assert_eq!(pod.only_request().text(), "body");
}

#[test]
fn what_pods_are_told_of_the_user_comes_from_the_auth_server_alone() {
    let (pod, auth) = (
        pod(),
        auth_saying(
            "HTTP/1.1 204 No Content\r\nRemote-User: alice\r\nX-Groups: a\r\nX-Groups: b\r\n\
             X-Auth-Id: 7\r\nX-Auth-Length: 3\r\nX-Other: 1\r\n\r\n",
        ),
    );
    let edge = edge(&pod, auth.addr(), |auth| {
        auth.response_fields = vec![name("remote-user"), name("x-groups"), name("x-missing")];
        auth.response_pattern = Some(Pattern::new("^X-Auth-").expect("an expression"));
    });
    let head = "GET / HTTP/1.1\r\nHost: a\r\nRemote-User: root\r\nRemote_User: root\r\n\
                X-Missing: 1\r\nX-Groups: admin\r\nX-Auth-Id: 0\r\nX_Auth_Admin: 1\r\nX-Auth-More: 1\r\n\
                X-Other: mine\r\n\r\n";
    assert_eq!(ask(&edge, head).status(), 200);
    let asked = pod.only_request();
    let fields = asked.sorted_fields();
    let own: Vec<&str> = fields
        .iter()
        .map(String::as_str)
        .filter(|field| !field.starts_with("x-forwarded") && !field.starts_with("x-real"))
        .collect();
    assert_eq!(
        own,
        [
            "host: a",
            "remote-user: alice",
            "x-auth-id: 7",
            "x-auth-length: 3",
            "x-groups: a",
            "x-groups: b",
            "x-other: mine"
        ]
    );
}

#[test]
fn a_refusal_reaches_the_client_as_it_is() {
    let (pod, auth) = (
        pod(),
        auth_saying(
            "HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             Content-Type: text/html\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 6\r\n\r\nlog in",
        ),
    );
    let edge = edge(&pod, auth.addr(), |_| {});
    let mut client = edge.connect();
    let response = client.get("a.example", "/x");
    assert_eq!((response.status(), response.text()), (302, "log in"));
    assert_eq!(response.field("location"), Some("http://auth.default.svc:9000/login"));
    assert_eq!(response.field("content-type"), Some("text/html"));
    assert_eq!(response.field("x-hop"), None);
    assert_eq!(cookies(&response), ["a=1", "b=2"]);
    client.ask("HEAD", "a.example", "/x");
    let response = client.response_to_head();
    assert_eq!((response.status(), response.field("content-length")), (302, Some("6")));
    assert_eq!(auth.connections(), 1, "the connection is used again");
    assert_eq!(pod.connections(), 0);
    assert_eq!(edge.await_log(2)[0]["reason"], "auth_denied");
}

#[test]
fn a_location_is_kept_if_that_is_wanted() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
    let (pod, auth) = (pod(), auth_saying(answer));
    let edge = edge(&pod, auth.addr(), |auth| auth.keep_location = true);
    assert_eq!(edge.get("a", "/").field("location"), Some("/login"));
}

#[test]
fn nobody_gets_in_while_the_auth_server_does_not_answer() {
    let pod = pod();
    let closing = Upstream::scripted(|conn| drop(conn.request()));
    let malformed = Upstream::scripted(|conn| {
        conn.request();
        conn.send("hello\r\n\r\n");
    });
    let broken_off = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok");
    });
    let large = auth_saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    let refusing = Refusing::new();
    for auth in [closing.addr(), malformed.addr(), broken_off.addr(), large.addr(), refusing.addr()]
    {
        let edge = edge(&pod, auth, |auth| auth.max_response_body = 5);
        let response = edge.get("a", "/");
        assert_eq!(response.status(), 502, "{response:?}");
        assert!(response.text().contains("auth_unavailable"), "{response:?}");
        edge.ended("auth_unavailable");
    }
    let nowhere = Stepped::new(pod.addr())
        .service("auth", &[])
        .route("", "/", vec![step(forward_auth())])
        .start();
    assert_eq!(nowhere.get("a", "/").status(), 502);
    let missing = Stepped::new(pod.addr()).route("", "/", vec![step(forward_auth())]).start();
    assert_eq!(missing.get("a", "/").status(), 502);
    assert_eq!(pod.connections(), 0);
}

#[test]
fn cookies_that_are_named_reach_the_client_in_place_of_the_pods() {
    let auth = auth_saying(
        "HTTP/1.1 200 OK\r\nSet-Cookie: session=new; Path=/\r\nSet-Cookie: other=1\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let pod = Upstream::scripted(|conn| {
        conn.request();
        conn.send(
            "HTTP/1.1 200 OK\r\nSet-Cookie: session=old\r\nSet-Cookie: pod=1\r\n\
             Content-Length: 0\r\n\r\n",
        );
    });
    let edge = edge(&pod, auth.addr(), |auth| auth.cookies = vec!["session".into()]);
    let response = edge.get("a", "/");
    assert_eq!(cookies(&response), ["pod=1", "session=new; Path=/"]);
}

#[test]
fn an_upgrade_is_asked_for_without_the_upgrade() {
    let auth = auth_saying(YES);
    let pod = Upstream::scripted(|conn| {
        let request = conn.request().expect("a request");
        assert_eq!(request.field("upgrade"), Some("websocket"));
        conn.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
    });
    let edge = edge(&pod, auth.addr(), |_| {});
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.head().status(), 101);
    let asked = auth.only_request();
    assert_eq!((asked.field("upgrade"), asked.field("connection")), (None, None));
}

#[test]
fn appsec_is_told_in_its_own_fields_and_blocks_with_403_alone() {
    let pod = pod();
    let key = || HeaderValue::from_static("s3cret");
    for (answer, status, reason) in [
        (YES, 200, None),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 39\r\n\r\n{\"action\": \"ban\", \"http_status\": 418  }",
            418,
            Some("auth_denied"),
        ),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, Some("auth_denied")),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 502, Some("auth_unavailable")),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 502, Some("auth_unavailable")),
        ("HTTP/1.1 204 No Content\r\n\r\n", 502, Some("auth_unavailable")),
    ] {
        let auth = auth_saying(answer);
        let edge = edge(&pod, auth.addr(), |auth| auth.flavour = AuthFlavour::AppSec(key()));
        let response = ask(
            &edge,
            "DELETE /x?y HTTP/1.1\r\nHost: a.example\r\nUser-Agent: me\r\n\
             X-Crowdsec-Appsec-Ip: 1.1.1.1\r\n\r\n",
        );
        assert_eq!(response.status(), status, "{answer}");
        assert_eq!(edge.await_log(1)[0]["reason"].as_str(), reason, "{answer}");
        let asked = auth.only_request();
        assert_eq!(asked.start, "GET /verify?x=1 HTTP/1.1");
        for (field, value) in [
            ("ip", "127.0.0.1"),
            ("uri", "/x?y"),
            ("host", "a.example"),
            ("verb", "DELETE"),
            ("api-key", "s3cret"),
            ("user-agent", "me"),
            ("http-version", "11"),
        ] {
            assert_eq!(asked.field(&format!("x-crowdsec-appsec-{field}")), Some(value));
        }
    }
}
