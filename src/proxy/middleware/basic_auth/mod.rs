//! `basicAuth` (RFC 7617): a name and a password, of lines of an htpasswd file.
//!
//! A password that was right is remembered, so that requests with it pass at once. Another one is looked at off
//! the worker, once for all requests that show it at the same time. Unknown users cost as much as known ones, and
//! a visitor who fails too often is refused before a password is checked.

mod log_ins;
mod md5_crypt;
mod sha_crypt;
mod verify;

pub(super) use log_ins::LogIns;

use super::brake::{self, throttled};
use super::state::State;
use super::{RequestView, StepAnswer, Stop, hash_pool, user};
use crate::error::Reason;
use crate::model::middleware::{BasicAuth, Credential, NamedStep, Step};
use crate::net::fields::Fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use log_ins::{Known, Token, Turn};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most bytes of a name and a password together: a longer password takes longer to hash.
const MOST_BYTES: usize = 1024;

/// When one may ask again who found the queue of passwords full.
const BUSY: Duration = Duration::from_secs(1);

/// Name and password of a request.
#[derive(Clone)]
struct Shown {
    text: Vec<u8>,
    colon: usize,
}

impl Shown {
    /// Reads them. `None` if they are not there, or could be read in two ways.
    fn read(headers: &impl Fields) -> Option<Self> {
        let mut all = headers.get_all(AUTHORIZATION);
        let (field, None) = (all.next()?.as_bytes(), all.next()) else { return None };
        let space = field.iter().position(|byte| *byte == b' ')?;
        let (scheme, rest) = field.split_at(space);
        // Four digits of base64 are three bytes.
        if !scheme.eq_ignore_ascii_case(b"basic") || rest.len() > MOST_BYTES / 3 * 4 + 4 {
            return None;
        }
        let text = STANDARD.decode(&rest[1..]).ok()?;
        let colon = text.iter().position(|byte| *byte == b':')?;
        Some(Self { text, colon })
    }

    fn user(&self) -> &[u8] {
        &self.text[..self.colon]
    }

    fn password(&self) -> &[u8] {
        &self.text[self.colon + 1..]
    }
}

