//! `ravelin.dev/access`: a token of Cloudflare Access, in `Cf-Access-Jwt-Assertion`.
//!
//! The cookie `CF_Authorization` is not read: Cloudflare recommends the field, because the cookie "is not guaranteed to
//! be passed" ("Validate JWTs"), and a cookie is sent by a browser whichever site asks it to.
//!
//! A token costs one RSA verification on the worker (25 to 50 us with a key of 2048 bits), once in its life: the
//! verdict is kept in [`TokenCache`]. For which application and for which groups a token is, is judged for every
//! request.
//!
//! **Invariant**: a request goes on only with a token that one of the team's keys has signed.

mod assertion;
mod token_cache;

pub(super) use assertion::Assertion;
pub(super) use token_cache::TokenCache;

use super::state::State;
use super::{RequestView, StepAnswer, Stop, twins};
use crate::error::Reason;
use crate::model::middleware::{AccessRule, NamedStep};
use crate::net::fields::Fields;
use crate::pki::access::{TeamKeys, TokenRefusal, UnverifiedToken, Verified};
use assertion::ASSERTION;
use http::{HeaderName, HeaderValue};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// What Access tells origins of the user (Cloudflare One, "Application token"). Ours is from the token.
const EMAIL: HeaderName = HeaderName::from_static("cf-access-authenticated-user-email");

/// How long a request waits for keys that are being fetched: more than an answer of Cloudflare takes.
const MOST_WAIT: Duration = Duration::from_secs(3);

/// When one may ask again for whom there are no keys: they are asked for at intervals of some seconds.
const AGAIN: Duration = Duration::from_secs(10);

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hindrance {
    /// Whatever the keys are.
    Final(Reason),
    /// There are no keys yet.
    NoKeys,
    /// The token names a key that is not among them.
    UnknownKey,
}

impl From<Reason> for Hindrance {
    fn from(reason: Reason) -> Self {
        Self::Final(reason)
    }
}

/// Passes tokens that are good, and refuses what can be refused at once.
pub(super) fn on_request(
    rule: &AccessRule,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Stop> {
    if !request.origin.is_for(&rule.hosts) {
        return Ok(());
    }
    match judge(rule, middleware, request) {
        Ok(passed) => {
            passed.tell(request);
            Ok(())
        }
        Err(Hindrance::Final(reason)) => Err(StepAnswer::of(reason).into()),
        Err(Hindrance::NoKeys | Hindrance::UnknownKey) => Err(Stop::Wait),
    }
}

/// Has the keys fetched, if that may be, and judges the token again.
pub(super) async fn wait(
    rule: &AccessRule,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Box<StepAnswer>> {
    let attempt = keys(middleware, request)?.ask(Instant::now());
    if let Some(mut attempt) = attempt {
        // Without an answer in time the keys are what they were.
        let _ = timeout(MOST_WAIT, attempt.changed()).await;
    }
    match judge(rule, middleware, request) {
        Ok(passed) => {
            passed.tell(request);
            Ok(())
        }
        Err(Hindrance::Final(reason)) => Err(StepAnswer::of(reason).into()),
        Err(Hindrance::UnknownKey) => Err(refused(request, TokenRefusal::UnknownKey).into()),
        Err(Hindrance::NoKeys) => {
            Err(Box::new(StepAnswer::of(Reason::AccessKeysMissing).with_retry_after(AGAIN)))
        }
    }
}

/// A token that is good for the route, and who has it.
struct Passed {
    token: HeaderValue,
    verified: Rc<Verified>,
}

impl Passed {
    /// Tells the pod, and the log, the user. What the client says of that itself is removed, in every spelling.
    fn tell(self, request: &mut RequestView<'_>) {
        let headers = request.headers();
        twins::remove(headers, &ASSERTION);
        twins::remove(headers, &EMAIL);
        headers.set(ASSERTION, self.token);
        if let Some(email) = self.verified.email() {
            headers.set(EMAIL, email.clone());
        }
        request.passage.user = self.verified.user().cloned();
    }
}

/// Judges the token of a request by what is known now.
fn judge(
    rule: &AccessRule,
    middleware: &Arc<NamedStep>,
    request: &RequestView<'_>,
) -> Result<Passed, Hindrance> {
    let token = match &request.passage.received.assertion {
        Assertion::One(token) => token.clone(),
        Assertion::Missing => return Err(Reason::AccessTokenMissing.into()),
        Assertion::Several => return Err(refused(request, TokenRefusal::Repeated).into()),
    };
    let team = keys(middleware, request)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let verified = verified(rule, &team, token.as_bytes(), request, now);
    let verified = verified.map_err(|hindrance| match hindrance {
        Unverified::NoKeys => Hindrance::NoKeys,
        Unverified::Refused(TokenRefusal::UnknownKey) => Hindrance::UnknownKey,
        Unverified::Refused(why) => refused(request, why).into(),
    })?;
    if !verified.is_for(&rule.audiences) {
        return Err(refused(request, TokenRefusal::Audience).into());
    }
    if !rule.groups.is_empty() && !verified.is_in(&rule.groups) {
        return Err(Reason::AccessGroupDenied.into());
    }
    Ok(Passed { token, verified })
}

/// Why there is no verdict, or a bad one.
enum Unverified {
    NoKeys,
    Refused(TokenRefusal),
}

/// The verdict on a token: as it is kept, or by a verification. One that is kept costs a hash of the token.
fn verified(
    rule: &AccessRule,
    team: &TeamKeys,
    token: &[u8],
    request: &RequestView<'_>,
    now: u64,
) -> Result<Rc<Verified>, Unverified> {
    let keys = team.load();
    let mut cache = request.states.tokens.borrow_mut();
    if let Some(verified) = keys.as_ref().and_then(|keys| cache.get(token, keys)) {
        verified.check_time(now).map_err(Unverified::Refused)?;
        return Ok(verified);
    }
    let read = UnverifiedToken::parse(token).map_err(Unverified::Refused)?;
    let keys = keys.as_ref().ok_or(Unverified::NoKeys)?;
    let verified = read.verify(keys, &rule.team, now).map_err(Unverified::Refused)?;
    let cells = request.states.cells();
    cells.access_verified.add(1);
    let verified = Rc::new(verified);
    cache.put(token, keys, &verified, now, cells);
    Ok(verified)
}

/// The keys of the step's team.
fn keys(middleware: &Arc<NamedStep>, request: &RequestView<'_>) -> Result<Arc<TeamKeys>, Reason> {
    request.states.with(middleware, |state| match &**state {
        State::Access(keys) => Ok(Arc::clone(keys)),
        _ => Err(Reason::Internal),
    })
}

/// Counts a token that is refused.
fn refused(request: &RequestView<'_>, why: TokenRefusal) -> Reason {
    request.states.cells().access_refused[why as usize].add(1);
    tracing::debug!(cause = why.label(), "a token of Cloudflare Access was refused");
    Reason::AccessTokenRefused
}
