//! What one change costs at 10 000 Ingresses, 5 000 Services and 10 000 EndpointSlices of three
//! endpoints: from the object to what is served.
//!
//! `cargo bench --bench change`. The bounds are 20 ms for a change that makes a new table, and 5 ms
//! for one of endpoints alone. Without coalescing, which waits and costs nothing.

use criterion::{Criterion, criterion_group, criterion_main};
use ravelin::control::manifest;
use ravelin::control::objects::{Change, Object, Objects};
use ravelin::control::source::Changes;
use ravelin::control::translate::{Effect, Options, Translator};
use ravelin::routing::{Publisher, Table, compile};
use std::fmt::Write;

const INGRESSES: usize = 10_000;
const SERVICES: usize = 5_000;

/// What the control thread holds.
struct InForce {
    translator: Translator,
    publisher: Publisher,
}

impl InForce {
    fn new() -> Self {
        let mut text = String::new();
        (0..INGRESSES).for_each(|number| text.push_str(&ingress(number, number % SERVICES)));
        (0..SERVICES).for_each(|number| text.push_str(&service(number, 80)));
        (0..2 * SERVICES).for_each(|number| text.push_str(&slice(number, 1)));
        let parsed = manifest::parse("bench.yaml", &text);
        assert_eq!(parsed.findings, []);
        let mut objects = Objects::default();
        for object in parsed.objects {
            objects.insert(object);
        }
        let options = Options { ingress_class: "ravelin".to_owned(), ..Options::default() };
        let mut this = Self {
            translator: Translator::new(options),
            publisher: Publisher::new(Table::empty()),
        };
        let objects = objects.changes_from(&Objects::default());
        this.apply(Changes { objects, findings: None });
        assert_eq!(this.publisher.current().route_count(), INGRESSES);
        this
    }

    /// What the control thread does with changes.
    fn apply(&mut self, changes: Changes) -> Effect {
        let effect = self.translator.apply(changes);
        if let Some(model) = &effect.model {
            let table = compile(model, Some(&self.publisher.current()));
            self.publisher.publish(table);
        }
        let endpoints = effect.endpoints.iter().map(|(position, backend)| (*position, backend));
        assert!(self.publisher.store_endpoints(endpoints), "they are of the last model");
        effect
    }
}

fn ingress(number: usize, service: usize) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop-{number}}}
spec:
  ingressClassName: ravelin
  rules:
    - host: shop-{number}.customers.example.com
      http:
        paths:
          - {{path: /, pathType: Prefix, backend: {{service: {{name: s-{service}, port: {{name: http}}}}}}}}
"
    )
}

fn service(number: usize, port: u16) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: s-{number}}}
spec: {{ports: [{{name: http, port: {port}}}]}}
"
    )
}

/// Two of three endpoints are the same in each version of a slice.
fn slice(number: usize, version: usize) -> String {
    let mut text = String::new();
    let (service, high, low) = (number % SERVICES, number / 250, number % 250);
    for last in [0, 1, 1 + version] {
        let _ = write!(text, "{{addresses: [10.{last}.{high}.{low}], nodeName: node-{last}}}, ");
    }
    format!(
        "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s-{service}-{number}, labels: {{kubernetes.io/service-name: s-{service}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{text}]
"
    )
}

fn object(text: &str) -> Object {
    let mut objects = manifest::parse("bench.yaml", text).objects;
    objects.pop().expect("one object")
}

/// One of the objects and then the other, over and over.
fn turns(c: &mut Criterion, in_force: &mut InForce, name: &str, texts: [String; 2]) {
    let objects = texts.map(|text| object(&text));
    let mut turn = 0;
    c.bench_function(&format!("change/{name}"), |b| {
        b.iter(|| {
            turn += 1;
            let object = objects[turn % 2].clone();
            let change = Change { identity: object.identity(), object: Some(object) };
            in_force.apply(Changes { objects: vec![change], findings: None })
        });
    });
}

fn changes(c: &mut Criterion) {
    let mut in_force = InForce::new();
    let in_force = &mut in_force;
    turns(c, in_force, "slice", [1, 2].map(|version| slice(7, version)));
    turns(c, in_force, "ingress", [7, 8].map(|to| ingress(7, to)));
    // The name of its port is what the Ingresses name: with another, they are broken.
    let other = service(7, 80).replace("name: http", "name: other");
    turns(c, in_force, "service", [other, service(7, 80)]);
    turns(c, in_force, "service_alike", [80, 81].map(|port| service(7, port)));
    let idle = |port| service(7, port).replace("s-7", "idle");
    turns(c, in_force, "unused_service", [80, 81].map(idle));
}

criterion_group!(benches, changes);
criterion_main!(benches);
