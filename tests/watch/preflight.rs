//! `run --check` with a cluster as the source: the API server, the rights, and the clock.

use crate::api::{Api, Fault, On};
use crate::edge::config;
use std::process::Command;

/// The lines of the table, and the exit code.
fn check(api: &Api) -> (Vec<String>, Option<i32>) {
    check_with(api, |text| text)
}

/// The same with an edited configuration.
fn check_with(api: &Api, edit: impl FnOnce(String) -> String) -> (Vec<String>, Option<i32>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ravelin.toml");
    let text = edit(config(api, folder.path(), ""));
    std::fs::write(&file, text).expect("a folder of ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    let output = command.args(["run", "--check", "--config"]).arg(&file).output();
    let output = output.expect("the program runs");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    (out.lines().map(str::to_owned).collect(), output.status.code())
}

fn line<'l>(lines: &'l [String], what: &str) -> &'l str {
    let mut found = lines.iter().filter(|line| line[6..].starts_with(what));
    found.next().unwrap_or_else(|| panic!("{what} is not in {lines:#?}"))
}

#[test]
fn an_api_server_that_allows_all_passes_with_its_clock() {
    let (lines, _) = check(&Api::new());
    let said = line(&lines, "API server");
    assert!(said.starts_with("pass") && said.ends_with("kinds may be listed"), "{said}");
    let said = line(&lines, "clock");
    assert!(said.starts_with("pass") && said.contains(" s from that of the API server"), "{said}");
}

#[test]
fn a_right_that_is_missing_is_a_failure_with_its_kind() {
    let api = Api::new();
    api.fail("services", On::List, usize::MAX, Fault::Status(403, ""));
    let (lines, code) = check(&api);
    let said = line(&lines, "API server");
    assert!(said.starts_with("fail"), "{said}");
    assert!(said.contains("it forbids to list services: the test says 403"), "{said}");
    assert!(said.contains("(fix: `kubectl apply -f deploy/k3s/ravelin.yaml`"), "{said}");
    assert_eq!(code, Some(2));
}

#[test]
fn an_api_server_that_is_away_is_a_failure() {
    let api = Api::new();
    api.cut(true);
    let (lines, code) = check(&api);
    let said = line(&lines, "API server");
    assert!(said.starts_with("fail") && said.contains("does not answer as it should"), "{said}");
    assert_eq!(code, Some(2));
}

#[test]
fn rights_to_write_are_asked_for_and_a_missing_one_is_a_warning() {
    let writing = |text: String| text.replace("write_back = false\n", "");
    let api = Api::new();
    let (lines, _) = check_with(&api, writing);
    let said = line(&lines, "write-back");
    assert!(said.starts_with("pass") && said.ends_with("/ravelin may be written"), "{said}");
    api.deny("patch", "ingresses");
    api.deny("update", "leases");
    let (lines, code) = check_with(&api, writing);
    let said = line(&lines, "write-back");
    assert!(said.starts_with("warn"), "{said}");
    let missing = "may not patch ingresses/status, update leases in namespace default:";
    assert!(said.contains(missing), "{said}");
    assert!(said.contains("(fix: apply the ClusterRole and the Role of deploy/base, or"), "{said}");
    assert_eq!(code, Some(1), "it would serve");
    assert_eq!(
        line(&check(&api).0, "write-back"),
        "pass  write-back         off (source.write_back = false)"
    );
    api.fail("selfsubjectaccessreviews", On::List, usize::MAX, Fault::Status(403, ""));
    let (lines, _) = check_with(&api, writing);
    assert!(line(&lines, "write-back").contains("does not say what may be written"), "{lines:#?}");
}
