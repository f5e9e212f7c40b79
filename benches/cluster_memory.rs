//! What the control plane holds of a cluster of 10 000 Ingresses, 5 000 Services and 10 000
//! EndpointSlices of three endpoints, part by part.
//!
//! `cargo bench --bench cluster_memory`. Bytes are those asked of the allocator and not given back;
//! what an allocator adds, and the code, come on top: `change` prints what its whole process takes.
//! The bound is 150 MiB for a whole process.

#![expect(clippy::print_stdout, reason = "the page is for a person")]

mod cluster;

use cluster::{INGRESSES, SERVICES, SLICES};
use ravelin::control::objects::Objects;
use ravelin::control::source::Changes;
use ravelin::control::translate::{Options, Translator};
use ravelin::model::Kind;
use ravelin::routing::compile;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Reports what a step leaves behind, as a whole and for each of so many.
fn measure<T>(name: &str, count: usize, step: impl FnOnce() -> T) -> T {
    let region = Region::new(ALLOCATOR);
    let made = step();
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    let each = held / count;
    println!("{name:<40} {:>8} KiB  {each:>6} bytes each of {count}", held / 1024);
    made
}

/// As many IngressRoutes of five kinds in place of the Ingresses.
fn routes() {
    let mut objects = Objects::default();
    cluster::add(&mut objects, Kind::Service);
    cluster::add(&mut objects, Kind::EndpointSlice);
    measure("IngressRoutes", INGRESSES, || cluster::add(&mut objects, Kind::IngressRoute));
    let taken = vec!["traefik".to_owned()];
    let options =
        Options { ingress_class: "ravelin".to_owned(), taken_classes: taken, ..Options::default() };
    let mut translator = Translator::new(options);
    let effect = measure("what is read of them, and the model", INGRESSES, || {
        let objects = objects.changes_from(&Objects::default());
        translator.apply(Changes { objects, findings: None })
    });
    let model = effect.model.expect("the first one");
    println!("{} rules", model.rules.len());
    let table = measure("the table", INGRESSES, || compile(&model, None));
    black_box((objects, translator, table));
}

fn main() {
    let mut objects = Objects::default();
    let standings = measure("Ingresses, with their statuses", INGRESSES, || {
        cluster::add(&mut objects, Kind::Ingress)
    });
    measure("of that, statuses", INGRESSES, || standings.clone());
    measure("Services", SERVICES, || cluster::add(&mut objects, Kind::Service));
    measure("EndpointSlices", SLICES, || cluster::add(&mut objects, Kind::EndpointSlice));
    let options = Options { ingress_class: "ravelin".to_owned(), ..Options::default() };
    let mut translator = Translator::new(options);
    let effect = measure("what is read of them, and the model", INGRESSES, || {
        let objects = objects.changes_from(&Objects::default());
        translator.apply(Changes { objects, findings: None })
    });
    let model = effect.model.expect("the first one");
    let table = measure("the table", INGRESSES, || compile(&model, None));
    black_box((objects, standings, translator, table));
    routes();
}
