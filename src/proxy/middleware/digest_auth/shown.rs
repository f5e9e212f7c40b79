//! The credentials of a request (RFC 7616 section 3.4).

use crate::net::fields::Fields;
use http::header::AUTHORIZATION;

/// The most bytes of the field: the target is in it.
const MOST_BYTES: usize = 16 * 1024;

/// The parameters that count. Each was there once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) user: Vec<u8>,
    pub(super) realm: Vec<u8>,
    pub(super) nonce: Vec<u8>,
    pub(super) uri: Vec<u8>,
    pub(super) response: Vec<u8>,
    /// `nc` as it was written: eight hexadecimal digits.
    pub(super) count_text: Vec<u8>,
    pub(super) count: u32,
    pub(super) client_nonce: Vec<u8>,
}

impl Shown {
    /// Reads them. `None` if they are not there, could be read in two ways, or are for another algorithm or quality
    /// of protection than MD5 and `auth`.
    pub(super) fn read(headers: &impl Fields) -> Option<Self> {
        let mut all = headers.get_all(AUTHORIZATION);
        let (field, None) = (all.next()?.as_bytes(), all.next()) else { return None };
        let (scheme, rest) = field.split_at(field.iter().position(|byte| *byte == b' ')?);
        if !scheme.eq_ignore_ascii_case(b"digest") || field.len() > MOST_BYTES {
            return None;
        }
        let mut parameters = parameters(rest)?;
        let mut take = |name: &str| {
            let position = parameters.iter().position(|(one, _)| one.eq_ignore_ascii_case(name))?;
            Some(parameters.swap_remove(position).1)
        };
        let shown = Self {
            user: take("username")?,
            realm: take("realm")?,
            nonce: take("nonce")?,
            uri: take("uri")?,
            response: take("response")?,
            count: 0,
            count_text: take("nc")?,
            client_nonce: take("cnonce")?,
        };
        let is = |value: Option<Vec<u8>>, right: &str| {
            value.map(|value| value.eq_ignore_ascii_case(right.as_bytes()))
        };
        let is_ours = is(take("qop"), "auth")? && is(take("algorithm"), "MD5").unwrap_or(true);
        let digits = str::from_utf8(&shown.count_text).ok()?;
        let is_count = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let count = u32::from_str_radix(digits, 16).ok()?;
        (is_ours && is_count).then_some(Self { count, ..shown })
    }
}

/// Names and values of a list of parameters (RFC 9110 section 5.6.6 and 11.4). `None` if it is none, or has a name
/// twice.
fn parameters(mut rest: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(all);
        }
        let (name, behind) = rest.split_at(rest.iter().position(|byte| *byte == b'=')?);
        let name = str::from_utf8(name.trim_ascii_end()).ok().filter(|name| is_token(name))?;
        let (value, behind) = value(behind[1..].trim_ascii_start())?;
        if all.iter().any(|(one, _)| one.eq_ignore_ascii_case(name)) {
            return None;
        }
        all.push((name.to_owned(), value));
        rest = behind.trim_ascii_start();
        match rest.split_first() {
            None => return Some(all),
            Some((b',', behind)) => rest = behind,
            Some(_) => return None,
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A token or a quoted string, and what is behind it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| matches!(byte, b',' | b' ' | b'\t' | b'"'));
        let (token, behind) = text.split_at(end.unwrap_or(text.len()));
        return (!token.is_empty()).then(|| (token.to_vec(), behind));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &quoted[position + 1..])),
            b'\\' => value.push(*bytes.next()?.1),
            other => value.push(*other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;
    use http::HeaderValue;

    fn read(fields: &[&str]) -> Option<Shown> {
        let mut headers = FieldMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_str(field).expect("a value"));
        }
        Shown::read(&headers)
    }

    const GOOD: &str = "Digest username=\"a\\\"b\", realm=\"r, r\",nonce = \"n==\", uri=\"/x?y=1\" , \
                        response=\"0f\", qop=auth, nc=0000000A, cnonce=\"c\", algorithm=MD5, \
                        opaque=\"o\"";

    #[test]
    fn credentials_are_read_in_one_way_or_not_at_all() {
        let shown = read(&[GOOD]).expect("credentials");
        assert_eq!(shown.user, b"a\"b");
        assert_eq!((&*shown.realm, &*shown.nonce), (&b"r, r"[..], &b"n=="[..]));
        assert_eq!((&*shown.uri, &*shown.response), (&b"/x?y=1"[..], &b"0f"[..]));
        assert_eq!(
            (shown.count, &*shown.count_text, &*shown.client_nonce),
            (10, &b"0000000A"[..], &b"c"[..])
        );
        assert!(
            read(&[&GOOD.replace(", algorithm=MD5", "").replace("Digest", "dIGEST")]).is_some()
        );
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[GOOD, GOOD]), None);
        for (from, to) in [
            ("Digest ", "Basic "),
            ("Digest ", "Digest"),
            ("algorithm=MD5", "algorithm=SHA-256"),
            ("algorithm=MD5", "algorithm=MD5-sess"),
            ("qop=auth", "qop=auth-int"),
            ("qop=auth, ", ""),
            ("nc=0000000A", "nc=A"),
            ("nc=0000000A", "nc=+000000A"),
            ("nc=0000000A", "nc=00000000A"),
            ("cnonce=\"c\", ", ""),
            ("uri=\"/x?y=1\" ", "uri=\"/x?y=1\" x"),
            ("opaque=\"o\"", "opaque=\"o"),
            ("opaque=\"o\"", "opaque=\"o\\"),
            ("opaque=\"o\"", "NC=00000001"),
            ("opaque=\"o\"", "opaque"),
            ("username=", "username*="),
        ] {
            assert_eq!(read(&[&GOOD.replacen(from, to, 1)]), None, "{from} -> {to}");
        }
    }
}
