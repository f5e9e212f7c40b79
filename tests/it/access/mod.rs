//! `ravelin.dev/access`: tokens of Cloudflare Access, with keys of a team that is played here.

mod hosts;
mod keys;
mod reload;
mod team;
#[path = "../../support/access_tokens.rs"]
mod tokens;

use crate::support::{Builder, Edge, Message, Upstream, edge, ingress, refused, rule};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use team::TeamServer;
use tempfile::TempDir;
use tokens::{AUD, OTHER_AUD, Signer, claims, forgeries, service_claims};

/// A proxy before a pod, the team that it believes, and a key of that team.
struct Scene {
    edge: Edge,
    pod: Upstream,
    team: TeamServer,
    signer: Signer,
    folder: TempDir,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// An Ingress of one host with annotations.
fn annotated(host: &str, annotations: &[(&str, &str)]) -> Value {
    let mut ingress = ingress(host, &[rule(host, &[("/", "Prefix", "pod")])]);
    let pairs =
        annotations.iter().map(|(name, value)| (format!("ravelin.dev/{name}"), json!(value)));
    ingress["metadata"]["annotations"] = Value::Object(pairs.collect());
    ingress
}

/// Hosts `a` and `b` of two applications, `g` with groups, and `open` without the annotation.
fn hosts(builder: Builder, pod: &Upstream) -> Builder {
    let (a, b) = (format!("example/{AUD}"), format!("example.cloudflareaccess.com/{OTHER_AUD}"));
    builder
        .service("pod", &[pod.addr()])
        .object("a.json", &annotated("a", &[("access", &a)]))
        .object("b.json", &annotated("b", &[("access", &b)]))
        .object("g.json", &annotated("g", &[("access", &a), ("access-groups", "admins, ops")]))
        .object("open.json", &annotated("open", &[]))
}

impl Scene {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let signer = Signer::new("k1");
        let team = TeamServer::start(folder.path(), &[&signer]);
        let pod = Upstream::saying("pod");
        let edge = hosts(edge(), &pod).tables(&team.table(folder.path())).start();
        Self { edge, pod, team, signer, folder }
    }

    fn token(&self) -> String {
        self.signer.token(&claims(now()))
    }

    /// GET with these values of the field.
    fn get(&self, host: &str, tokens: &[&str]) -> Message {
        let fields: Vec<(&str, &str)> =
            tokens.iter().map(|token| ("Cf-Access-Jwt-Assertion", *token)).collect();
        self.get_with(host, &fields)
    }

    fn get_with(&self, host: &str, fields: &[(&str, &str)]) -> Message {
        let fields: String =
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut client = self.edge.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        client.response()
    }
}

#[test]
fn a_user_gets_in_and_pod_and_log_are_told_who_it_is() {
    let scene = Scene::start();
    let token = scene.token();
    let claimed = [
        ("Cf-Access-Authenticated-User-Email", "root@a.example"),
        ("Cf_Access_Authenticated_User_Email", "root@a.example"),
        ("Cf-Access-Jwt-Assertion", token.as_str()),
    ];
    assert_eq!(scene.get_with("a", &claimed).status(), 200);
    let request = scene.pod.only_request();
    let told = ["cf-access-authenticated-user-email", "cf_access_authenticated_user_email"];
    assert_eq!(told.map(|name| request.field(name)), [Some("ann@a.example"), None]);
    assert_eq!(request.field("cf-access-jwt-assertion"), Some(&*token));
    assert_eq!(scene.edge.await_log(1)[0]["user"], "ann@a.example");
    let head = scene.team.heads().remove(0);
    assert!(head.starts_with("GET /cdn-cgi/access/certs HTTP/1.1\r\n"), "{head}");
    scene.edge.await_metric("ravelin_access_keys", &[("team", "example")], 1.0);
}

#[test]
fn a_service_token_gets_in_under_its_client_id() {
    let scene = Scene::start();
    let token = scene.signer.token(&service_claims(now()));
    let claimed = [
        ("Cf-Access-Authenticated-User-Email", "root@a.example"),
        ("Cf-Access-Jwt-Assertion", token.as_str()),
    ];
    assert_eq!(scene.get_with("a", &claimed).status(), 200);
    assert_eq!(scene.pod.only_request().field("cf-access-authenticated-user-email"), None);
    assert_eq!(scene.edge.await_log(1)[0]["user"], "e367826f93b8.access");
}

