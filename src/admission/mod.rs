//! Who may connect: the check of a peer's address against the sets of its listener.
//!
//! This is the line in user space. It costs one binary search for each connection and refuses by
//! RST, before a byte is read.

use crate::config::Admit;
use ipnet::IpNet;
use std::net::IpAddr;

/// The sets of one listener, ready for look-ups.
#[derive(Clone, Debug)]
pub struct Gate {
    sets: Vec<NamedSet>,
}

#[derive(Clone, Debug)]
struct NamedSet {
    name: String,
    /// `None` holds every address.
    ranges: Option<Ranges>,
}

/// Address ranges that do not overlap, sorted, IPv4 and IPv6 apart.
#[derive(Clone, Debug, Default)]
struct Ranges {
    v4: Box<[(u128, u128)]>,
    v6: Box<[(u128, u128)]>,
}

impl Gate {
    /// Prepares what a listener admits.
    pub fn new(admit: &Admit) -> Self {
        let named = admit.names.iter().zip(&admit.nets_by_name);
        let sets = named.map(|(name, nets)| NamedSet {
            name: name.clone(),
            ranges: admit.nets.is_some().then(|| Ranges::new(nets)),
        });
        Self { sets: sets.collect() }
    }

    /// The first set that has the address, or `None` if it is to be refused. `ip` must not be
    /// IPv4-mapped (`PeerAddr` never is).
    pub fn admits(&self, ip: IpAddr) -> Option<&str> {
        let holds = |set: &&NamedSet| set.ranges.as_ref().is_none_or(|ranges| ranges.contains(ip));
        self.sets.iter().find(holds).map(|set| set.name.as_str())
    }

    /// Whether every address is admitted.
    pub fn is_open(&self) -> bool {
        self.sets.iter().any(|set| set.ranges.is_none())
    }
}

impl Ranges {
    fn new(nets: &[IpNet]) -> Self {
        let mut ranges = [Vec::new(), Vec::new()];
        for net in IpNet::aggregate(&nets.to_vec()) {
            let family = usize::from(net.addr().is_ipv6());
            ranges[family].push((bits(net.network()), bits(net.broadcast())));
        }
        let [mut v4, mut v6] = ranges;
        v4.sort_unstable();
        v6.sort_unstable();
        Self { v4: v4.into(), v6: v6.into() }
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let ranges = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let ip = bits(ip);
        let after = ranges.partition_point(|&(first, _)| first <= ip);
        after.checked_sub(1).is_some_and(|position| ip <= ranges[position].1)
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CLOUDFLARE, Config};
    use proptest::prelude::*;

    fn gate(admit: &str) -> Gate {
        let text = format!(
            "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nadmit = {admit}\n\
             [admit]\noffice = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
             [source]\nkind = \"directory\"\ndirectory = \"x\"\n"
        );
        let config = Config::parse(&text, "test").expect("a valid configuration");
        Gate::new(&config.listeners[0].admit)
    }

    #[test]
    fn an_address_is_admitted_by_the_first_set_that_has_it() {
        let gate = gate(r#"["cloudflare", "office", "loopback"]"#);
        for (ip, set) in [
            ("104.16.0.0", Some("cloudflare")),
            ("104.27.255.255", Some("cloudflare")),
            ("104.28.0.0", None),
            ("2606:4700::1", Some("cloudflare")),
            ("192.0.2.200", Some("office")),
            ("2001:db8::1", Some("office")),
            ("127.0.0.9", Some("loopback")),
            ("::1", Some("loopback")),
            ("8.8.8.8", None),
            ("::", None),
        ] {
            assert_eq!(gate.admits(ip.parse().expect("literal")), set, "{ip}");
        }
        assert!(!gate.is_open());
    }

    #[test]
    fn any_admits_everybody() {
        let gate = gate(r#"["any"]"#);
        assert!(gate.is_open());
        assert_eq!(gate.admits("203.0.113.1".parse().expect("literal")), Some("any"));
    }

    proptest! {
        #[test]
        fn look_up_agrees_with_asking_every_network(ip in any::<u32>(), nets in prop::collection::vec((any::<u32>(), 0u8..=32), 0..40)) {
            let nets: Vec<IpNet> = nets
                .into_iter()
                .map(|(addr, len)| ipnet::Ipv4Net::new_assert(addr.into(), len).trunc().into())
                .chain(CLOUDFLARE)
                .collect();
            let ip = IpAddr::V4(ip.into());
            prop_assert_eq!(Ranges::new(&nets).contains(ip), nets.iter().any(|net| net.contains(&ip)));
        }
    }
}
