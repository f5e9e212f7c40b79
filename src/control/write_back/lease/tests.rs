//! One instance, answer by answer.

use super::*;

const START: Duration = Duration::from_secs(1000);

struct Clock(Instant);

impl Clock {
    fn at(&self, seconds: f64) -> Instant {
        self.0 + START + Duration::from_secs_f64(seconds)
    }
}

fn mk_machine() -> (Machine, Clock) {
    let clock = Clock(Instant::now());
    (Machine::new("me".to_owned(), Timing::default(), clock.at(0.0)), clock)
}

fn mk_found(version: &str, holder: Option<&str>, renewed: i128) -> Answer {
    let record = Record {
        holder: holder.map(str::to_owned),
        duration: Duration::from_secs(15),
        renewed: Some(renewed),
        transitions: 0,
    };
    Answer::StoredLease(StoredLease { version: version.to_owned(), record })
}

fn hold(version: &str) -> Request {
    Request::Hold { version: version.to_owned() }
}

#[test]
fn a_missing_lease_is_created_and_led_from_the_moment_of_sending() {
    let (mut machine, clock) = mk_machine();
    assert_eq!(machine.request(), Request::Read);
    machine.answer(Answer::Missing, clock.at(0.0), clock.at(0.5), 0.5);
    assert_eq!((machine.request(), machine.next()), (Request::Create, clock.at(0.5)));
    machine.answer(mk_found("1", Some("me"), 7), clock.at(0.5), clock.at(2.0), 0.5);
    assert_eq!(machine.leading_until(), Some(clock.at(10.5)));
    assert_eq!((machine.request(), machine.next()), (hold("1"), clock.at(5.5)));
}

#[test]
fn somebody_elses_lease_is_taken_only_when_it_stood_still_for_its_duration() {
    let (mut machine, clock) = mk_machine();
    let mut look = |at: f64, renewed| {
        machine.answer(mk_found("1", Some("you"), renewed), clock.at(at), clock.at(at), 0.5);
        (machine.request(), machine.leading_until())
    };
    assert_eq!(look(0.0, 7), (Request::Read, None));
    assert_eq!(look(14.9, 7), (Request::Read, None));
    assert_eq!(look(14.9, 8), (Request::Read, None), "a sign of life");
    assert_eq!(look(29.8, 8), (Request::Read, None));
    assert_eq!(look(29.9, 8), (hold("1"), None));
}

#[test]
fn the_end_of_a_lease_is_looked_at_in_time() {
    let (mut machine, clock) = mk_machine();
    for at in [0.0, 5.0, 10.0, 14.0] {
        machine.answer(mk_found("1", Some("you"), 7), clock.at(at), clock.at(at), 0.5);
    }
    assert!(machine.next() >= clock.at(15.0) && machine.next() < clock.at(16.0));
}

#[test]
fn an_absurd_duration_does_not_shut_the_others_out() {
    let (mut machine, clock) = mk_machine();
    let absurd = |version: &str| match mk_found(version, Some("you"), 7) {
        Answer::StoredLease(mut found) => {
            found.record.duration = Duration::MAX;
            Answer::StoredLease(found)
        }
        other => other,
    };
    machine.answer(absurd("1"), clock.at(0.0), clock.at(0.0), 0.5);
    assert_eq!(machine.request(), Request::Read);
    machine.answer(absurd("1"), clock.at(600.0), clock.at(600.0), 0.5);
    assert_eq!(machine.request(), hold("1"));
}

#[test]
fn a_released_lease_is_taken_at_once() {
    for holder in [None, Some("")] {
        let (mut machine, clock) = mk_machine();
        machine.answer(mk_found("3", holder, 7), clock.at(0.0), clock.at(0.1), 0.5);
        assert_eq!((machine.request(), machine.next()), (hold("3"), clock.at(0.1)));
    }
}

#[test]
fn a_conflict_ends_the_leadership() {
    let (mut machine, clock) = mk_machine();
    machine.answer(mk_found("1", None, 7), clock.at(0.0), clock.at(0.0), 0.5);
    machine.answer(mk_found("2", Some("me"), 8), clock.at(0.0), clock.at(0.0), 0.5);
    assert!(machine.leading_until().is_some());
    machine.answer(Answer::Conflict, clock.at(5.0), clock.at(5.0), 0.5);
    assert_eq!((machine.request(), machine.leading_until()), (Request::Read, None));
    // It was our own write, whose answer was lost.
    machine.answer(mk_found("3", Some("me"), 9), clock.at(6.0), clock.at(6.0), 0.5);
    assert_eq!((machine.request(), machine.leading_until()), (hold("3"), None));
}

#[test]
fn failed_renewals_are_repeated_and_do_not_prolong_the_belief() {
    let (mut machine, clock) = mk_machine();
    machine.answer(mk_found("1", None, 7), clock.at(0.0), clock.at(0.0), 0.5);
    machine.answer(mk_found("2", Some("me"), 8), clock.at(0.0), clock.at(0.0), 0.5);
    machine.answer(Answer::Failed, clock.at(5.0), clock.at(6.0), 0.5);
    assert_eq!((machine.request(), machine.next()), (hold("2"), clock.at(7.0)));
    assert_eq!(machine.leading_until(), Some(clock.at(10.0)));
    machine.answer(Answer::Failed, clock.at(7.0), clock.at(10.0), 0.5);
    assert_eq!((machine.request(), machine.leading_until()), (Request::Read, None));
}

#[test]
fn a_deleted_lease_is_looked_for_again_and_not_led() {
    let (mut machine, clock) = mk_machine();
    machine.answer(mk_found("1", None, 7), clock.at(0.0), clock.at(0.0), 0.5);
    machine.answer(mk_found("2", Some("me"), 8), clock.at(0.0), clock.at(0.0), 0.5);
    machine.answer(Answer::Missing, clock.at(5.0), clock.at(5.0), 0.5);
    assert_eq!((machine.request(), machine.leading_until()), (Request::Read, None));
}

#[test]
fn only_what_is_ours_is_released() {
    let (mut machine, clock) = mk_machine();
    assert_eq!(machine.release(), None);
    machine.answer(mk_found("1", Some("you"), 7), clock.at(0.0), clock.at(0.0), 0.5);
    assert_eq!(machine.release(), None);
    machine.answer(mk_found("2", None, 7), clock.at(0.0), clock.at(0.0), 0.5);
    machine.answer(mk_found("3", Some("me"), 8), clock.at(0.0), clock.at(0.0), 0.5);
    assert_eq!(machine.release(), Some(Request::Release { version: "3".to_owned() }));
}

#[test]
fn the_belief_is_shorter_than_the_lease_whatever_is_configured() {
    let second = Duration::from_secs(1);
    let timing = Timing { duration: second * 9, deadline: second * 90, ..Timing::default() };
    assert_eq!(timing.belief(), second * 6);
    let timing = Timing { duration: Duration::from_millis(1001), ..Timing::default() };
    assert_eq!(timing.seconds(), 2);
}
