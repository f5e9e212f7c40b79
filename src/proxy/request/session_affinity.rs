//! What a request says about its endpoint, and the cookie that names it.

use super::exchange::Exchange;
use crate::balance::{AffinityToken, Endpoint, Key, Strategy};
use crate::model::{Algorithm, CookieSettings, HashKey};
use crate::net::fields::Fields;
use http::{HeaderValue, header};
use std::fmt::{self, Write};
use std::net::IpAddr;

/// How the endpoint of a request is chosen.
pub(super) fn choose(
    algorithm: &Algorithm,
    exchange: &Exchange,
    headers: &impl Fields,
) -> Strategy {
    match algorithm {
        Algorithm::LeastLoad => Strategy::LeastLoad,
        Algorithm::RoundRobin => Strategy::RoundRobin,
        Algorithm::Hash(HashKey::Client) => Strategy::Key(Key::of_client(client(exchange))),
        Algorithm::Hash(HashKey::Header(name)) => match headers.get(&**name) {
            Some(value) => Strategy::Key(Key::of_value(value)),
            None => Strategy::LeastLoad,
        },
        Algorithm::Cookie(settings) => {
            token(headers, &settings.name).map_or(Strategy::LeastLoad, Strategy::AffinityToken)
        }
    }
}

/// The address that logs and forwarded fields have.
pub(super) fn client(exchange: &Exchange) -> IpAddr {
    let named = exchange.client.as_ref().and_then(|text| text.to_str().ok()?.parse().ok());
    named.unwrap_or_else(|| exchange.downstream().peer.ip())
}

/// The token in the cookie of this name, the first one that is valid (RFC 6265 section 4.2).
fn token(headers: &impl Fields, name: &str) -> Option<AffinityToken> {
    values(headers, name).find_map(AffinityToken::parse)
}

/// The values of the cookies of this name.
pub(super) fn values<'h>(
    headers: &'h impl Fields,
    name: &'h str,
) -> impl Iterator<Item = &'h [u8]> {
    let fields = headers.get_all(header::COOKIE);
    let pairs = fields.flat_map(|field| field.as_bytes().split(|&byte| byte == b';'));
    pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Adds the cookie to an answer of the pod, if there is to be one and it is news to the visitor.
pub(super) fn set_cookie(exchange: &Exchange, headers: &mut impl Fields) {
    let Some((table, id)) = exchange.route() else {
        return;
    };
    let chosen = exchange.passage.as_ref().and_then(|passage| passage.service.as_ref());
    for cookie in chosen.into_iter().flat_map(|chosen| &chosen.cookies) {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    let algorithm = match chosen {
        Some(chosen) => &chosen.backend.balancing.algorithm,
        None => table.algorithm(id),
    };
    let Algorithm::Cookie(settings) = algorithm else {
        return;
    };
    let Some(token) = exchange.endpoint().map(Endpoint::token) else {
        return;
    };
    if exchange.choice == Strategy::AffinityToken(token) {
        return;
    }
    // The settings have been looked at: nothing in them is no text of a field.
    if let Ok(value) = HeaderValue::try_from(cookie(settings, token, exchange.over_tls)) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// A value of `Set-Cookie` (RFC 6265 section 4.1).
pub(super) fn cookie(
    settings: &CookieSettings,
    token: impl fmt::Display,
    over_tls: bool,
) -> String {
    let CookieSettings { name, secure, http_only, same_site, max_age, path, domain } = settings;
    let mut text = format!("{name}={token}; Path={path}");
    if let Some(domain) = domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if let Some(seconds) = max_age {
        // Writing to a String cannot fail.
        let _ = write!(text, "; Max-Age={seconds}");
    }
    if *http_only {
        text.push_str("; HttpOnly");
    }
    if secure.unwrap_or(over_tls) {
        text.push_str("; Secure");
    }
    text.push_str("; SameSite=");
    text.push_str(same_site.as_str());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SameSite;
    use crate::net::fields::FieldMap;

    const TOKEN: &str = "00000000000000ab";

    fn found(fields: &[&[u8]]) -> Option<String> {
        let mut headers = FieldMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_bytes(field).expect("a value"));
        }
        token(&headers, "r").map(|token| token.to_string())
    }

    #[test]
    fn the_cookie_is_found_in_any_field_and_junk_is_passed_by() {
        let ours = format!("r={TOKEN}");
        let some = Some(TOKEN.to_owned());
        for fields in [
            &[ours.as_bytes()][..],
            &[b"a=b", ours.as_bytes()],
            &[format!("a=b; {ours}; c=d").as_bytes()],
            &[format!("a=b;{ours}").as_bytes()],
            &[format!("; ;;=;r;r=;rr={TOKEN};{ours};").as_bytes()],
            &[b"r=not-ours; x=\xff\xfe", ours.as_bytes()],
        ] {
            assert_eq!(found(fields), some, "{fields:?}");
        }
        assert_eq!(found(&[]), None);
        for field in [
            &b""[..],
            b"r",
            b"r=",
            format!("R={TOKEN}").as_bytes(),
            format!("x{ours}").as_bytes(),
            format!("r={TOKEN}0").as_bytes(),
            b"r=\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(found(&[field]), None, "{field:?}");
        }
    }

    #[test]
    fn a_cookie_has_the_attributes_that_are_asked_for() {
        let token = AffinityToken::parse(TOKEN.as_bytes()).expect("a token");
        let usual = CookieSettings::default();
        assert_eq!(
            cookie(&usual, token, true),
            "ravelin=00000000000000ab; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        assert_eq!(
            cookie(&usual, token, false),
            "ravelin=00000000000000ab; Path=/; HttpOnly; SameSite=Lax"
        );
        let other = CookieSettings {
            name: "s".into(),
            secure: Some(false),
            http_only: false,
            same_site: SameSite::Strict,
            max_age: Some(60),
            path: "/shop".into(),
            domain: Some("a.example".into()),
        };
        assert_eq!(
            cookie(&other, token, true),
            "s=00000000000000ab; Path=/shop; Domain=a.example; Max-Age=60; SameSite=Strict"
        );
    }
}
