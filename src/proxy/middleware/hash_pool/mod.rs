//! The threads that compute hashes of passwords, which take longer than a worker may be held up.
//!
//! They are few and yield to everything else, so that a client that tries passwords costs others nothing: what
//! finds no place in their queue is refused.
//!
//! Two threads share each place. One computes, in time that nobody else wants, and takes no lock that a worker
//! takes: it may lose its processor for long at any point. The other tells the verdicts. Where the first gets no
//! time at all, on a node whose processors are all taken, the other computes as well: log-ins are slow then, and
//! come to their end.

mod sys;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

/// How many hashes wait, at most. With bcrypt of cost 12 they are done within ten seconds.
const MOST_WAITING: usize = 32;

/// The most places, however many processors there are.
const MOST_PLACES: usize = 4;

/// What those who tell the verdicts, and compute where it cannot be helped, take from others: a tenth of a
/// processor that is taken (`sched(7)`: "The nice value"). That is three seconds for bcrypt of cost 12.
const NICENESS: i32 = 10;

/// The lowest, for a kernel that does not let a thread have [`sys::yield_to_all`].
const LOWEST: i32 = 19;

/// How long a hash may take in time that nobody else wants: twice what the dearest takes on a processor of its
/// own. A request waits for longer than this and the same hash in a tenth of a processor.
const PATIENCE: Duration = Duration::from_secs(5);

/// Computes a hash, and says whether it is the right one. Maybe twice.
type Hash = Arc<dyn Fn() -> bool + Send + Sync>;

struct Job {
    hash: Hash,
    tell: Box<dyn FnOnce(bool) + Send>,
}

/// Of the process: workers of all sets share them. They begin with the first password.
static POOL: LazyLock<Option<SyncSender<Job>>> = LazyLock::new(start);

/// The queue is full, or there is no thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Has a hash computed, soon, and its verdict told.
pub(super) fn submit(
    hash: impl Fn() -> bool + Send + Sync + 'static,
    tell: impl FnOnce(bool) + Send + 'static,
) -> Result<(), Busy> {
    let pool = POOL.as_ref().ok_or(Busy)?;
    pool.try_send(Job { hash: Arc::new(hash), tell: Box::new(tell) }).map_err(|_| Busy)
}

/// Half as many places as processors. The threads inherit the rights of the worker that is first to need them,
/// which has none.
fn start() -> Option<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let started = (0..(processors / 2).clamp(1, MOST_PLACES)).filter(|number| {
        let receiver = Arc::clone(&receiver);
        let (idle, asked) = IdleThread::new(PATIENCE);
        let hashes = Builder::new().name(format!("hashes-{number}"));
        let verdicts = Builder::new().name(format!("passwords-{number}"));
        // Without the first the second computes all of them.
        let _ = hashes.spawn(move || compute(&asked));
        verdicts.spawn(move || serve(&receiver, &idle)).is_ok()
    });
    (started.count() > 0).then_some(sender)
}

/// Takes jobs and tells their verdicts.
fn serve(jobs: &Mutex<Receiver<Job>>, idle: &IdleThread) {
    // Of this thread alone (setpriority(2), C library/kernel differences). Without it hashes are only dearer.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { hash, tell }) = next else { return };
        tell(idle.compute(&hash).unwrap_or_else(|| hash()));
    }
}

/// What a thread that computes is asked for, and where the verdict goes to.
type Asked = (Hash, SyncSender<bool>);

/// A thread that has only time that nobody else wants, as the thread that uses it sees it.
struct IdleThread {
    asked: SyncSender<Asked>,
    patience: Duration,
}

impl IdleThread {
    /// For a thread that takes what comes out of the receiver.
    fn new(patience: Duration) -> (Self, Receiver<Asked>) {
        let (asked, receiver) = sync_channel(1);
        (Self { asked, patience }, receiver)
    }

    /// Has it compute a hash. `None` if it has no time for that, or had none even for the one before.
    fn compute(&self, hash: &Hash) -> Option<bool> {
        let (sender, verdict) = sync_channel(1);
        self.asked.try_send((Arc::clone(hash), sender)).ok()?;
        verdict.recv_timeout(self.patience).ok()
    }
}

/// Computes what is asked for, in time that nobody else wants.
fn compute(asked: &Receiver<Asked>) {
    let _ = rustix::process::setpriority_process(None, LOWEST);
    // Without it the nice value has to do.
    if let Err(error) = sys::yield_to_all() {
        tracing::debug!(%error, "hashes of passwords are not computed in idle time");
    }
    while let Ok((hash, verdict)) = asked.recv() {
        // The thread that waits for it may have lost patience.
        let _ = verdict.send(hash());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Policy and nice value of the calling thread, by fields 41 and 19 of its `stat` (proc(5)).
    fn scheduling() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("a file of proc");
        let (_, after_name) = stat.rsplit_once(") ").expect("a name in brackets");
        let field = |number: usize| {
            let text = after_name.split(' ').nth(number - 3).expect("a field");
            text.parse().expect("a number")
        };
        (field(41), field(19))
    }

    #[test]
    fn hashes_are_computed_in_idle_time_and_verdicts_told_by_another_thread() {
        let (sender, told) = sync_channel(2);
        let computed = sender.clone();
        let hash = move || computed.send(scheduling()).is_ok();
        let tell = move |is_right: bool| {
            assert!(is_right);
            let _ = sender.send(scheduling());
        };
        submit(hash, tell).expect("an empty queue");
        assert_eq!(told.recv(), Ok((libc::SCHED_IDLE, LOWEST)));
        assert_eq!(told.recv(), Ok((libc::SCHED_OTHER, NICENESS)));
    }

    #[test]
    fn what_gets_no_idle_time_is_computed_all_the_same() {
        // Nobody takes what is asked for: the thread has no time.
        let (idle, asked) = IdleThread::new(Duration::ZERO);
        let hash: Hash = Arc::new(|| true);
        assert_eq!(idle.compute(&hash), None, "not within its patience");
        let (jobs, receiver) = sync_channel(1);
        let (sender, told) = sync_channel(1);
        let tell = Box::new(move |is_right: bool| sender.send(is_right).expect("a receiver"));
        let job = Job { hash: Arc::clone(&hash), tell };
        jobs.send(job).expect("a receiver");
        drop(jobs);
        let receiver = Mutex::new(receiver);
        thread::scope(|scope| scope.spawn(|| serve(&receiver, &idle)).join()).expect("no panic");
        assert_eq!(told.recv(), Ok(true));
        // It has time again, and the one that was asked for meanwhile is nobody's any more.
        thread::scope(|scope| {
            let idle = IdleThread { patience: Duration::MAX, ..idle };
            scope.spawn(move || compute(&asked));
            while idle.compute(&hash).is_none() {
                thread::yield_now();
            }
        });
    }
}
