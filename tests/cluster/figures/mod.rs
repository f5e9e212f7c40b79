//! Figures, printed and never asserted: how fast a change of the cluster is served, and what a large
//! cluster costs. `README.md` says how they are run.

mod changes;
mod events;
mod outages;
mod process;
mod scale;

use crate::plane::{Connection, Plane, Response};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections by which objects are loaded: with more, the API server gets slower.
const LOADERS: usize = 32;
/// Who changes objects at one time.
const WRITERS: usize = 16;
/// Between two requests of one who waits for a change.
const LOOK: Duration = Duration::from_millis(1);

/// Makes so many objects, each by its number: path of the collection, and object.
fn load(plane: &Plane, count: usize, object: impl Fn(usize) -> (String, Value) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..LOADERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let (path, object) = object(number);
                    plane.create(&path, &object);
                }
            });
        }
    });
}

/// Acts at a pace, so many times a second for so long, or as fast as it goes; each time by its number.
/// Returns how often.
fn at_a_pace((pace, length): (usize, Duration), act: impl Fn(usize) + Sync) -> usize {
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let number = done.fetch_add(1, Ordering::Relaxed);
                    let due = Duration::from_secs_f64(number as f64 / pace as f64);
                    if due >= length || began.elapsed() >= length {
                        done.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    while let Some(left) = due.checked_sub(began.elapsed()).filter(|d| !d.is_zero())
                    {
                        thread::park_timeout(left);
                    }
                    act(number);
                }
            });
        }
    });
    done.into_inner()
}

/// Changes an object, which has to succeed.
fn patch(plane: &Plane, path: &str, patch: &Value) {
    let answer = plane.request("PATCH", path, Some(patch));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// How long it takes from now until a host is answered as it should be: a request a millisecond on
/// one connection.
fn time_until(visitor: &mut Connection, host: &str, is_it: impl Fn(&Response) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let answer = visitor.get(host, "/").expect("the proxy answers");
        if is_it(&answer) {
            return began.elapsed();
        }
        assert!(began.elapsed() < crate::PATIENCE, "{host}: {answer:?}");
        thread::park_timeout(LOOK);
    }
}

/// Number, median, 99th of a hundred, and greatest, in milliseconds.
fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |hundredth: usize| {
        let index = (times.len() * hundredth / 100).min(times.len().saturating_sub(1));
        times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    format!("n {}, p50 {:.1}, p99 {:.1}, max {:.1} ms", times.len(), at(50), at(99), at(100))
}

#[expect(clippy::print_stdout, reason = "figures, for who runs them")]
fn report(what: &str, figure: &str) {
    println!("{what:<52} {figure}");
}
