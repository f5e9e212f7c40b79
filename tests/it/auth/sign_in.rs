//! `auth-url` and `auth-signin` of ingress-nginx, and a log-in from its beginning to its end.

use super::{Stepped, forward_auth, name, step};
use crate::support::{Conn, Edge, Upstream};
use ravelin::model::middleware::{AuthFlavour, SignIn};

/// What oauth2-proxy does: `/verify` tells by a cookie, and on success who it is.
fn oauth2_proxy() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        while let Some(request) = conn.request() {
            let answer = match request.field("cookie") {
                Some("_oauth2_proxy=good") => {
                    "HTTP/1.1 202 Accepted\r\nX-Auth-Request-User: alice\r\n\
                     X-Auth-Request-Email: alice@a.example\r\nSet-Cookie: _oauth2_proxy=fresh; HttpOnly\r\n\
                     Content-Length: 0\r\n\r\n"
                }
                Some("_oauth2_proxy=other") => {
                    "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
                }
                Some("_oauth2_proxy=odd") => {
                    "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
                }
                _ => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nUnauthorized",
            };
            if !conn.send(answer) {
                return;
            }
        }
    })
}

fn edge(pod: &Upstream, auth: &Upstream, sign_in: Option<SignIn>) -> Edge {
    let mut settings = forward_auth();
    settings.flavour = AuthFlavour::Nginx;
    settings.response_fields = vec![name("x-auth-request-user"), name("x-auth-request-email")];
    settings.sign_in = sign_in;
    Stepped::new(pod.addr())
        .service("auth", &[auth.addr()])
        .route("", "/oauth2", Vec::new())
        .route("", "/", vec![step(settings)])
        .start()
}

fn with_cookie(edge: &Edge, target: &str, cookie: &str) -> crate::support::Message {
    let mut client = edge.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\n\r\n"));
    client.response()
}

#[test]
fn who_has_not_logged_in_is_sent_to_do_so_and_gets_in_afterwards() {
    let (pod, auth) = (Upstream::saying("pod"), oauth2_proxy());
    let sign_in = SignIn { url: "https://$host/oauth2/start".into(), parameter: Some("rd".into()) };
    let edge = edge(&pod, &auth, Some(sign_in));
    let response = edge.get("app.example", "/a?b=c&d");
    assert_eq!((response.status(), response.text()), (302, ""));
    assert_eq!(
        response.field("location"),
        Some("https://app.example/oauth2/start?rd=http://app.example%2Fa%3Fb%3Dc%26d")
    );
    let asked = auth.requests().remove(0);
    for (field, value) in [
        ("x-original-url", "http://app.example/a?b=c&d"),
        ("x-original-method", "GET"),
        ("x-auth-request-redirect", "/a?b=c&d"),
        ("x-sent-from", "nginx-ingress-controller"),
    ] {
        assert_eq!(asked.field(field), Some(value));
    }
    // The log-in itself is not behind the step.
    assert_eq!(edge.get("app.example", "/oauth2/start").status(), 200);
    let response = with_cookie(&edge, "/a", "_oauth2_proxy=good");
    assert_eq!((response.status(), response.text()), (200, "pod"));
    assert_eq!(response.field("set-cookie"), Some("_oauth2_proxy=fresh; HttpOnly"));
    let served = pod.requests().pop().expect("it was asked");
    assert_eq!(served.field("x-auth-request-user"), Some("alice"));
    assert_eq!(served.field("x-auth-request-email"), Some("alice@a.example"));
}

#[test]
fn of_a_refusal_the_client_gets_the_status_alone_and_of_an_error_nothing() {
    let (pod, auth) = (Upstream::saying("pod"), oauth2_proxy());
    let edge = edge(&pod, &auth, None);
    let response = with_cookie(&edge, "/", "_oauth2_proxy=other");
    assert_eq!(response.status(), 403);
    assert!(response.text().contains("auth_denied"));
    assert_eq!(edge.get("app.example", "/").status(), 401);
    let response = with_cookie(&edge, "/", "_oauth2_proxy=odd");
    assert_eq!((response.status(), response.field("location")), (502, None));
    assert_eq!(pod.connections(), 0);
}