/// Passes credentials that are known to be right, and refuses what can be refused at once.
pub(super) fn on_request(
    auth: &BasicAuth,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Stop> {
    let Some(shown) = Shown::read(request.request.headers()) else {
        return Err(refusal(auth).into());
    };
    let state = request.states.get(middleware);
    let State::BasicAuth(log_ins) = &*state else {
        return Err(StepAnswer::of(Reason::Internal).into());
    };
    let token = log_ins.token(shown.user(), shown.password());
    let (visitor, now) = (brake::visitor(request.origin.visitor_address()), Instant::now());
    let mut kept = log_ins.lock();
    match kept.known(&token, visitor, now) {
        Known::Right => {}
        Known::Refused(left) => return Err(throttled(left).into()),
        Known::Nothing => match candidate(auth, log_ins, &shown) {
            None => return Err(refusal(auth).into()),
            Some((credential, _)) if !verify::is_quick(&credential.hash) => return Err(Stop::Wait),
            Some((credential, is_theirs)) => {
                if !(verify::verify(&credential.hash, shown.password()) && is_theirs) {
                    kept.brake.count(visitor, now);
                    return Err(refusal(auth).into());
                }
                kept.remember(token, now);
            }
        },
    }
    drop(kept);
    pass(auth, request, &shown).map_err(Stop::StepAnswer)
}

/// Has a password looked at.
pub(super) async fn wait(
    auth: &BasicAuth,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Box<StepAnswer>> {
    let state = request.states.get(middleware);
    let (Some(shown), State::BasicAuth(log_ins)) =
        (Shown::read(request.request.headers()), &*state)
    else {
        return Err(Box::new(StepAnswer::of(Reason::Internal)));
    };
    let token = log_ins.token(shown.user(), shown.password());
    let visitor = brake::visitor(request.origin.visitor_address());
    let turn = log_ins.lock().wait(token, visitor, Instant::now());
    let (verdict, is_first) = match turn {
        Turn::Refused(left) => return Err(Box::new(throttled(left))),
        Turn::First(verdict) => {
            if look_at(middleware, Arc::clone(&state), &shown, token).is_err() {
                let mut kept = log_ins.lock();
                kept.give_up(&token);
                kept.brake.forgive(visitor);
                return Err(Box::new(throttled(BUSY)));
            }
            (verdict, true)
        }
        Turn::Shared(verdict) => (verdict, false),
    };
    // Nobody computes it any more where the first of them found the queue full.
    let Ok(is_right) = verdict.await else { return Err(Box::new(throttled(BUSY))) };
    settle(log_ins, visitor, is_right, is_first);
    if !is_right {
        return Err(Box::new(refusal(auth)));
    }
    pass(auth, request, &shown)
}

/// Counts an attempt, or takes back that it was counted.
fn settle(log_ins: &LogIns, visitor: IpAddr, is_right: bool, is_first: bool) {
    let mut kept = log_ins.lock();
    match (is_right, is_first) {
        (true, true) => kept.brake.forgive(visitor),
        (false, false) => kept.brake.count(visitor, Instant::now()),
        (true, false) | (false, true) => {}
    }
}

/// Gives a password to the threads for that.
fn look_at(
    middleware: &Arc<NamedStep>,
    state: Arc<State>,
    shown: &Shown,
    token: Token,
) -> Result<(), hash_pool::Busy> {
    let (middleware, shown, kept) = (Arc::clone(middleware), shown.clone(), Arc::clone(&state));
    let is_right = move || {
        let (Step::BasicAuth(auth), State::BasicAuth(log_ins)) = (&middleware.step, &*state) else {
            return false;
        };
        candidate(auth, log_ins, &shown).is_some_and(|(credential, is_theirs)| {
            verify::verify(&credential.hash, shown.password()) && is_theirs
        })
    };
    let tell = move |is_right| {
        if let State::BasicAuth(log_ins) = &*kept {
            log_ins.decide(token, is_right);
        }
    };
    hash_pool::submit(is_right, tell)
}

/// The line that a password is compared with, and whether it is the user's: an unknown user gets that of another,
/// so that both take as long. `None` without users.
fn candidate<'a>(
    auth: &'a BasicAuth,
    log_ins: &LogIns,
    shown: &Shown,
) -> Option<(&'a Credential, bool)> {
    let users = &auth.users;
    let found = users.binary_search_by(|one| one.user.as_bytes().cmp(shown.user()));
    match found {
        Ok(position) => users.get(position).map(|credential| (credential, true)),
        Err(_) => {
            // The same one for every password, as a known user has.
            let [first, second, ..] = log_ins.token(shown.user(), b"");
            let any = usize::from(u16::from_be_bytes([first, second])) % users.len().max(1);
            users.get(any).map(|credential| (credential, false))
        }
    }
}

fn pass(
    auth: &BasicAuth,
    request: &mut RequestView<'_>,
    shown: &Shown,
) -> Result<(), Box<StepAnswer>> {
    user::tell(request, shown.user(), auth.user_field.as_ref(), auth.remove_header)
        .map_err(|_| Box::new(refusal(auth)))
}

fn refusal(auth: &BasicAuth) -> StepAnswer {
    StepAnswer::of(Reason::Unauthorized).with(WWW_AUTHENTICATE, auth.challenge.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(fields: &[&str]) -> Option<(String, String)> {
        let mut headers = crate::net::fields::FieldMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_str(field).expect("a value"));
        }
        let shown = Shown::read(&headers)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Some((text(shown.user()), text(shown.password())))
    }

    #[test]
    fn credentials_are_read_in_one_way_or_not_at_all() {
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(read(&["Basic dTpw"]), both("u", "p"));
        assert_eq!(read(&["bAsIc dTpwOng="]), both("u", "p:x"));
        assert_eq!(read(&["Basic Og=="]), both("", ""));
        let long = format!("Basic {}", "dTpw".repeat(400));
        for refused in [
            &[][..],
            &["Basic"],
            &["Basic "],
            &["Basic  dTpw"],
            &["Basic dTpw "],
            &["Basic dTpwOng"],
            &["Basic dXA="],
            &["Bearer dTpw"],
            &["Basic dTpw", "Basic dTpw"],
            &[&long],
        ] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
    }
}
