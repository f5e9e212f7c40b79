//! What a container runtime does between its namespaces and the program: the root file system, the
//! user, the capabilities, and no way to get more of them.
//!
//! It is this test binary again, as its one ignored test: the process becomes the program, and a test
//! with threads cannot.

use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Names the root file system, and makes the process a container.
pub(crate) const ROOT: &str = "RAVELIN_TEST_ROOT";
/// What the pod is granted: names with commas in between.
pub(crate) const GRANTED: &str = "RAVELIN_TEST_GRANTED";
/// What makes this binary a container.
pub(crate) const ARGUMENTS: &str =
    "--exact container::becomes_the_program --ignored --nocapture --test-threads=1";
/// User and group, as `deploy/` has them.
pub(crate) const USER: u32 = 65532;

/// A list of capabilities.
pub(crate) fn set(names: &str) -> CapabilitySet {
    let each = names.split(',').filter(|name| !name.is_empty()).map(|name| match name {
        "NET_BIND_SERVICE" => CapabilitySet::NET_BIND_SERVICE,
        "NET_ADMIN" => CapabilitySet::NET_ADMIN,
        other => panic!("nobody grants {other}"),
    });
    each.fold(CapabilitySet::empty(), |all, one| all | one)
}

#[test]
#[ignore = "not a test: what the tests run within namespaces"]
fn becomes_the_program() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let granted = set(&std::env::var(GRANTED).expect("it is set with the other"));
    std::os::unix::fs::chroot(root).expect("we are root");
    std::env::set_current_dir("/").expect("it is there");
    for capability in CapabilitySet::all() - granted {
        // One that this kernel does not know is not there either.
        let _ = remove_capability_from_bounding_set(capability);
    }
    set_keep_capabilities(true).expect("it is ours to keep them");
    set_no_new_privs(true).expect("anybody may");
    // To change the user takes two more, which are not in the bounding set and end with it.
    let held = granted | CapabilitySet::SETUID | CapabilitySet::SETGID;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: held, permitted: held, inheritable: none };
    set_capabilities(None, sets).expect("fewer than before");
    let mut program = Command::new("/ravelin");
    program.args(["run", "--config", "/etc/ravelin/ravelin.toml"]).env_clear();
    let error = program.uid(USER).gid(USER).exec();
    panic!("it cannot be started: {error}");
}
