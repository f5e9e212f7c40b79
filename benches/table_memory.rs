//! What a table of 100 000 hosts holds and costs, in one page.
//!
//! `cargo bench --bench table_memory`. Bytes are those asked of the allocator and not given back,
//! counted after the model is gone; nothing is estimated. The bounds that it reports against: less
//! than 400 bytes for a simple rule, built in less than a second, and look-up among 100 000 hosts
//! within twice of that among 10.

#![expect(clippy::print_stdout, reason = "the page is for a person")]

mod tables;

use ravelin::model::{HostPattern, Model};
use ravelin::routing::{Table, compile};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tables::{Requests, host, simple};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HOSTS: usize = 100_000;

/// A table, what it holds in bytes, and how long it took to compile. What the table shares with its
/// model (names of Services) counts as its own: it is the table that keeps it.
fn measure(model: impl FnOnce() -> Model) -> (Table, isize, Duration) {
    let region = Region::new(ALLOCATOR);
    let model = model();
    let started = Instant::now();
    let table = compile(&model, None);
    let elapsed = started.elapsed();
    drop(model);
    let change = region.change();
    let signed = |bytes| isize::try_from(bytes).expect("less than half of the address space");
    let held = signed(change.bytes_allocated) - signed(change.bytes_deallocated);
    (table, held, elapsed)
}

/// Times of one look-up in each of two tables: of many passes over the requests the best, because
/// whatever else the machine does only adds to it. The passes take turns, so that both meet it.
fn nanoseconds(pairs: [(&Table, &Requests); 2]) -> [f64; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..200 {
        for ((table, requests), best) in pairs.into_iter().zip(&mut best) {
            let started = Instant::now();
            requests.for_each(|host, path| {
                black_box(table.lookup(host, path));
            });
            *best = started.elapsed().min(*best);
        }
    }
    best.map(|best| best.as_secs_f64() * 1e9 / Requests::COUNT as f64)
}

fn report(name: &str, services: usize, pattern: fn(std::sync::Arc<str>) -> HostPattern) -> Table {
    let (table, held, elapsed) = measure(|| simple(HOSTS, services, pattern));
    let routes = table.route_count();
    let per_rule = held / isize::try_from(routes).expect("100 000");
    let milliseconds = elapsed.as_secs_f64() * 1e3;
    println!("{name:<44} {routes:>7} routes  {per_rule:>4} bytes a rule  {milliseconds:>6.0} ms");
    table
}

fn main() {
    println!("host names of {} bytes, path /, one Ingress each", host(HOSTS - 1).len());
    let large = report("a Service with one endpoint for each host", HOSTS, HostPattern::Exact);
    report("100 Services with one endpoint", 100, HostPattern::Exact);
    report("wildcards, 100 Services with one endpoint", 100, HostPattern::Wildcard);

    let requests = |hosts| Requests::new(hosts, |number| (host(number), "/cart".to_owned()));
    let small = compile(&simple(10, 10, HostPattern::Exact), None);
    let (few, many) = (requests(10), requests(HOSTS));
    let [of_small, of_large] = nanoseconds([(&small, &few), (&large, &many)]);
    println!(
        "look-up: {of_small:.1} ns among 10 hosts, {of_large:.1} ns among {HOSTS}, ratio {:.2}",
        of_large / of_small
    );
}
