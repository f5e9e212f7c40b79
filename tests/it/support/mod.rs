//! Both ends of a proxy under test, and the proxy itself in this process or in one of its own.

mod client;
mod edge;
#[path = "../../support/eventually.rs"]
mod eventually;
pub(crate) mod framed;
mod gate;
#[path = "../../support/go_program.rs"]
mod go_program;
mod manifest;
mod message;
mod metrics;
mod nginx;
mod process;
#[path = "../../support/program.rs"]
mod program;
mod served;
#[path = "../../support/server_config.rs"]
mod server_config;
#[path = "../../support/skipped.rs"]
pub(crate) mod skipped;
mod stepped;
#[path = "../../support/unsupported.rs"]
mod unsupported;
mod upstream;

pub(crate) use client::Client;
pub(crate) use edge::{Builder, Edge, edge, edge_to, is_by_hyper};
pub(crate) use eventually::eventually;
pub(crate) use gate::Gate;
pub(crate) use go_program::go_program;
pub(crate) use manifest::{ingress, rule, service, slice};
pub(crate) use message::{Fault, Framing, Message, Wire, chunked, refused};
pub(crate) use metrics::Metrics;
pub(crate) use nginx::Nginx;
pub(crate) use process::{Process, reserve};
pub(crate) use program::program;
pub(crate) use served::Served;
pub(crate) use server_config::server_config;
pub(crate) use skipped::skipped;
pub(crate) use stepped::{Stepped, backend_key};
pub(crate) use unsupported::unsupported;
pub(crate) use upstream::{Conn, Refusing, Silent, Upstream};

use std::time::Duration;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
