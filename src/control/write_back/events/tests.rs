//! What is said, how often, and how fast.

use super::*;
use crate::control::write_back::bucket::Rate;
use crate::control::write_back::failure::{Backoff, Failure};
use crate::telemetry::Suppressed;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

const PACE: EventLimits = EventLimits {
    settle: Duration::ZERO,
    relapse: Duration::from_secs(60),
    repeat: HOUR,
    object: Rate { burst: 2, every: Duration::from_secs(5) },
    total: Rate { burst: 3, every: SECOND },
    backoff: Backoff { first: SECOND, most: Duration::from_secs(60) },
    tracked: 10,
};

pub(super) fn mk_finding(name: &str) -> ObjectDiagnostic {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        object: ObjectRef::new(Kind::Ingress, "n", name),
        field: "spec.rules[0]".to_owned(),
        why: Why::ServiceMissing,
        reason: "Service \"web\" does not exist".to_owned(),
        fix: "create it".to_owned(),
    };
    ObjectDiagnostic { diagnostic, uid: Some(format!("uid-of-{name}").into()) }
}

fn changed(change: impl FnOnce(&mut ObjectDiagnostic)) -> ObjectDiagnostic {
    let mut finding = mk_finding("shop");
    change(&mut finding);
    finding
}

fn key(finding: &ObjectDiagnostic) -> EventKey {
    Notice::of(finding, "scope").expect("it gets an Event").key
}

#[test]
fn the_name_follows_from_what_is_said_about_whom() {
    let same = changed(|finding| finding.diagnostic.fix = "another".to_owned());
    assert_eq!(key(&same), key(&mk_finding("shop")));
    // Written down, because other versions must give the same.
    assert_eq!(&*key(&same).name, "shop.63a9195ca7e3546d");
    let others = [
        changed(|finding| finding.uid = None),
        changed(|finding| finding.diagnostic.field.clear()),
        changed(|finding| finding.diagnostic.why = Why::PortMissing),
        changed(|finding| finding.diagnostic.reason.push('!')),
        changed(|finding| finding.diagnostic.object.kind = Kind::Service),
        mk_finding("other"),
        mk_finding("shop"),
    ];
    let names: BTreeSet<_> = others.iter().map(key).collect();
    assert_eq!(names.len(), others.len());
    let elsewhere = Notice::of(&mk_finding("shop"), "elsewhere").expect("an error").key;
    assert_ne!(elsewhere, key(&mk_finding("shop")));
}

#[test]
fn what_is_not_for_us_and_files_get_no_event_and_nodes_get_theirs_in_default() {
    assert_eq!(Notice::of(&changed(|one| one.diagnostic.severity = Severity::Info), ""), None);
    assert_eq!(Notice::of(&changed(|one| one.diagnostic.object.kind = Kind::File), ""), None);
    let node = changed(|one| one.diagnostic.object = ObjectRef::new(Kind::Node, "", "edge-1"));
    assert_eq!(&*key(&node).namespace, "default");
}

#[test]
fn long_names_and_notes_are_cut_to_what_the_api_server_takes() {
    let long = changed(|finding| {
        finding.diagnostic.object.name = format!("{}.{}", "a".repeat(229), "b".repeat(23)).into();
        finding.diagnostic.reason = "\u{e9}".repeat(2000);
    });
    let notice = Notice::of(&long, "").expect("an error");
    assert_eq!(notice.key.name.len(), 229 + 17);
    assert!(notice.note.len() <= MAX_NOTE_BYTES && notice.note.ends_with("\u{e9}..."));
}

struct Desk {
    ledger: Ledger,
    now: Instant,
    /// Whether the objects are there, whatever is found about them.
    present: bool,
}

impl Desk {
    fn new() -> Self {
        Self::of(PACE)
    }

    fn of(pace: EventLimits) -> Self {
        let now = Instant::now();
        Self { ledger: Ledger::new(pace, "scope".to_owned(), now), now, present: false }
    }

    fn set(&mut self, findings: &[ObjectDiagnostic]) {
        self.ledger.set(findings, |_, _| self.present, self.now);
    }

