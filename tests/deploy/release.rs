//! `deploy/release` and the workflows: what a release is made of, as far as it needs no registry. Pushing and signing are
//! not played here: actionlint reads those steps.

use crate::go_program::go_program;
use crate::objects::{one, parse};
use crate::{deploy, program, skipped};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the script, with a changelog that has a section of this version and of an older one.
fn release(line: &[&str], changelog: &str) -> Output {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), changelog).expect("our file");
    let mut command = Command::new(deploy("release"));
    command.args(line).env("CHANGELOG", file.path());
    if let Some(helm) = go_program("tests/deploy/helm") {
        command.env("HELM", helm);
    }
    command.output().expect("bash runs")
}

fn released() -> String {
    format!("# Changelog\n\n## {VERSION} (1 December 2026)\n\n- New.\n\n## 0.0.1\n\n- Old.\n")
}

/// What it prints, when it has to succeed.
fn printed(line: &[&str]) -> String {
    let output = release(line, &released());
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_release_has_the_version_of_the_package_and_its_section_of_the_changelog() {
    let tag = format!("v{VERSION}");
    assert_eq!(printed(&["version", &tag]), format!("{VERSION}\n"));
    assert_eq!(printed(&["notes"]), "- New.\n");
    let unreleased = "# Changelog\n\n## Unreleased\n\n- New.\n";
    let heading = format!("no section \"## {VERSION}\": rename \"## Unreleased\"");
    for (tag, changelog, expected) in [
        ("v99.0.0", &*released(), format!("the tag v99.0.0 is not v{VERSION}")),
        (&*tag, unreleased, heading),
    ] {
        let output = release(&["version", tag], changelog);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{tag}: {said}");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn an_archive_has_what_a_machine_without_a_cluster_installs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().display().to_string();
    let path = printed(&["archive", env!("CARGO_BIN_EXE_ravelin"), "x86_64", &to]);
    // The name by which deploy/check/github-workflow.yaml fetches it, unpacked as there.
    let name = format!("ravelin-{VERSION}-x86_64-linux");
    assert_eq!(path.trim_end(), format!("{to}/{name}.tar.gz"));
    let workflow = fs::read_to_string(deploy("check/github-workflow.yaml")).expect("a workflow");
    assert!(workflow.contains("archive=ravelin-$VERSION-x86_64-linux.tar.gz"), "{workflow}");
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--strip-components", "1", "--file", path.trim_end()]);
    assert!(tar.args(["--directory", &to]).status().expect("tar runs").success());
    // Every file that the page installs, from the folder of the archive.
    let page = fs::read_to_string(deploy("systemd/README.md")).expect("a page");
    let words = page.split_whitespace().filter(|word| word.starts_with("deploy/systemd/"));
    let files: Vec<PathBuf> = words.map(|word| folder.path().join(word)).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert!(file.is_file(), "{}", file.display());
    }
    for file in ["ravelin", "LICENSE", "completions/ravelin.zsh", "man/man1/ravelin-run.1"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    let output = Command::new(folder.path().join("ravelin")).arg("version").output();
    assert_eq!(output.expect("it runs").stdout, format!("ravelin {VERSION}\n").into_bytes());
}

#[test]
fn manifests_and_chart_of_a_release_name_its_image() {
    let Some(helm) = go_program("tests/deploy/helm") else { return };
    if program("kubectl").is_none() {
        skipped("kubectl is not installed, and nothing is rendered");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().display().to_string();
    printed(&["manifests", "ghcr.io/owner/ravelin", &to]);
    let file = fs::read_to_string(folder.path().join("ravelin.yaml")).expect("it is written");
    let chart = folder.path().join(format!("ravelin-{VERSION}.tgz"));
    let output =
        Command::new(&helm).args(["template", "ravelin"]).arg(&chart).output().expect("helm");
    let values = Command::new(&helm).args(["show", "values"]).arg(&chart).output().expect("helm");
    let page = format!("owner/ravelin/blob/v{VERSION}/deploy/monitoring/runbook.md");
    let values = String::from_utf8(values.stdout).expect("UTF-8");
    assert!(values.contains(&format!("\n  runbook: https://github.com/{page}\n")), "{values}");
    let rendered = String::from_utf8(output.stdout).expect("UTF-8");
    for text in [file, rendered] {
        let objects = parse(&text);
        let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
        let image = format!("ghcr.io/owner/ravelin:{VERSION}");
        assert_eq!(pod["containers"][0]["image"], image);
    }
}

#[test]
fn actionlint_has_nothing_to_say_about_the_workflows() {
    let Some(actionlint) = go_program("tests/deploy/actionlint") else { return };
    let workflows = root().join(".github/workflows");
    let entries = fs::read_dir(workflows).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    files.push(deploy("check/github-workflow.yaml"));
    // Without the linters of shell and Python that it would call if they are installed.
    let mut command = Command::new(actionlint);
    command.args(["-shellcheck=", "-pyflakes="]).args(files).current_dir(root());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_workflow_builds_for_both_architectures_and_runs_the_checks_first() {
    let text = fs::read_to_string(root().join(".github/workflows/release.yaml")).expect("a file");
    let workflow: Value = parse(&text).remove(0);
    let jobs = &workflow["jobs"];
    let matrix = jobs["build"]["strategy"]["matrix"]["include"].as_array().expect("a list");
    let machines: Vec<_> = matrix.iter().map(|entry| &entry["machine"]).collect();
    assert_eq!(machines, ["x86_64", "aarch64"]);
    assert_eq!(jobs["check"]["uses"], "./.github/workflows/ci.yml");
    assert!(jobs["build"]["needs"].as_array().is_some_and(|all| all.contains(&"check".into())));
    for verb in ["version", "notes", "archive", "manifests"] {
        assert!(text.contains(&format!("deploy/release {verb} ")), "{verb}");
    }
    // It sets the file capabilities of the program.
    assert!(text.contains("deploy/image/build"), "{text}");
}
