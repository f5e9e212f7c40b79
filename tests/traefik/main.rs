//! ravelin and Traefik side by side: the same objects in the same API server, the same requests to both.
//! Answers, and what pods get, are compared item by item; `differences.toml` has a row for everything in
//! which ravelin may differ, with its reason. Without Traefik (`tests/traefik/build` fetches it) or without a
//! control plane the test says that it is skipped, and passes.

mod cases;
mod certificates;
mod client;
mod crds;
mod differences;
mod digest;
#[path = "../cluster/edge/mod.rs"]
#[expect(dead_code, unused_imports, reason = "tests/cluster drives it further")]
mod edge;
#[path = "../support/eventually.rs"]
mod eventually;
mod families;
mod generated;
mod handshake;
mod lab;
mod manifests;
#[path = "../support/md5_hex.rs"]
mod md5_hex;
mod not_yet;
mod outcome;
#[path = "../cluster/plane/mod.rs"]
#[expect(dead_code, unused_imports, reason = "tests/cluster breaks it")]
mod plane;
mod pods;
mod random;
mod random_cases;
mod random_rules;
mod request;
mod routes;
mod rule;
mod shares;
#[path = "../support/skipped.rs"]
mod skipped;
mod tcp;
#[path = "../support/tls_client.rs"]
mod tls_client;
mod traefik;
#[path = "../support/traefik_program.rs"]
mod traefik_program;
mod verb;

use cases::Case;
use client::Response;
use differences::{Differences, like};
use eventually::eventually;
use lab::{Lab, SIDES, Side};
use outcome::Outcome;
use request::Request;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Cases at one time.
const AT_ONCE: usize = 4;
/// Ids of the cases that run alone, if it is set; `*` stands for any text.
const ONLY: &str = "RAVELIN_TRAEFIK_ONLY";
/// If it is set, both outcomes of every request are printed.
const SHOW: &str = "RAVELIN_TRAEFIK_SHOW";

/// What has come of all cases so far.
#[derive(Default)]
struct Run {
    failures: Mutex<Vec<String>>,
    compared: AtomicUsize,
    /// Requests of drawn routes, and those of them that have one.
    drawn: [AtomicUsize; 2],
    not_yet: AtomicUsize,
}

impl Run {
    #[expect(clippy::print_stdout, reason = "for readers of the test's output")]
    fn note(&self, text: &str) {
        println!("{text}");
    }

    fn fail(&self, text: String) {
        self.failures.lock().expect("whole").push(text);
    }
}

