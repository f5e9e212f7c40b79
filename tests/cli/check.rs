//! `check` of manifests that are right.

use crate::program::{await_end, command, manifests, ravelin};
use serde_json::Value;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

const DEMO: &str = "config/demo";

#[test]
fn the_demo_manifests_are_served_whole() {
    let ran = ravelin(&["check", DEMO]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, include_str!("golden/demo.txt"));
}

#[test]
fn json_says_the_same() {
    let ran = ravelin(&["check", "--output", "json", DEMO]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, include_str!("golden/demo.json"));
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = report["routes"].as_array().expect("a list");
    // A line each, and the head of the table.
    let lines = include_str!("golden/demo.txt").lines().take_while(|line| !line.is_empty());
    assert_eq!(lines.count(), rows.len() + 1);
}

#[test]
fn files_in_any_order_are_one_rule_set() {
    let files =
        ["classes", "backends", "sites", "previews"].map(|name| format!("{DEMO}/{name}.yaml"));
    let mut line = vec!["check"];
    line.extend(files.iter().rev().map(String::as_str));
    assert_eq!(ravelin(&line).out, include_str!("golden/demo.txt"));
}

#[test]
fn a_configuration_names_the_manifests_and_the_class() {
    let ran = ravelin(&["check", "--config", "config/ravelin.toml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, include_str!("golden/demo.txt")));
    let ran = ravelin(&["check", "--ingress-class", "other", DEMO]);
    assert_eq!(ran.code, 0, "nothing of it is for us, which is no error");
    assert!(ran.out.ends_with("\n0 routes, 0 errors, 0 warnings\n"), "{}", ran.out);
}

/// As in `ravelin check ... | head -1`.
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut text = String::new();
    // More than a pipe holds (64 KiB).
    for number in 0..2_000 {
        let _ = writeln!(
            text,
            "---\n{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: i{number}}}, \
             spec: {{ingressClassName: ravelin, rules: [{{host: h{number}.example.com, http: {{paths: \
             [{{path: /, pathType: Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}}}]}}}}"
        );
    }
    let (_folder, file) = manifests(&text);
    let mut child = command(&["check", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut out = BufReader::with_capacity(64, child.stdout.take().expect("piped"));
    let mut head = String::new();
    out.read_line(&mut head).expect("a line");
    drop(out);
    assert!(head.starts_with("HOST "), "{head}");
    let mut err = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("UTF-8");
    assert_eq!(err, "");
    assert_eq!(await_end(&mut child).code(), Some(1), "the Service is missing");
}

#[test]
fn nodes_and_config_maps_are_read_in_silence() {
    let (_folder, file) = manifests(
        "apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: {name: edge-1}
  spec: {podCIDR: 10.42.0.0/24, podCIDRs: [10.42.0.0/24]}
  status: {addresses: [{type: InternalIP, address: 192.0.2.1}], capacity: {cpu: 4}}
- {apiVersion: v1, kind: Node, metadata: {name: edge-2}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: others}, data: {answer: 42}}
- {apiVersion: v1, kind: ConfigMap, metadata: {generateName: others-}}
",
    );
    let ran = ravelin(&["check", &file]);
    let expected = "checked as a repository (1 file without EndpointSlices): a Service is enough, pods are not required\n0 routes, 0 errors, 0 warnings\n";
    assert_eq!((ran.code, ran.out.as_str()), (0, expected));
}
