//! Mistakes of a first evening that are made in files, ports and the zone. Those in a cluster are in `tests/cluster`.

use crate::program::{config, ravelin};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A listener with TLS, and one host without a certificate.
const MANIFEST: &str = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {namespace: shop, name: web},
  spec: {ingressClassName: ravelin, rules: [{host: b.example, http: {paths: [{path: /, pathType: Prefix,
  backend: {service: {name: s, port: {number: 80}}}}]}}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: s}, spec: {ports: [{port: 80}]}}
";

fn text(directory: &Path, key: &str) -> String {
    format!(
        "[[listener]]\nname = \"websecure\"\n{key} = \"127.0.0.1:0\"\nprotocol = \"https\"\nadmit = [\"loopback\"]\n\
         [source]\nkind = \"directory\"\ndirectory = {directory:?}\n[admin]\naddress = \"127.0.0.1:0\"\n"
    )
}

fn check(text: &str) -> (i32, String) {
    let file = config(text);
    let ran = ravelin(&["check", "--config", file.path().to_str().expect("UTF-8")]);
    (ran.code, ran.out + &ran.err)
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_right_one() {
    let folder = TempDir::new().expect("a temporary directory");
    let (code, said) = check(&text(folder.path(), "adress"));
    assert_eq!(code, 64, "{said}");
    assert!(said.contains(":3: listener.adress: unknown key"), "{said}");
    assert!(said.contains("did you mean \"address\"?"), "{said}");
}

#[test]
fn a_host_without_a_certificate_is_named_with_what_cloudflare_will_say() {
    let folder = TempDir::new().expect("a temporary directory");
    fs::write(folder.path().join("web.yaml"), MANIFEST).expect("a file of ours");
    let (_, said) = check(&text(folder.path(), "address"));
    let line = said.lines().find(|line| line.contains("no_certificate"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("b.example") && line.contains("spec.tls"), "{line}");
}

#[test]
fn what_is_set_wrong_in_the_zone_is_named_with_the_setting_and_its_place_in_the_dashboard() {
    // What is said is tried by `zones`.
    let said = fs::read_to_string("tests/cli/golden/zones.txt").expect("a file of ours");
    let line = |words: &str| said.lines().find(|line| line.contains(words)).expect("a line");
    let loops = line("visitors get ERR_TOO_MANY_REDIRECTS");
    assert!(loops.contains("zone example.com): ssl = \"off\""), "{loops}");
    assert!(loops.contains("fix: SSL/TLS, Overview, Configure"), "{loops}");
    let grey = line("the record is DNS only (grey cloud)");
    assert!(grey.contains("host app.example.com (zone example.com): proxied = false"), "{grey}");
    assert!(grey.contains("fix: DNS, Records, Edit: Proxy status on"), "{grey}");
}

/// Words of a test, without line breaks and escapes.
fn flat(text: &str) -> String {
    let text = text.replace("\\\"", "\"").replace("\\\n", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_row_of_the_table_quotes_what_a_test_has_seen() {
    let page = fs::read_to_string("deploy/troubleshoot.md").expect("a file of ours");
    let (_, section) = page.split_once("## The first evening\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another one behind it");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 10, "{rows:#?}");
    let tests = [
        "tests/cluster/first_evening.rs",
        "tests/cli/first_evening.rs",
        "tests/cli/run.rs",
        "tests/cli/golden/zones.txt",
    ];
    let tests =
        tests.map(|file| flat(&fs::read_to_string(file).expect("a file of ours"))).join("\n");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let mut quotes = cells[0].split('`').skip(1).step_by(2).map(flat);
        assert!(quotes.any(|quote| tests.contains(&quote)), "no test has seen: {row}");
    }
}
