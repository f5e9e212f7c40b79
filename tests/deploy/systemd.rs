//! `deploy/systemd`: the unit, against the command line and the configuration beside it.

use crate::objects::parse;
use crate::{deploy, program, skipped};
use ravelin::config::Config;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

/// The settings of the unit, in the order of their lines.
fn settings() -> BTreeMap<String, String> {
    let text = fs::read_to_string(deploy("systemd/ravelin@.service")).expect("a readable file");
    let lines =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn config() -> Config {
    let text = fs::read_to_string(deploy("systemd/ravelin.toml")).expect("a readable file");
    Config::parse(&text, "ravelin.toml").unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn ravelin(line: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ravelin")).args(line).output().expect("it runs")
}

/// The command line of ravelin in a setting, without the program.
fn line_in(setting: &str) -> Vec<String> {
    let (_, line) = setting.split_once("/usr/local/bin/ravelin ").expect("a command line");
    let words = line.split(&[' ', ';'][..]).take_while(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[test]
fn the_command_lines_of_the_unit_are_understood() {
    let settings = settings();
    let start = line_in(&settings["ExecStart"]);
    assert_eq!(start, ["run", "--config", "/etc/ravelin/ravelin.toml"]);
    // Of the same words, only the path is another: the configuration is missing, and nothing else is wrong.
    let output = ravelin(&[&start[0], &start[1], "/nonexistent/ravelin.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nonexistent/ravelin.toml") && !said.contains("Usage"), "{said}");

    let probe = line_in(&settings["ExecStartPost"]);
    assert_eq!(probe[..3], ["probe", "ready", "--socket"]);
    assert_eq!(config().admin.socket.as_deref().and_then(|path| path.to_str()), Some(&*probe[3]));
    let output = ravelin(&["probe", "ready", "--socket", "/nonexistent/admin.sock"]);
    assert_eq!(output.status.code(), Some(1), "no usage error, but no answer");
}

#[test]
fn the_unit_has_what_the_configuration_asks_for() {
    let (settings, config) = (settings(), config());
    let stop: u64 = settings["TimeoutStopSec"].parse().expect("seconds");
    assert!(stop > config.timeouts.drain.as_secs() + 5, "SIGKILL would come first");
    assert_eq!(settings["ExecReload"], "/bin/kill -HUP $MAINPID");
    // Two instances share the ports only as one user, and each has probes of its own.
    assert_eq!(settings["User"], "ravelin");
    assert_eq!(settings["BindPaths"], "/run/ravelin-%i:/run/ravelin");
    assert_eq!(settings["RuntimeDirectory"], "ravelin-%i");
    assert_eq!(settings["StateDirectory"], "ravelin");
    assert_eq!(config.state.as_deref().and_then(|path| path.to_str()), Some("/var/lib/ravelin"));
    let needed: usize = config.limits.connections.get() * 2;
    let files: usize = settings["LimitNOFILE"].parse().expect("a number");
    assert!(files > needed, "{files} open files for {needed} connections of both sides");
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        assert_eq!(settings[key], "CAP_NET_BIND_SERVICE", "{key}");
    }
    let user = fs::read_to_string(deploy("systemd/ravelin.sysusers")).expect("a readable file");
    assert!(user.contains("\nu ravelin - "), "{user}");
}

#[test]
fn systemd_takes_the_unit_and_finds_it_well_confined() {
    let Some(analyze) = program("systemd-analyze") else {
        skipped("systemd-analyze is not installed, and the unit is not verified");
        return;
    };
    // As it is installed, but with a program that is there: the name of a template has an instance.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = folder.path().join("ravelin@.service");
    let text = fs::read_to_string(deploy("systemd/ravelin@.service")).expect("a readable file");
    let text = text.replace("/usr/local/bin/ravelin", env!("CARGO_BIN_EXE_ravelin"));
    fs::write(&unit, text).expect("a new file");
    let run = |line: &[&str]| {
        let output = Command::new(&analyze).args(line).arg(&unit).output().expect("it runs");
        let texts =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.success(), texts.concat())
    };
    let (is_good, said) = run(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(is_good && said.is_empty(), "{said}");
    // 10 is unconfined; half of what is left is the network, which is what it is for.
    let (is_confined, said) = run(&["security", "--offline=yes", "--threshold=25", "--no-pager"]);
    assert!(is_confined, "{said}");
}

#[test]
fn the_sample_manifests_serve_one_site() {
    let text = fs::read_to_string(deploy("systemd/ravelin.toml")).expect("a readable file");
    let folder = deploy("systemd/manifests").display().to_string();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    assert!(text.contains("\"/etc/ravelin/manifests\""), "{text}");
    fs::write(file.path(), text.replace("/etc/ravelin/manifests", &folder)).expect("our file");
    let path = file.path().display().to_string();
    let output = ravelin(&["check", "--config", &path]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let output =
        ravelin(&["explain", "--config", &path, "--from", "104.16.0.1", "http://app.example.com/"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("127.0.0.1:8080"), "{said}");
}

/// The hook of pre-commit, and the step of the workflow, as their readers copy them.
#[test]
fn the_examples_for_repositories_check_manifests() {
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(deploy(name)).expect("a readable file");
        parse(&text).remove(0)
    };
    let hook = read("check/pre-commit-config.yaml")["repos"][0]["hooks"][0].clone();
    let workflow = read("check/github-workflow.yaml");
    let steps = workflow["jobs"]["check"]["steps"].as_array().expect("a list").clone();
    let step = steps.last().expect("steps")["run"].as_str().expect("a command").to_owned();
    let entry = hook["entry"].as_str().expect("a command").to_owned();
    assert_eq!(step.replace("\"$RUNNER_TEMP/ravelin\"", "ravelin"), entry);
    let words: Vec<&str> = entry.split(' ').collect();
    assert_eq!(words, ["ravelin", "check", "manifests/"]);
    // In a repository of those who copy them: good manifests pass, and a mistake stops the commit.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).expect("a new folder");
    let good = fs::read_to_string(deploy("systemd/manifests/app.yaml")).expect("a readable file");
    let wrong = good.replace("                name: app\n", "                name: missing\n");
    assert_ne!(wrong, good);
    for (text, expected) in [(good, 0), (wrong, 1)] {
        fs::write(manifests.join("app.yaml"), text).expect("a new file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
        let output =
            command.args(&words[1..]).current_dir(folder.path()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(expected), "{said}");
    }
}
