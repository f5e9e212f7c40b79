//! `check`, `explain` and the proxy give one answer: random rule sets as manifests, random requests,
//! and for each of them what really happens against what the two verbs say.
//!
//! One proxy runs for all cases and follows the directory, so what it serves has gone through the
//! whole way of a change. Every Service has a server of its own that answers with its name and with
//! the target it got.
//!
//! And manifests mean what they mean to kubectl: random YAML, against its library.

mod backends;
mod documents;
#[path = "../support/go_program.rs"]
mod go_program;
mod proxy;
mod request;
mod rule_set;
#[path = "../support/skipped.rs"]
mod skipped;
mod verbs;
mod yaml;

use backends::Backends;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proxy::Proxy;
// What the files of tests/support ask of the root.
use skipped::skipped;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use verbs::Verbs;

/// Rule sets, each with as many requests as `request::requests` makes.
const CASES: u32 = 40;
/// Requests of each case for which the program itself is asked; for the others the functions that
/// it calls are.
const BY_PROGRAM: usize = 8;

/// How a request ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// A pod has it: `namespace/service`, and the target it is sent.
    Forwarded { service: String, target: String },
    /// An answer of the proxy's own.
    Answered { status: u16, reason: String },
}

impl Outcome {
    fn word(&self) -> String {
        match self {
            Self::Forwarded { .. } => "forwarded".to_owned(),
            Self::Answered { status, reason } => format!("{status} {reason}"),
        }
    }
}

#[test]
fn check_and_explain_agree_with_what_the_proxy_does() {
    let backends = Backends::start();
    let proxy = RefCell::new(Proxy::start());
    let seen = RefCell::new(BTreeMap::<String, usize>::new());
    let number = Cell::new(0);
    // The same cases in every run: a test that fails now and then teaches nothing.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let strategy = (rule_set::rule_sets(), request::requests());
    let result = TestRunner::new_with_rng(config, random).run(&strategy, |(rules, requests)| {
        number.set(number.get() + 1);
        let mut proxy = proxy.borrow_mut();
        let directory = proxy.serve(&rules.files(number.get(), &backends), number.get());
        let verbs = Verbs::of(&directory);
        for (position, request) in requests.iter().enumerate() {
            let real = request.send(proxy.address());
            *seen.borrow_mut().entry(real.word()).or_default() += 1;
            let said = verbs.explain(request);
            proptest::prop_assert_eq!(&said.outcome, &real, "explain of {:?}", request);
            verbs.compare_with_check(&said, &real, &backends).map_err(TestCaseError::fail)?;
            if position < BY_PROGRAM {
                verbs.compare_with_program(request, &real).map_err(TestCaseError::fail)?;
            }
        }
        Ok(())
    });
    proxy.into_inner().stop();
    if let Err(error) = result {
        panic!("{error}");
    }
    assert_all_kinds(&seen.into_inner());
}

/// A comparison of nothing would pass too.
fn assert_all_kinds(seen: &BTreeMap<String, usize>) {
    for kind in [
        "forwarded",
        "404 no_route",
        "503 service_missing",
        "503 port_missing",
        "503 backend_unsupported",
        "503 no_endpoint",
        "400 bad_target",
        "400 bad_host",
    ] {
        assert!(seen.contains_key(kind), "no request ended with {kind}: {seen:?}");
    }
}
