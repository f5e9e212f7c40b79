//! `deploy/k3s/ravelin.yaml`: what kustomize makes of the base, in one file.

use crate::objects::{all, one, parse};
use crate::{deploy, program, skipped};
use std::process::{Command, Output};

/// Runs the script that makes files of the base. `None`: there is no kubectl, which is said.
fn render(line: &[&str]) -> Option<Output> {
    if program("kubectl").is_none() {
        skipped("kubectl is not installed, and nothing is rendered");
        return None;
    }
    Some(Command::new(deploy("render")).args(line).output().expect("bash runs"))
}

#[test]
fn what_is_made_of_the_base_is_in_the_repository_as_it_would_be_made_now() {
    let Some(output) = render(&["--check"]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_one_file_has_the_objects_of_the_base_and_no_others() {
    let all = all();
    let of = |name| all.iter().find(|(other, _)| *other == name).map(|(_, objects)| objects);
    let file = of("k3s/ravelin.yaml").expect("it is in the repository");
    // Without kubectl, which has been said, there is nothing to compare it with.
    let Some(base) = of("base") else { return };
    assert_eq!(file, base);
}

#[test]
fn a_release_names_its_image_in_it() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    for image in ["registry:5000/edge/ravelin:1.2.3", &format!("ghcr.io/a/ravelin@{digest}")] {
        let Some(output) = render(&["--print", "--image", image]) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let objects = parse(&String::from_utf8(output.stdout).expect("UTF-8"));
        let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], image);
    }
}

#[test]
fn an_image_without_a_version_is_refused() {
    let Some(output) = render(&["--print", "--image", "registry:5000/ravelin"]) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(said.contains("registry:5000/ravelin has neither tag nor digest"), "{said}");
}
