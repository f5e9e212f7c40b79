//! Break-glass: follows its switch, and has gates and workers obey it.

use super::sets::TextReceivers;
use super::thread::Thread;
use super::{Parts, on_runtime};
use crate::config::Config;
use crate::control::cloudflare::switch::{SwitchKeeper, SwitchSetup, Switched};
use crate::model::ConfigText;
use crate::proxy::Strangers;
use crate::telemetry::Telemetry;
use std::io;
use std::sync::Arc;

/// What visitors share whom break-glass alone admits. `connections` are those of the process.
pub(super) fn strangers(
    config: &Config,
    connections: usize,
    telemetry: &Telemetry,
) -> Arc<Strangers> {
    Strangers::new(&config.break_glass, connections, Arc::clone(telemetry.break_glass()))
}

/// Puts the switch in force as it is now, before anybody connects. `None`: there is no switch.
pub(super) fn start_switch(parts: &Parts, texts: &TextReceivers) -> Option<SwitchKeeper> {
    let config = &parts.config.break_glass;
    let origin = config.switch.clone()?;
    let (updates, strangers) = (Arc::clone(&parts.updates), Arc::clone(&parts.strangers));
    let publish = move |switched| match switched {
        // A visitor who is admitted has an episode to be in, and one who is asked to leave does not come back.
        Switched::On => {
            strangers.begin();
            updates.change(|live| live.break_glass = true);
        }
        Switched::Off => {
            updates.change(|live| live.break_glass = false);
            strangers.end();
        }
        Switched::Cut => strangers.cut(),
    };
    Some(SwitchKeeper::new(SwitchSetup {
        origin,
        texts: texts[&ConfigText::BreakGlass].clone(),
        drain: config.drain,
        cells: Arc::clone(parts.telemetry.break_glass()),
        publish: Box::new(publish),
    }))
}

/// Follows it, on a thread of its own.
pub(super) fn keep_switch(
    parts: &Parts,
    switch: Option<SwitchKeeper>,
) -> io::Result<Option<Thread>> {
    let Some(switch) = switch else { return Ok(None) };
    let signal = parts.signal.clone();
    let keep = move || on_runtime("break-glass", switch.run(signal));
    Thread::spawn(&parts.wakeup, "break-glass", keep).map(Some)
}
