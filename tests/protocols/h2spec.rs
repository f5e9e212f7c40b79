//! h2spec: a judge of HTTP/2 servers that is not ours.

use crate::secured::secured;
use crate::skipped;
use crate::support::Upstream;
use std::path::Path;
use std::process::Command;

/// Says what each case came to, and ends with 1 if one failed. tests/run builds it.
#[test]
fn h2spec_passes_whole_and_strictly_against_a_tls_listener() {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/go_program");
    let found =
        Command::new(build).args(["tests/protocols/h2spec", "--find"]).output().expect("bash");
    if !found.status.success() {
        skipped("h2spec is not built (tests/run builds it)");
        return;
    }
    let h2spec = String::from_utf8(found.stdout).expect("a path in UTF-8");
    // h2spec looks for a body that a window holds up.
    let upstream = Upstream::saying("a body of some bytes");
    let edge = secured(upstream.addr()).start();
    let port = edge.addr().port().to_string();
    let output = Command::new(h2spec.trim())
        .args(["--host", "localhost", "--port", &port, "--tls", "--insecure", "--strict"])
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = said.lines().rev().find(|line| line.contains(" tests, ")).unwrap_or_default();
    assert!(output.status.success(), "{summary}\n{said}");
    let count = |what: &str| -> u32 {
        let part = summary.split(", ").find_map(|part| part.strip_suffix(what));
        part.unwrap_or_else(|| panic!("{summary:?}")).trim().parse().expect("a number")
    };
    assert_eq!((count("skipped"), count("failed")), (0, 0), "{summary}\n{said}");
    assert!(count("passed") >= 146, "{summary}");
}
