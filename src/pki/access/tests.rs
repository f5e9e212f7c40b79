#[path = "../../../tests/support/access_tokens.rs"]
mod access_tokens;

use super::*;
use access_tokens::{AUD, OTHER_AUD, Signer, claims, forgeries, key_set, service_claims};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Any time, as the clock of these tests.
pub(crate) const NOW: u64 = 1_764_000_000;

fn team() -> Team {
    Team::parse("example").expect("a team")
}

fn keys(signers: &[&Signer]) -> KeySet {
    KeySet::parse(key_set(signers).as_bytes()).expect("keys")
}

fn verify(token: &str, keys: &KeySet, now: u64) -> Result<Verified, TokenRefusal> {
    UnverifiedToken::parse(token.as_bytes())?.verify(keys, &team(), now)
}

/// Keys, and a token that was verified with them: good until an hour after [`NOW`].
pub(crate) fn sample() -> (KeySet, Verified) {
    let signer = Signer::new("k1");
    let keys = keys(&[&signer]);
    let verified = verify(&signer.token(&claims(NOW)), &keys, NOW).expect("good");
    (keys, verified)
}

/// As a route of [`AUD`] judges the values of the field.
fn judge(tokens: &[String], keys: &KeySet) -> Result<Verified, TokenRefusal> {
    let [token] = tokens else { return Err(TokenRefusal::Repeated) };
    let verified = verify(token, keys, NOW)?;
    if verified.is_for(&[AUD.into()]) { Ok(verified) } else { Err(TokenRefusal::Audience) }
}

#[test]
fn tokens_of_users_and_of_services_are_good() {
    let signer = Signer::new("k1");
    let keys = keys(&[&signer]);
    let user = judge(&[signer.token(&claims(NOW))], &keys).expect("good");
    assert_eq!(user.user().expect("a user"), "ann@a.example");
    assert_eq!(user.email(), user.user());
    assert!(user.is_in(&["admins".into(), "ops".into()]) && !user.is_in(&["admins".into()]));
    let service = judge(&[signer.token(&service_claims(NOW))], &keys).expect("good");
    assert_eq!(service.user().expect("a user"), "e367826f93b8.access");
    assert_eq!((service.email(), service.is_in(&["ops".into()])), (None, false));
    let mut several = claims(NOW);
    several["aud"] = json!([OTHER_AUD, AUD]);
    several["groups"] = "admins".into();
    let several = judge(&[signer.token(&several)], &keys).expect("good");
    assert!(several.is_for(&[OTHER_AUD.into()]) && several.is_in(&["admins".into()]));
}

#[test]
fn no_forged_or_stale_token_is_good() {
    let (signer, other) = (Signer::new("k1"), Signer::new("k2"));
    let keys = keys(&[&signer]);
    let all = forgeries(&signer, &other, NOW);
    assert!(all.len() >= 90, "only {}", all.len());
    for forgery in all {
        let verdict = judge(&forgery.tokens, &keys).map_err(TokenRefusal::label);
        assert_eq!(verdict.expect_err(forgery.what), forgery.cause, "{}", forgery.what);
    }
}

#[test]
fn clocks_may_differ_by_half_a_minute() {
    let signer = Signer::new("k1");
    let keys = keys(&[&signer]);
    let token = |name: &str, at: u64| {
        let mut claims = claims(NOW);
        claims[name] = at.into();
        verify(&signer.token(&claims), &keys, NOW).map(|_| ())
    };
    assert_eq!(token("exp", NOW - LEEWAY + 1), Ok(()));
    assert_eq!(token("exp", NOW - LEEWAY), Err(TokenRefusal::Expired));
    for begin in ["nbf", "iat"] {
        assert_eq!(token(begin, NOW + LEEWAY), Ok(()), "{begin}");
        assert_eq!(token(begin, NOW + LEEWAY + 1), Err(TokenRefusal::NotYet), "{begin}");
    }
    let kept = verify(&signer.token(&claims(NOW)), &keys, NOW).expect("good");
    assert_eq!(kept.check_time(NOW + 3600 + LEEWAY - 1), Ok(()));
    assert_eq!(kept.check_time(NOW + 3600 + LEEWAY), Err(TokenRefusal::Expired));
}

