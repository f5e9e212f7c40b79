//! The swap as COMMANDS.md has it, for the three clusters of `tests/cli/migrate`, with a real API server, the real
//! Traefik and visitors who never pause: nothing is lost on the way to ravelin and on the way back, and what is guarded
//! never opens.
//!
//! Played are what a machine without containers does not have: kubelets, k3s' helm-controller and servicelb, a balancer,
//! and Cloudflare. Every node is a network namespace.

mod balancer;
mod client;
mod cloudflare;
mod cluster_a;
mod cluster_b;
mod cluster_c;
mod helm;
mod kubelet;
mod network;
mod objects;
mod pods;
mod process;
mod scene;
mod servicelb;
mod stranger;
mod way;

use crate::skipped::skipped;
use network::search_path;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// One cluster at a time: each takes both cores.
static TURN: Mutex<()> = Mutex::new(());

/// Finds a program, or says that it is not installed.
fn installed(name: &str) -> Option<PathBuf> {
    let path = search_path();
    let found =
        std::env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skipped(&format!("the swap from Traefik: {name} is not installed"));
    }
    found
}

#[test]
fn a_traefik_with_the_network_of_its_nodes_is_swapped_without_a_lost_request() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    cluster_a::swap();
}

#[test]
fn a_traefik_behind_servicelb_is_swapped_without_a_lost_request() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    cluster_b::swap();
}

#[test]
fn a_traefik_behind_a_balancer_is_swapped_without_a_lost_request() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    cluster_c::swap();
}

#[test]
#[ignore = "figures of the ways without Origin Rules, on which requests are lost"]
fn figures_of_the_ways_with_labels() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    cluster_a::with_labels();
    cluster_b::with_labels();
}
