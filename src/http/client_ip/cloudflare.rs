//! What Cloudflare says of the visitor.

use super::{address, single, text};
use crate::net::fields::Fields;
use crate::telemetry::Unnamed;
use http::{HeaderName, HeaderValue};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const CF_CONNECTING_IPV6: HeaderName = HeaderName::from_static("cf-connecting-ipv6");

/// The visitor's address, and its text.
pub(super) fn visitor(headers: &impl Fields) -> Result<(IpAddr, HeaderValue), Unnamed> {
    let value = single(headers, &CF_CONNECTING_IP)?.ok_or(Unnamed::Absent)?;
    let ip = address(value.as_bytes()).ok_or(Unnamed::Unreadable)?;
    if let IpAddr::V4(v4) = ip
        && is_pseudo(v4)
        && let Some(real) = single(headers, &CF_CONNECTING_IPV6)?
    {
        return match address(real.as_bytes()) {
            Some(ip @ IpAddr::V6(_)) if is_public(ip) => Ok((ip, canonical(real, ip))),
            Some(_) => Err(Unnamed::NotPublic),
            None => Err(Unnamed::Unreadable),
        };
    }
    if is_public(ip) { Ok((ip, canonical(value, ip))) } else { Err(Unnamed::NotPublic) }
}

/// The value itself if it is written as we would write it, which it nearly always is: then nothing
/// is allocated.
fn canonical(value: &HeaderValue, ip: IpAddr) -> HeaderValue {
    match ip {
        // The parser takes no leading zeros, so that IPv4 has one form; unless it was mapped.
        IpAddr::V4(_) if !value.as_bytes().contains(&b':') => value.clone(),
        _ => {
            let written = text(ip);
            if written == *value { value.clone() } else { written }
        }
    }
}

/// 240.0.0.0/4: where Pseudo IPv4 puts visitors that have IPv6 (Cloudflare documentation, "Pseudo
/// IPv4"). Nobody has such an address on the Internet.
fn is_pseudo(ip: Ipv4Addr) -> bool {
    ip.octets()[0] >= 240 && !ip.is_broadcast()
}

/// Whether a visitor may have this address. A Worker can write what it likes for its own zone, and
/// the zone may be anybody's: what means something inside of a cluster must not come that way. A
/// pseudo address without its IPv6 is let through, as the only name that this visitor has.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(a == 0
                || shared
                || ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast())
        }
        IpAddr::V6(ip) => {
            !(ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || is_v4_in_v6(ip))
        }
    }
}

/// `::a.b.c.d`, the deprecated form (RFC 4291 section 2.5.5.1), which some take for IPv4.
fn is_v4_in_v6(ip: Ipv6Addr) -> bool {
    ip.segments()[..6] == [0; 6]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;

    fn read(fields: &[(&'static str, &str)]) -> Result<String, Unnamed> {
        let mut headers = FieldMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).expect("a value");
            headers.append(HeaderName::from_static(name), value);
        }
        visitor(&headers).map(|(ip, text)| {
            assert_eq!(ip.to_string().as_bytes(), text.as_bytes());
            ip.to_string()
        })
    }

    #[test]
    fn each_form_of_the_field_is_decided() {
        const IP: &str = "cf-connecting-ip";
        const V6: &str = "cf-connecting-ipv6";
        let worker = "2a06:98c0:3600::103";
        for (fields, expected) in [
            (vec![(IP, "203.0.113.7")], Ok("203.0.113.7")),
            (vec![(IP, "2001:db8::7")], Ok("2001:db8::7")),
            (vec![(IP, "2001:DB8:0:0::7")], Ok("2001:db8::7")),
            (vec![(IP, "::ffff:203.0.113.7")], Ok("203.0.113.7")),
            (vec![(IP, worker)], Ok(worker)),
            (vec![(IP, "245.1.2.3"), (V6, "2001:db8::9")], Ok("2001:db8::9")),
            (vec![(IP, "245.1.2.3")], Ok("245.1.2.3")),
            (vec![(IP, "245.1.2.3"), (V6, "203.0.113.7")], Err(Unnamed::NotPublic)),
            (vec![(IP, "245.1.2.3"), (V6, "x")], Err(Unnamed::Unreadable)),
            (vec![(IP, "245.1.2.3"), (V6, "2001:db8::1"), (V6, "::2")], Err(Unnamed::Repeated)),
            // Without Pseudo IPv4 the second field is no authority.
            (vec![(IP, "203.0.113.7"), (V6, "2001:db8::9")], Ok("203.0.113.7")),
            (vec![], Err(Unnamed::Absent)),
            (vec![(V6, "2001:db8::9")], Err(Unnamed::Absent)),
            (vec![(IP, "203.0.113.7"), (IP, "203.0.113.7")], Err(Unnamed::Repeated)),
            (vec![(IP, "203.0.113.7, 203.0.113.8")], Err(Unnamed::Unreadable)),
            (vec![(IP, "203.0.113.7:80")], Err(Unnamed::Unreadable)),
            (vec![(IP, " 203.0.113.7")], Err(Unnamed::Unreadable)),
            (vec![(IP, "[2001:db8::7]")], Err(Unnamed::Unreadable)),
            (vec![(IP, "fe80::1%eth0")], Err(Unnamed::Unreadable)),
            (vec![(IP, "0203.0.113.7")], Err(Unnamed::Unreadable)),
            (vec![(IP, "3405803783")], Err(Unnamed::Unreadable)),
            (vec![(IP, "")], Err(Unnamed::Unreadable)),
            (vec![(IP, "unknown")], Err(Unnamed::Unreadable)),
        ] {
            assert_eq!(read(&fields), expected.map(str::to_owned), "{fields:?}");
        }
    }

    #[test]
    fn what_means_something_inside_a_cluster_cannot_be_a_visitor() {
        for ip in [
            "0.0.0.0",
            "10.42.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert_eq!(read(&[("cf-connecting-ip", ip)]), Err(Unnamed::NotPublic), "{ip}");
        }
    }

    #[test]
    fn the_text_shares_the_memory_of_the_field() {
        let mut headers = FieldMap::new();
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from("203.0.113.7".to_owned()));
        headers.set(CF_CONNECTING_IP, value.expect("a value"));
        let (_, text) = visitor(&headers).expect("an address");
        assert_eq!(text.as_bytes().as_ptr(), headers[CF_CONNECTING_IP].as_bytes().as_ptr());
    }
}
