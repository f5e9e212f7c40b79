//! Numbers of the admin port and its socket. Written by the thread that serves them; during a reload by
//! that of the successor as well.

use crate::error::labels;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

labels! { fn label;
    /// Where a connection to the admin side came in: label `on`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AdminDoor {
        /// The port.
        Port = "port",
        /// The socket in the file system.
        Socket = "socket",
    }
}

/// State of the connections.
#[derive(Debug, Default)]
pub struct AdminCells {
    doors: [DoorCells; AdminDoor::ALL.len()],
    pages_refused: AtomicU64,
}

/// The same, of one door.
#[derive(Debug, Default)]
pub(super) struct DoorCells {
    open: AtomicI64,
    crowded: AtomicU64,
    slow: AtomicU64,
}

impl AdminCells {
    /// Counts a new connection.
    pub fn opened(&self, door: AdminDoor) {
        self.door(door).open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a closed connection.
    pub fn closed(&self, door: AdminDoor) {
        self.door(door).open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection that was closed to make room for another.
    pub fn evicted(&self, door: AdminDoor) {
        self.door(door).crowded.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was closed because it sent or read too slowly.
    pub fn overdue(&self, door: AdminDoor) {
        self.door(door).slow.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a scrape that was refused because too many are in progress.
    pub fn refused_page(&self) {
        self.pages_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn door(&self, door: AdminDoor) -> &DoorCells {
        &self.doors[door as usize]
    }

    pub(super) fn pages_refused(&self) -> u64 {
        self.pages_refused.load(Ordering::Relaxed)
    }
}

impl DoorCells {
    pub(super) fn open(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were ended, with the label of why.
    pub(super) fn ended(&self) -> [(&'static str, u64); 2] {
        [("crowded", &self.crowded), ("slow", &self.slow)]
            .map(|(cause, count)| (cause, count.load(Ordering::Relaxed)))
    }
}
