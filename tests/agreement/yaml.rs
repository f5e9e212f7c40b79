//! Random YAML means what it means to kubectl.

use crate::documents::Writer;
use crate::go_program::go_program;
use ravelin::control::yaml;
use serde::Deserialize;
use serde_json::Value;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

/// Another one for another set of documents: RAVELIN_YAML_SEED.
const SEED: u64 = 13;
const DOCUMENTS: u64 = 600;

/// What the library of kubectl says of a document.
#[derive(Deserialize)]
struct Reading {
    #[serde(default)]
    value: Value,
    error: Option<String>,
}

#[test]
fn random_documents_are_read_as_by_kubectl() {
    let Some(program) = go_program("tests/agreement/kubectl_yaml") else { return };
    let seed = std::env::var("RAVELIN_YAML_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(SEED);
    println!("RAVELIN_YAML_SEED={seed}");
    let documents: Vec<String> =
        (0..DOCUMENTS).map(|number| Writer::new(seed * DOCUMENTS + number).document()).collect();
    let readings = read_by_kubectl(&program, &documents);
    let mut agreed = 0;
    for (text, Reading { value: theirs, error }) in documents.iter().zip(readings) {
        match (ours(text), error) {
            (Ok(ours), None) => {
                assert!(is_same(&ours, &theirs), "{text}\nours:   {ours}\ntheirs: {theirs}");
                agreed += 1;
            }
            (Err(error), None) => panic!("{text}\nours: {error}\ntheirs: {theirs}"),
            // The parser of YAML 1.2 takes some documents that the older one does not.
            (_, Some(_)) => {}
        }
    }
    assert!(agreed > DOCUMENTS * 9 / 10, "only {agreed} of {DOCUMENTS} were valid: {seed}");
}

fn read_by_kubectl(program: &Path, documents: &[String]) -> Vec<Reading> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let text = serde_json::to_vec(documents).expect("texts");
    child.stdin.take().expect("a pipe").write_all(&text).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let readings: Vec<Reading> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(readings.len(), documents.len());
    readings
}

fn ours(text: &str) -> Result<Value, String> {
    let mut all = Vec::new();
    yaml::read(text, |document| {
        all.push(document.value);
        ControlFlow::Continue(())
    });
    match all.len() {
        1 => all.remove(0).map_err(|error| format!("{error:?}")),
        number => Err(format!("{number} documents")),
    }
}

/// Numbers are compared by value: `1e20` may be written with all of its zeros.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}
