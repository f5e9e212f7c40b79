//! A large cluster: 10 000 Ingresses, 5 000 Services, 10 000 EndpointSlices of three endpoints.

use crate::edge::{Backend, Edge, Setup, Site, Visitor, account, class};
use crate::figures::process::{cpu, resident};
use crate::figures::{at_a_pace, load, patch, report, summary, time_until};
use crate::plane::{Connection, Plane};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "scale";
const INGRESSES: usize = 10_000;
const SERVICES: usize = 5_000;
const SLICES: usize = 10_000;
/// Changes that are timed one by one, of each kind, and how long that may take.
const CHANGES: usize = 200;
const CHANGES_WITHIN: Duration = Duration::from_secs(25);
/// The calm, and how long it lasts: so many changes a second.
const CALM: (usize, Duration) = (50, Duration::from_secs(60));
/// The storm, likewise.
const STORM: (usize, Duration) = (1000, Duration::from_secs(10));
const ONES_OWN: Site<'static> =
    Site { namespace: NAME, name: "own", class: NAME, host: "own.example" };

fn site<'s>(name: &'s str, host: &'s str) -> Site<'s> {
    Site { namespace: NAME, name, class: NAME, host }
}

fn ingress(number: usize, host: &str) -> Value {
    site(&format!("site-{number}"), host).ingress_to(&format!("service-{}", number % SERVICES))
}

/// Three endpoints of nobody: they are never asked.
fn slice(number: usize) -> Value {
    let [third, fourth] = u16::try_from(number).expect("below 65536").to_be_bytes();
    let endpoints = [1, 2, 3].map(|net| SocketAddr::from(([10, net, third, fourth], 8080)));
    let mut slice = site(&format!("slice-{number}"), "").slice(&endpoints);
    slice["metadata"]["labels"]["kubernetes.io/service-name"] =
        format!("service-{}", number % SERVICES).into();
    slice
}

fn fill(plane: &Plane) {
    let began = Instant::now();
    load(plane, SERVICES, |number| {
        (ONES_OWN.services(), site(&format!("service-{number}"), "").service())
    });
    load(plane, SLICES, |number| (ONES_OWN.slices(), slice(number)));
    load(plane, INGRESSES, |number| {
        (ONES_OWN.ingresses(), ingress(number, &format!("site-{number}.example")))
    });
    report("load", &format!("{:.1} s", began.elapsed().as_secs_f64()));
}

/// Times changes one by one, until there are enough or the time is over.
fn one_by_one(mut change: impl FnMut(usize) -> Duration) -> String {
    let began = Instant::now();
    let each = (0..CHANGES).take_while(|_| began.elapsed() < CHANGES_WITHIN);
    summary(&mut each.map(&mut change).collect::<Vec<_>>())
}

/// Changes slices at a pace, or as fast as the server takes it. Returns how many.
fn change_all(plane: &Plane, pace: (usize, Duration)) -> usize {
    at_a_pace(pace, |number| {
        let ready = (number / SLICES) % 2 == 1;
        let mut endpoints = slice(number % SLICES)["endpoints"].take();
        endpoints[0]["conditions"]["ready"] = ready.into();
        let path = format!("{}/slice-{}", ONES_OWN.slices(), number % SLICES);
        patch(plane, &path, &json!({"endpoints": endpoints}));
    })
}

/// What each thread takes while something is done, in percent of a core.
fn cpu_during<T>(id: u32, what: &str, act: impl FnOnce() -> T) -> T {
    let (before, began) = (cpu(id), Instant::now());
    let result = act();
    let seconds = began.elapsed().as_secs_f64();
    let share = |(name, ticks): (String, u64)| {
        let ticks = ticks - before.get(&name).copied().unwrap_or_default();
        format!("{name} {:.1}", ticks as f64 / seconds)
    };
    let shares: Vec<String> = cpu(id).into_iter().map(share).collect();
    report(what, &format!("{} % of a core", shares.join(", ")));
    result
}

#[test]
#[ignore = "prints figures and takes three minutes; RAVELIN_BIN names the release"]
fn ten_thousand_ingresses() {
    let Some(plane) = Plane::start() else { return };
    let kubeconfig = account(&plane, NAME);
    class(&plane, NAME);
    let backends = ["one", "two"].map(Backend::start);
    ONES_OWN.create(&plane, &backends[0]);
    fill(&plane);
    let began = Instant::now();
    let edge = Edge::ready(&plane, &Setup { kubeconfig: &kubeconfig, class: NAME, keys: "" });
    report("start of the process to ready", &format!("{:.2} s", began.elapsed().as_secs_f64()));
    report("resident when ready", &format!("{} MiB", resident(edge.id())));
    let mut visitor = Connection::open(edge.addr(), None).expect("it listens");
    time_until(&mut visitor, ONES_OWN.host, |answer| answer.body == "one");

    let times = one_by_one(|change| {
        let host = format!("change-{change}.example");
        let own = site("own", &host).ingress_to("own");
        plane.put(&format!("{}/own", ONES_OWN.ingresses()), &own);
        time_until(&mut visitor, &host, |answer| answer.status == 200)
    });
    report("one Ingress changed, acknowledged to served", &times);
    plane.put(&format!("{}/own", ONES_OWN.ingresses()), &ONES_OWN.ingress());
    time_until(&mut visitor, ONES_OWN.host, |answer| answer.status == 200);
    let times = one_by_one(|change| {
        let backend = &backends[(change + 1) % 2];
        plane.put(&format!("{}/own", ONES_OWN.slices()), &ONES_OWN.slice(&[backend.addr]));
        time_until(&mut visitor, ONES_OWN.host, |answer| answer.body == backend.name)
    });
    report("one EndpointSlice changed, acknowledged to served", &times);

    let constant = Visitor::of(edge.addr(), ONES_OWN.host, "/");
    let calm = Duration::from_secs(5);
    cpu_during(edge.id(), "no changes, one visitor", || thread::park_timeout(calm));
    let count = cpu_during(edge.id(), "calm", || change_all(&plane, CALM));
    report("calm: changes in 60 s", &count.to_string());
    report("resident after it", &format!("{} MiB", resident(edge.id())));
    let count = cpu_during(edge.id(), "storm", || change_all(&plane, STORM));
    report("storm: changes in 10 s", &count.to_string());
    let backend = Backend::start("after the storm");
    plane.put(&format!("{}/own", ONES_OWN.slices()), &ONES_OWN.slice(&[backend.addr]));
    let last = time_until(&mut visitor, ONES_OWN.host, |answer| answer.body == backend.name);
    report("one more change, acknowledged to served", &format!("{:.2} s", last.as_secs_f64()));
    let (page, all) = (edge.metrics(), &[][..]);
    let [failures, lists] = ["errors", "lists"]
        .map(|of| page.sum(&format!("ravelin_watch_{of}_total"), all).to_string());
    report("failures of the watch, lists, until now", &format!("{failures}, {lists}"));
    report("resident after it", &format!("{} MiB", resident(edge.id())));
    constant.is_content();
}
