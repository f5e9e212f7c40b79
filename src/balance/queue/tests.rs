use super::Queue;
use crate::balance::{EndpointSet, InFlight, Strategy};
use crate::error::Reason;
use crate::model::{EndpointSpec, EndpointState, Limits};
use crate::net::addr::EndpointAddr;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

fn mk_set(last: &[u8], previous: Option<&EndpointSet>) -> Arc<EndpointSet> {
    let spec = |last: &u8| EndpointSpec {
        addr: EndpointAddr::new([10, 0, 0, *last].into(), 80),
        state: EndpointState::Ready,
        node: None,
        zone: None,
        near: false,
    };
    Arc::new(EndpointSet::new(&last.iter().map(spec).collect(), previous))
}

fn mk_limits(max_connections: u32) -> Limits {
    Limits { max_connections, queue: 3, queue_timeout: Duration::from_secs(60) }
}

fn mk_queue(limits: Limits) -> Arc<Queue> {
    let queue = Arc::new(Queue::default());
    queue.set(Some(limits));
    queue
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

type Waiting = Pin<Box<dyn Future<Output = Result<InFlight, Reason>>>>;

fn wait(queue: &Arc<Queue>, set: &Arc<EndpointSet>) -> Waiting {
    let (queue, set) = (Arc::clone(queue), Arc::clone(set));
    Box::pin(async move { queue.wait(|| Arc::clone(&set), Strategy::LeastLoad, || 7).await })
}

/// What has become of it, without waiting. A runtime is entered.
fn look(waiting: &mut Waiting) -> Option<Result<InFlight, Reason>> {
    match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[test]
fn an_endpoint_gets_no_more_than_it_takes_and_each_that_ends_lets_the_first_one_in() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (queue, set) = (mk_queue(mk_limits(1)), mk_set(&[1, 2], None));
    let mut both: Vec<_> =
        (0..2).filter_map(|_| queue.begin_now(&set, Strategy::LeastLoad, 7)).collect();
    assert_eq!(both.len(), 2, "one at each");
    assert!(set.usable().iter().all(|endpoint| endpoint.in_flight() == 1));
    let mut waiting: Vec<_> = (0..3).map(|_| wait(&queue, &set)).collect();
    assert!(waiting.iter_mut().all(|waiting| look(waiting).is_none()));
    assert_eq!(queue.waiting(), 3);

    drop(both.pop());
    assert!(
        queue.begin_now(&set, Strategy::LeastLoad, 7).is_none(),
        "nobody overtakes those who wait"
    );
    assert!(look(&mut waiting[1]).is_none(), "nor do they each other");
    let first = look(&mut waiting[0]).expect("its turn").expect("an endpoint");
    assert!(waiting[1..].iter_mut().all(|waiting| look(waiting).is_none()));
    drop(first);
    drop(both);
    let _second = look(&mut waiting[1]).expect("its turn").expect("an endpoint");
    let _third = look(&mut waiting[2]).expect("its turn").expect("an endpoint");
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn who_leaves_takes_its_place_with_it_and_what_it_was_told() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (queue, set) = (mk_queue(mk_limits(1)), mk_set(&[1], None));
    let only = queue.begin_now(&set, Strategy::LeastLoad, 7).expect("it is free");
    let mut waiting: Vec<_> = (0..3).map(|_| wait(&queue, &set)).collect();
    assert!(waiting.iter_mut().all(|waiting| look(waiting).is_none()));
    drop(waiting.remove(1));
    assert_eq!(queue.waiting(), 2);
    // The first is told of the end, and leaves without a look.
    drop(only);
    drop(waiting.remove(0));
    assert!(look(&mut waiting[0]).expect("its turn").is_ok());
}

#[test]
fn a_queue_is_bounded_in_count_and_time() {
    let set = mk_set(&[1], None);
    let queue = mk_queue(Limits { queue_timeout: Duration::from_millis(1), ..mk_limits(1) });
    let _only = queue.begin_now(&set, Strategy::LeastLoad, 7).expect("it is free");
    let late = runtime().block_on(wait(&queue, &set));
    assert_eq!(late.expect_err("never"), Reason::QueueTimeout);
    assert_eq!(queue.waiting(), 0);

    queue.set(Some(mk_limits(1)));
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut waiting: Vec<_> = (0..4).map(|_| wait(&queue, &set)).collect();
    let results: Vec<_> = waiting.iter_mut().map(look).collect();
    assert!(results[..3].iter().all(Option::is_none));
    assert!(matches!(results[3], Some(Err(Reason::QueueFull))));
    queue.set(Some(Limits { queue: 0, ..mk_limits(1) }));
    assert!(matches!(look(&mut wait(&queue, &set)), Some(Err(Reason::QueueFull))));
}

#[test]
fn a_limit_that_is_raised_or_taken_away_lets_in_who_waits() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (queue, set) = (mk_queue(mk_limits(1)), mk_set(&[1], None));
    let _only = queue.begin_now(&set, Strategy::LeastLoad, 7).expect("it is free");
    let mut waiting: Vec<_> = (0..3).map(|_| wait(&queue, &set)).collect();
    assert!(waiting.iter_mut().all(|waiting| look(waiting).is_none()));
    queue.set(Some(mk_limits(2)));
    let _first = look(&mut waiting[0]).expect("its turn").expect("room");
    assert!(waiting[1..].iter_mut().all(|waiting| look(waiting).is_none()));
    queue.set(None);
    let _second = look(&mut waiting[1]).expect("its turn").expect("no limit");
    let _third = look(&mut waiting[2]).expect("its turn").expect("no limit");
    assert!(queue.limits().is_none() && !queue.is_limited());
}

