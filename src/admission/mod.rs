//! Who may connect: a listener's sets, in the kernel and again in user space.
//!
//! The check in user space costs one binary search for each set and connection. It is the only one
//! for the sources that balancers name, and for hosts whose kernel refuses the filter; else it
//! covers the moment in which the sets change.

use crate::addr::AddrRanges;
use crate::config::{Admit, Members};
use crate::trust::LiveSets;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// The sets of one listener as they are now, ready for look-ups.
#[derive(Clone, Debug)]
pub struct Gate {
    sets: Vec<(Arc<str>, AddrRanges)>,
    open: bool,
    balancers: AddrRanges,
}

impl Gate {
    /// Prepares what a listener admits. `balancers` may connect whatever the sets say, because the
    /// sets are for the sources that their PROXY headers name.
    pub fn new(admit: &Admit, balancers: &[IpNet], live: &LiveSets) -> Self {
        let sets = admit.sets.iter().map(|set| {
            let ranges = match &set.members {
                Members::Any => AddrRanges::everybody(),
                Members::Fixed(nets) => AddrRanges::new(nets),
                Members::Cloudflare => live.cloudflare.clone(),
                Members::Nodes => live.nodes.clone(),
                Members::Pods => live.pods.clone(),
            };
            (Arc::clone(&set.name), ranges)
        });
        let balancers = AddrRanges::new(balancers);
        Self { sets: sets.collect(), open: admit.is_any(), balancers }
    }

    /// The same without these addresses, in whichever set they are.
    #[must_use]
    pub fn closed_for(mut self, never: &AddrRanges) -> Self {
        for (_, ranges) in &mut self.sets {
            *ranges = ranges.minus(never);
        }
        self.open &= never.is_empty();
        self
    }

    /// The first set that has the address, or `None` if it is to be refused.
    pub fn admits(&self, ip: IpAddr) -> Option<&Arc<str>> {
        self.sets.iter().find(|(_, ranges)| ranges.contains(ip)).map(|(name, _)| name)
    }

    /// Whether a connection from here has to begin with a PROXY header.
    pub fn is_balancer(&self, ip: IpAddr) -> bool {
        self.balancers.contains(ip)
    }

    /// Whether every address is admitted.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The sets and how many addresses they are ranges of, in the order in which they are asked.
    pub fn sets(&self) -> impl Iterator<Item = (&Arc<str>, &AddrRanges)> {
        self.sets.iter().map(|(name, ranges)| (name, ranges))
    }

    /// Everybody who may open a connection: the sets and the balancers.
    pub fn connecting(&self) -> AddrRanges {
        self.sets.iter().fold(self.balancers.clone(), |all, (_, ranges)| all.union(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CLOUDFLARE, Config};

    fn gate(admit: &str) -> Gate {
        let text = format!(
            "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nadmit = {admit}\n\
             proxy_protocol_from = [\"10.0.0.2/32\"]\n\
             [admit]\noffice = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
             [source]\nkind = \"directory\"\ndirectory = \"x\"\n"
        );
        let config = Config::parse(&text, "test").expect("a valid configuration");
        let cloudflare = AddrRanges::new(&CLOUDFLARE);
        let listener = &config.listeners[0];
        let live = LiveSets { cloudflare, ..LiveSets::default() };
        Gate::new(&listener.admit, &listener.proxy_protocol_from, &live)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("literal")
    }

    #[test]
    fn an_address_is_admitted_by_the_first_set_that_has_it() {
        let gate = gate(r#"["cloudflare", "office", "loopback"]"#);
        for (address, set) in [
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
            ("10.0.0.2", None),
        ] {
            assert_eq!(gate.admits(ip(address)).map(|set| &**set), set, "{address}");
        }
        assert!(!gate.is_open());
    }

    #[test]
    fn a_balancer_connects_without_being_admitted() {
        let gate = gate(r#"["cloudflare"]"#);
        assert!(gate.is_balancer(ip("10.0.0.2")) && !gate.is_balancer(ip("10.0.0.3")));
        let connecting = gate.connecting();
        assert!(connecting.contains(ip("10.0.0.2")) && connecting.contains(ip("104.16.0.1")));
        assert!(!connecting.contains(ip("10.0.0.3")));
    }

    #[test]
    fn a_set_of_the_cluster_is_empty_until_the_cluster_says_otherwise() {
        assert_eq!(gate(r#"["pods", "nodes"]"#).admits(ip("10.42.0.1")), None);
    }

    #[test]
    fn any_admits_everybody_but_those_for_whom_it_is_closed() {
        let gate = gate(r#"["any"]"#);
        assert!(gate.is_open());
        assert_eq!(gate.admits(ip("203.0.113.1")).map(|set| &**set), Some("any"));
        let closed = gate.closed_for(&AddrRanges::new(&CLOUDFLARE));
        assert!(!closed.is_open());
        assert!(closed.admits(ip("104.16.0.1")).is_none());
        assert!(closed.admits(ip("203.0.113.1")).is_some());
    }
}
