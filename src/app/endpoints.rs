//! The threads that keep an eye on endpoints: they change nothing but the cells and the health of those
//! in the table in force.

use super::thread::Thread;
use super::{Parts, unprivileged};
use crate::upstream::dns::Names;
use crate::upstream::health_check::Checker;
use std::io;
use std::sync::Arc;

/// Checks endpoints, and resolves names if the configuration wants that. Each on a thread of its own:
/// neither is to wait for the other, nor requests for them.
pub(super) fn start(parts: &Parts) -> io::Result<Vec<Thread>> {
    let mut threads = vec![start_checks(parts)?];
    if parts.config.dns.external_names {
        threads.push(start_names(parts)?);
    }
    Ok(threads)
}

fn start_checks(parts: &Parts) -> io::Result<Thread> {
    let (tables, cells) = (parts.tables.clone(), Arc::clone(parts.telemetry.checks()));
    let signal = parts.signal.clone();
    Thread::spawn(&parts.wakeup, "health-checks", move || {
        unprivileged("health-checks", async move {
            Checker::new(tables, cells).run(signal).await;
        });
    })
}

fn start_names(parts: &Parts) -> io::Result<Thread> {
    let (tables, cells) = (parts.tables.clone(), Arc::clone(parts.telemetry.dns()));
    let (config, signal) = (Arc::clone(&parts.config), parts.signal.clone());
    Thread::spawn(&parts.wakeup, "dns", move || {
        unprivileged("dns", async move {
            match Names::new(tables, &config.dns, cells) {
                Ok(names) => names.run(signal).await,
                Err(error) => tracing::error!(%error, "ExternalName Services cannot be resolved"),
            }
        });
    })
}
