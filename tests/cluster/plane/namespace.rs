//! The network that everything runs in: a namespace that has nothing but a loopback interface.
//!
//! A real API server refuses loopback addresses in an EndpointSlice, so the backends of the tests
//! need addresses of another range, and those a network of their own. A process with threads cannot
//! move to another namespace, so this binary runs itself again in one, with the same arguments, and
//! ends as that run ends.

use crate::plane::assets;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio, exit};
use std::sync::OnceLock;
use std::thread;

/// Addresses that backends may have: every one of the range can be bound and dialled.
pub(crate) const BACKENDS: &str = "10.77.0.0/16";
/// Addresses of Cloudflare that clients may have.
const CLOUDFLARE: &str = "173.245.48.0/20";
/// Tells the process that it is in the namespace.
const MARK: &str = "RAVELIN_TEST_CLUSTER_NAMESPACE";
/// What is set up in the namespace before the binary runs there.
const SET_UP: &str = r#"ip link set lo up && for range in $0; do ip route add local "$range" dev lo || exit; done && exec "$@""#;

/// Returns within the namespace only, with the folder of the programs. `None`: these tests cannot
/// run here, and the reason has been said.
pub(crate) fn enter() -> Option<PathBuf> {
    static PROGRAMS: OnceLock<Option<PathBuf>> = OnceLock::new();
    // The other tests wait for the first one here.
    let programs = PROGRAMS.get_or_init(|| {
        if std::env::var_os(MARK).is_some() {
            end_with_the_first_run();
            return assets::find();
        }
        run_again(&assets::find()?)
    });
    programs.clone()
}

/// Standard input is a pipe from the first run, which closes when that ends, however it ends.
fn end_with_the_first_run() {
    thread::spawn(|| {
        // Nothing is ever written to it.
        let _ = std::io::stdin().read(&mut [0]);
        exit(1);
    });
}

/// Runs this binary in a namespace and ends with its exit code. Returns only if there is none.
fn run_again(programs: &PathBuf) -> Option<PathBuf> {
    let Some(mut command) = unshare() else {
        return skipped("this user may not make network namespaces, or ip(8) is missing");
    };
    command.arg(std::env::current_exe().expect("Linux")).args(std::env::args_os().skip(1));
    command.env(MARK, "1").env(assets::VARIABLE, programs).stdin(Stdio::piped());
    let mut child = command.spawn().expect("it has been tried");
    // `wait` would close it.
    let held = child.stdin.take();
    let status = child.wait().expect("our child");
    drop(held);
    exit(status.code().unwrap_or(101));
}

/// The words before a program that run it in a namespace: root needs no namespace of users for it.
fn unshare() -> Option<Command> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    // `ip` lies there, which is not in every PATH.
    path.push(":/usr/sbin:/sbin");
    let with = |flags: &str| {
        let mut command = Command::new("unshare");
        let ranges = format!("{BACKENDS} {CLOUDFLARE}");
        command.args([flags, "sh", "-c", SET_UP, &ranges]).env("PATH", &path);
        command
    };
    let works = |flags: &&str| {
        let mut command = with(flags);
        command.arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["-n", "-rn"].into_iter().find(works).map(with)
}

/// Says that the tests could not be done.
pub(crate) fn skipped<T>(why: &str) -> Option<T> {
    crate::skipped::skipped(&format!("the tests against a real API server: {why}"));
    None
}