    /// Writes what is due now, with success.
    fn write_all(&mut self) -> Vec<(EventKey, bool)> {
        let mut written = Vec::new();
        while let Next::Write(notice, again) = self.ledger.next(self.now) {
            self.ledger.done(&notice, Ok(Said::Written), self.now, 0.5);
            written.push((notice.key.clone(), again));
        }
        written
    }
}

#[test]
fn a_finding_is_said_once_and_again_after_the_interval_as_long_as_it_is_true() {
    let mut desk = Desk::new();
    let finding = [mk_finding("shop"), mk_finding("shop")];
    desk.set(&finding);
    assert_eq!(desk.write_all(), [(key(&finding[0]), false)]);
    desk.set(&finding);
    assert_eq!(desk.ledger.next(desk.now), Next::Wait(desk.now + HOUR));
    desk.now += HOUR;
    assert_eq!(desk.write_all(), [(key(&finding[0]), true)]);
    desk.set(&[]);
    desk.now += HOUR * 2;
    assert_eq!(desk.ledger.next(desk.now), Next::Idle);
    assert_eq!(desk.ledger.suppressed(), []);
}

#[test]
fn a_finding_that_comes_back_soon_is_not_said_again() {
    let mut desk = Desk::new();
    let finding = [mk_finding("shop")];
    desk.set(&finding);
    desk.write_all();
    desk.set(&[]);
    desk.now += SECOND;
    desk.set(&finding);
    assert_eq!(desk.write_all(), []);
    assert_eq!(desk.ledger.suppressed(), [Suppressed::Repeated]);
    desk.set(&[]);
    desk.now += HOUR;
    desk.set(&finding);
    assert_eq!(desk.write_all(), [(key(&finding[0]), true)]);
}

#[test]
fn what_is_mended_before_it_has_lasted_is_never_said() {
    let mut desk = Desk::of(EventLimits { settle: SECOND, ..PACE });
    desk.present = true;
    let finding = [mk_finding("shop")];
    desk.set(&finding);
    assert_eq!(desk.ledger.next(desk.now), Next::Wait(desk.now + SECOND));
    desk.now += SECOND / 10;
    desk.set(&[]);
    desk.now += HOUR;
    assert_eq!(desk.ledger.next(desk.now), Next::Idle);
    desk.set(&finding);
    desk.now += SECOND;
    assert_eq!(desk.write_all(), [(key(&finding[0]), false)]);
}

#[test]
fn what_was_said_and_is_mended_is_said_to_be_once_that_has_lasted() {
    let mut desk = Desk::of(EventLimits { settle: SECOND, ..PACE });
    desk.present = true;
    let finding = [mk_finding("shop")];
    let wrong = key(&finding[0]);
    let mended = Notice::of(&finding[0], "scope").expect("an error").mended("scope").key;
    desk.set(&finding);
    desk.now += SECOND;
    assert_eq!(desk.write_all(), [(wrong.clone(), false)]);
    desk.set(&[]);
    desk.set(&finding);
    desk.now += SECOND * 10;
    assert_eq!(desk.write_all(), [], "it was resolved for a moment");
    desk.set(&[]);
    desk.now += SECOND;
    assert_eq!(desk.write_all(), [(mended.clone(), false)]);
    desk.now += HOUR;
    assert_eq!(desk.ledger.next(desk.now), Next::Idle, "that is the last word");

    // Wrong again, and resolved again: both counts continue, at most once a minute.
    desk.set(&finding);
    desk.now += SECOND;
    assert_eq!(desk.write_all(), [(wrong.clone(), true)]);
    desk.set(&[]);
    desk.now += SECOND;
    assert_eq!(desk.write_all(), [(mended, true)]);
    desk.set(&finding);
    desk.now += SECOND * 57;
    assert_eq!(desk.write_all(), []);
    desk.now += SECOND * 2;
    assert_eq!(desk.write_all(), [(wrong, true)]);

    // Who deletes the object needs no word.
    desk.present = false;
    desk.set(&[]);
    desk.now += HOUR;
    assert_eq!(desk.ledger.next(desk.now), Next::Idle);
}

