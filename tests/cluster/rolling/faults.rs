//! A Pod is killed without a word, or stopped: what that costs visitors until the slices tell.

use crate::edge::{Edge, Failure, Load, Method};
use crate::plane::Plane;
use crate::rolling::pod::Life;
use crate::rolling::{LIFE, PAUSE, REPLICAS, Setting, has_endpoints, report};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How often a Pod is killed.
const KILLS: usize = 3;
/// Visitors of each method.
const VISITORS: usize = 4;
/// The limit for the head of an answer that a test of black holes sets, instead of a minute and a
/// half.
const HEAD: Duration = Duration::from_secs(1);

fn of(method: Method, failures: &[Failure]) -> Vec<&Failure> {
    failures.iter().filter(|failure| failure.method == method).collect()
}

/// Whether every Pod is ready again, and known to be.
fn is_whole(edge: &Edge, is_ready: bool) -> Option<()> {
    (is_ready && has_endpoints(edge, REPLICAS)).then_some(())
}

#[test]
fn of_a_pod_that_is_killed_only_requests_are_lost_that_it_had_and_that_may_not_be_repeated() {
    let Some(plane) = Plane::shared() else { return };
    // Each request is with the Pod for some time, so that there are some when it dies.
    let life = Life { work: Duration::from_millis(10), ..LIFE };
    let setting = Setting { life, ..Setting::usual("rolling-killed") };
    let (mut node, edge) = setting.start(&plane);
    let each = [(Method::Get, VISITORS), (Method::Post, VISITORS)];
    let load = Load::of(edge.addr(), &setting.host(), &each, PAUSE);
    let mut lost = 0;
    for kill in 1..=KILLS {
        let before = load.requests(Method::Get);
        node.until("some requests", |_| (load.requests(Method::Get) > before + 300).then_some(()));
        let victim = node.any_ready();
        node.kill(&victim);
        let gone = Instant::now();
        node.until("the Pod's end is noticed", |node| (!node.is_ready(&victim)).then_some(()));
        node.until("the Pod is back", |node| is_whole(&edge, node.is_ready(&victim)));
        report(&format!("{kill} kills"), &load, &edge);
        let failures = load.failures();
        assert!(of(Method::Get, &failures).is_empty(), "{failures:?}");
        let posts = &of(Method::Post, &failures)[lost..];
        // Each visitor has one request at a time: more cannot have been with that Pod.
        assert!(posts.len() <= VISITORS, "{posts:?}");
        let had = |failure: &&Failure| failure.begun < gone && failure.what.starts_with("502");
        assert!(posts.iter().all(had), "sent to a Pod that was gone: {posts:?}, gone {gone:?}");
        lost += posts.len();
    }
}

#[test]
fn a_pod_that_is_stopped_holds_few_requests_and_no_more_once_it_is_not_ready() {
    let Some(plane) = Plane::shared() else { return };
    let timeouts = format!("response_head = \"{}s\"", HEAD.as_secs());
    let setting = Setting { timeouts: &timeouts, ..Setting::usual("rolling-stopped") };
    let (mut node, edge) = setting.start(&plane);
    let load = Load::of(edge.addr(), &setting.host(), &[(Method::Get, 2 * VISITORS)], PAUSE);
    node.until("some requests", |_| (load.requests(Method::Get) > 500).then_some(()));
    let victim = node.any_ready();
    let stopped = Instant::now();
    node.signal(&victim, Signal::STOP);
    node.until("its probes fail", |node| (!node.is_ready(&victim)).then_some(()));
    let is_out = |_: &_| has_endpoints(&edge, REPLICAS - 1).then_some(());
    node.until("the slices tell", is_out);
    let out = Instant::now();
    // Those that it holds run into the limit, and nobody is sent there after them.
    node.tend_for(2 * HEAD);
    let held = load.failures();
    report(&format!("stopped, out after {:.1} s", (out - stopped).as_secs_f64()), &load, &edge);
    assert!(held.iter().all(|failure| failure.what.starts_with("504")), "{held:?}");
    assert!(held.iter().all(|failure| failure.begun < out), "{held:?}, out {out:?}");
    assert!(held.iter().all(|failure| failure.ended - failure.begun < 3 * HEAD), "{held:?}");
    // A request that is held is load: the others get what comes after it.
    assert!(held.len() <= 2 * VISITORS, "{} of {}", held.len(), load.requests(Method::Get));

    node.signal(&victim, Signal::CONT);
    node.until("it is ready again", |node| is_whole(&edge, node.is_ready(&victim)));
    let before = load.requests(Method::Get);
    node.until("more requests", |_| (load.requests(Method::Get) > before + 300).then_some(()));
    assert_eq!(load.failures().len(), held.len(), "none since: {:?}", load.failures());
}
