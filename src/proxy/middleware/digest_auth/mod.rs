//! `digestAuth` (RFC 7616, MD5 with `qop=auth`): a name and the digest of a password.
//!
//! The digest is looked at first: a nonce that is over, or was never ours, is `stale` only for who has the right
//! password. Unknown users cost as much as known ones, and a visitor who is wrong too often is refused before a
//! digest is looked at, as by `basicAuth`.

mod nonces;
mod shown;

pub(super) use nonces::Nonces;

use super::brake::{self, Standing, throttled};
use super::state::State;
use super::{RequestView, StepAnswer, Stop, user};
use crate::error::Reason;
use crate::model::middleware::{DigestAuth, NamedStep};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method};
use md5::{Digest, Md5};
use shown::Shown;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;
use subtle::ConstantTimeEq;

/// Passes who has logged in, and challenges others.
pub(super) fn on_request(
    auth: &DigestAuth,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Stop> {
    let state = request.states.get(middleware);
    let State::DigestAuth(nonces) = &*state else {
        return Err(StepAnswer::of(Reason::Internal).into());
    };
    let now = Instant::now();
    let refused = |is_stale| Stop::from(refusal(auth, nonces, now, is_stale));
    let shown = Shown::read(request.request.headers()).ok_or_else(|| refused(false))?;
    // The digest is one of the target as the client wrote it.
    let written = request.origin.target.written();
    if shown.realm != auth.realm.as_bytes() || shown.uri != written.as_bytes() {
        return Err(refused(false));
    }
    let nonce = nonces.read(&shown.nonce);
    let visitor = brake::visitor(request.origin.visitor_address());
    {
        let mut kept = nonces.lock();
        match kept.brake.standing(visitor, now) {
            Standing::Free => {}
            // Who has logged in stays so.
            Standing::Braked(_) if nonce.is_some_and(|nonce| kept.knows(nonce)) => {}
            Standing::Braked(left) => {
                kept.brake.count(visitor, now);
                return Err(throttled(left).into());
            }
            Standing::Blocked(left) => return Err(throttled(left).into()),
        }
    }
    if !is_right(auth, &shown, request.request.method()) {
        nonces.lock().brake.count(visitor, now);
        return Err(refused(false));
    }
    if !nonce.is_some_and(|nonce| nonces.take(nonce, shown.count, now)) {
        return Err(refused(true));
    }
    user::tell(request, &shown.user, auth.user_field.as_ref(), auth.remove_header)
        .map_err(|_| refused(false))
}

/// Whether the digest is that of the user's password, for this request (RFC 7616 section 3.4.1).
fn is_right(auth: &DigestAuth, shown: &Shown, method: &Method) -> bool {
    let found = auth.users.binary_search_by(|one| one.user.as_bytes().cmp(&shown.user));
    // An unknown user gets the line of another, so that both take as long.
    let Some(user) = auth.users.get(found.unwrap_or(0)) else { return false };
    let request = digest(&[method.as_str().as_bytes(), &shown.uri]);
    let right = digest(&[
        user.hash.as_bytes(),
        &shown.nonce,
        &shown.count_text,
        &shown.client_nonce,
        b"auth",
        request.as_bytes(),
    ]);
    let is_same: bool = right.as_bytes().ct_eq(&shown.response).into();
    is_same && found.is_ok()
}

/// MD5 of texts with colons between them, in hexadecimal digits.
fn digest(parts: &[&[u8]]) -> String {
    let mut md5 = Md5::new();
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            md5.update(b":");
        }
        md5.update(part);
    }
    let mut text = String::with_capacity(32);
    for byte in md5.finalize() {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn refusal(auth: &DigestAuth, nonces: &Nonces, now: Instant, is_stale: bool) -> StepAnswer {
    let mut challenge = format!(
        "Digest realm=\"{}\", nonce=\"{}\", opaque=\"{}\", algorithm=\"MD5\", qop=\"auth\"",
        auth.realm,
        nonces.issue(now),
        nonces.opaque(),
    );
    if is_stale {
        challenge.push_str(", stale=true");
    }
    let answer = StepAnswer::of(Reason::Unauthorized);
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => answer.with(WWW_AUTHENTICATE, challenge),
        // A realm that is no text of a field was refused when it was read.
        Err(_) => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::DigestUser;

    /// RFC 7616 section 3.9.1, with MD5.
    #[test]
    fn the_example_of_the_rfc_is_right_and_nothing_else() {
        let hash = digest(&[b"Mufasa", b"http-auth@example.org", b"Circle of Life"]);
        let auth = |user: &str| DigestAuth {
            users: vec![DigestUser { user: user.into(), hash: hash.clone().into() }],
            realm: "http-auth@example.org".into(),
            user_field: None,
            remove_header: false,
        };
        let shown = |response: &[u8]| Shown {
            user: b"Mufasa".to_vec(),
            realm: b"http-auth@example.org".to_vec(),
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".to_vec(),
            uri: b"/dir/index.html".to_vec(),
            response: response.to_vec(),
            count_text: b"00000001".to_vec(),
            count: 1,
            client_nonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_vec(),
        };
        let response = b"8ca523f5e9506fed4657c9700eebdbec";
        assert!(is_right(&auth("Mufasa"), &shown(response), &Method::GET));
        assert!(!is_right(&auth("Mufasa"), &shown(response), &Method::HEAD));
        assert!(!is_right(&auth("Simba"), &shown(response), &Method::GET));
        assert!(!is_right(&auth("Mufasa"), &shown(b""), &Method::GET));
        let nobody = DigestAuth { users: Vec::new(), ..auth("Mufasa") };
        assert!(!is_right(&nobody, &shown(response), &Method::GET));
    }
}