#[test]
fn ravelin_differs_from_traefik_only_where_a_row_says_so() {
    let only = std::env::var(ONLY).ok();
    let differences = Differences::read();
    let mut cases = cases::all();
    cases.extend(random_cases::all());
    cases.extend(random_rules::all());
    if let Some(only) = &only {
        cases.retain(|case| like(only, &case.id()));
    }
    let connections = tcp::all(only.as_deref());
    let Some(lab) = Lab::start(&cases, &connections) else { return };
    let run = Run::default();
    tcp::compare(&lab, &connections, &run);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    compare(&lab, case, &differences, &run);
                }
            });
        }
    });
    families::compare(&lab, &run);
    verb::check(&lab, &run, only.is_none());
    if only.is_none() && std::env::var_os(random::SEED).is_none() {
        for id in differences.unused() {
            run.fail(format!("no case needs row {id} of differences.toml any more: delete it"));
        }
        for entry in not_yet::without_case(&cases) {
            run.fail(format!("no case needs {entry} of not_yet.rs: delete it, or write a case"));
        }
    }
    let (compared, waiting) = (run.compared.into_inner(), run.not_yet.into_inner());
    let [drawn, routed] = run.drawn.map(AtomicUsize::into_inner);
    assert!(routed * 2 >= drawn, "{routed} of {drawn} requests of drawn routes have one");
    println!(
        "{} cases, {} of connections, {compared} requests compared, {waiting} cases not served yet; {}",
        cases.len(),
        connections.len(),
        differences.summary()
    );
    let failures = run.failures.into_inner().expect("whole");
    if !failures.is_empty() {
        println!("{}", lab.last_words());
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Runs one case against both.
fn compare(lab: &Lab, case: &Case, differences: &Differences, run: &Run) {
    let waiting = not_yet::needed(case);
    let generated = case.generated.iter().flat_map(|word| generated::requests(word, &case.host()));
    let mut requests: Vec<Request> = case.requests.iter().cloned().chain(generated).collect();
    if !waiting.is_empty() {
        // A refusal says its reason in the body.
        requests[0].method = "GET".to_owned();
    }
    let mut held = Vec::new();
    let mut before = [Response::default(), Response::default()];
    for (at, request) in requests.iter().enumerate() {
        let name = format!("{}#{}", case.id(), at + 1);
        if request.held && waiting.is_empty() {
            held.extend(SIDES.map(|side| lab.hold(side, case, request, &name)));
            continue;
        }
        let told = format!("{name}: {}", request.told());
        if request.times > 0 || request.kept > 0 {
            compare_often(lab, case, request, &name, run);
            continue;
        }
        let (theirs, their_pods) = lab.exchange(Side::Traefik, case, request, &name, &before[0]);
        let (ours, our_pods) = lab.exchange(Side::Ravelin, case, request, &name, &before[1]);
        if case.is_drawn {
            run.drawn[0].fetch_add(1, Ordering::Relaxed);
            run.drawn[1].fetch_add(usize::from(!is_nowhere(&theirs)), Ordering::Relaxed);
        } else if at == 0 && case.dropped != is_nowhere(&theirs) {
            run.fail(format!("{told}: `dropped` is {}: Traefik {theirs:?}", case.dropped));
        }
        if !waiting.is_empty() {
            run.not_yet.fetch_add(usize::from(at == 0), Ordering::Relaxed);
            if at == 0 && !not_yet::is_refused(&ours) {
                run.fail(format!("{told}: {waiting:?} of not_yet.rs is served: {ours:?}"));
            }
            if !shows() {
                return;
            }
        }
        run.compared.fetch_add(usize::from(waiting.is_empty()), Ordering::Relaxed);
        let rules = &differences.compared;
        let traefik = Outcome::new(&theirs, &their_pods, request.closes(), rules);
        let ravelin = Outcome::new(&ours, &our_pods, request.closes(), rules);
        if shows() {
            show(&told, &traefik, &ravelin);
        }
        if !waiting.is_empty() {
            continue;
        }
        let mut found = traefik.against(&ravelin, rules);
        found.retain(|found| !differences.accept(&case.id(), found, &traefik, &ravelin));
        if case.is_drawn && !found.is_empty() {
            run.fail(format!("{told}\n{}", random_rules::told(case)));
        }
        found.into_iter().for_each(|found| run.fail(format!("{told}\n    {found}")));
        before = [theirs, ours];
    }
    held.into_iter().for_each(|held| lab.release(held));
}

/// Sends one that is sent often.
fn compare_often(lab: &Lab, case: &Case, request: &Request, name: &str, run: &Run) {
    run.compared.fetch_add(1, Ordering::Relaxed);
    if let Some(fault) = shares::compare(lab, case, request, name) {
        run.fail(format!("{name}: {}\n    {fault}", request.told()));
    }
}

fn shows() -> bool {
    std::env::var_os(SHOW).is_some()
}

#[expect(clippy::print_stdout, reason = "asked for by a variable")]
fn show(told: &str, traefik: &Outcome, ravelin: &Outcome) {
    println!("== {told}\ntraefik {traefik:#?}\nravelin {ravelin:#?}");
}

/// Traefik's answer where it has no router.
fn is_nowhere(response: &Response) -> bool {
    response.status == 404 && response.body == b"404 page not found\n"
}
