//! Answers that come before the end of an upload, and reach its client whatever the pod does next with
//! its connection.
//!
//! `RAVELIN_UPLOADS=1000` makes that many for each protocol, and `RAVELIN_UPLOAD_MIB=150` is how long
//! each would be.

mod clients;
mod curl;
mod pods;

use crate::certificates::Issued;
use crate::multiplexed::run_for;
use crate::secured::{certified, secured};
use crate::support::{Builder, edge, edge_to, ingress, rule, service};
use clients::{Answered, Http1, multiplexed, whole_first};
use pods::{ANSWER, Pod, Speaks, Then};
use serde_json::json;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Uploads at a time.
const AT_ONCE: usize = 8;

/// The same to a pod. With HTTP/2 they share its connection: when that ends with the first answer, the
/// others, which have begun, cannot have one.
fn at_once(speaks: Speaks, then: Then) -> usize {
    let ends = speaks == Speaks::H2c && then != Then::KeepsReading;
    if ends { 1 } else { AT_ONCE }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |set| set.parse().expect("a number"))
}

/// Uploads for each protocol and way.
fn uploads() -> usize {
    usize::try_from(setting("RAVELIN_UPLOADS", 40)).expect("64 bits") / Then::ALL.len()
}

/// Bytes of each.
fn length() -> u64 {
    setting("RAVELIN_UPLOAD_MIB", 16) * MIB
}

/// However slow the machine is.
fn patience() -> Duration {
    Duration::from_secs(60 + uploads() as u64)
}

/// Checks that every upload got the pod's answer, whole.
fn all_answered(what: &str, answers: &[Answered]) {
    let lost = answers.iter().filter(|answer| **answer != Ok((413, ANSWER.to_vec())));
    let first = lost.clone().next().map(|lost| match lost {
        Ok((status, body)) => format!("{status} with {} bytes", body.len()),
        Err(error) => error.clone(),
    });
    writeln!(io::stderr(), "{what}: {} of {} lost", lost.clone().count(), answers.len())
        .expect("a stream");
    assert_eq!(first, None, "{what}: {} of {}", lost.count(), answers.len());
}

/// A proxy with TLS in front of a pod that speaks HTTP/2 or not.
fn tls_edge(pod: SocketAddr, speaks: Speaks) -> Builder {
    annotated(secured(pod), speaks)
}

fn annotated(builder: Builder, speaks: Speaks) -> Builder {
    let mut web = service("web", "http", 80);
    if speaks == Speaks::H2c {
        web["metadata"]["annotations"] = json!({"ravelin.dev/upstream-protocol": "h2c"});
    }
    builder.object("web.json", &web)
}

/// Uploads over each protocol to pods of one sort, in all five ways.
fn every_way(speaks: Speaks) {
    for then in Then::ALL {
        let (pod, count) = (Pod::start(speaks, then), (uploads(), at_once(speaks, then)));
        let plain = annotated(edge_to(&[pod.addr()]), speaks).start();
        let tls = tls_edge(pod.addr(), speaks).start();
        for (what, addr, client) in
            [("h1", plain.addr(), Http1::Plain), ("TLS h1", tls.addr(), Http1::Tls)]
        {
            let answers = run_for(patience(), client.uploads(addr, count, length()));
            all_answered(&format!("{speaks:?} {then:?} {what}"), &answers);
        }
        let answers = run_for(patience(), multiplexed(tls.addr(), count, length()));
        all_answered(&format!("{speaks:?} {then:?} h2"), &answers);
    }
}

#[test]
fn an_answer_of_a_pod_with_http_1_1_reaches_every_upload() {
    every_way(Speaks::Http1);
}

#[test]
fn an_answer_of_a_pod_with_http_2_reaches_every_upload() {
    every_way(Speaks::H2c);
}

#[test]
fn an_answer_reaches_a_client_that_reads_only_when_it_has_sent_everything() {
    for then in Then::ALL {
        let pod = Pod::start(Speaks::Http1, then);
        let (plain, tls) = (edge_to(&[pod.addr()]).start(), secured(pod.addr()).start());
        for (addr, client) in [(plain.addr(), Http1::Plain), (tls.addr(), Http1::Tls)] {
            let answer = run_for(patience(), whole_first(client, addr, 8 * MIB));
            all_answered(&format!("{then:?} {client:?}"), &[answer]);
        }
        plain.await_metric("ravelin_connections_lingering", &[], 0.0);
        plain.await_metric("ravelin_connections_open", &[], 0.0);
    }
}

#[test]
fn an_answer_of_our_own_reaches_every_upload() {
    let everything = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    let nothing = edge().start();
    let empty = edge().service("web", &[]).object("all.json", &everything).start();
    let tls = certified(&Issued::new(&[crate::secured::HOST])).service("web", &[]).start();
    for (status, addr, client) in [
        (404, nothing.addr(), Http1::Plain),
        (503, empty.addr(), Http1::Plain),
        (503, tls.addr(), Http1::Tls),
    ] {
        let mut answers = run_for(patience(), client.uploads(addr, (8, AT_ONCE), length()));
        answers.push(run_for(patience(), whole_first(client, addr, 8 * MIB)));
        for answer in answers {
            assert_eq!(answer.map(|(status, _)| status), Ok(status), "{client:?}");
        }
    }
    for answer in run_for(patience(), multiplexed(tls.addr(), (40, AT_ONCE), length())) {
        assert_eq!(answer.map(|(status, _)| status), Ok(503));
    }
}
