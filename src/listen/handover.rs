//! From the accepting thread to a worker: one message for each connection, none for each request.

use crate::addr::PeerAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to have one connection open; given back when dropped.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// An accepted connection on its way to its worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, non-blocking.
    pub socket: TcpStream,
    /// The other end.
    pub peer: PeerAddr,
    /// Position of the listener in the configuration.
    pub listener: usize,
    /// Held as long as the connection is open.
    pub slot: Slot,
    /// Likewise; set when a worker has been chosen.
    pub load: Option<Load>,
}

impl Accepted {
    pub(super) fn new(socket: TcpStream, peer: PeerAddr, listener: usize, slot: Slot) -> Self {
        Self { socket, peer, listener, slot, load: None }
    }
}

/// Counts one connection of one worker.
#[derive(Debug)]
pub struct Load(Arc<AtomicUsize>);

impl Load {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The worker's end: connections come in here.
#[derive(Debug)]
pub struct Door {
    /// New connections; ends when no acceptor is left.
    pub connections: UnboundedReceiver<Accepted>,
    load: Arc<AtomicUsize>,
}

impl Door {
    /// Connections handed over and not yet closed.
    pub fn open(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct Way {
    sender: UnboundedSender<Accepted>,
    load: Arc<AtomicUsize>,
}

/// The acceptors' end: all workers, and the slots that bound what is on its way or open.
#[derive(Clone, Debug)]
pub struct Doors {
    ways: Arc<[Way]>,
    slots: Arc<Semaphore>,
}

impl Doors {
    /// Ways to `workers` workers, for at most `connections` connections altogether.
    pub fn new(workers: usize, connections: usize) -> (Self, Vec<Door>) {
        let pairs: Vec<_> = (0..workers)
            .map(|_| {
                let (sender, connections) = unbounded_channel();
                let load = Arc::new(AtomicUsize::new(0));
                (Way { sender, load: Arc::clone(&load) }, Door { connections, load })
            })
            .collect();
        let (ways, doors): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let slots = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        (Self { ways: ways.into(), slots }, doors)
    }

    pub(super) async fn slot(&self) -> Slot {
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        Slot(permit.expect("the semaphore is never closed"))
    }

    pub(super) fn try_slot(&self) -> Option<Slot> {
        Arc::clone(&self.slots).try_acquire_owned().ok().map(Slot)
    }

    /// Hands a connection to the worker with the fewest. If that worker is gone, so is the process:
    /// the connection is closed.
    pub(super) fn hand_over(&self, mut accepted: Accepted) {
        let least = self.ways.iter().min_by_key(|way| way.load.load(Ordering::Relaxed));
        if let Some(way) = least {
            accepted.load = Some(Load::begin(&way.load));
            let _ = way.sender.send(accepted);
        }
    }
}