#[test]
fn who_waits_sees_the_endpoints_of_the_moment() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let queue = mk_queue(mk_limits(1));
    let cell = Arc::new(arc_swap::ArcSwap::new(mk_set(&[1], None)));
    let _only = queue.begin_now(&cell.load(), Strategy::LeastLoad, 7).expect("it is free");
    let mk_waiting = || -> Waiting {
        let (queue, cell) = (Arc::clone(&queue), Arc::clone(&cell));
        Box::pin(async move { queue.wait(|| cell.load_full(), Strategy::LeastLoad, || 7).await })
    };
    let (mut first, mut second) = (mk_waiting(), mk_waiting());
    assert!(look(&mut first).is_none() && look(&mut second).is_none());
    let more = mk_set(&[1, 2], Some(&cell.load()));
    cell.store(more);
    queue.wake();
    let at = look(&mut first).expect("its turn").expect("a new endpoint");
    assert!(Arc::ptr_eq(at.endpoint(), &cell.load().usable()[1]));
    assert!(look(&mut second).is_none());
    cell.store(mk_set(&[], None));
    queue.wake();
    assert!(matches!(look(&mut second), Some(Err(Reason::NoEndpoint))));
}

#[test]
fn no_endpoint_ever_has_more_than_it_takes_whichever_worker_asks() {
    const MOST: u32 = 3;
    let limits = Limits { queue: 1_000, ..mk_limits(MOST) };
    let (queue, set) = (mk_queue(limits), mk_set(&[1, 2], None));
    let highest = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            let (queue, set, highest) = (&queue, &set, &highest);
            scope.spawn(move || {
                let local = tokio::task::LocalSet::new();
                runtime().block_on(local.run_until(async move {
                    let all = (0..8).map(|task| async move {
                        for n in 0..200 {
                            let random = worker * 7_919 + task * 104_729 + n * 1_299_709;
                            let sent = match queue.begin_now(set, Strategy::LeastLoad, random) {
                                Some(sent) => sent,
                                None => {
                                    let endpoints = || Arc::clone(set);
                                    queue
                                        .wait(endpoints, Strategy::LeastLoad, || random)
                                        .await
                                        .expect("in time")
                                }
                            };
                            highest.fetch_max(sent.endpoint().in_flight(), Ordering::Relaxed);
                            tokio::task::yield_now().await;
                        }
                    });
                    futures_util::future::join_all(all).await;
                }));
            });
        }
    });
    assert_eq!(highest.load(Ordering::Relaxed), MOST);
    assert_eq!(queue.waiting(), 0);
    assert!(set.usable().iter().all(|endpoint| endpoint.in_flight() == 0));
}

#[test]
fn a_request_that_finds_an_endpoint_takes_no_lock() {
    let (queue, set) = (mk_queue(mk_limits(2)), mk_set(&[1], None));
    // A task that waits for it now waits forever.
    let _held = queue.state();
    assert!(queue.is_limited());
    let sent = queue.begin_now(&set, Strategy::LeastLoad, 7).expect("it is free");
    drop(sent);
}
