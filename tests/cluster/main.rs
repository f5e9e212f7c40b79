//! A real control plane, and what it does to a client: etcd, kube-apiserver and
//! kube-controller-manager, built by `tests/cluster/assets/build`.
//!
//! The tests here are of the plane itself. They hold the facts that the tests of ravelin against it
//! stand on, so that a new version of Kubernetes that breaks one of them is told from a mistake of
//! ours. Without the programs, or without the right to make a network namespace, they say so on
//! standard error and pass.

mod deployment;
#[path = "../support/eventually.rs"]
mod eventually;
mod faults;
mod objects;
mod plane;
mod restore;
mod rights;
#[path = "../support/skipped.rs"]
mod skipped;

use eventually::eventually;
use std::time::Duration;

/// How long a test waits for what has to happen: far more than it takes, on any machine. The API
/// server looks once a minute for files that the kernel does not tell it of.
const PATIENCE: Duration = Duration::from_secs(90);
