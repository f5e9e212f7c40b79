//! What is written, what is not, and when again.

use super::*;
use crate::control::write_back::failure::{Backoff, Failure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use proptest::prelude::*;
use serde_json::json;
use std::time::{Duration, Instant};

const MANAGER: &str = "ravelin/edge/ravelin";
const OTHER: &str = "ravelin/edge/internal";
const SECOND: Duration = Duration::from_secs(1);
const BACKOFF: Backoff = Backoff { first: SECOND, most: Duration::from_secs(60) };

fn parsed(addresses: &[&str]) -> Vec<Address> {
    addresses.iter().map(|text| Address::parse(text)).collect()
}

fn mk_ingress(uid: &str, addresses: &[&str]) -> IngressRef {
    IngressRef {
        namespace: "n".into(),
        name: uid.into(),
        uid: uid.into(),
        version: "1".into(),
        ours: true,
        writer: None,
        addresses: parsed(addresses),
    }
}

/// What is planned, as `name=addresses`.
fn planned(ingresses: &[IngressRef], addresses: &[&str]) -> Vec<String> {
    plan(ingresses, &parsed(addresses), MANAGER).iter().map(said).collect()
}

fn said(patch: &Patch) -> String {
    let addresses: Vec<_> = patch.addresses.iter().map(ToString::to_string).collect();
    format!("{}={}", patch.name, addresses.join(","))
}

#[test]
fn a_status_is_written_only_if_it_differs_whatever_the_order() {
    let ingresses = [
        mk_ingress("empty", &[]),
        mk_ingress("same", &["192.0.2.2", "192.0.2.1"]),
        mk_ingress("less", &["192.0.2.1"]),
        mk_ingress("more", &["192.0.2.1", "192.0.2.2", "edge.example"]),
    ];
    let now = ["192.0.2.1", "192.0.2.2"];
    assert_eq!(
        planned(&ingresses, &now),
        ["empty", "less", "more"].map(|name| format!("{name}=192.0.2.1,192.0.2.2"))
    );
}

#[test]
fn nothing_is_written_as_long_as_no_address_is_known() {
    assert_eq!(planned(&[mk_ingress("a", &["192.0.2.1"]), mk_ingress("b", &[])], &[]), [""; 0]);
}

#[test]
fn an_ingress_that_left_is_cleared_if_its_status_is_ours_and_else_left_alone() {
    let foreign = |uid, writer: &str, addresses: &[&str]| IngressRef {
        ours: false,
        writer: Some(writer.into()),
        ..mk_ingress(uid, addresses)
    };
    let ingresses = [
        foreign("left", MANAGER, &["192.0.2.1"]),
        foreign("left-long-ago", MANAGER, &["192.0.2.99"]),
        foreign("theirs-on-the-same-nodes", OTHER, &["192.0.2.1"]),
        foreign("cleared", MANAGER, &[]),
    ];
    assert_eq!(planned(&ingresses, &["192.0.2.1"]), ["left=", "left-long-ago="]);
}

#[test]
fn the_fields_that_the_api_server_records_tell_whose_a_status_is() {
    let meta = |manager: &str, fields| ObjectMeta {
        managed_fields: Some(vec![ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }]),
        ..ObjectMeta::default()
    };
    let status = json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}});
    let writer = |meta| writer(&meta).map(|name| name.to_string());
    assert_eq!(writer(meta(MANAGER, status.clone())).as_deref(), Some(MANAGER));
    assert_eq!(writer(meta(OTHER, status.clone())).as_deref(), Some(OTHER));
    assert_eq!(writer(meta("traefik", status)), None);
    assert_eq!(writer(meta(MANAGER, json!({"f:spec": {}}))), None);
    assert_eq!(writer(ObjectMeta::default()), None);
}

#[test]
fn an_ingress_is_read_with_all_its_addresses() {
    let ingress: Ingress = serde_json::from_value(json!({
        "metadata": {"namespace": "n", "name": "i", "uid": "i", "resourceVersion": "1"},
        "status": {"loadBalancer": {"ingress": [
            {"ip": "192.0.2.1"}, {"hostname": "Edge.example"}, {"ip": ""},
        ]}},
    }))
    .expect("an Ingress");
    let expected = mk_ingress("i", &["192.0.2.1", "edge.example"]);
    assert_eq!(IngressRef::of(&ingress, true), expected);
}

struct Work {
    board: Board,
    now: Instant,
}

impl Work {
    fn new() -> Self {
        Self { board: Board::new(BACKOFF, MANAGER.into()), now: Instant::now() }
    }

    fn replan(&mut self, ingresses: &[IngressRef], addresses: &[&str]) {
        self.board.replan(ingresses, &parsed(addresses));
    }

    fn next(&mut self) -> Option<Patch> {
        self.board.next(self.now)
    }

