//! Addresses that are not what they should be: the one list of special space.
//!
//! Source: the IANA registries of special-purpose addresses, IPv4 and IPv6 (RFC 6890, RFC 8190,
//! as of 2025-05), the multicast blocks, and for IPv6 everything beside `2000::/3`, the only block
//! from which global unicast addresses are given out (RFC 4291 section 2.4, IANA).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block and what it is for.
pub type Block = (IpNet, &'static str);

/// Addresses that no pod, node or other server can have: the host itself (all of `0.0.0.0/8` reaches
/// it, RFC 1122 section 3.2.1.3), its link (node and cloud metadata services are there), and groups. A
/// kubelet refuses the like as its own (`validateNodeIP` in pkg/kubelet). Of two that overlap the
/// narrower one comes first.
const NOBODYS: [Block; 10] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128)), "unspecified"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)), "loopback"),
    // IPv4 in IPv6, the mapped form as well. Not the rest of `::/8`: NAT64 (RFC 6052) is a way to servers.
    (v6(0, 0, 16), "reserved"),
    (v6(0xfe80, 0, 10), "link-local"),
    (v6(0xff00, 0, 8), "multicast"),
];

/// Other addresses that are not public.
const NOT_GLOBAL: [Block; 27] = [
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 31, 196, 0, 24), "AS112"),
    (v4(192, 52, 193, 0, 24), "multicast relays"),
    (v4(192, 88, 99, 0, 24), "6to4 relays"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(192, 175, 48, 0, 24), "AS112"),
    (v4(198, 18, 0, 0, 15), "benchmarks"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(240, 0, 0, 0, 4), "reserved"),
    (v6(0, 0, 8), "reserved"),
    (v6(0x100, 0, 64), "discarded"),
    (v6(0x2001, 0, 23), "protocol assignments, Teredo"),
    (v6(0x2001, 0xdb8, 32), "documentation"),
    (v6(0x2002, 0, 16), "6to4"),
    (
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48)),
        "AS112",
    ),
    (v6(0x3fff, 0, 20), "documentation"),
    (v6(0x5f00, 0, 16), "segment routing"),
    (v6(0xfc00, 0, 7), "private (ULA)"),
    (v6(0xfec0, 0, 10), "site-local"),
    (v6(0, 0, 3), "not given out"),
    (v6(0x4000, 0, 2), "not given out"),
    (v6(0x8000, 0, 1), "not given out"),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(a: u16, b: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length))
}

/// The special purpose of an address that no pod and no remote server can have: `unspecified`, `loopback`,
/// `multicast`, `link-local`, `broadcast`, or `reserved` for IPv4 in IPv6. The mapped form counts as its
/// IPv4 address.
pub fn special(ip: IpAddr) -> Option<&'static str> {
    let ip = ip.to_canonical();
    NOBODYS.iter().find(|(block, _)| block.contains(&ip)).map(|(_, word)| *word)
}

/// The same for a network: one such address in it is enough.
pub fn special_net(net: &IpNet) -> Option<&'static str> {
    NOBODYS.iter().find(|(block, _)| meet(block, net)).map(|(_, word)| *word)
}

/// The first reserved block that overlaps the network, and its purpose.
pub fn reserved(net: &IpNet) -> Option<Block> {
    NOBODYS.into_iter().chain(NOT_GLOBAL).find(|(block, _)| meet(block, net))
}

/// Of two networks that overlap one holds the other.
fn meet(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_judged_as_the_network_of_it_alone() {
        for (ip, expected) in [
            ("127.0.0.1", Some("loopback")),
            ("127.9.9.9", Some("loopback")),
            ("0.0.0.0", Some("unspecified")),
            ("0.1.2.3", Some("unspecified")),
            ("169.254.169.254", Some("link-local")),
            ("224.0.0.1", Some("multicast")),
            ("255.255.255.255", Some("broadcast")),
            ("::1", Some("loopback")),
            ("::", Some("unspecified")),
            ("::127.0.0.1", Some("reserved")),
            ("fe80::1", Some("link-local")),
            ("ff02::1", Some("multicast")),
            ("192.0.2.1", None),
            ("10.1.2.3", None),
            ("2001:db8::1", None),
            ("fd00::1", None),
            ("64:ff9b::c000:201", None),
        ] {
            let ip: IpAddr = ip.parse().expect("an address");
            assert_eq!(special(ip), expected, "{ip}");
            assert_eq!(special_net(&IpNet::from(ip)), expected, "{ip}");
            assert!(reserved(&IpNet::from(ip)).is_some(), "no list of the Internet has {ip}");
        }
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().expect("an address");
        assert_eq!(special(mapped), Some("loopback"));
    }

    #[test]
    fn special_space_is_found_from_within_and_from_around() {
        for (net, what) in [
            ("10.1.0.0/16", Some("private")),
            ("8.0.0.0/5", Some("private")),
            ("192.168.0.0/15", Some("private")),
            ("127.0.0.1/32", Some("loopback")),
            ("0.0.0.0/1", Some("unspecified")),
            ("100.100.0.0/16", Some("carrier-grade NAT")),
            ("255.255.255.255/32", Some("broadcast")),
            ("250.0.0.0/8", Some("reserved")),
            ("224.0.0.251/32", Some("multicast")),
            ("::1/128", Some("loopback")),
            ("::ffff:104.16.0.0/109", Some("reserved")),
            ("64:ff9b::/96", Some("reserved")),
            ("2001:db8:1::/48", Some("documentation")),
            ("2000::/3", Some("protocol assignments, Teredo")),
            ("2002:6810::/32", Some("6to4")),
            ("fd00::/8", Some("private (ULA)")),
            ("fe80::1/128", Some("link-local")),
            ("ff02::1/128", Some("multicast")),
            ("e000::/8", Some("not given out")),
            ("172.64.0.0/13", None),
            ("2a06:98c0::/29", None),
        ] {
            let net: IpNet = net.parse().expect("literal");
            assert_eq!(reserved(&net).map(|(_, what)| what), what, "{net}");
        }
    }
}
