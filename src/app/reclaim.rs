//! Reclaim of a worker while memory is short: ends stalled requests before others are refused.

use super::thread::Thread;
use super::{Parts, unprivileged};
use crate::net::memory::Pressure;
use crate::net::shutdown::Stage;
use crate::proxy::Worker;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks: what was ended has given its memory back by then. Many short looks, so that nobody else
/// waits long for one.
const PAUSE: Duration = Duration::from_millis(6);

/// Idle connections that close in one go where nothing else is left to end.
const IDLE: usize = 4;

/// Between two looks at the cgroup while no worker has anything to do.
const AT_REST: Duration = Duration::from_secs(10);

/// Looks whenever memory is short, for as long as the worker serves.
pub(super) async fn reclaim(worker: Rc<Worker>) {
    loop {
        let why = worker.memory.budget().shortage().await;
        let budget = worker.memory.budget();
        let ended = worker.deadlines.end_stalled(why, budget.is_scarce(), budget.missing());
        if ended == 0 && budget.is_nearly_full() {
            let _ = (0..IDLE).take_while(|_| worker.deadlines.evict_idlest()).count();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Watches the cgroup's memory, if that has a limit.
pub(super) fn watch_memory(parts: &Parts) -> io::Result<Option<Thread>> {
    let Some(pressure) = Pressure::new(parts.telemetry.memory()) else { return Ok(None) };
    let mut signal = parts.signal.clone();
    let budget = Arc::clone(parts.telemetry.memory());
    let watch = move || {
        unprivileged("memory", async move {
            loop {
                let pause = pressure.look();
                let pause = if budget.is_at_rest() { AT_REST } else { pause };
                tokio::select! {
                    () = signal.reached(Stage::Aborting) => return,
                    () = budget.stirred() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    };
    Thread::spawn(&parts.wakeup, "memory", watch).map(Some)
}
