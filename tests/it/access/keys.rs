//! What becomes of tokens when the keys of the team change, or cannot be had.

use super::tokens::{Signer, claims};
use super::{Scene, hosts, now, refused};
use crate::support::{Upstream, edge};

/// A token that names a key which nobody has: brings the next attempt to fetch keys forward.
fn nudge(scene: &Scene) {
    let token = Signer::new("nobody").token(&claims(now()));
    refused(&scene.get("a", &[&token]), 403, "access_token_refused");
}

#[test]
fn a_new_key_is_taken_at_its_first_token_and_the_old_one_stays_good_while_it_is_published() {
    let scene = Scene::start();
    let old = scene.token();
    assert_eq!(scene.get("a", &[&old]).status(), 200);
    let next = Signer::new("k2");
    let new = next.token(&claims(now()));
    refused(&scene.get("a", &[&next.sign("{}", "{}")]), 403, "access_token_refused");
    scene.team.publish(&[&next, &scene.signer]);
    assert_eq!(scene.get("a", &[&new]).status(), 200, "the first request waits for the key");
    scene.edge.await_metric("ravelin_access_keys", &[("team", "example")], 2.0);
    assert_eq!(scene.get("a", &[&old]).status(), 200, "verified before");
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200, "not seen before");
    assert_eq!(scene.team.heads().len(), 2);
}

#[test]
fn a_key_that_is_withdrawn_ends_tokens_that_were_verified_with_it() {
    let scene = Scene::start();
    let old = scene.token();
    assert_eq!(scene.get("a", &[&old]).status(), 200);
    scene.team.publish(&[&Signer::new("k2")]);
    nudge(&scene);
    refused(&scene.get("a", &[&old]), 403, "access_token_refused");
}

#[test]
fn made_up_key_names_do_not_become_requests_to_the_team() {
    let scene = Scene::start();
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200);
    for _ in 0..20 {
        nudge(&scene);
    }
    assert_eq!(scene.team.heads().len(), 2, "at the start, and for the first of them");
}

#[test]
fn a_team_that_cannot_be_asked_keeps_its_last_good_keys() {
    let scene = Scene::start();
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200);
    scene.team.go_away();
    nudge(&scene);
    let failing = [("team", "example")];
    scene.edge.await_metric("ravelin_access_keys_failing", &failing, 1.0);
    let mut other = claims(now());
    other["email"] = "bob@a.example".into();
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200);
    assert_eq!(scene.get("a", &[&scene.signer.token(&other)]).status(), 200, "not seen before");
    scene.edge.await_metric("ravelin_access_keys", &failing, 1.0);
    let metrics = scene.edge.metrics();
    let at = metrics.sum("ravelin_access_keys_success_timestamp_seconds", &failing);
    assert!(at > 1_700_000_000.0, "{at}");
}

#[test]
fn an_answer_that_has_no_keys_changes_nothing() {
    let scene = Scene::start();
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200);
    scene.team.answer_html();
    nudge(&scene);
    let results = "ravelin_access_keys_fetches_total";
    scene.edge.await_metric(results, &[("result", "syntax")], 1.0);
    assert_eq!(scene.get("a", &[&scene.token()]).status(), 200);
}

#[test]
fn without_keys_nobody_gets_in_and_routes_without_the_annotation_are_served() {
    let scene = Scene::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pod = Upstream::saying("pod");
    let table = scene.team.table(scene.folder.path());
    scene.team.go_away();
    let edge = hosts(edge(), &pod).tables(&table).start();
    let token = scene.token();
    let scene = Scene { edge, pod, folder, ..scene };
    let answer = scene.get("a", &[&token]);
    refused(&answer, 503, "access_keys_missing");
    assert!(answer.field("retry-after").is_some());
    refused(&scene.get("a", &[]), 403, "access_token_missing");
    refused(&scene.get("a", &["a.b.c"]), 403, "access_token_refused");
    assert_eq!(scene.get("open", &[]).status(), 200);
    assert_eq!(scene.pod.requests().len(), 1);
}

#[test]
fn a_team_whose_server_is_not_trusted_has_no_keys() {
    let scene = Scene::start();
    let other = tempfile::tempdir().expect("a temporary folder");
    // Another authority, under the same name.
    super::TeamServer::start(other.path(), &[&scene.signer]);
    let pod = Upstream::saying("pod");
    let edge = hosts(edge(), &pod).tables(&scene.team.table(other.path())).start();
    let token = scene.token();
    let scene = Scene { edge, pod, ..scene };
    refused(&scene.get("a", &[&token]), 503, "access_keys_missing");
    let results = scene.edge.metrics();
    assert!(results.sum("ravelin_access_keys_fetches_total", &[("result", "tls")]) >= 1.0);
}
