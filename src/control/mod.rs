//! The control plane: what the cluster, or a directory of manifests, says is to be served.

mod cause;
mod chance;
pub mod cloudflare;
pub mod files;
pub mod last_good;
pub mod manifest;
pub mod objects;
mod quote;
pub mod reconcile;
pub mod source;
mod suggest;
pub mod translate;
mod utc;
pub mod watch;
pub mod write_back;
pub mod yaml;
