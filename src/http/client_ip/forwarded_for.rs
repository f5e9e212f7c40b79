//! `X-Forwarded-For` from proxies of ours: the right-most address that is none of theirs.
//!
//! Each proxy appends the peer that it saw. So the right-most entry was written by the proxy before
//! us; an entry further left is trusted only if the one to its right is a trusted proxy, too.

use super::address;
use crate::net::fields::Fields;
use crate::net::trust::TrustedSources;
use crate::telemetry::Unnamed;
use http::HeaderName;
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client behind the proxy `peer`: an address that the proxy nearest to it vouches for. The
/// error has the last hop that is proven instead.
///
/// Cloudflare's address counts as a client here; what it says is for the caller to read. Each entry
/// is looked at once, and none behind the first that is not a proxy of ours.
pub(super) fn client(
    headers: &impl Fields,
    peer: IpAddr,
    believed: &TrustedSources,
) -> Result<IpAddr, (IpAddr, Unnamed)> {
    let mut hop = peer;
    let mut any = false;
    for value in headers.get_all(&X_FORWARDED_FOR).rev() {
        for entry in value.as_bytes().rsplit(|&byte| byte == b',') {
            let entry = entry.trim_ascii();
            // An empty list element says nothing (RFC 9110 section 5.6.1.2).
            if entry.is_empty() {
                continue;
            }
            any = true;
            hop = node(entry).ok_or((hop, Unnamed::Unreadable))?;
            if !believed.is_proxy(hop) {
                return Ok(hop);
            }
        }
    }
    // Proxies all the way: the first of them made the request itself.
    if any { Ok(hop) } else { Err((peer, Unnamed::Absent)) }
}

/// An address, optionally with a port as some load balancers write it: `192.0.2.1:80`, `[2001:db8::1]:80`.
fn node(entry: &[u8]) -> Option<IpAddr> {
    if let Some(ip) = address(entry) {
        return Some(ip);
    }
    let (host, port) = match entry.strip_prefix(b"[") {
        Some(rest) => {
            let (host, after) = rest.split_at(rest.iter().position(|&byte| byte == b']')?);
            // Brackets are for IPv6 (RFC 3986 section 3.2.2).
            if !host.contains(&b':') {
                return None;
            }
            (host, &after[1..])
        }
        None => entry.split_at(entry.iter().position(|&byte| byte == b':')?),
    };
    let is_port = match port {
        b"" => true,
        [b':', digits @ ..] => {
            (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    if is_port { address(host) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::addr::AddrRanges;
    use crate::net::fields::FieldMap;
    use http::HeaderValue;
    use ipnet::IpNet;

    fn set(nets: &[&str]) -> AddrRanges {
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().expect("literal")).collect();
        AddrRanges::new(&nets)
    }

    fn read(fields: &[&str]) -> Result<String, (String, Unnamed)> {
        let mut headers = FieldMap::new();
        for value in fields {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(value).expect("a value"));
        }
        let believed =
            TrustedSources::new(set(&["104.16.0.0/13"]), set(&["10.0.0.0/8", "fd00::/8"]));
        let peer = "10.0.0.1".parse().expect("literal");
        client(&headers, peer, &believed)
            .map(|ip| ip.to_string())
            .map_err(|(ip, unnamed)| (ip.to_string(), unnamed))
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        for (fields, expected) in [
            (vec!["192.0.2.1"], "192.0.2.1"),
            (vec!["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (vec!["6.6.6.6, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (vec!["6.6.6.6", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (vec!["6.6.6.6,192.0.2.1 ,\t10.0.0.2,,"], "192.0.2.1"),
            (vec!["192.0.2.1, fd00::2"], "192.0.2.1"),
            (vec!["192.0.2.1:4711"], "192.0.2.1"),
            (vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            (vec!["[2001:db8::1]"], "2001:db8::1"),
            (vec!["2001:db8::1"], "2001:db8::1"),
            (vec!["::ffff:192.0.2.1"], "192.0.2.1"),
            (vec!["6.6.6.6, 104.16.0.1"], "104.16.0.1"),
            // The proxies made the request themselves.
            (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // The rest of the client's bytes is not read.
            (vec!["garbage, 192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(read(&fields), Ok(expected.to_owned()), "{fields:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_leaves_the_last_hop_that_is_proven() {
        for (fields, expected, cause) in [
            (vec![], "10.0.0.1", Unnamed::Absent),
            (vec![" , "], "10.0.0.1", Unnamed::Absent),
            (vec!["unknown"], "10.0.0.1", Unnamed::Unreadable),
            (vec!["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2", Unnamed::Unreadable),
            (vec!["192.0.2.1:x"], "10.0.0.1", Unnamed::Unreadable),
            (vec!["192.0.2.1:"], "10.0.0.1", Unnamed::Unreadable),
            (vec!["[192.0.2.1]"], "10.0.0.1", Unnamed::Unreadable),
            (vec!["[2001:db8::1"], "10.0.0.1", Unnamed::Unreadable),
            (vec!["192.0.2.1;192.0.2.2"], "10.0.0.1", Unnamed::Unreadable),
            (vec!["01.2.3.4"], "10.0.0.1", Unnamed::Unreadable),
        ] {
            assert_eq!(read(&fields), Err((expected.to_owned(), cause)), "{fields:?}");
        }
    }
}
