//! What Cloudflare would say under Full (strict): in `check`, in `explain`, and as a metric.

use crate::certificates::{Authority, ECDSA, Issued, RSA};
use crate::hosts::verb;
use crate::proxy::{Builder, backend, proxy, write_pair};
use crate::secrets::{ingress, secret};
use serde_json::{Value, json};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const YEAR: u64 = 365 * 24 * 60 * 60;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Since a year, and for 1460 days and a half.
fn long() -> (u64, u64) {
    (now() - YEAR, now() + 4 * YEAR + 43_200)
}

/// An Ingress with a rule for a host, and no `spec.tls`.
fn rule(host: &str) -> Value {
    let mut ingress = ingress("ns", host, "none");
    let backend = ingress["spec"]["defaultBackend"].take();
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    ingress["spec"] = json!({"ingressClassName": "ravelin",
        "rules": [{"host": host, "http": {"paths": [path]}}]});
    ingress
}

/// Believes in a root, as in one of Origin CA.
fn trusting(roots: &[&Authority]) -> Builder {
    let builder = proxy();
    let file = builder.folder().join("roots.pem");
    fs::write(&file, roots.iter().map(|root| root.pem()).collect::<String>()).expect("written");
    // `refresh` is in the same table, which the builder ends with.
    builder.cloudflare(&format!("trust_store_file = {file:?}\n"))
}

fn add(builder: &Builder, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let file = builder.folder().join("manifests/more.json");
    fs::write(file, list.to_string()).expect("a folder of ours");
}

/// A host for each sort of certificate.
fn every_sort() -> Builder {
    let (rsa, ecc) = (Authority::root("RSA root", &RSA), Authority::root("ECC root", &ECDSA));
    let middle = ecc.intermediate("Intermediate");
    let whole = {
        let own = middle.issue(&["chain.example"], &ECDSA, long());
        Issued { chain: own.chain + &middle.pem(), ..own }
    };
    let builder = trusting(&[&rsa, &ecc])
        .certificate(&rsa.issue(&["rsa.example", "*.rsa.example"], &RSA, long()))
        .certificate(&ecc.issue(&["ecc.example"], &ECDSA, long()))
        .certificate(&whole)
        .certificate(&ecc.issue(&["soon.example"], &ECDSA, (now() - YEAR, now() + 90_000)))
        .certificate(&ecc.issue(&["old.example"], &ECDSA, (now() - YEAR, now() - 90_000)))
        .certificate(&ecc.issue(&["later.example"], &ECDSA, (now() + 90_000, now() + YEAR)))
        .certificate(&middle.issue(&["alone.example"], &ECDSA, long()))
        .certificate(&Issued::new(&["self.example"]));
    add(
        &builder,
        &[
            ingress("ns", "wrong.example", "other"),
            secret("ns", "other", &ecc.issue(&["other.example"], &ECDSA, long())),
            rule("none.example"),
            rule("app.rsa.example"),
        ],
    );
    builder
}

#[test]
fn check_says_for_every_host_what_cloudflare_would() {
    let builder = every_sort();
    let file = builder.write("127.0.0.1:8443", backend());
    let file = file.to_str().expect("UTF-8");
    let (code, said) = verb(&["check", "--config", file]);
    // What Cloudflare refuses is served all the same.
    assert_eq!(code, Some(0), "{said}");
    let ok = "days left, by the Custom Origin Trust Store (";
    for (host, expected) in [
        ("rsa.example", &format!("ok, 1460 {ok}")),
        ("*.rsa.example", &format!("ok, 1460 {ok}")),
        ("app.rsa.example", &format!("ok, 1460 {ok}Ingress ns/app.rsa.example-none, ")),
        ("ecc.example", &format!("ok, 1460 {ok}")),
        ("chain.example", &format!("ok, 1460 {ok}")),
        ("other.example", &format!("ok, 1460 {ok}")),
        ("soon.example", &"expires_soon, 1 days left, ".to_owned()),
        ("old.example", &"526 expired: it has expired; renew it (".to_owned()),
        ("later.example", &"526 not_yet_valid: it is not valid yet; ".to_owned()),
        ("alone.example", &"526 incomplete_chain: its issuer, CN=Intermediate, ".to_owned()),
        ("self.example", &"526 self_signed: it is self-signed; ".to_owned()),
        ("wrong.example", &"526 name_mismatch: it is not valid for this name; ".to_owned()),
        ("none.example", &"525 no_certificate: it has no certificate; ".to_owned()),
    ] {
        let is_fine = expected.starts_with("ok");
        let expected = format!("full (strict) {host}: {expected}");
        assert!(said.contains(&expected), "{expected} is not in {said}");
        assert_eq!(said.contains(&format!("warning: {expected}")), !is_fine, "{said}");
    }
    assert!(said.contains("(Secret ns/other, Secret ns/other)"), "{said}");
    let (_, said) = verb(&["check", "--output", "json", "--config", file]);
    let report: Value = serde_json::from_str(&said).expect("JSON");
    let rows = report["full_strict"].as_array().expect("rows");
    assert_eq!(rows.len(), 13);
    let of = |host: &str| rows.iter().find(|row| row["host"] == host).expect("a row");
    assert_eq!(of("old.example")["verdict"], "expired");
    assert_eq!(
        (&of("old.example")["status"], &of("old.example")["days_left"]),
        (&526.into(), &(-2).into())
    );
    assert_eq!(of("none.example")["status"], 525);
    assert_eq!(of("ecc.example")["status"], Value::Null);
}

