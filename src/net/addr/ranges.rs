//! A set of addresses as sorted ranges: what the kernel's filter is compiled from, and what user
//! space searches.

use ipnet::IpNet;
use std::net::IpAddr;

/// Addresses as ranges that neither overlap nor touch, sorted, IPv4 and IPv6 apart.
///
/// An IPv4 address has one form here: networks and addresses in the mapped form
/// (`::ffff:192.0.2.0/120`, RFC 4291 section 2.5.5.2) are taken as IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddrRanges {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

/// Prefix length of `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

impl AddrRanges {
    /// The addresses of these networks. Host bits behind a prefix count for nothing.
    pub fn new<'n>(nets: impl IntoIterator<Item = &'n IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match (net.network(), net.broadcast()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.into(), last.into())),
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                        (Some(first), Some(last)) if net.prefix_len() >= MAPPED_PREFIX => {
                            v4.push((first.into(), last.into()));
                        }
                        _ => v6.push((first.into(), last.into())),
                    }
                }
                _ => {}
            }
        }
        Self { v4: merged(v4).into(), v6: merged(v6).into() }
    }

    /// Every address of both families.
    pub fn everybody() -> Self {
        Self { v4: [(0, u32::MAX)].into(), v6: [(0, u128::MAX)].into() }
    }

    /// Whether the address is in the set. One binary search.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => within(&self.v4, ip.into()),
            IpAddr::V6(ip) => within(&self.v6, ip.into()),
        }
    }

    /// The addresses that are in one of the two sets at least.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            v4: merged([&*self.v4, &*other.v4].concat()).into(),
            v6: merged([&*self.v6, &*other.v6].concat()).into(),
        }
    }

    /// The addresses of this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { v4: without(&self.v4, &other.v4).into(), v6: without(&self.v6, &other.v6).into() }
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The IPv4 ranges, first and last address of each, sorted.
    pub fn v4(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 ranges, likewise.
    pub fn v6(&self) -> &[(u128, u128)] {
        &self.v6
    }
}

/// Arithmetic that the numbers of both address families share.
trait Bits: Copy + Ord {
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

impl Bits for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Bits for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

/// Sorts ranges, and joins those that overlap or touch.
fn merged<T: Bits>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if before.1.next().is_none_or(|next| first <= next) => {
                before.1 = before.1.max(last);
            }
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Cuts `holes` out of `ranges`. Both are sorted and without overlaps.
fn without<T: Bits>(ranges: &[(T, T)], holes: &[(T, T)]) -> Vec<(T, T)> {
    let mut left = Vec::new();
    for &(first, last) in ranges {
        let mut from = Some(first);
        let begin = holes.partition_point(|hole| hole.1 < first);
        for &(hole_first, hole_last) in holes[begin..].iter().take_while(|hole| hole.0 <= last) {
            if let (Some(from), Some(end)) = (from, hole_first.previous())
                && from <= end
            {
                left.push((from, end));
            }
            from = hole_last.next();
        }
        if let Some(from) = from.filter(|&from| from <= last) {
            left.push((from, last));
        }
    }
    left
}

fn within<T: Bits>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= value);
    after.checked_sub(1).is_some_and(|position| value <= ranges[position].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("literal")
    }

    /// Networks near each other, so that they meet.
    fn nets() -> impl Strategy<Value = Vec<IpNet>> {
        let v4 = (0u32..1 << 10, 22u8..=32)
            .prop_map(|(bits, len)| IpNet::V4(Ipv4Net::new_assert(bits.into(), len).trunc()));
        let v6 = (0u128..1 << 10, 118u8..=128)
            .prop_map(|(bits, len)| IpNet::V6(Ipv6Net::new_assert((1 << 120 | bits).into(), len)));
        let wide = (any::<u32>(), 0u8..=32)
            .prop_map(|(bits, len)| IpNet::V4(Ipv4Net::new_assert(bits.into(), len)));
        prop::collection::vec(prop_oneof![4 => v4, 4 => v6, 1 => wide], 0..20)
    }

    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..1 << 10).prop_map(|bits| IpAddr::V4(bits.into())),
            (0u128..1 << 10).prop_map(|bits| IpAddr::V6((1 << 120 | bits).into())),
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            Just(IpAddr::V4([255; 4].into())),
        ]
    }

    #[test]
    fn networks_that_touch_become_one_range() {
        let ranges =
            AddrRanges::new(&[net("192.0.2.128/25"), net("192.0.2.0/25"), net("192.0.2.7/32")]);
        assert_eq!(ranges, AddrRanges::new(&[net("192.0.2.0/24")]));
        assert_eq!(ranges.v4().len(), 1);
    }

    #[test]
    fn the_ends_of_the_space_are_no_special_case() {
        let all = AddrRanges::new(&[net("0.0.0.0/0"), net("::/0"), net("255.255.255.255/32")]);
        assert_eq!(all, AddrRanges::everybody());
        assert!(all.minus(&AddrRanges::everybody()).is_empty());
        let without_ends =
            all.minus(&AddrRanges::new(&[net("0.0.0.0/1"), net("255.255.255.255/32")]));
        assert_eq!(without_ends.v4(), [(1 << 31, u32::MAX - 1)]);
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let ranges = AddrRanges::new(&[net("::ffff:192.0.2.0/120")]);
        assert!(ranges.contains("192.0.2.9".parse().expect("literal")));
        assert!(ranges.contains("::ffff:192.0.2.9".parse().expect("literal")));
        assert!(ranges.v6().is_empty());
    }

    proptest! {
        #[test]
        fn sets_agree_with_asking_every_network(ip in addresses(), a in nets(), b in nets()) {
            let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
            let (set_a, set_b) = (AddrRanges::new(&a), AddrRanges::new(&b));
            prop_assert_eq!(set_a.contains(ip), within(&a));
            prop_assert_eq!(set_a.union(&set_b).contains(ip), within(&a) || within(&b));
            prop_assert_eq!(set_a.minus(&set_b).contains(ip), within(&a) && !within(&b));
            // However it came about, a set has one form.
            let parts = set_a.minus(&set_b).union(&set_b);
            prop_assert_eq!(parts, set_a.union(&set_b));
        }
    }
}