    fn finish(&mut self, patch: Patch, result: Result<(), Failure>) -> bool {
        self.board.finished(patch, result, self.now, 0.5)
    }
}

#[test]
fn what_was_written_is_not_written_again_until_the_watch_shows_it() {
    let mut work = Work::new();
    let ingress = mk_ingress("a", &[]);
    work.replan(std::slice::from_ref(&ingress), &["192.0.2.1"]);
    let patch = work.next().expect("a write");
    assert!(!work.finish(patch, Ok(())));
    work.replan(std::slice::from_ref(&ingress), &["192.0.2.1"]);
    assert_eq!(work.next(), None, "the watch is behind");
    let shown = IngressRef { version: "2".into(), ..mk_ingress("a", &["192.0.2.1"]) };
    work.replan(&[shown], &["192.0.2.1"]);
    assert_eq!(work.next(), None);
    let emptied = IngressRef { version: "3".into(), ..mk_ingress("a", &[]) };
    work.replan(&[emptied], &["192.0.2.1"]);
    assert_eq!(said(&work.next().expect("a write")), "a=192.0.2.1");
}

#[test]
fn a_failed_write_is_repeated_later_and_later_with_what_is_true_by_then() {
    let mut work = Work::new();
    let ingress = [mk_ingress("a", &[])];
    work.replan(&ingress, &["192.0.2.1"]);
    let patch = work.next().expect("a write");
    assert!(!work.finish(patch, Err(Failure::Throttled)));
    assert_eq!(work.next(), None);
    work.replan(&ingress, &["192.0.2.2"]);
    assert_eq!(work.board.waiting(), ["a"]);
    assert_eq!(work.next(), None, "a change does not shorten the wait");
    assert_eq!(work.board.wake(work.now), Some(work.now + SECOND));
    work.now += SECOND;
    let patch = work.next().expect("a write");
    assert_eq!(said(&patch), "a=192.0.2.2");
    work.finish(patch, Err(Failure::Server));
    assert_eq!(work.board.wake(work.now), Some(work.now + SECOND * 2));
}

#[test]
fn a_change_during_a_write_is_written_after_it() {
    let mut work = Work::new();
    let ingress = [mk_ingress("a", &["192.0.2.9"])];
    work.replan(&ingress, &["192.0.2.1"]);
    let patch = work.next().expect("a write");
    // Back to what it was: the write that is under way makes it wrong.
    work.replan(&ingress, &["192.0.2.9"]);
    assert_eq!(work.next(), None);
    assert!(work.finish(patch, Ok(())));
    work.replan(&ingress, &["192.0.2.9"]);
    assert_eq!(said(&work.next().expect("a write")), "a=192.0.2.9");
}

#[test]
fn an_object_that_is_gone_is_not_tried_again() {
    let mut work = Work::new();
    work.replan(&[mk_ingress("a", &[])], &["192.0.2.1"]);
    let patch = work.next().expect("a write");
    work.finish(patch, Err(Failure::Gone));
    assert_eq!((work.next(), work.board.wake(work.now)), (None, None));
}

/// One Ingress of the model's API server.
fn ingress() -> impl Strategy<Value = (bool, bool, Vec<u8>)> {
    (any::<bool>(), any::<bool>(), prop::collection::vec(0u8..4, 0..4))
}

fn address(last: u8) -> Address {
    Address::Ip([192, 0, 2, last].into())
}

proptest! {
    #[test]
    fn what_is_planned_settles_at_once_and_touches_nothing_of_others(
        ingresses in prop::collection::vec(ingress(), 0..12),
        wanted in prop::collection::btree_set(0u8..4, 0..4),
    ) {
        let mk = |(at, (ours, written_by_us, addresses)): (usize, &(bool, bool, Vec<u8>))| {
            let addresses = addresses.iter().copied().map(address).collect();
            IngressRef {
                ours: *ours,
                writer: written_by_us.then(|| MANAGER.into()),
                addresses,
                ..mk_ingress(&at.to_string(), &[])
            }
        };
        let before: Vec<_> = ingresses.iter().enumerate().map(mk).collect();
        let wanted: Vec<_> = wanted.into_iter().map(address).collect();
        let mut after = before.clone();
        for patch in plan(&before, &wanted, MANAGER) {
            let ingress = after.iter_mut().find(|one| one.uid == patch.uid).expect("it is there");
            ingress.writer = (!patch.addresses.is_empty()).then(|| MANAGER.into());
            ingress.addresses = patch.addresses;
        }
        prop_assert_eq!(plan(&after, &wanted, MANAGER), vec![]);
        for (before, after) in before.iter().zip(&after) {
            if before.ours && !wanted.is_empty() {
                prop_assert_eq!(set(&after.addresses), set(&wanted));
            } else if !before.ours && before.writer.is_some() {
                prop_assert!(after.addresses.is_empty());
            } else {
                prop_assert_eq!(before, after);
            }
        }
    }
}
