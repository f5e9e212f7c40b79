//! The thread of the admin port.

use super::Admin;
use crate::app::status::Sources;
use crate::app::thread::Thread;
use crate::app::{Parts, unprivileged};
use crate::transport::listen::{Listening, LocalListening};
use std::io;
use std::sync::Arc;

/// Starts to serve the admin port, and the socket for probes if there is one.
pub(in crate::app) fn start_admin(
    parts: &Parts,
    port: Listening,
    socket: Option<LocalListening>,
) -> io::Result<Thread> {
    let gates = parts.updates.gates();
    let status = Sources {
        config: Arc::clone(&parts.config),
        telemetry: Arc::clone(&parts.telemetry),
        tables: parts.tables.clone(),
        gates: Arc::clone(&gates),
        certificates: Arc::clone(&parts.certificates),
        policy: Arc::clone(&parts.policy),
        places: Sources::places(),
        started: jiff::Timestamp::now().as_second(),
    };
    let readers = parts.updates.status_gate();
    let tap = parts.sink.as_ref().map(|sink| Arc::clone(sink.tap()));
    let (signal, wakeup) = (parts.signal.clone(), parts.wakeup.clone());
    let admin = Admin::new(status, readers, signal, wakeup, tap);
    let successor = parts.admin_ends.clone();
    Thread::spawn(&parts.wakeup, "admin", move || {
        unprivileged("admin", async move {
            let socket = socket.map(LocalListening::accept_here).transpose();
            match (port.accept_here(), socket, gates.last()) {
                (Ok(port), Ok(socket), Some(gate)) => {
                    admin.run(port, socket, gate, successor).await;
                }
                (Err(error), ..) | (_, Err(error), _) => {
                    tracing::error!(%error, "the admin port failed");
                }
                (.., None) => {}
            }
        });
    })
}
