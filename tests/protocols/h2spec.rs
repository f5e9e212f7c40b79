//! h2spec: a judge of HTTP/2 servers that is not ours.

use crate::secured::secured;
use crate::support::{Upstream, go_program};
use std::process::Command;

/// Says what each case came to, and ends with 1 if one failed. tests/run builds it.
#[test]
fn h2spec_passes_whole_and_strictly_against_a_tls_listener() {
    let Some(h2spec) = go_program("tests/protocols/h2spec") else { return };
    // h2spec looks for a body that a window holds up.
    let upstream = Upstream::saying("a body of some bytes");
    let edge = secured(upstream.addr()).start();
    let port = edge.addr().port().to_string();
    let output = Command::new(h2spec)
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
