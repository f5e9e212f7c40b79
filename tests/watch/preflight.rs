//! `run --check` with a cluster as the source: the API server, the rights, and the clock.

use crate::api::{Api, Fault, On};
use crate::edge::config;
use std::process::Command;

/// The lines of the table, and the exit code.
fn check(api: &Api) -> (Vec<String>, Option<i32>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ravelin.toml");
    std::fs::write(&file, config(api, folder.path(), "")).expect("a folder of ours");
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
    assert!(said.ends_with("(fix: apply the ClusterRole of deploy/base)"), "{said}");
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
