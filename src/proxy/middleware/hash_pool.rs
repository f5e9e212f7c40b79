//! The threads that compute hashes of passwords, which take longer than a worker may be held up.
//!
//! They are few and yield to everything else, so that a client that tries passwords costs others nothing: what
//! finds no place in their queue is refused.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, Builder};

/// How many hashes wait, at most. With bcrypt of cost 12 they are done within ten seconds.
const MOST_WAITING: usize = 32;

/// The most threads, however many processors there are.
const MOST_THREADS: usize = 4;

/// What others lose to a thread with this is next to nothing (`sched(7)`: "The nice value").
const NICENESS: i32 = 19;

type Job = Box<dyn FnOnce() + Send>;

/// Of the process: workers of all sets share them. They begin with the first password.
static POOL: LazyLock<Option<SyncSender<Job>>> = LazyLock::new(start);

/// The queue is full, or there is no thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Has a job done, soon.
pub(super) fn submit(job: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
    let pool = POOL.as_ref().ok_or(Busy)?;
    pool.try_send(Box::new(job)).map_err(|_| Busy)
}

/// Half as many threads as processors. They inherit the rights of the worker that is first to need them, which
/// has none.
fn start() -> Option<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let started = (0..(processors / 2).clamp(1, MOST_THREADS)).filter(|number| {
        let receiver = Arc::clone(&receiver);
        let builder = Builder::new().name(format!("passwords-{number}"));
        builder.spawn(move || run(&receiver)).is_ok()
    });
    (started.count() > 0).then_some(sender)
}

fn run(jobs: &Mutex<Receiver<Job>>) {
    // Of this thread alone (setpriority(2), C library/kernel differences). Without it hashes are only dearer.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job();
    }
}
