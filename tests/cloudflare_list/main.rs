//! The list of Cloudflare's addresses against a server that plays its API in every bad way, and
//! against files and ConfigMaps that change: what is in force stays or changes as it should, and
//! the metrics say why.

#[path = "../support/eventually.rs"]
mod eventually;
mod own;
mod process;
mod published;
mod server;
#[path = "../support/server_config.rs"]
mod server_config;

use eventually::eventually;
use process::PATIENCE;
