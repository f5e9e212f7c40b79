//! A real control plane, and what it does to a client: etcd, kube-apiserver and
//! kube-controller-manager, built by `tests/cluster/assets/build`.
//!
//! Some tests are of the plane itself. They hold the facts that the tests of ravelin against it stand
//! on, so that a new version of Kubernetes that breaks one of them is told from a mistake of ours.
//! The others run ravelin as a process, with the rights of `deploy/base`. Without the programs, or without the right to make a network namespace, they say so on
//! standard error and pass.

mod break_glass;
#[path = "../traefik/crds.rs"]
mod crds;
mod credentials;
mod deployed;
mod deployment;
mod edge;
#[path = "../support/eventually.rs"]
mod eventually;
mod faults;
mod figures;
mod first_evening;
#[path = "../support/go_program.rs"]
mod go_program;
mod granted;
mod life;
mod migrated;
mod narrowed;
mod objects;
mod outage;
mod pasted;
mod plane;
mod restore;
mod restored;
mod rights;
mod rolling;
mod secured;
mod seeds;
mod served;
#[path = "../support/skipped.rs"]
mod skipped;
mod swap;
#[path = "../support/tls_client.rs"]
mod tls_client;
#[path = "../support/traefik_program.rs"]
mod traefik_program;
mod vanishing;
mod verbs;
mod written;

use eventually::eventually;
use skipped::skipped;
use std::time::Duration;

/// How long a test waits for what has to happen: far more than it takes, on any machine. The API
/// server looks once a minute for files that the kernel does not tell it of.
const PATIENCE: Duration = Duration::from_secs(90);
