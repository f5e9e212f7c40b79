//! `Host` as name and port.

/// Name and port of a `Host`, as `net.SplitHostPort` of Go has them: without the brackets of IPv6. `None` for the
/// port where there is none; the name is everything then.
pub(in crate::telemetry) fn split(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(colon) = host.iter().rposition(|&byte| byte == b':') else {
        return (host, None);
    };
    let (name, port) = (&host[..colon], &host[colon + 1..]);
    if let Some(inside) = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        return (inside, Some(port));
    }
    // An address without brackets, or brackets without a port.
    if name.contains(&b':') || name.contains(&b'[') { (host, None) } else { (name, Some(port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_split_as_go_does() {
        for (host, name, port) in [
            ("a.example", "a.example", None),
            ("a.example:81", "a.example", Some("81")),
            ("a.example:", "a.example", Some("")),
            ("[2001:db8::1]:81", "2001:db8::1", Some("81")),
            ("[2001:db8::1]", "[2001:db8::1]", None),
            ("2001:db8::1", "2001:db8::1", None),
            ("", "", None),
        ] {
            assert_eq!(split(host.as_bytes()), (name.as_bytes(), port.map(str::as_bytes)));
        }
    }
}
