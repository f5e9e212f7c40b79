//! `[[access]]` with applications: hosts that need a token whatever their Ingress says.

use super::tokens::{AUD, OTHER_AUD, Signer, claims};
use super::{Scene, TeamServer, annotated, now, refused};
use crate::support::{Upstream, edge, ingress, rule};
use serde_json::json;

/// Hosts `a` and those below `x` need a token of the first application, `b` one of the second and of a group. Routes of
/// them, of every host, and of nobody in particular.
fn scene() -> Scene {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let signer = Signer::new("k1");
    let team = TeamServer::start(folder.path(), &[&signer]);
    let pod = Upstream::saying("pod");
    let tables = format!(
        "{}hosts = [\"a\", \"*.x\"]\naudiences = [\"{AUD}\"]\n\
         [[access]]\nteam = \"example\"\nhosts = [\"b\"]\naudiences = [\"{OTHER_AUD}\"]\n\
         groups = [\"ops\"]\n",
        team.table(folder.path())
    );
    let mut fallback = ingress("fallback", &[]);
    fallback["spec"]["defaultBackend"] =
        json!({"service": {"name": "pod", "port": {"name": "http"}}});
    let edge = edge()
        .service("pod", &[pod.addr()])
        .object("a.json", &annotated("a", &[("strip-prefix", "/app")]))
        .object("b.json", &annotated("b", &[]))
        .object("x.json", &ingress("x", &[rule("*.x", &[("/", "Prefix", "pod")])]))
        .object("any.json", &ingress("any", &[rule("", &[("/any", "Prefix", "pod")])]))
        .object("fallback.json", &fallback)
        .tables(&tables)
        .start();
    Scene { edge, pod, team, signer, folder }
}

#[test]
fn hosts_of_the_configuration_need_a_token_through_whichever_route() {
    let scene = scene();
    let token = scene.token();
    for host in ["a", "A", "a:80", "s.x"] {
        refused(&scene.get(host, &[]), 403, "access_token_missing");
        assert_eq!(scene.get(host, &[&token]).status(), 200, "{host}");
    }
    for target in ["/any", "/any/../a"] {
        let answer = scene.edge.get("a", target);
        refused(&answer, 403, "access_token_missing");
    }
    refused(&scene.get("b", &[&token]), 403, "access_token_refused");
    let mut claims = claims(now());
    claims["aud"] = json!([OTHER_AUD]);
    assert_eq!(scene.get("b", &[&scene.signer.token(&claims)]).status(), 200);
    claims["custom"] = json!({});
    refused(&scene.get("b", &[&scene.signer.token(&claims)]), 403, "access_group_denied");
}

#[test]
fn other_hosts_need_none_and_what_they_are_shown_is_not_verified() {
    let scene = scene();
    for (host, target) in [("c", "/any"), ("c", "/"), ("x", "/"), ("s.s.x", "/any")] {
        assert_eq!(scene.edge.get(host, target).status(), 200, "{host}{target}");
    }
    assert_eq!(scene.get("c", &["no.token.it is"]).status(), 200);
    let last = scene.pod.requests().pop().expect("a request");
    assert_eq!(last.field("cf-access-jwt-assertion"), None);
}

#[test]
fn a_host_that_an_ingress_asks_for_as_well_needs_what_both_ask_for() {
    let scene = scene();
    let other = format!("example/{OTHER_AUD}");
    scene.edge.put("a.json", &annotated("a", &[("access", &other)]).to_string());
    refused(&scene.get("a", &[&scene.token()]), 403, "access_token_refused");
    let mut claims = claims(now());
    claims["aud"] = json!([OTHER_AUD, AUD]);
    assert_eq!(scene.get("a", &[&scene.signer.token(&claims)]).status(), 200);
}
