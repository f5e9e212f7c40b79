//! From the accepting thread to a worker: one message for each connection, none for each request.

use crate::net::addr::PeerAddr;
use crate::net::deadline::Room;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long one that was told to close may take before the next ones are told, too: HTTP/2 has its client
/// confirm the end.
const MAKE_ROOM: Duration = Duration::from_millis(50);

/// At most so many connections are told to close at a time for one that waits: more than are gone
/// within [`MAKE_ROOM`] would be closed for nobody.
const MOST_TOLD: usize = 64;

/// The right to have one connection open; released on drop.
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

/// Commands to a worker.
#[derive(Debug)]
pub enum Order {
    /// To serve a connection.
    Serve(Accepted),
    /// To close the connection that has been idle for longest.
    MakeRoom,
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

/// The worker's end: receives connections.
#[derive(Debug)]
pub struct Intake {
    /// Connections to serve, and to close; ends when no acceptor is left.
    pub orders: UnboundedReceiver<Order>,
    /// Shared state of this worker and the acceptors about connections to close.
    pub room: Room,
    load: Arc<AtomicUsize>,
}

impl Intake {
    /// Connections handed over and not yet closed.
    pub fn open(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct WorkerSender {
    sender: UnboundedSender<Order>,
    room: Room,
    load: Arc<AtomicUsize>,
}

/// The acceptors' end: all workers, and the slots that limit open connections.
#[derive(Clone, Debug)]
pub struct WorkerSenders {
    ways: Arc<[WorkerSender]>,
    slots: Arc<Semaphore>,
}

impl WorkerSenders {
    /// Ways to `workers` workers, for at most `connections` connections in total.
    pub fn new(workers: usize, connections: usize) -> (Self, Vec<Intake>) {
        let pairs = Room::for_workers(workers).into_iter().map(|room| {
            let (sender, orders) = unbounded_channel();
            let load = Arc::new(AtomicUsize::new(0));
            let way = WorkerSender { sender, room: room.clone(), load: Arc::clone(&load) };
            (way, Intake { orders, room, load })
        });
        let (ways, doors): (Vec<_>, Vec<_>) = pairs.unzip();
        let slots = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        (Self { ways: ways.into(), slots }, doors)
    }

    /// A slot for a connection that has come while all were taken: the connections that have been idle
    /// for longest are closed until there is one. If all are in use, the first that is through closes.
    pub(super) async fn slot(&self) -> Slot {
        let mut slot = pin!(Arc::clone(&self.slots).acquire_owned());
        let (mut told, mut starving) = (1, None);
        loop {
            let made = (0..told).take_while(|_| self.make_room()).count();
            starving = match (made, starving) {
                (0, None) => self.ways.first().map(|way| way.room.starve()),
                (0, starving) => starving,
                _ => None,
            };
            if let Ok(permit) = timeout(MAKE_ROOM, slot.as_mut()).await {
                return Slot(permit.expect("the semaphore is never closed"));
            }
            told = (2 * told).min(MOST_TOLD);
        }
    }

    /// Asks the worker with the longest idle connection to close it. Returns false if there is none.
    fn make_room(&self) -> bool {
        let first = |way: &&WorkerSender| way.room.candidate();
        let candidates = self.ways.iter().filter(|way| first(way).is_some());
        let Some(way) = candidates.min_by_key(first) else { return false };
        !way.room.ask(MOST_TOLD) || way.sender.send(Order::MakeRoom).is_ok()
    }

    pub(super) fn try_slot(&self) -> Option<Slot> {
        Arc::clone(&self.slots).try_acquire_owned().ok().map(Slot)
    }

    /// Hands a connection to the worker with the fewest, of those that serve. If none is left, the
    /// connection is closed.
    pub(super) fn hand_over(&self, mut accepted: Accepted) {
        let serving = self.ways.iter().filter(|way| !way.sender.is_closed());
        if let Some(way) = serving.min_by_key(|way| way.load.load(Ordering::Relaxed)) {
            accepted.load = Some(Load::begin(&way.load));
            let _ = way.sender.send(Order::Serve(accepted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::deadline::{Deadlines, Phase};
    use tokio::runtime::Builder;

    fn mk_accepted(slot: Slot) -> Accepted {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let socket = TcpStream::connect(listener.local_addr().expect("bound")).expect("listens");
        let peer = PeerAddr::new(socket.local_addr().expect("connected"));
        Accepted::new(socket, peer, 0, slot)
    }

    #[test]
    fn a_worker_that_is_gone_gets_no_connection() {
        let (doors, mut ends) = WorkerSenders::new(2, 10);
        drop(ends.remove(0));
        for _ in 0..4 {
            doors.hand_over(mk_accepted(doors.try_slot().expect("free")));
        }
        assert_eq!(ends[0].open(), 4);
        drop(ends);
        doors.hand_over(mk_accepted(doors.try_slot().expect("free")));
    }

    #[test]
    fn the_worker_with_the_longest_idle_connection_makes_room_for_one_that_waits() {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (doors, mut ends) = WorkerSenders::new(2, 1);
        let taken = doors.try_slot().expect("free");
        let clock = Deadlines::with_room(ends[1].room.clone());
        let limit = Duration::from_secs(60);
        let connection = clock.connection(limit);
        connection.enter(Phase::Exchange, limit);
        connection.enter(Phase::Idle, limit);
        runtime.block_on(async {
            let waiting = tokio::join!(doors.slot(), async {
                assert!(matches!(ends[1].orders.recv().await, Some(Order::MakeRoom)));
                assert!(clock.make_room() && connection.is_evicted());
                drop(taken);
            });
            // In use now: the waiting task gets it when it is complete.
            connection.enter(Phase::Exchange, limit);
            tokio::join!(doors.slot(), async {
                while !clock.is_starving() {
                    tokio::task::yield_now().await;
                }
                connection.enter(Phase::Idle, limit);
                assert!(connection.is_evicted());
                drop(waiting);
            });
            assert!(!clock.is_starving());
        });
    }
}
