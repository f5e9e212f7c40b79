//! Events of EndpointSlices under requests, with 10 000 endpoints: what they cost the data workers,
//! and how soon a change of endpoints is what visitors meet.

use crate::edge::{Backend, Edge, Load, Method, Setup, Site, account, class};
use crate::figures::process::cpu_of_workers;
use crate::figures::{LOOK, at_a_pace, load, patch, report, summary};
use crate::plane::{Connection, Plane};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "events";
/// Services with an Ingress and a slice each.
const SERVICES: usize = 100;
/// Endpoints of a slice: Kubernetes writes no more into one.
const ENDPOINTS: u8 = 100;
/// Changes of slices in a second.
const PACE: usize = 100;
/// Rounds, and how long each half of one takes.
const ROUNDS: usize = 7;
const HALF: Duration = Duration::from_secs(4);
/// Visitors, and how long each waits between two requests.
const VISITORS: (usize, Duration) = (8, Duration::from_millis(1));
/// Changes of endpoints that are timed, with events and without.
const CHANGES: usize = 200;
/// How long the removed endpoint is looked for after the new one has answered.
const AFTERWARDS: Duration = Duration::from_millis(20);
const OWN: Site<'static> = Site { namespace: NAME, name: "own", class: NAME, host: "own.example" };

fn site<'s>(name: &'s str, host: &'s str) -> Site<'s> {
    Site { namespace: NAME, name, class: NAME, host }
}

/// Endpoints of nobody: they are never asked.
fn slice(number: usize, name: &str) -> Value {
    let third = u8::try_from(number).expect("below 256");
    let all = (1..=ENDPOINTS).map(|fourth| SocketAddr::from(([10, 1, third, fourth], 8080)));
    site(name, "").slice(&all.collect::<Vec<_>>())
}

fn fill(plane: &Plane) {
    load(plane, SERVICES, |number| (OWN.services(), site(&format!("s-{number}"), "").service()));
    load(plane, SERVICES, |number| (OWN.slices(), slice(number, &format!("s-{number}"))));
    load(plane, SERVICES, |number| {
        let (name, host) = (format!("s-{number}"), format!("s-{number}.example"));
        (OWN.ingresses(), site(&name, &host).ingress())
    });
}

/// One endpoint of each slice in turn stops to be ready, or becomes it.
fn event(plane: &Plane, number: usize) {
    let name = format!("s-{}", number % SERVICES);
    let mut endpoints = slice(number % SERVICES, &name)["endpoints"].take();
    endpoints[number / SERVICES % usize::from(ENDPOINTS)]["conditions"]["ready"] = false.into();
    patch(plane, &format!("{}/{name}", OWN.slices()), &json!({"endpoints": endpoints}));
}

/// CPU of the workers for each request meanwhile, in microseconds.
fn cost(edge: &Edge, load: &Load, act: impl FnOnce()) -> f64 {
    let (before, requests) = (cpu_of_workers(edge.id()), load.answers(Method::Get));
    act();
    let spent = cpu_of_workers(edge.id()) - before;
    spent.as_secs_f64() * 1e6 / (load.answers(Method::Get) - requests) as f64
}

fn spread(what: &str, values: &mut [f64]) {
    values.sort_unstable_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    let median = values[values.len() / 2];
    report(what, &format!("median {median:.3}, {least:.3} to {most:.3}, n {}", values.len()));
}

/// Quiet and events in turn, the one and the other first in turn.
fn compare(plane: &Plane, edge: &Edge, load: &Load) {
    let [mut quiet, mut busy, mut ratios] = [const { Vec::new() }; 3];
    let mut done = 0;
    for round in 0..ROUNDS {
        let mut halves = [false, true];
        halves.rotate_left(round % 2);
        for with_events in halves {
            if with_events {
                busy.push(cost(edge, load, || {
                    done += at_a_pace((PACE, HALF), |number| event(plane, number));
                }));
            } else {
                quiet.push(cost(edge, load, || thread::park_timeout(HALF)));
            }
        }
        ratios.push(busy[round] / quiet[round]);
    }
    let seconds = HALF.as_secs_f64() * ROUNDS as f64;
    report("events in a second", &format!("{:.1}", done as f64 / seconds));
    spread("us CPU of the worker for a request, no events", &mut quiet);
    spread("the same with events", &mut busy);
    spread("ratio within a round", &mut ratios);
}

/// The own slice goes from one backend to the other. From the acknowledgement: until the new one
/// answers first, and the removed one last (0 if it does not).
fn replace(plane: &Plane, visitor: &mut Connection, next: &Backend) -> (Duration, Duration) {
    plane.put(&format!("{}/own", OWN.slices()), &OWN.slice(&[next.addr]));
    let acknowledged = Instant::now();
    let (mut first, mut last) = (None, Duration::ZERO);
    while first.is_none_or(|first| acknowledged.elapsed() < first + AFTERWARDS) {
        let answer = visitor.get(OWN.host, "/").expect("the proxy answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let now = acknowledged.elapsed();
        if answer.body == next.name {
            first.get_or_insert(now);
        } else {
            last = now;
        }
        assert!(now < crate::PATIENCE, "the slice has no effect");
        thread::park_timeout(LOOK);
    }
    (first.expect("it has answered"), last)
}

fn time_changes(plane: &Plane, edge: &Edge, backends: &[Backend; 2], when: &str) {
    let mut visitor = Connection::open(edge.addr(), None).expect("it listens");
    let changes = (1..=CHANGES).map(|at| replace(plane, &mut visitor, &backends[at % 2]));
    let (mut first, mut last): (Vec<_>, Vec<_>) = changes.unzip();
    report(&format!("acknowledged to first by the new, {when}"), &summary(&mut first));
    report(&format!("acknowledged to last by the removed, {when}"), &summary(&mut last));
}

#[test]
#[ignore = "prints figures and takes two minutes; RAVELIN_BIN names the release"]
fn a_hundred_events_a_second_of_ten_thousand_endpoints() {
    let Some(plane) = Plane::start() else { return };
    let kubeconfig = account(&plane, NAME);
    class(&plane, NAME);
    let backends = ["one", "two"].map(Backend::start);
    OWN.create(&plane, &backends[0]);
    fill(&plane);
    let edge = Edge::ready(&plane, &Setup { kubeconfig: &kubeconfig, class: NAME, keys: "" });
    let endpoints = edge.metrics().sum("ravelin_endpoints", &[("state", "ready")]);
    report("endpoints", &endpoints.to_string());
    time_changes(&plane, &edge, &backends, "quiet");

    let load = Load::of(edge.addr(), OWN.host, &[(Method::Get, VISITORS.0)], VISITORS.1);
    let before = load.answers(Method::Get);
    crate::eventually("requests", || (load.answers(Method::Get) > before + 1000).then_some(()));
    compare(&plane, &edge, &load);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                at_a_pace((PACE, Duration::from_secs(1)), |number| event(&plane, number));
            }
        });
        time_changes(&plane, &edge, &backends, "with events and load");
        over.store(true, Ordering::SeqCst);
    });
    report("requests", &load.requests(Method::Get).to_string());
    assert!(load.failures().is_empty(), "{:?}", load.failures());
}
