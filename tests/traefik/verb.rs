//! `ravelin compare` beside the real Traefik, over the objects of all cases: what it cannot explain is in the cases that
//! say so themselves, and what its users get wrong is told.

use crate::Run;
use crate::edge::program;
use crate::lab::Lab;
use serde_json::Value;
use std::process::Command;

/// Where both listen: `web` and `websecure` of each.
const WEB: [&str; 4] = ["--with", "http://127.0.0.1:8000", "--ravelin", "http://127.0.0.1:80"];
const SECURE: [&str; 4] =
    ["--with-https", "https://127.0.0.1:8443", "--ravelin-https", "https://127.0.0.1:443"];

/// The route of [`crate::lab`] that is there in any case; rules for all hosts take its host, too.
const MARKER: [&str; 4] = ["--host", "marker.traefik.test", "--max", "50"];

/// Exit code and output.
fn compare(lab: &Lab, line: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.arg("compare").arg("--kubeconfig").arg(lab.kubeconfig()).args(line);
    let output = command.output().expect("a program");
    let [out, err] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let text = if out.is_empty() { err } else { out };
    (output.status.code(), text)
}

/// Compares one request of each route, one site with TLS, and what users get wrong. `is_all`: whether all cases are there.
pub(crate) fn check(lab: &Lab, run: &Run, is_all: bool) {
    let line = [&WEB[..], &["--rate", "500", "--max", "1700", "--output", "json"]].concat();
    let (_, page) = compare(lab, &line);
    let page: Value = serde_json::from_str(&page).unwrap_or_else(|error| panic!("{error}: {page}"));
    let number = |key: &str| page["totals"][key].as_u64().unwrap_or_default();
    run.note(&format!("compare: {}", page["totals"]));
    if is_all {
        let (requests, differing) = (number("requests"), number("differing"));
        assert!(requests > 1500 && differing * 20 < requests, "{}", page["totals"]);
    }
    for exchange in page["differing"].as_array().expect("a list") {
        // These cases have no mistakes in them, so that a plain request is answered alike.
        let object = exchange["object"].as_str().unwrap_or_default();
        let is_plain = ["cases/rules-", "cases/ingress-", "cases/rule-path-"];
        if is_plain.iter().any(|begin| object.contains(begin)) {
            run.fail(format!("compare: not explained: {exchange:#}"));
        }
    }
    let (code, page) = compare(lab, &[&SECURE[..], &MARKER].concat());
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains(": 0 answered differently, "), "{page}");
    let guarded = ["--with", "http://127.0.0.1:8002", "--ravelin", "http://127.0.0.1:80"];
    let (code, page) = compare(lab, &[&guarded[..], &MARKER].concat());
    // Some rules for all hosts are served there as well.
    assert_ne!(code, Some(0), "{page}");
    assert!(page.contains("is --with the entry point of these routes?"), "{page}");
    let tls = ["--with", "http://127.0.0.1:8443", "--ravelin", "http://127.0.0.1:80"];
    // Traefik takes plain HTTP there as well, and has no routes for it.
    let (code, page) = compare(lab, &[&tls[..], &MARKER].concat());
    assert_ne!(code, Some(0), "{page}");
    assert!(page.contains("is --with the entry point of these routes?"), "{page}");
    let tls = ["--with", "http://127.0.0.1:8000", "--ravelin", "http://127.0.0.1:443"];
    let (code, page) = compare(lab, &tls);
    assert_eq!(code, Some(2), "{page}");
    assert!(page.contains("give it as --ravelin-https https://127.0.0.1:443"), "{page}");
    let plain =
        ["--with-https", "https://127.0.0.1:8000", "--ravelin-https", "https://127.0.0.1:80"];
    let (code, page) = compare(lab, &plain);
    assert_eq!(code, Some(2), "{page}");
    // Traefik ends TLS there as well.
    assert!(page.contains("give it as --ravelin http://127.0.0.1:80,"), "{page}");
}
