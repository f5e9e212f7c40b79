//! Annotations of ingress-nginx beside Debian's nginx, which is configured as ingress-nginx would: the same requests to
//! both; what the client gets and what pods get is compared item by item. `differences.rs` has a row for everything in
//! which ravelin may differ, with its reason.

mod cases;
mod differences;
mod satisfied;
mod sides;

use crate::support::eventually;
use cases::{AT_ONCE, CASES, Case};
use differences::DIFFERENCES;
use satisfied::SATISFIED;
use sides::{Sides, begin};
use std::collections::{BTreeMap, BTreeSet};

/// What came of a request: items, such as `status` and `pod`, with their values.
type Outcome = BTreeMap<String, String>;

#[test]
fn annotations_of_nginx_mean_what_they_mean_to_nginx() {
    let mut used = vec![false; DIFFERENCES.len()];
    let mut failures = Vec::new();
    for case in CASES.iter().chain(SATISFIED) {
        let Some(sides) = Sides::start(case) else { return };
        for request in case.requests {
            let [theirs, ours] = sides.outcomes(request);
            let items: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
            for item in items {
                let value = |outcome: &Outcome| outcome.get(item).cloned().unwrap_or_default();
                let (theirs, ours) = (value(&theirs), value(&ours));
                if theirs == ours {
                    continue;
                }
                let row = DIFFERENCES.iter().position(|row| {
                    case.name.starts_with(row.case)
                        && request.contains(row.request)
                        && row.item == item
                        && row.nginx.is_none_or(|value| value == theirs)
                        && row.ravelin == ours
                });
                match row {
                    Some(row) => used[row] = true,
                    None => failures.push(format!(
                        "{}, {request:?}, {item}: nginx {theirs:?}, ravelin {ours:?}",
                        case.name
                    )),
                }
            }
        }
    }
    let unused = DIFFERENCES.iter().zip(used).filter(|(_, used)| !used);
    failures.extend(unused.map(|(row, _)| format!("no request differs like this: {row:?}")));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn requests_at_once_are_counted_as_nginx_counts_them() {
    let Some(sides) = Sides::start(&AT_ONCE) else { return };
    for (addr, pod) in sides.proxies() {
        let held = begin(addr, "GET /held");
        pod.await_requests(1);
        let status = |request| begin(addr, request).response().status();
        assert_eq!(status("GET /"), 503, "{addr}");
        assert_eq!(status("GET /\nX-Forwarded-For: 192.0.2.9"), 200, "another visitor, {addr}");
        drop(held);
        eventually("the turn is free", || (status("GET /") == 200).then_some(()));
    }
}
