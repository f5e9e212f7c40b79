//! What one change costs at 10 000 Ingresses, 5 000 Services and 10 000 EndpointSlices of three
//! endpoints: from the object to what is served.
//!
//! `cargo bench --bench change`. The bounds are 20 ms for a change that makes a new table, and 5 ms
//! for one of endpoints alone. Without coalescing, which waits and costs nothing. Beside criterion's
//! means it prints percentiles of a thousand changes, each of another object.

#![expect(clippy::print_stdout, reason = "the page is for a person")]

mod cluster;

use cluster::{INGRESSES, SERVICES, service, shop, slice};
use criterion::{Criterion, criterion_group, criterion_main};
use ravelin::control::objects::{Change, Object, Objects};
use ravelin::control::source::Changes;
use ravelin::control::translate::{Effect, Options, Translator};
use ravelin::model::Kind;
use ravelin::routing::{Publisher, Table, recompile};
use serde_json::Value;
use std::time::Instant;

/// That of the program.
#[global_allocator]
static ALLOCATOR: ravelin::app::allocator::Allocator = ravelin::app::allocator::Allocator;

/// What the control thread holds.
struct InForce {
    objects: Objects,
    translator: Translator,
    publisher: Publisher,
}

impl InForce {
    fn new() -> Self {
        let mut objects = Objects::default();
        for kind in [Kind::Ingress, Kind::Service, Kind::EndpointSlice] {
            cluster::add(&mut objects, kind);
        }
        let this = Self::with(&objects);
        assert_eq!(this.publisher.current().route_count(), INGRESSES);
        this
    }

    /// So many Ingresses, each with a Service of its own.
    fn of(count: usize) -> Self {
        let mut objects = Objects::default();
        for at in 0..count {
            objects.insert(object(Kind::Ingress, &shop(at, at)));
            objects.insert(object(Kind::Service, &service(at, "http")));
        }
        Self::with(&objects)
    }

    fn with(objects: &Objects) -> Self {
        let options = Options { ingress_class: "ravelin".to_owned(), ..Options::default() };
        let mut this = Self {
            objects: Objects::default(),
            translator: Translator::new(options),
            publisher: Publisher::new(Table::empty()),
        };
        let objects = objects.changes_from(&Objects::default());
        this.apply(Changes { objects, findings: None });
        this
    }

    /// What the watch and the control thread do with changes.
    fn apply(&mut self, changes: Changes) -> Effect {
        for change in &changes.objects {
            self.objects.apply(change.clone());
        }
        let effect = self.translator.apply(changes);
        if let Some(model) = &effect.model {
            let table = recompile(model, &effect.delta, &self.publisher.current());
            self.publisher.publish(table);
        }
        let endpoints = &effect.endpoints;
        assert!(self.publisher.store_endpoints(endpoints), "they are of the last model");
        effect
    }
}

/// The one object of a kind.
fn object(kind: Kind, value: &Value) -> Object {
    let mut objects = cluster::kept(kind, std::slice::from_ref(value)).0;
    objects.pop().expect("one object")
}

/// One of the objects and then the other, over and over.
fn turns(c: &mut Criterion, in_force: &mut InForce, name: &str, changes: &[Change; 2]) {
    let mut turn = 0;
    c.bench_function(&format!("change/{name}"), |b| {
        b.iter(|| {
            turn += 1;
            in_force.apply(Changes { objects: vec![changes[turn % 2].clone()], findings: None })
        });
    });
}

/// Each of the changes once.
fn each(in_force: &mut InForce, name: &str, changes: impl Iterator<Item = Change>) {
    let mut times = Vec::new();
    for change in changes {
        let changes = Changes { objects: vec![change], findings: None };
        let started = Instant::now();
        drop(in_force.apply(changes));
        times.push(started.elapsed());
    }
    times.sort();
    let count = times.len();
    let [half, most, last] = [count / 2, count * 99 / 100, count - 1].map(|rank| times[rank]);
    println!("{count} x {name:<16} p50 {half:>9.2?}  p99 {most:>9.2?}  max {last:>9.2?}");
}

fn applied(kind: Kind, value: &Value) -> Change {
    let object = object(kind, value);
    Change { identity: object.identity(), object: Some(object) }
}

/// A thousand changes of each sort, of objects that are spread over all.
fn percentiles(in_force: &mut InForce) {
    let numbers = || (0..1_000).map(|turn| turn * 4_999 % INGRESSES);
    let some = |number| number % SERVICES;
    each(in_force, "slice", numbers().map(|at| applied(Kind::EndpointSlice, &slice(at, 2))));
    let moved = |at| applied(Kind::Ingress, &shop(at, some(at + 1)));
    each(in_force, "ingress", numbers().map(moved));
    let name = |at: usize| format!("new-{at}");
    let new = |at| applied(Kind::Ingress, &cluster::ingress(&name(at), &name(at), 0));
    each(in_force, "new_ingress", numbers().map(new));
    let gone = |at| Change { object: None, ..new(at) };
    each(in_force, "ingress_gone", numbers().map(gone));
    let broken = |at| applied(Kind::Service, &service(some(at), "other"));
    each(in_force, "service_broken", numbers().map(broken));
    let mended = |at| applied(Kind::Service, &service(some(at), "http"));
    each(in_force, "service_mended", numbers().map(mended));
}

/// All Ingresses of a cluster deleted one by one, each a change of its own: whether the cost of one grows
/// with how many there are.
fn deletes() {
    for count in [1_250, 2_500, 5_000, 10_000] {
        let mut in_force = InForce::of(count);
        let gone = |at| Change { object: None, ..applied(Kind::Ingress, &shop(at, at)) };
        let all: Vec<Change> = (0..count).map(|turn| gone(turn * 4_999 % count)).collect();
        each(&mut in_force, "delete", all.into_iter());
    }
}

/// Memory of this process, of which what is measured is most.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u32>().ok());
    kib.map_or("unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

fn changes(c: &mut Criterion) {
    let mut in_force = InForce::new();
    let in_force = &mut in_force;
    println!("resident with all objects: {}", resident());
    percentiles(in_force);
    deletes();
    println!("resident after changes: {}", resident());
    turns(c, in_force, "slice", &[1, 2].map(|turn| applied(Kind::EndpointSlice, &slice(7, turn))));
    turns(c, in_force, "ingress", &[7, 8].map(|to| applied(Kind::Ingress, &shop(7, to))));
    // The name of its port is what the Ingresses name: with another, they are broken.
    let ports = ["other", "http"].map(|port| applied(Kind::Service, &service(7, port)));
    turns(c, in_force, "service", &ports);
    let alike = ["IPv4", "IPv6"].map(|family| {
        let mut value = service(7, "http");
        value["spec"]["ipFamilies"] = [family, "IPv4"].into();
        applied(Kind::Service, &value)
    });
    turns(c, in_force, "service_alike", &alike);
    let idle = ["a", "b"].map(|port| applied(Kind::Service, &service(SERVICES, port)));
    turns(c, in_force, "unused_service", &idle);
}

criterion_group!(benches, changes);
criterion_main!(benches);
