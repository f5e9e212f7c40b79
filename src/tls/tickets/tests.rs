//! Which tickets can be opened, where and when.

use super::*;
use crate::pki::client_certificate::{Authority, Mode, Subjects};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const PLAIN: &[u8] = b"a session";
/// In the middle of an epoch.
const NOON: u64 = 1_000 * EPOCH_SECONDS + EPOCH_SECONDS / 2;

fn keys(secret: Option<&[u8]>) -> Arc<TicketKeys> {
    let local = Arc::new(Mutex::new(Local::new(epoch(NOON)).expect("random numbers")));
    let keys = Arc::new(TicketKeys { given: ArcSwapOption::empty(), local });
    secret.into_iter().for_each(|secret| keys.give(secret).expect("a secret"));
    keys
}

fn require() -> Demand {
    let authority = Some(Arc::new(Authority::cloudflare()));
    Demand { mode: Mode::Require, authority, subjects: Subjects::default(), tls13_only: false }
}

fn off() -> PolicyId {
    PolicyId::of(&Demand::off(), Issuer::Other)
}

#[test]
fn a_process_with_the_same_secret_opens_a_ticket_and_no_other_one_does() {
    let ticket = keys(Some(SECRET)).seal(&off(), PLAIN, NOON).expect("sealed");
    assert!(!ticket.windows(PLAIN.len()).any(|piece| piece == PLAIN));
    let line = [SECRET, b"\r\n"].concat();
    for same in [keys(Some(SECRET)), keys(Some(&line))] {
        assert_eq!(same.open(&off(), &ticket, NOON).as_deref(), Some(PLAIN));
    }
    let other = keys(Some(b"another secret, that is as long as it"));
    assert_eq!(other.open(&off(), &ticket, NOON), None);
    assert_eq!(keys(None).open(&off(), &ticket, NOON), None);
}

#[test]
fn a_process_without_a_secret_opens_its_own_tickets_alone() {
    let own = keys(None);
    let ticket = own.seal(&off(), PLAIN, NOON).expect("sealed");
    assert_eq!(own.open(&off(), &ticket, NOON).as_deref(), Some(PLAIN));
    assert_eq!(keys(None).open(&off(), &ticket, NOON), None);
    assert!(!own.is_given());
}

#[test]
fn what_succeeds_in_the_process_opens_its_tickets_until_it_is_given_a_secret() {
    let first = keys(None);
    let ticket = first.seal(&off(), PLAIN, NOON).expect("sealed");
    let second = first.successor();
    assert_eq!(second.open(&off(), &ticket, NOON).as_deref(), Some(PLAIN));
    second.give(SECRET).expect("a secret");
    assert_eq!(second.open(&off(), &ticket, NOON), None);
    assert!(first.open(&off(), &ticket, NOON).is_some() && !second.successor().is_given());
}

#[test]
fn a_ticket_counts_in_its_epoch_and_the_next_one_and_not_before_or_after() {
    for keys in [keys(Some(SECRET)), keys(None)] {
        let ticket = keys.seal(&off(), PLAIN, NOON).expect("sealed");
        for (at, counts) in [
            (NOON - EPOCH_SECONDS, false),
            (NOON, true),
            (NOON + EPOCH_SECONDS / 2 - 1, true),
            (NOON + EPOCH_SECONDS / 2, true),
            (NOON + EPOCH_SECONDS, true),
            (NOON + 2 * EPOCH_SECONDS, false),
        ] {
            assert_eq!(keys.open(&off(), &ticket, at).is_some(), counts, "{at} {keys:?}");
        }
    }
}

#[test]
fn a_secret_of_the_process_is_forgotten_when_its_tickets_do_not_count_any_more() {
    let keys = keys(None);
    let ticket = keys.seal(&off(), PLAIN, NOON).expect("sealed");
    // Two epochs later; then the clock is set back.
    assert!(keys.seal(&off(), PLAIN, NOON + 2 * EPOCH_SECONDS).is_some());
    assert_eq!(keys.open(&off(), &ticket, NOON), None);
}

#[test]
fn a_ticket_is_for_the_policy_that_began_the_session_alone() {
    let name = |text| Subjects::parse(text).expect("names");
    let pinned = |text| Demand { subjects: name(text), ..require() };
    let demands = [
        Demand::off(),
        require(),
        Demand { mode: Mode::Request, ..require() },
        Demand::unsatisfiable(),
        Demand { mode: Mode::Request, ..Demand::unsatisfiable() },
        pinned("a"),
        pinned("a,b"),
        pinned("ab"),
        pinned("b,a"),
    ];
    let keys = keys(Some(SECRET));
    let issuers = [Issuer::OriginCa, Issuer::Other];
    let all = demands.iter().flat_map(|demand| issuers.map(|issuer| (demand, issuer)));
    let all: Vec<(&Demand, Issuer)> = all.collect();
    for (position, one) in all.iter().enumerate() {
        let ticket = keys.seal(&PolicyId::of(one.0, one.1), PLAIN, NOON).expect("sealed");
        for (other_position, other) in all.iter().enumerate() {
            let opened = keys.open(&PolicyId::of(other.0, other.1), &ticket, NOON);
            assert_eq!(opened.is_some(), position == other_position, "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_ticket_that_was_changed_or_cut_is_none() {
    let keys = keys(Some(SECRET));
    let ticket = keys.seal(&off(), PLAIN, NOON).expect("sealed");
    for at in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[at] ^= 1;
        assert_eq!(keys.open(&off(), &changed, NOON), None, "byte {at}");
        assert_eq!(keys.open(&off(), &ticket[..at], NOON), None, "{at} bytes");
    }
    let longer = [&ticket[..], b"x"].concat();
    assert_eq!(keys.open(&off(), &longer, NOON), None);
}

#[test]
fn a_new_secret_ends_the_tickets_of_the_one_before() {
    let keys = keys(Some(SECRET));
    let ticket = keys.seal(&off(), PLAIN, NOON).expect("sealed");
    keys.give(b"another secret, that is as long as it").expect("a secret");
    assert_eq!(keys.open(&off(), &ticket, NOON), None);
}

#[test]
fn what_is_no_secret_leaves_the_one_before_in_force() {
    let keys = keys(Some(SECRET));
    let ticket = keys.seal(&off(), PLAIN, NOON).expect("sealed");
    for (bytes, error) in [
        (b"short".to_vec(), SecretError::TooShort(5)),
        ([&SECRET[1..], b"\n"].concat(), SecretError::TooShort(31)),
        (vec![0; 64], SecretError::Monotonous),
        (SECRET.repeat(33), SecretError::TooLong(1056)),
        (Vec::new(), SecretError::TooShort(0)),
    ] {
        assert_eq!(keys.give(&bytes), Err(error));
    }
    assert!(keys.open(&off(), &ticket, NOON).is_some());
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", keys(Some(SECRET)));
    assert!(text.len() < 80 && text.contains("is_given: true"), "{text}");
}