#[test]
fn what_a_predecessor_said_is_repeated_when_its_interval_is_over() {
    let mut desk = Desk::new();
    desk.set(&[mk_finding("shop")]);
    let Next::Write(notice, false) = desk.ledger.next(desk.now) else { panic!("a write") };
    let said = Said::Standing { age: HOUR - SECOND };
    desk.ledger.done(&notice, Ok(said), desk.now, 0.5);
    assert_eq!(desk.ledger.next(desk.now), Next::Wait(desk.now + SECOND));
    desk.now += SECOND;
    assert_eq!(desk.write_all(), [(notice.key.clone(), true)]);
}

#[test]
fn a_failed_event_is_tried_again_later_and_one_without_a_result_at_the_next_change() {
    let mut desk = Desk::new();
    let finding = [mk_finding("shop")];
    desk.set(&finding);
    let Next::Write(notice, _) = desk.ledger.next(desk.now) else { panic!("a write") };
    assert_eq!(desk.ledger.next(desk.now), Next::Idle, "it is under way");
    desk.ledger.done(&notice, Err(Failure::Throttled), desk.now, 0.5);
    assert_eq!(desk.ledger.next(desk.now), Next::Wait(desk.now + SECOND));
    desk.now += SECOND;
    assert!(matches!(desk.ledger.next(desk.now), Next::Write(..)));
    desk.now += SECOND * 5;
    assert_eq!(desk.ledger.next(desk.now), Next::Idle, "the leadership ended meanwhile");
    desk.set(&finding);
    assert_eq!(desk.write_all(), [(notice.key.clone(), false)]);
}

#[test]
fn one_bad_object_does_not_keep_the_others_from_being_heard() {
    let mut desk = Desk::new();
    let mut findings: Vec<_> = (0..5)
        .map(|at| changed(|finding| finding.diagnostic.field = format!("spec.rules[{at}]")))
        .collect();
    findings.push(mk_finding("other"));
    desk.set(&findings);
    let of_whom = |written: Vec<(EventKey, bool)>| -> Vec<bool> {
        written.iter().map(|(written, _)| *written == key(&findings[5])).collect()
    };
    let mut first = of_whom(desk.write_all());
    first.sort_unstable();
    assert_eq!(first, [false, false, true]);
    desk.now += SECOND * 4;
    assert_eq!(of_whom(desk.write_all()), [false; 0]);
    desk.now += SECOND * 2;
    assert_eq!(of_whom(desk.write_all()), [false]);
    let held = desk.ledger.suppressed();
    assert_eq!(held, [Suppressed::Rate; 3]);
}

#[test]
fn no_more_is_kept_track_of_than_there_is_room_for() {
    let mut desk = Desk::new();
    let findings: Vec<_> = (0..12).map(|at| mk_finding(&format!("i{at}"))).collect();
    desk.set(&findings);
    assert_eq!(desk.ledger.suppressed(), [Suppressed::Full; 2]);
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_each_is_said_once_an_interval_and_never_too_many_at_once(
        steps in prop::collection::vec((0u64..1500, any::<u8>()), 1..120),
    ) {
        let mut desk = Desk::new();
        let start = desk.now;
        let mut said: HashMap<EventKey, Instant> = HashMap::new();
        let mut count = 0;
        for (seconds, present) in steps {
            desk.now += SECOND * u32::try_from(seconds).expect("small");
            let here = (0..8).filter(|bit| present & (1 << bit) != 0);
            let findings: Vec<_> = here.map(|bit| mk_finding(&format!("i{bit}"))).collect();
            desk.set(&findings);
            for (key, _) in desk.write_all() {
                let before = said.insert(key, desk.now);
                prop_assert!(before.is_none_or(|before| desk.now - before >= HOUR));
                count += 1;
            }
            let passed = (desk.now - start).as_secs();
            prop_assert!(count <= 3 + passed);
        }
    }
}