#[test]
fn no_forged_or_stale_token_gets_in() {
    let scene = Scene::start();
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200);
    let all = forgeries(&scene.signer, &Signer::new("k2"), now());
    assert!(all.len() >= 90, "only {}", all.len());
    let mut expected: std::collections::BTreeMap<&str, f64> = Default::default();
    for forgery in &all {
        let tokens: Vec<&str> = forgery.tokens.iter().map(String::as_str).collect();
        // A longer field than the token of 16 KiB needs a larger bound for heads, which is not what is shown here.
        if forgery.cause == "too_long" {
            continue;
        }
        let answer = scene.get("a", &tokens);
        assert_eq!(answer.status(), 403, "{}: {}", forgery.what, answer.text());
        assert!(answer.text().contains("access_token_refused"), "{}", forgery.what);
        *expected.entry(forgery.cause).or_default() += 1.0;
    }
    for (cause, count) in expected {
        scene.edge.await_metric("ravelin_access_refused_tokens_total", &[("cause", cause)], count);
    }
    assert_eq!(scene.pod.requests().len(), 1);
}

#[test]
fn without_a_token_nobody_gets_in_and_the_cookie_is_none() {
    let scene = Scene::start();
    let token = scene.token();
    refused(&scene.get("a", &[]), 403, "access_token_missing");
    let cookie = format!("CF_Authorization={token}");
    refused(&scene.get_with("a", &[("Cookie", &cookie)]), 403, "access_token_missing");
    let others = ["Cf_Access_Jwt_Assertion", "Authorization", "Cf-Access-Token"];
    for name in others {
        refused(&scene.get_with("a", &[(name, &token)]), 403, "access_token_missing");
    }
    assert_eq!(scene.pod.requests().len(), 0);
}

#[test]
fn a_token_of_one_application_is_refused_at_another() {
    let scene = Scene::start();
    let token = scene.token();
    // The second time out of what is kept.
    for _ in 0..2 {
        assert_eq!(scene.get("a", &[&token]).status(), 200);
        refused(&scene.get("b", &[&token]), 403, "access_token_refused");
    }
    let mut claims = claims(now());
    claims["aud"] = json!([OTHER_AUD]);
    assert_eq!(scene.get("b", &[&scene.signer.token(&claims)]).status(), 200);
}

#[test]
fn only_members_of_a_group_get_in() {
    let scene = Scene::start();
    assert_eq!(scene.get("g", &[&scene.token()]).status(), 200, "ops, in custom");
    for groups in [json!(["staff"]), json!([]), Value::Null, json!("opsx"), json!([["ops"]])] {
        let mut claims = claims(now());
        claims["custom"] = json!({ "groups": groups });
        let token = scene.signer.token(&claims);
        refused(&scene.get("g", &[&token]), 403, "access_group_denied");
        assert_eq!(scene.get("a", &[&token]).status(), 200, "no group is asked for");
    }
    let service = scene.signer.token(&service_claims(now()));
    refused(&scene.get("g", &[&service]), 403, "access_group_denied");
    let mut claims = claims(now());
    claims["custom"] = Value::Null;
    claims["groups"] = json!(["admins"]);
    assert_eq!(scene.get("g", &[&scene.signer.token(&claims)]).status(), 200);
}

#[test]
fn a_browser_s_token_is_verified_once() {
    let scene = Scene::start();
    let token = scene.token();
    let mut client = scene.edge.connect();
    for _ in 0..50 {
        client
            .send(format!("GET / HTTP/1.1\r\nHost: a\r\nCf-Access-Jwt-Assertion: {token}\r\n\r\n"));
        assert_eq!(client.response().status(), 200);
    }
    scene.edge.await_metric("ravelin_access_verifications_total", &[], 1.0);
    scene.edge.await_metric("ravelin_access_cached_tokens", &[], 1.0);
}

#[test]
fn without_the_annotation_nothing_of_it_is_believed() {
    let scene = Scene::start();
    let token = scene.token();
    let claimed = [
        ("Cf-Access-Authenticated-User-Email", "root@a.example"),
        ("Cf-Access-Jwt-Assertion", token.as_str()),
    ];
    assert_eq!(scene.get_with("open", &claimed).status(), 200);
    let request = scene.pod.only_request();
    let told = ["cf-access-authenticated-user-email", "cf-access-jwt-assertion"];
    assert_eq!(told.map(|name| request.field(name)), [None, None]);
    assert_eq!(scene.edge.await_log(1)[0].get("user"), None);
}

#[test]
fn a_value_that_says_nothing_lets_nobody_in() {
    let scene = Scene::start();
    let token = scene.token();
    for (number, annotations) in [
        [("access", "")].as_slice(),
        &[("access", "example")],
        &[("access", "https://example.cloudflareaccess.com")],
        &[("access", "admin.example.com/0a")],
        &[("access-groups", "ops")],
    ]
    .into_iter()
    .enumerate()
    {
        let host = format!("wrong{number}");
        let file = format!("{host}.json");
        scene.edge.put(&file, &annotated(&host, annotations).to_string());
        refused(&scene.get(&host, &[&token]), 503, "middleware_unusable");
    }
    assert_eq!(scene.pod.requests().len(), 0);
}
