//! ravelin from the outside: real sockets on both sides, clients and backends that say exactly what
//! a test tells them to.
//!
//! One binary for all of it, so that it is linked once. A test that needs a program which is not
//! installed says so on standard error and passes.

#[path = "../support/balancer.rs"]
mod balancer;
mod support;

mod access;
mod access_log;
mod admin;
mod auth;
mod balancing;
mod break_glass;
mod cache;
mod client;
mod compress;
mod connections;
mod crowdsec;
mod deadlines;
mod drain;
mod error_pages;
mod external_names;
mod forwarding;
mod grpc_web;
mod handover;
mod health_checks;
mod kept_pages;
mod limits;
mod memory;
mod memory_bounds;
mod memory_moving;
mod memory_reclaimed;
mod metrics;
mod middlewares;
mod reload;
mod routing;
mod sets;
mod status_page;
mod tcp;
mod tracing;
#[path = "../support/traefik_program.rs"]
mod traefik_program;
mod upstream_failures;
mod upstream_limits;
mod upstream_protocols;
mod zone;

// What the files of tests/support ask of the root.
use support::{PATIENCE, eventually, program, skipped};
