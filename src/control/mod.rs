//! The control plane: from a cluster or a directory of manifests to the routing table in force.
//!
//! **Invariant**: the only room that knows Kubernetes types; imports no stage and no path
//! (`tests/layering`).

pub mod access;
mod cause;
pub mod cloudflare;
pub mod crowdsec;
mod file_events;
pub mod files;
mod jitter;
pub mod last_good;
pub mod manifest;
pub mod objects;
mod quote;
pub mod reconcile;
pub mod source;
pub mod suggest;
pub mod translate;
mod utc;
pub mod watch;
pub mod write_back;
pub mod yaml;
pub mod zone;
