//! Secrets of this process alone: a random one for each epoch, forgotten when no ticket of it counts.

use super::{KEY_BYTES, extract};
use aws_lc_rs::hkdf::Prk;
use aws_lc_rs::rand;
use rustls::Error;
use std::sync::Arc;

/// The secret of the newest epoch that was asked for, and of the one before it.
pub(super) struct Local {
    epoch: u64,
    newest: Arc<Prk>,
    before: Option<Arc<Prk>>,
}

impl Local {
    /// # Errors
    /// Only where the system has no random numbers.
    pub(super) fn new(epoch: u64) -> Result<Self, Error> {
        let newest = random().ok_or(Error::FailedToGetRandomBytes)?;
        Ok(Self { epoch, newest, before: None })
    }

    /// The secret of an epoch, if it is that of `now` or the one before. A clock that was set back gets
    /// the newest one on.
    pub(super) fn secret(&mut self, wanted: u64, now: u64) -> Option<Arc<Prk>> {
        if now > self.epoch {
            let newest = random()?;
            let last = std::mem::replace(&mut self.newest, newest);
            self.before = (now == self.epoch + 1).then_some(last);
            self.epoch = now;
        }
        if wanted == self.epoch || wanted == now {
            return Some(Arc::clone(&self.newest));
        }
        self.before.clone().filter(|_| wanted + 1 == self.epoch)
    }
}

fn random() -> Option<Arc<Prk>> {
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).ok()?;
    Some(Arc::new(extract(&bytes)))
}
