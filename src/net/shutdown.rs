//! The stages of leaving, told to every thread by one `watch` channel.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// The stage of shutdown. Stages only ever advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Serving.
    Running,
    /// No new connections; answers carry `Connection: close`.
    Draining,
    /// Connections without a request are closed as well.
    ClosingIdle,
    /// Everything left is cut.
    Aborting,
}

/// The owner, which decides.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<Stage>);

/// The receiver of the stage.
#[derive(Clone, Debug)]
pub struct ShutdownSignal(watch::Receiver<Stage>);

impl Shutdown {
    /// A running process.
    pub fn new() -> (Self, ShutdownSignal) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Self(sender), ShutdownSignal(receiver))
    }

    /// Advances to `stage`; going back is not possible and ignored.
    pub fn advance(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let later = stage > *now;
            if later {
                *now = stage;
            }
            later
        });
    }
}

impl ShutdownSignal {
    /// The stage now.
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Waits until `stage` has been reached. A vanished [`Shutdown`] counts as every stage.
    pub async fn reached(&mut self, stage: Stage) {
        // The only error is that the sender is gone.
        let _ = self.0.wait_for(|now| *now >= stage).await;
    }

    /// Runs `work` until it ends or `stage` has been reached, in the middle of it too.
    pub async fn interrupt(&mut self, stage: Stage, work: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.reached(stage) => {}
            () = work => {}
        }
    }

    /// Polls now, and again after the pause that `look` returns, until `stage` has been reached. Needs a clock
    /// (tokio's `time`).
    pub async fn look_until(&mut self, stage: Stage, mut look: impl FnMut() -> Duration) {
        // Nobody waits for a change.
        let (_changes, none) = watch::channel(());
        self.look_or_wait(stage, none, || Some(look())).await;
    }

    /// The same, but where `look` returns no pause it is called again when something has changed.
    pub async fn look_or_wait(
        &mut self,
        stage: Stage,
        mut changes: watch::Receiver<()>,
        mut look: impl FnMut() -> Option<Duration>,
    ) {
        loop {
            changes.mark_unchanged();
            let pause = look();
            let again = async {
                match pause {
                    Some(pause) => sleep(pause).await,
                    // Who tells of changes lives as long as the process.
                    None => drop(changes.changed().await),
                }
            };
            tokio::select! {
                () = self.reached(stage) => return,
                () = again => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_advance() {
        let (shutdown, signal) = Shutdown::new();
        shutdown.advance(Stage::ClosingIdle);
        shutdown.advance(Stage::Draining);
        assert_eq!(signal.stage(), Stage::ClosingIdle);
    }
}
