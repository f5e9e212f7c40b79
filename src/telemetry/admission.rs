//! Admission of the ports: the mode in force, and how many packets the kernel dropped.

use crate::error::labels;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

labels! { fn label;
    /// Where admission to a port is enforced.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AdmissionMode {
        /// The kernel: their packets are dropped, and nothing answers.
        Kernel = "kernel",
        /// The kernel, without a filter: they are steered to a socket that drops their packets
        /// ([`crate::transport::admission::trap`]).
        Trap = "trap",
        /// We do, after the kernel has accepted: they are reset.
        UserSpace = "user_space",
        /// Not enforced: every source is admitted.
        Off = "off",
    }
}

/// Reads the kernel's counter of a listening socket: 32 bits that wrap. `None` when it is closed.
pub type Drops = Box<dyn Fn() -> Option<u32> + Send + Sync>;

/// A port: a listener's, or the admin port.
pub struct PortCells {
    name: Arc<str>,
    mode: AtomicU8,
    steered: AtomicBool,
    source: OnceLock<Drops>,
    dropped: Mutex<Dropped>,
}

/// The counter without its wrapping.
#[derive(Clone, Copy, Debug, Default)]
struct Dropped {
    last: u32,
    total: u64,
}

impl Dropped {
    fn advance(&mut self, now: u32) {
        self.total += u64::from(now.wrapping_sub(self.last));
        self.last = now;
    }
}

impl PortCells {
    pub(super) fn new(name: Arc<str>) -> Self {
        // Until somebody says otherwise, the check in user space is all there is.
        let mode = AtomicU8::new(AdmissionMode::UserSpace as u8);
        let steered = AtomicBool::new(false);
        Self { name, mode, steered, source: OnceLock::new(), dropped: Mutex::default() }
    }

    /// The label.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Sets the mode in force.
    pub fn set_mode(&self, mode: AdmissionMode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// The mode in force.
    pub fn mode(&self) -> AdmissionMode {
        let stored = usize::from(self.mode.load(Ordering::Relaxed));
        AdmissionMode::ALL.get(stored).copied().unwrap_or(AdmissionMode::UserSpace)
    }

    /// Sets whether the kernel steers every new connection of this port to this process.
    pub fn set_steered(&self, steered: bool) {
        self.steered.store(steered, Ordering::Relaxed);
    }

    /// Whether the kernel is known to steer every new connection of this port to this process.
    pub fn steered(&self) -> bool {
        self.steered.load(Ordering::Relaxed)
    }

    /// Sets the source of the drop counter. Only the first call has an effect.
    pub fn count_drops(&self, source: Drops) {
        let _ = self.source.set(source);
    }

    /// Packets that the kernel dropped at the listening socket since it was made. The kernel counts
    /// with 32 bits: more than 2^32 between two calls are lost.
    pub fn dropped(&self) -> u64 {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = self.source.get().and_then(|source| source()) {
            dropped.advance(now);
        }
        dropped.total
    }
}

impl fmt::Debug for PortCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortCells")
            .field("name", &self.name)
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn the_count_goes_on_where_the_kernel_wraps_and_when_the_socket_is_gone() {
        let kernel = Arc::new(AtomicU32::new(u32::MAX - 1));
        let cells = PortCells::new("web".into());
        assert_eq!(cells.dropped(), 0);
        let read = Arc::clone(&kernel);
        cells.count_drops(Box::new(move || {
            let now = read.load(Ordering::Relaxed);
            (now != 7).then_some(now)
        }));
        assert_eq!(cells.dropped(), u64::from(u32::MAX) - 1);
        kernel.store(3, Ordering::Relaxed);
        assert_eq!(cells.dropped(), u64::from(u32::MAX) + 4);
        kernel.store(7, Ordering::Relaxed);
        assert_eq!(cells.dropped(), u64::from(u32::MAX) + 4);
    }

    #[test]
    fn modes_are_told_apart() {
        let cells = PortCells::new("web".into());
        for mode in AdmissionMode::ALL {
            cells.set_mode(mode);
            assert_eq!(cells.mode(), mode);
        }
    }
}
