//! Fields that a step gives pods, and which a client must not be able to give them.

use crate::net::fields::Fields;
use http::HeaderName;

/// Removes a field, and every field that CGI, WSGI and their kin cannot tell from it, as they make a hyphen of
/// whatever is neither letter nor digit (RFC 3875 section 4.1.18): `X_Auth_User` beside `X-Auth-User`.
pub(super) fn remove(headers: &mut impl Fields, name: &HeaderName) {
    headers.remove(name);
    remove_if(headers, |other| is_twin(other, name.as_str()));
}

/// Removes the fields whose names match, with a hyphen for whatever is neither letter nor digit.
pub(super) fn remove_matching(headers: &mut impl Fields, matches: impl Fn(&str) -> bool) {
    remove_if(headers, |name| {
        matches(&name.replace(|one: char| !one.is_ascii_alphanumeric(), "-"))
    });
}

fn remove_if(headers: &mut impl Fields, is_due: impl Fn(&str) -> bool) {
    let due: Vec<HeaderName> = headers
        .iter()
        .map(|(name, _)| name)
        .filter(|name| is_due(name.as_str()))
        .cloned()
        .collect();
    for name in due {
        headers.remove(name);
    }
}

fn is_twin(one: &str, other: &str) -> bool {
    let normal = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    one.len() == other.len() && one.bytes().map(normal).eq(other.bytes().map(normal))
}

/// A name as Go writes it, for expressions that were written for that: `X-Auth-User`.
pub(super) fn canonical(name: &str) -> String {
    let mut is_first = true;
    let letter = |one: char| {
        let written = if is_first { one.to_ascii_uppercase() } else { one.to_ascii_lowercase() };
        is_first = one == '-';
        written
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn twins_go_with_their_field_and_others_stay() {
        let mut headers = crate::net::fields::FieldMap::new();
        for name in ["x-auth-user", "x_auth_user", "x-auth_user", "x-auth-users", "x.auth.user"] {
            headers.set(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        remove(&mut headers, &HeaderName::from_static("x-auth-user"));
        let left: Vec<&str> = headers.names().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-auth-users"]);
        assert_eq!(canonical("x-auth-user"), "X-Auth-User");
    }
}
