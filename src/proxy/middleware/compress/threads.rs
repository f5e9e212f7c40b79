//! The threads that compress what is long: beside the workers, on which every other request waits.

use super::codec::{Done, Work};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, Builder};
use tokio::sync::oneshot;

/// The most threads, however many processors there are.
const MOST: usize = 4;

/// What they take from workers where processors are scarce: a third of what one of those has (`sched(7)`: "The
/// nice value").
const NICENESS: i32 = 5;

struct Job {
    work: Work,
    done: oneshot::Sender<Done>,
}

/// Of the process: workers of all sets share them. They begin with the first long body. The queue has one job a
/// compressor at most, and each of those is charged to its connection.
static THREADS: LazyLock<Option<Sender<Job>>> = LazyLock::new(start);

/// Has it done, and returns where the result will be; or the work, if there is no thread.
#[expect(clippy::result_large_err, reason = "it is moved on and not kept")]
pub(super) fn submit(work: Work) -> Result<oneshot::Receiver<Done>, Work> {
    let Some(threads) = THREADS.as_ref() else { return Err(work) };
    let (done, receiver) = oneshot::channel();
    match threads.send(Job { work, done }) {
        Ok(()) => Ok(receiver),
        Err(unsent) => Err(unsent.0.work),
    }
}

/// Half as many as processors. They inherit the rights of the worker that is first to need them, which has none.
fn start() -> Option<Sender<Job>> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let started = (0..(processors / 2).clamp(1, MOST)).filter(|number| {
        let receiver = Arc::clone(&receiver);
        Builder::new().name(format!("compress-{number}")).spawn(move || serve(&receiver)).is_ok()
    });
    (started.count() > 0).then_some(sender)
}

fn serve(jobs: &Mutex<Receiver<Job>>) {
    // Of this thread alone (setpriority(2), C library/kernel differences). Without it workers share more.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { work, done }) = next else { return };
        // Nobody waits for it any more if its client has left.
        if !done.is_closed() {
            let _ = done.send(work.run());
        }
    }
}