#[test]
fn keys_that_rs256_cannot_use_are_left_out() {
    let (good, other) = (Signer::new("k1"), Signer::new("k2"));
    let with = |name: &str, value: Value| {
        let mut key = other.jwk();
        key[name] = value;
        key
    };
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let useless = [
        with("kty", "EC".into()),
        with("kty", "oct".into()),
        with("alg", "HS256".into()),
        with("use", "enc".into()),
        with("kid", Value::Null),
        with("kid", "".into()),
        with("n", short.into()),
        with("n", "+/".into()),
        with("e", Value::Null),
        json!({"kty": "oct", "k": "AA"}),
    ];
    let all: Vec<&Value> = useless.iter().collect();
    let parse = |keys: Value| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes());
    assert_eq!(parse(json!(all)).expect_err("none is usable"), KeySetError::Empty);
    let mut with_good = useless.to_vec();
    with_good.push(good.jwk());
    assert_eq!(parse(json!(with_good)).expect("one is usable"), keys(&[&good]));
    let many: Vec<Value> = (0..=MOST_KEYS).map(|_| good.jwk()).collect();
    assert_eq!(parse(json!(many)).expect_err("too many"), KeySetError::TooMany);
    for wrong in ["", "[]", "{}", "<html>", r#"{"keys":{}}"#, r#"{"keys":[1]}"#] {
        assert_eq!(KeySet::parse(wrong.as_bytes()), Err(KeySetError::Syntax), "{wrong}");
    }
    // Of two keys with one name the first counts.
    let twins = parse(json!([good.jwk(), with("kid", "k1".into())])).expect("one");
    assert_eq!(twins, keys(&[&good]));
}

#[test]
fn requests_bring_an_attempt_forward_now_and_then() {
    let store = KeyStore::default();
    let (one, start) = (store.team(&team()), Instant::now());
    assert!(one.ask(start).is_some(), "the attempt at the start");
    one.attempted();
    let first = one.ask(start).expect("the first");
    let shared = one.ask(start + Duration::from_secs(1)).expect("the same attempt");
    one.attempted();
    assert_eq!([first, shared].map(|receiver| receiver.has_changed().ok()), [Some(true); 2]);
    assert!(one.ask(start + EARLIEST_AGAIN - Duration::from_millis(1)).is_none());
    assert!(one.ask(start + EARLIEST_AGAIN).is_some());
    let other = store.team(&Team::parse("other").expect("a team"));
    assert!(other.ask(start).is_some(), "each team for itself");
}

#[test]
fn keys_that_are_the_same_stay_and_teams_are_bounded() {
    let store = KeyStore::default();
    let team = store.team(&team());
    let (one, two) = (Signer::new("k1"), Signer::new("k2"));
    assert_eq!(team.fetched(), None);
    assert!(team.put(keys(&[&one]), NOW));
    let before = team.load().clone().expect("keys");
    assert!(!team.put(keys(&[&one]), NOW));
    assert!(std::sync::Arc::ptr_eq(&before, &team.load().clone().expect("keys")));
    assert!(team.put(keys(&[&two, &one]), NOW + 1));
    assert_eq!(team.load().as_ref().map(|keys| keys.count()), Some(2));
    assert_eq!(team.fetched(), Some(NOW + 1));
    let others: Vec<_> = (0..MOST_TEAMS)
        .map(|number| store.team(&Team::parse(&format!("t{number}")).expect("a team")))
        .collect();
    // The last one had no room; nobody uses the others any more when they are gone.
    let last = others.last().expect("some").team().clone();
    assert!(!std::sync::Arc::ptr_eq(&others[MOST_TEAMS - 1], &store.team(&last)));
    drop(others);
    assert!(std::sync::Arc::ptr_eq(&store.team(&last), &store.team(&last)));
    assert!(std::sync::Arc::ptr_eq(&team, &store.team(team.team())), "its keys are kept");
}
