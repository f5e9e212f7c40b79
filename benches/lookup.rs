//! What finding a route costs, and what making a table costs, by size.
//!
//! `cargo bench --bench lookup`. A look-up iteration answers 65 536 requests for random hosts of the
//! table; criterion's throughput gives the time of one. The bound is that 100 000 hosts cost at most
//! twice what 10 cost (see also `table_memory`).

mod tables;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ravelin::control::manifest;
use ravelin::control::objects::Objects;
use ravelin::control::translate::{Options, translate};
use ravelin::model::{CanonicalPath, Host, HostPattern, Model, PathKind, PathPattern, Rule};
use ravelin::routing::{Table, compile};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use tables::{Requests, host, simple};

const HOSTS: [usize; 3] = [10, 1_000, 100_000];

/// Looks up all requests; each has a route or none has.
fn look_up(c: &mut Criterion, name: &str, size: usize, table: &Table, requests: &Requests) {
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(Requests::COUNT as u64));
    group.bench_function(BenchmarkId::new(name, size), |b| {
        b.iter(|| {
            requests.for_each(|host, path| {
                black_box(table.lookup(host, path));
            });
        });
    });
    group.finish();
}

/// What a request costs from its `Host` and path, as received, to its route.
fn decide(c: &mut Criterion, size: usize, table: &Table, requests: &Requests) {
    let mut group = c.benchmark_group("decide");
    group.throughput(Throughput::Elements(Requests::COUNT as u64));
    group.bench_function(BenchmarkId::new("host_and_path", size), |b| {
        b.iter(|| {
            requests.for_each(|host, path| {
                let host = Host::parse(host).expect("a host name");
                let path = CanonicalPath::parse(path).expect("a path");
                black_box(table.lookup(host.as_str(), path.as_str()));
            });
        });
    });
    group.finish();
}

fn hosts(c: &mut Criterion) {
    for size in HOSTS {
        let table = compile(&simple(size, size, HostPattern::Exact), None);
        let hit = Requests::new(size, |number| (host(number), "/cart/items".to_owned()));
        look_up(c, "host", size, &table, &hit);
        decide(c, size, &table, &hit);
        let miss = Requests::new(size, |number| (format!("no-{}", host(number)), "/".to_owned()));
        look_up(c, "no_such_host", size, &table, &miss);
        let wildcards = compile(&simple(size, size, HostPattern::Wildcard), None);
        let below = Requests::new(size, |number| (format!("www.{}", host(number)), "/".to_owned()));
        look_up(c, "wildcard", size, &wildcards, &below);
    }
}

/// One host with `size` rules that differ in their path.
fn one_host(size: usize) -> Model {
    let mut model = simple(1, 1, HostPattern::Exact);
    let first = Arc::clone(model.rules.iter().next().expect("one rule"));
    let rule = |position: usize| Rule {
        path: PathPattern::new(PathKind::Prefix, &path(position)).expect("a path"),
        position,
        matching: Default::default(),
        middlewares: None,
        ..Rule::clone(&first)
    };
    model.rules = (0..size).map(rule).collect();
    model
}

fn path(number: usize) -> String {
    format!("/api/v{}/orders/{number}", number % 3)
}

fn paths(c: &mut Criterion) {
    for size in [1, 100, 10_000] {
        let table = compile(&one_host(size), None);
        let requests = Requests::new(size, |number| (host(0), format!("{}/items", path(number))));
        look_up(c, "paths_of_one_host", size, &table, &requests);
    }
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    group.sample_size(10);
    for (name, services) in [("compile_own_services", 100_000), ("compile_100_services", 100)] {
        let model = simple(100_000, services, HostPattern::Exact);
        group.bench_function(BenchmarkId::new(name, 100_000), |b| {
            b.iter_with_large_drop(|| compile(&model, None));
        });
        let previous = compile(&model, None);
        group.bench_function(BenchmarkId::new(format!("{name}_again"), 100_000), |b| {
            b.iter_with_large_drop(|| compile(&model, Some(&previous)));
        });
    }
    let objects = objects(10_000);
    let options = Options {
        ingress_class: "ravelin".to_owned(),
        without_class: false,
        strict_class: false,
        loopback_endpoints: false,
        ..Options::default()
    };
    group.bench_function(BenchmarkId::new("translate", 10_000), |b| {
        b.iter_with_large_drop(|| translate(&objects, &options));
    });
    group.finish();
}

/// Ingresses with a Service and an EndpointSlice each, as a cluster has them.
fn objects(count: usize) -> Objects {
    let mut text = String::new();
    for number in 0..count {
        let (name, host) = (format!("shop-{number}"), host(number));
        let _ = write!(
            text,
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}}}
spec:
  ingressClassName: ravelin
  rules:
    - host: {host}
      http:
        paths:
          - {{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{name: http}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-x7k2m, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.0.{}.{}]}}]
",
            number / 250,
            number % 250 + 1
        );
    }
    let parsed = manifest::parse("bench.yaml", &text);
    assert_eq!(parsed.findings, []);
    let mut objects = Objects::default();
    for object in parsed.objects {
        objects.insert(object);
    }
    assert_eq!(objects.ingresses().len(), count);
    objects
}

criterion_group!(benches, hosts, paths, build);
criterion_main!(benches);
