//! Which hosts a connection is for.

use crate::certificates::Issued;
use crate::client::{Client, Offer};
use crate::proxy::{backend, proxy};
use std::process::Command;

#[test]
fn a_host_that_the_certificate_does_not_cover_is_misdirected() {
    let shared = Issued::new(&["a.example", "*.b.example"]);
    let proxy = proxy().certificate(&shared).certificate(&Issued::new(&["c.example"])).start();
    let mut client = Client::connect(proxy.addr(), "a.example");
    // Back and forth on one connection, as Cloudflare uses it for several hosts.
    for (host, status) in [
        ("a.example", "200"),
        ("A.Example:443", "200"),
        ("x.b.example", "200"),
        ("c.example", "421"),
        ("x.b.example", "200"),
        ("c.example", "421"),
        ("unknown.example", "421"),
        ("b.example", "421"),
        ("127.0.0.1", "421"),
        ("a.example", "200"),
    ] {
        let answer = client.get(host);
        assert_eq!(answer.status(), status, "{host}");
        if status == "421" {
            assert!(answer.text().contains("misdirected_request"), "{}", answer.text());
        }
    }
    let misdirected = |line: &serde_json::Value| line["reason"] == "misdirected_request";
    assert_eq!(proxy.await_log(10).iter().filter(|line| misdirected(line)).count(), 5);
}

#[test]
fn the_default_is_for_every_host_without_a_certificate_of_its_own() {
    let (own, default) = (Issued::new(&["a.example"]), Issued::new(&["d.example"]));
    let proxy = proxy().certificate(&own).default(&default).start();
    let mut client = Client::connect(proxy.addr(), "unknown.example");
    for (host, status) in [
        ("unknown.example", "200"),
        ("other.example", "200"),
        ("d.example", "200"),
        ("a.example", "421"),
    ] {
        assert_eq!(client.get(host).status(), status, "{host}");
    }
}

#[test]
fn a_ticket_is_of_no_use_for_a_name_without_certificate() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    let config = Offer::default().config();
    let mut first = Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
    first.get("a.example");
    let refused = Client::offer(proxy.addr(), "b.example", &config).err().expect("unknown");
    assert!(refused.to_string().contains("UnrecognisedName"), "{refused}");
}

/// Runs a verb on a configuration and returns its exit code and words.
pub(crate) fn verb(line: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ravelin")).args(line).output();
    let output = output.expect("cargo has built it");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("UTF-8");
    (output.status.code(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn explain_says_what_the_handshake_shows_and_what_it_is_for() {
    let builder = proxy().certificate(&Issued::new(&["a.example", "*.b.example"]));
    let file = builder.write("127.0.0.1:8443", backend());
    let file = file.to_str().expect("UTF-8");
    let explain = |more: &[&str]| verb(&[&["explain", "--config", file], more].concat());

    let (code, said) = explain(&["https://x.b.example:8443/"]);
    assert_eq!(code, Some(0), "{said}");
    let shown = "certificate a.example *.b.example, ECDSA, until 4096-01-01T00:00:00Z";
    assert!(said.contains(shown), "{said}");

    let (code, said) = explain(&["https://c.example:8443/"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("unrecognized_name: no certificate for the name c.example"), "{said}");
    let (_, said) = explain(&["https://127.0.0.1:8443/"]);
    assert!(said.contains("unrecognized_name: no certificate for the name (none)"), "{said}");

    let (code, said) = explain(&["--sni", "a.example", "https://c.example:8443/"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("answer 421 misdirected_request"), "{said}");
}

#[test]
fn explain_says_what_is_asked_of_clients_and_what_it_proves() {
    let issued = Issued::new(&["a.example", "b.example"]);
    let plain =
        "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:8080\"\nadmit = [\"loopback\"]\n";
    let table = "[[client_certificate]]\nhosts = [\"a.example\"]\npolicy = \"require\"\n\
                 ca = \"cloudflare\"\n";
    let builder = proxy().certificate(&issued).sections(&format!("{plain}{table}"));
    let file = builder.write("127.0.0.1:8443", backend());
    let file = file.to_str().expect("UTF-8");
    let explain = |more: &[&str]| verb(&[&["explain", "--config", file], more].concat());
    let (code, said) = explain(&["https://a.example:8443/"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("client require, of the CA"), "{said}");
    assert!(said.contains("any Cloudflare customer, not your zone"), "{said}");
    let (code, said) = explain(&["https://b.example:8443/"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("client "), "{said}");
    let (code, said) = explain(&["--sni", "b.example", "https://a.example:8443/"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("answer 421 misdirected_request"), "{said}");
    let (code, said) = explain(&["http://a.example:8080/"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("answer 403 client_certificate_required"), "{said}");
}

#[test]
fn check_names_certificates_and_what_is_wrong_with_them() {
    let (good, old) = (
        Issued::new(&["a.example"]),
        Issued::until(&["b.example"], &crate::certificates::RSA, 2020),
    );
    let builder = proxy().certificate(&good).certificate(&old);
    let file = builder.write("127.0.0.1:8443", backend());
    let file = file.to_str().expect("UTF-8");
    let (code, said) = verb(&["check", "--config", file]);
    assert_eq!(code, Some(0), "{said}");
    for expected in [
        "cert-0.crt: a.example, ECDSA, until 4096-01-01T00:00:00Z",
        "cert-1.crt: b.example, RSA, until 2020-01-01T00:00:00Z",
        "cert-1.crt: expired at 2020-01-01T00:00:00Z",
        // Of the dates, and of both hosts: that nobody vouches for them is in tests of its own.
        "0 errors, 3 warnings",
    ] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    std::fs::remove_file(builder.folder().join("cert-1.key")).expect("it is there");
    let (code, said) = verb(&["check", "--config", file]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cert-1.key\" cannot be read: "), "{said}");
    let (code, said) = verb(&["check", "--output", "json", "--config", file]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("\"names\": [ \"a.example\" ]"), "{said}");
}
