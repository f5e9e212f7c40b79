//! The versions of Rust: what is built with, and the oldest one that works.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A version as numbers; a third one that is missing is 0.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text.split('.').map(|number| number.parse().expect("a number"));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// The oldest Rust that this package and each of its dependencies ask for, with their names.
fn asked() -> Vec<(String, [u32; 3])> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let asks = packages.iter().filter_map(|package| {
        let name = package["name"].as_str().expect("a name");
        Some((name.to_owned(), version(package["rust_version"].as_str()?)))
    });
    asks.collect()
}

#[test]
fn the_oldest_version_of_rust_is_that_of_the_dependencies_and_ci_checks_with_it() {
    let written = env!("CARGO_PKG_RUST_VERSION");
    let all = asked();
    assert!(all.len() > 100, "only {} packages seen", all.len());
    let newer: Vec<_> = all.iter().filter(|(_, asked)| *asked > version(written)).collect();
    assert!(newer.is_empty(), "rust-version in Cargo.toml is {written}, too old for {newer:?}");
    let named = format!("Rust {written} or newer");
    for path in ["README.md", "CONTRIBUTING.md"] {
        assert!(text(path).contains(&named), "{path} does not say \"{named}\"");
    }
    let ci = text(".github/workflows/ci.yml");
    assert!(
        ci.contains(&format!("cargo +{written} check")),
        "ci.yml does not check with {written}"
    );
}

#[test]
fn the_image_is_built_with_the_pinned_version_of_rust() {
    let pin = text("rust-toolchain.toml");
    let channel = pin.lines().find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.expect("a channel").trim_matches('"');
    assert!(version(channel) >= version(env!("CARGO_PKG_RUST_VERSION")), "{channel}");
    let from = format!("FROM rust:{channel}-alpine AS builder");
    assert!(text("deploy/image/Dockerfile").contains(&from), "the Dockerfile lacks `{from}`");
}
