//! Names of fields that claim to say who the client is, and how it came.

/// Whether a field, whoever sends it, says whom a request is from or how it was sent: `Forwarded`,
/// `X-Forwarded-*`, `X-Real-IP`, `CF-*` and what other proxies call the same. An underscore counts as
/// a hyphen, because CGI, WSGI and their kin cannot tell them apart. `name` is in lower case.
pub fn is_claim(name: &str) -> bool {
    let starts = |prefix: &str| {
        let unified = name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
        name.len() >= prefix.len() && unified.zip(prefix.bytes()).all(|(a, b)| a == b)
    };
    let is = |whole: &str| name.len() == whole.len() && starts(whole);
    // Asked for every field of every request: most are told by their first letter.
    match name.as_bytes().first() {
        Some(b'x') => {
            starts("x-forwarded-")
                || is("x-real-ip")
                || is("x-client-ip")
                || is("x-cluster-client-ip")
                || is("x-original-forwarded-for")
        }
        Some(b'c') => starts("cf-") || is("client-ip"),
        Some(b'f') => is("forwarded") || is("forwarded-for"),
        Some(b't') => is("true-client-ip"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_known_in_every_spelling() {
        for name in [
            "cf-connecting-ip",
            "cf_connecting_ip",
            "cf-connecting_ip",
            "cf-worker",
            "client-ip",
            "forwarded",
            "true_client_ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-forwarded-for",
            "x-forwarded_for",
            "x_forwarded_host",
            "x-forwarded-anything",
            "x-original-forwarded-for",
            "x-real_ip",
        ] {
            assert!(is_claim(name), "{name}");
        }
        for name in ["cookie", "cdn-loop", "cf", "x-forwarded", "x-request-id", "te", "", "client"]
        {
            assert!(!is_claim(name), "{name}");
        }
    }
}
