//! `deploy/`: the manifests are held against what they are for, and the image is built and started
//! as a pod would start it.
//!
//! `kubectl` renders; where it is missing, the files as they are written are looked at alone. The
//! image needs root and Debian's buildah. What is missing is said on standard error.

mod chart;
mod config;
mod container;
mod daemonset;
#[path = "../support/eventually.rs"]
mod eventually;
#[path = "../support/go_program.rs"]
mod go_program;
mod image;
mod objects;
mod one_file;
mod release;
mod rights;
mod scrape;
mod systemd;

use eventually::eventually;
use image::PATIENCE;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `deploy/`, or something in it.
fn deploy(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(relative)
}

/// Finds a program in `PATH` or where Debian keeps those of root.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// Says that something could not be tested, past the capture of test output.
fn skipped(why: &str) {
    // Nothing to be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