#[test]
fn explain_says_it_of_the_host_of_a_url() {
    let root = Authority::root("ECC root", &ECDSA);
    let builder = trusting(&[&root])
        .certificate(&root.issue(&["a.example", "*.b.example"], &ECDSA, long()))
        .certificate(&Issued::new(&["c.example"]));
    let file = builder.write("127.0.0.1:8443", backend());
    let file = file.to_str().expect("UTF-8");
    let explain = |more: &[&str]| verb(&[&["explain", "--config", file], more].concat()).1;
    for (line, expected) in [
        (&["https://a.example:8443/"][..], "strict ok, 1460 days left, by the Custom Origin"),
        (&["https://x.b.example:8443/"], "strict ok, "),
        (&["https://c.example:8443/"], "strict 526 self_signed: it is self-signed; use one of"),
        (&["https://d.example:8443/"], "strict 525 no_certificate: it has no certificate; "),
        // The requested name or that of the handshake: either is enough.
        (&["--sni", "a.example", "https://x.b.example:8443/"], "strict ok, "),
        (&["--sni", "a.example", "https://d.example:8443/"], "strict ok, "),
    ] {
        let said = explain(line);
        assert!(said.contains(expected), "{line:?}: {expected} is not in {said}");
    }
    assert!(!explain(&["https://127.0.0.1:8443/"]).contains("strict "));
}

#[test]
fn a_trust_store_that_cannot_be_used_is_named() {
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let store = builder.folder().join("roots.pem");
    let builder = builder.cloudflare(&format!("trust_store_file = {store:?}\n"));
    let file = builder.write("127.0.0.1:8443", backend());
    let (code, said) = verb(&["check", "--config", file.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("roots.pem\": cannot be read: "), "{said}");
    let refusal = builder.refusal();
    assert!(refusal.starts_with("cloudflare.trust_store_file \"/"), "{refusal}");
}

fn series(host: &str, verdict: &str) -> String {
    format!("ravelin_tls_full_strict{{host=\"{host}\",verdict=\"{verdict}\"}}")
}

#[test]
fn certificates_of_secrets_are_judged_where_there_is_no_file_to_follow() {
    let builder = proxy();
    let issued = Issued::new(&["a.example"]);
    add(&builder, &[ingress("ns", "a.example", "own"), secret("ns", "own", &issued)]);
    builder.start().await_metric(&series("a.example", "self_signed"), 1.0);
}

#[test]
fn the_metric_follows_certificates_rules_and_time() {
    let root = Authority::root("ECC root", &ECDSA);
    let end = now() + 4 * YEAR;
    // It ends while the proxy runs, and nothing else happens to it.
    let brief = root.issue(&["brief.example"], &ECDSA, (now() - 60, now() + 4));
    let builder = trusting(&[&root]).certificate(&Issued::new(&["a.example"])).certificate(&brief);
    let proxy = builder.start();
    proxy.await_metric(&series("a.example", "self_signed"), 1.0);
    proxy.await_metric(&series("brief.example", "expired"), 1.0);
    let until = "ravelin_tls_full_strict_until_timestamp_seconds{host=\"a.example\"}";
    assert!(proxy.metric(until).abs() < f64::EPSILON, "there is none that is accepted");

    let good = root.issue(&["a.example"], &ECDSA, (now() - YEAR, end));
    write_pair(proxy.folder(), "cert-0", &good);
    proxy.await_metric(&series("a.example", "ok"), 1.0);
    proxy.await_metric(&series("a.example", "self_signed"), 0.0);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    proxy.await_metric(until, end as f64);

    let list = json!({"apiVersion": "v1", "kind": "List", "items": [rule("none.example")]});
    let (aside, place) = (proxy.folder().join("aside"), proxy.folder().join("manifests/more.json"));
    fs::write(&aside, list.to_string()).expect("a folder of ours");
    fs::rename(&aside, &place).expect("the same file system");
    proxy.await_metric(&series("none.example", "no_certificate"), 1.0);
    fs::remove_file(place).expect("it is there");
    proxy.await_metric(&series("none.example", "no_certificate"), 0.0);
}
