//! Attempts to pass for somebody else, and what a real backend saw of each.
//!
//! `cargo test --test it client::spoofing -- --nocapture` prints them as a table.

mod attempt;
mod backend;
mod proxied;
mod stranger;
mod visitor;

use crate::support::{Builder, Edge, ingress, rule};
use attempt::{Attempt, Sender};
use backend::{Backend, Kind, Seen};
use serde_json::Value;
use std::fmt::Write;

/// What came of an attempt.
struct Outcome {
    status: u16,
    fields: Seen,
    trailers: Seen,
    /// The peer of its connection, by which its log line is found.
    peer: String,
}

fn start(sender: Sender, backends: &[Backend]) -> Edge {
    let edge = sender.meets();
    let named =
        |edge: Builder, backend: &Backend| edge.service(backend.kind.name(), &[backend.addr]);
    let edge = backends.iter().fold(edge, named);
    let rules = backends.iter().map(|backend| {
        let name = backend.kind.name();
        rule(name, &[("/", "Prefix", name)])
    });
    edge.object("ingress.json", &ingress("all", &rules.collect::<Vec<_>>())).start()
}

fn carry_out(attempt: &Attempt, sender: Sender, kind: Kind, edge: &Edge, number: usize) -> Outcome {
    let (mut client, peer) = sender.connect(edge, 40_000 + number);
    client.send(attempt.request(kind.name(), &format!("/{number}")));
    let response = client.response();
    let (fields, trailers) = match response.status() {
        200 => Backend::seen(response.text()),
        _ => Default::default(),
    };
    let fields = fields.into_iter().map(|(name, value)| match kind {
        Kind::Node => (name.to_ascii_lowercase(), value),
        Kind::Wsgi => (name, value),
    });
    Outcome { status: response.status(), fields: fields.collect(), trailers, peer }
}

/// What is wrong with an outcome.
fn fault(attempt: &Attempt, outcome: &Outcome, expected: &Seen) -> Option<String> {
    if attempt.refused {
        return (outcome.status != 400).then(|| format!("status {}", outcome.status));
    }
    let trailers: Vec<_> = outcome.trailers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    let right =
        outcome.status == 200 && outcome.fields == *expected && trailers == attempt.kept_trailers;
    (!right).then(|| format!("{} {:?} {trailers:?}", outcome.status, outcome.fields))
}

/// What is wrong with the log line of an outcome.
fn fault_of_log(
    attempt: &Attempt,
    sender: Sender,
    outcome: &Outcome,
    log: &[Value],
) -> Option<String> {
    let mut lines = log.iter().filter(|line| line["peer"] == outcome.peer.as_str());
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Some(format!("no line of its own for {}", outcome.peer));
    };
    let client = if attempt.refused { sender.peer_ip() } else { &attempt.client };
    let balancer = line["balancer"].as_str().map(|text| text.starts_with("127.0.0.1:"));
    let right = line["client"] == client
        && line["cf_ray"].as_str() == attempt.ray
        && balancer == (sender == Sender::Visitor).then_some(true);
    (!right).then(|| line.to_string())
}

/// Text for a cell of a table in Markdown.
fn cell(lines: &[String]) -> String {
    let mut text = String::new();
    for same in lines.chunk_by(|one, other| one == other) {
        let line = same[0].escape_debug().to_string().replace("\\\"", "\"").replace('|', "\\|");
        write!(text, "{}`{line}`", if text.is_empty() { "" } else { "<br>" }).expect("a String");
        if same.len() > 1 {
            write!(text, " {} times", same.len()).expect("a String");
        }
    }
    text
}

fn row(attempt: &Attempt, sender: Sender, kind: Kind, outcome: &Outcome) -> String {
    let sent: Vec<String> = attempt.fields.iter().chain(&attempt.trailers).cloned().collect();
    let host = kind.spells("host");
    let saw = outcome.fields.iter().chain(&outcome.trailers);
    let saw: Vec<String> = saw
        .filter(|(name, _)| *name != host)
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let saw =
        if outcome.status == 200 { cell(&saw) } else { format!("nothing: {}", outcome.status) };
    format!("| {} | {} | {} | {saw} |\n", cell(&sent), sender.label(), kind.name())
}

#[test]
fn a_real_backend_sees_one_client_whatever_the_fields_say() {
    let backends: Vec<Backend> =
        [Kind::Node, Kind::Wsgi].into_iter().filter_map(Backend::start).collect();
    let mut table = "| attempt | sent by | backend | what it saw |\n|---|---|---|---|\n".to_owned();
    let mut faults = String::new();
    for (sender, attempts) in [
        (Sender::Stranger, stranger::attempts()),
        (Sender::Visitor, visitor::attempts()),
        (Sender::Proxied, proxied::attempts()),
    ] {
        let edge = start(sender, &backends);
        let mut outcomes = Vec::new();
        for attempt in &attempts {
            for kind in backends.iter().map(|backend| backend.kind) {
                if !attempt.suits(kind) {
                    continue;
                }
                let outcome = carry_out(attempt, sender, kind, &edge, outcomes.len());
                table += &row(attempt, sender, kind, &outcome);
                let expected = attempt.fields_at(kind, sender, edge.addr().port());
                if let Some(fault) = fault(attempt, &outcome, &expected) {
                    writeln!(faults, "{attempt:?}\n at {kind:?}: {fault}").expect("a String");
                }
                outcomes.push((attempt, outcome));
            }
        }
        let log = edge.await_log(outcomes.len());
        for (attempt, outcome) in outcomes {
            if let Some(fault) = fault_of_log(attempt, sender, &outcome, &log) {
                writeln!(faults, "{attempt:?}\n in the log: {fault}").expect("a String");
            }
        }
    }
    println!("{table}");
    assert!(faults.is_empty(), "\n{faults}");
}
