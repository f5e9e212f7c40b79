//! `[[zone]]`: what hosts ask for whatever their Ingress or IngressRoute says.

use super::{NEXT, NOW, annotated, ask, behind_balancer, refused, secret, through_cloudflare};
use crate::support::{Builder, Upstream, edge, eventually, ingress, rule};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn secret_file(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("values");
    fs::write(&path, text).expect("a new file");
    path
}

/// A proxy whose hosts `a` and those below `x` need the secret of a file, and let no Worker in. Routes of them, of every
/// host, and an IngressRoute.
fn proxy(pod: &Upstream, file: &Path) -> Builder {
    let mut fallback = ingress("fallback", &[]);
    fallback["spec"]["defaultBackend"] =
        json!({"service": {"name": "pod", "port": {"name": "http"}}});
    let route = json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "r", "namespace": "ns"},
        "spec": {"routes": [{"match": "Host(`r.x`)", "kind": "Rule",
                             "services": [{"name": "pod", "port": "http"}]}]},
    });
    edge()
        .set("source", "ingress_classes", "[\"traefik\"]")
        .service("pod", &[pod.addr()])
        .object("a.json", &annotated("a", &[("strip-prefix", "/app")]))
        .object("any.json", &ingress("any", &[rule("", &[("/any", "Prefix", "pod")])]))
        .object("fallback.json", &fallback)
        .object("route.json", &route)
        .tables(&format!(
            "[[zone]]\nhosts = [\"a\", \"*.x\"]\nsecret_header = \"X-Origin-Auth\"\n\
             secret_file = {file:?}\nworker_zones = []\nmax_cdn_passes = 1"
        ))
}

fn line(value: &str) -> String {
    format!("X-Origin-Auth: {value}\r\n")
}

#[test]
fn hosts_of_the_configuration_ask_for_it_through_whichever_route() {
    let (pod, folder) = (Upstream::saying("pod"), tempfile::tempdir().expect("a folder"));
    let edge = proxy(&pod, &secret_file(&folder, &format!("{NOW}\n{NEXT}\n"))).start();
    for host in ["a", "A", "a:80", "s.x", "r.x"] {
        refused(&ask(edge.addr(), host, ""), 403, "secret_missing");
        refused(&ask(edge.addr(), host, &line("guess")), 403, "secret_missing");
        assert_eq!(ask(edge.addr(), host, &line(NOW)).status(), 200, "{host}");
        assert_eq!(ask(edge.addr(), host, &line(NEXT)).status(), 200, "{host}");
        let worker = format!("{}CF-Worker: example.com\r\n", line(NOW));
        refused(&ask(edge.addr(), host, &worker), 403, "worker_refused");
        let looped = format!("{}CDN-Loop: cloudflare; loops=2\r\n", line(NOW));
        refused(&ask(edge.addr(), host, &looped), 403, "cdn_loop_refused");
    }
    refused(&edge.get("a", "/any"), 403, "secret_missing");
    // Other hosts ask for nothing, and their pods do not learn the secret that the zone adds to all requests.
    for host in ["b", "x", "s.s.x"] {
        assert_eq!(ask(edge.addr(), host, "CF-Worker: x.example\r\n").status(), 200, "{host}");
        assert_eq!(ask(edge.addr(), host, &line(NOW)).status(), 200, "{host}");
    }
    let seen = format!("{:?}", pod.requests());
    assert!(!seen.contains(NOW) && !seen.contains(NEXT), "{seen}");
}

#[test]
fn the_file_is_followed_and_what_cannot_be_used_changes_nothing() {
    let (pod, folder) = (Upstream::saying("pod"), tempfile::tempdir().expect("a folder"));
    let file = secret_file(&folder, NOW);
    let edge = proxy(&pod, &file).start();
    let statuses = || [NOW, NEXT].map(|value| ask(edge.addr(), "a", &line(value)).status());
    let becomes = |expected: [u16; 2]| {
        eventually(&format!("{expected:?}"), || (statuses() == expected).then_some(()));
    };
    let failing = |count| edge.await_metric("ravelin_secret_files_failing", &[], count);
    assert_eq!(statuses(), [200, 403]);
    fs::write(&file, format!("{NOW}\n{NEXT}\n")).expect("a file");
    becomes([200, 200]);
    fs::write(&file, format!("{NEXT}\nshort\n")).expect("a file");
    failing(1.0);
    assert_eq!(statuses(), [200, 200]);
    fs::remove_file(&file).expect("it is there");
    failing(1.0);
    assert_eq!(statuses(), [200, 200]);
    fs::write(&file, NEXT).expect("a file");
    becomes([403, 200]);
    failing(0.0);
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start_and_is_named() {
    let (pod, folder) = (Upstream::saying("pod"), tempfile::tempdir().expect("a folder"));
    for (text, problem) in [
        ("", "has no line with a value"),
        (" \n\n", "has no line with a value"),
        ("hunter2\n", "has a value of fewer than 16 characters"),
    ] {
        let file = secret_file(&folder, text);
        let refusal = proxy(&pod, &file).refusal();
        assert!(
            refusal.starts_with(&format!("zone.secret_file {file:?} {problem}; ")),
            "{refusal}"
        );
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    let gone = folder.path().join("gone");
    let refusal = proxy(&pod, &gone).refusal();
    assert!(refusal.starts_with(&format!("zone.secret_file {gone:?} cannot be read")), "{refusal}");
}

#[test]
fn a_host_that_its_ingress_asks_for_as_well_needs_what_both_ask_for() {
    let (pod, folder) = (Upstream::saying("pod"), tempfile::tempdir().expect("a folder"));
    let edge = proxy(&pod, &secret_file(&folder, NOW)).start();
    edge.put("secret.json", &secret(&[("now", NOW), ("next", NEXT)]).to_string());
    let own = |header| [("secret-header", header), ("secret-header-secret", "auth")];
    // The same field is compared by both.
    edge.put("a.json", &annotated("a", &own("X-Origin-Auth")).to_string());
    assert_eq!(ask(edge.addr(), "a", &line(NOW)).status(), 200);
    refused(&ask(edge.addr(), "a", &line(NEXT)), 403, "secret_missing");
    edge.put("a.json", &annotated("a", &own("X-App-Auth")).to_string());
    refused(&ask(edge.addr(), "a", &line(NOW)), 403, "secret_missing");
    let both = format!("{}X-App-Auth: {NEXT}\r\n", line(NOW));
    assert_eq!(ask(edge.addr(), "a", &both).status(), 200);
}

#[test]
fn an_ingress_may_ask_for_the_field_that_all_requests_of_cloudflare_carry() {
    let (pod, folder) = (Upstream::saying("pod"), tempfile::tempdir().expect("a folder"));
    let file = secret_file(&folder, &format!("{NOW}\n{NEXT}\n"));
    let own = [("secret-header", "X-Origin-Auth"), ("secret-header-secret", "auth")];
    let edge = behind_balancer(&pod)
        .set("cloudflare", "secret_header", "\"X-Origin-Auth\"")
        .set("cloudflare", "secret_file", &format!("{file:?}"))
        .object("a.json", &annotated("a", &own))
        .object("secret.json", &secret(&[("now", NOW)]))
        .start();
    assert_eq!(through_cloudflare(edge.addr(), "a", &line(NOW)).status(), 200);
    refused(&through_cloudflare(edge.addr(), "a", &line(NEXT)), 403, "secret_missing");
    refused(&through_cloudflare(edge.addr(), "a", ""), 403, "secret_missing");
    assert_eq!(pod.only_request().field("x-origin-auth"), None);
}
