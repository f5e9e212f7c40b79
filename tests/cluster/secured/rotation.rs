//! The Secret of `spec.tls`: named, replaced, broken, deleted, made again.

use super::{Secured, kubectl, put_certificate};
use crate::edge::{SECURED, Setup, program};
use crate::plane::Plane;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

#[test]
fn a_secret_is_rotated_under_load_and_its_last_good_content_outlives_mistakes() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-rotated");
    let host = &*secured.host;
    let strict = |verdict: &'static str| [("host", "shop.secret-rotated"), ("verdict", verdict)];
    secured.name_secret("shop");
    secured.await_failing(1.0, 0.0);
    assert_eq!(secured.shown(), None, "there is nothing to show");
    secured.await_event("SecretUnusable", "there is no Secret \"shop\"");
    secured.await_metric("ravelin_tls_full_strict", &strict("no_certificate"), 1.0);
    assert_eq!(secured.edge.get(host, "/").0, 200, "http is served all the same");

    let mut last = secured.issue();
    secured.certify(&last);
    secured.await_shown(&last);
    secured.await_failing(0.0, 0.0);
    // Cloudflare does not know who has signed it.
    secured.await_metric("ravelin_tls_full_strict", &strict("no_certificate"), 0.0);
    secured.await_metric("ravelin_tls_full_strict", &strict("incomplete_chain"), 1.0);
    let visitors = secured.visitors();
    let nobody_has_noticed = || visitors.iter().for_each(|visitor| visitor.is_content());
    for _ in 0..3 {
        last = secured.issue();
        secured.certify(&last);
        secured.await_shown(&last);
        nobody_has_noticed();
    }

    let broken = json!({"data": {"tls.key": "bm8ga2V5"}}).to_string();
    secured.kubectl(&["patch", "secret", "shop", "--type=merge", "-p", &broken]);
    secured.await_failing(0.0, 1.0);
    secured.await_event("SecretUnusable", "data[tls.key] of Secret \"shop\" is not a PEM");
    secured.await_shown(&last);
    secured.certify(&last);
    secured.await_failing(0.0, 0.0);

    secured.kubectl(&["delete", "secret", "shop"]);
    secured.await_failing(0.0, 1.0);
    secured.await_shown(&last);
    nobody_has_noticed();
    last = secured.issue();
    secured.certify(&last);
    secured.await_shown(&last);
    secured.await_failing(0.0, 0.0);
    nobody_has_noticed();
}

#[test]
fn the_content_of_a_secret_is_that_of_now_however_often_it_is_named_and_left() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-left");
    // There before it is named: its content was not kept, and is fetched.
    let first = secured.issue();
    secured.certify(&first);
    put_certificate(&plane, "secret-left", "other", &first);
    secured.name_secret("shop");
    secured.await_shown(&first);
    let second = secured.issue();
    for secret in ["other", "shop"] {
        // While nobody names it.
        let is_left = if secret == "shop" { "other" } else { "shop" };
        put_certificate(&plane, "secret-left", secret, &second);
        if is_left == "shop" {
            assert_eq!(secured.shown().as_deref(), Some(&*first.der()));
        }
        secured.name_secret(secret);
        secured.await_shown(&second);
    }
    secured.patch(&json!({"spec": {"tls": null}}));
    crate::eventually("nothing is shown", || secured.shown().is_none().then_some(()));
    let third = secured.issue();
    secured.certify(&third);
    secured.name_secret("shop");
    secured.await_shown(&third);
    // A name that is used twice, and then once.
    let both = [("shop.secret-left", "shop"), ("more.secret-left", "shop")]
        .map(|(host, secret)| json!({"hosts": [host], "secretName": secret}));
    secured.patch(&json!({"spec": {"tls": both}}));
    secured.await_shown(&third);
    secured.name_secret("shop");
    let fourth = secured.issue();
    secured.certify(&fourth);
    secured.await_shown(&fourth);
}

#[test]
fn a_secret_of_another_namespace_is_never_taken() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-own");
    plane.namespace("secret-theirs");
    let foreign = secured.issue();
    put_certificate(&plane, "secret-theirs", "shop", &foreign);
    secured.name_secret("shop");
    secured.await_failing(1.0, 0.0);
    assert_eq!(secured.shown(), None);
    let tls = json!([{"hosts": [secured.host], "secretName": "secret-theirs/shop"}]);
    let patch = json!({"spec": {"tls": tls}}).to_string();
    let patch = ["patch", "ingress", "shop", "--type=merge", "-p", &patch];
    let refused = plane.kubectl(&[&["-n", "secret-own"], &patch[..]].concat());
    assert!(!refused.status.success(), "the API server wants a name");

    // Nor does an Ingress over there bring it here.
    let thief = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "thief"},
        "spec": {"ingressClassName": "secret-own",
            "tls": [{"hosts": [secured.host, "thief.example"], "secretName": "shop"}],
            "defaultBackend": {"service": {"name": "none", "port": {"number": 80}}}}});
    plane.create("/apis/networking.k8s.io/v1/namespaces/secret-theirs/ingresses", &thief);
    // It is in force: Cloudflare is shown it for the other host.
    let of_thief = [("host", "thief.example"), ("verdict", "incomplete_chain")];
    secured.await_metric("ravelin_tls_full_strict", &of_thief, 1.0);
    assert_eq!(secured.shown(), None, "the host is of another namespace");
    let own = secured.issue();
    secured.certify(&own);
    secured.await_shown(&own);
    kubectl(&plane, "secret-theirs", &["delete", "ingress", "thief"]);
}

#[test]
fn check_says_what_cloudflare_would_of_the_secrets_of_a_cluster() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-checked");
    let kubeconfig = plane.admin_kubeconfig();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let setup = Setup { kubeconfig: &kubeconfig, class: "secret-checked", keys: SECURED };
    let config = setup.write(folder.path());
    // As if Cloudflare believed in the authority of the tests.
    let store = folder.path().join("store.pem");
    fs::write(&store, secured.authority.pem()).expect("a folder of ours");
    let text = fs::read_to_string(&config).expect("it was written");
    let trusting = format!("[cloudflare]\ntrust_store_file = {store:?}\n");
    fs::write(&config, text.replace("[cloudflare]\n", &trusting)).expect("a folder of ours");
    let full_strict = || {
        let output = Command::new(program())
            .args(["check", "--output", "json", "--config"])
            .arg(&config)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .output()
            .expect("it runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rows = report["full_strict"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["host"] == *secured.host)
    };
    let verdict = || full_strict().map(|row| row["verdict"].clone());
    assert_eq!(verdict(), Some("no_certificate".into()));
    secured.name_secret("shop");
    secured.certify(&secured.authority.issue(&["other.example"]));
    assert_eq!(verdict(), Some("name_mismatch".into()));
    secured.certify(&secured.issue());
    assert_eq!(verdict(), Some("ok".into()));
}
