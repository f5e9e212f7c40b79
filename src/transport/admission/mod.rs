//! Admission: which sources may connect to a listener. Enforced in the kernel and again in user space.
//!
//! The check in user space costs one binary search for each set and connection. It is the only one for
//! sources in PROXY headers, and on hosts whose kernel refuses the filter; otherwise it covers the moment
//! in which the sets change.

pub mod bpf;
pub mod kernel;
pub mod steer;
mod sys;
pub mod trap;

use crate::config::{AdminConfig, Admit, CLOUDFLARE, Listener, Members};
use crate::net::addr::AddrRanges;
use crate::net::trust::{LiveSets, TrustedSources};
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;

/// The sets of one listener as they are now, ready for lookups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    sets: Vec<(Arc<str>, AddrRanges)>,
    open: bool,
    /// The name under which break-glass admits addresses of no set, while it is on.
    break_glass: Option<Arc<str>>,
    balancers: AddrRanges,
    believed: TrustedSources,
}

/// The name of the set of all others, while break-glass is on.
const BREAK_GLASS: &str = "break_glass";

/// The gate of one listener as it is now: replaced whole when a set changes.
pub type GateCell = ArcSwap<Gate>;

impl Gate {
    /// The gate of a listener.
    pub fn of_listener(listener: &Listener, live: &LiveSets) -> Self {
        let proxies = AddrRanges::new(&listener.trusted_proxies);
        let admits_cloudflare =
            listener.admit.sets.iter().any(|set| set.members == Members::Cloudflare);
        let own = Self::new(&listener.admit, live);
        let break_glass = (live.break_glass && admits_cloudflare).then(|| BREAK_GLASS.into());
        Self {
            open: own.open || break_glass.is_some(),
            break_glass,
            balancers: AddrRanges::new(&listener.proxy_protocol_from),
            believed: TrustedSources::new(live.all_cloudflare(), proxies),
            ..own
        }
    }

    /// The gate of the admin port: never admits Cloudflare's addresses, which all its customers share, even
    /// if a set contains them.
    pub fn of_admin(admin: &AdminConfig, live: &LiveSets) -> Self {
        let cloudflare = live.all_cloudflare().union(&AddrRanges::new(&CLOUDFLARE));
        Self::new(&admin.admit, live).closed_for(&cloudflare)
    }

    /// Of those who may connect to the admin port, the ones that may read its status page.
    pub fn of_status(admin: &AdminConfig, live: &LiveSets) -> Self {
        let cloudflare = live.all_cloudflare().union(&AddrRanges::new(&CLOUDFLARE));
        Self::new(&admin.admit_status, live).closed_for(&cloudflare)
    }

    fn new(admit: &Admit, live: &LiveSets) -> Self {
        let sets = admit.sets.iter().map(|set| {
            let ranges = match &set.members {
                Members::Any => AddrRanges::everybody(),
                Members::Fixed(nets) => AddrRanges::new(nets),
                Members::Cloudflare => live.all_cloudflare(),
                Members::Nodes => live.nodes.clone(),
                Members::Pods => live.pods.clone(),
            };
            (Arc::clone(&set.name), ranges)
        });
        Self {
            sets: sets.collect(),
            open: admit.is_any(),
            break_glass: None,
            balancers: AddrRanges::default(),
            believed: TrustedSources::default(),
        }
    }

    /// The same without these addresses, in whichever set they are.
    fn closed_for(mut self, never: &AddrRanges) -> Self {
        for (_, ranges) in &mut self.sets {
            *ranges = ranges.minus(never);
        }
        self.open &= never.is_empty();
        self
    }

    /// The first set that has the address, or `None` if it is to be refused.
    pub fn admits(&self, ip: IpAddr) -> Option<&Arc<str>> {
        self.in_set(ip).or(self.break_glass.as_ref())
    }

    /// Whether break-glass alone admits the address.
    pub fn is_stranger(&self, ip: IpAddr) -> bool {
        self.break_glass.is_some() && self.in_set(ip).is_none()
    }

    /// Whether break-glass is on.
    pub fn is_glass_broken(&self) -> bool {
        self.break_glass.is_some()
    }

    fn in_set(&self, ip: IpAddr) -> Option<&Arc<str>> {
        self.sets.iter().find(|(_, ranges)| ranges.contains(ip)).map(|(name, _)| name)
    }

    /// Whether a connection from here has to begin with a PROXY header. Balancers may connect
    /// whatever the sets say, because the sets are for the sources that their headers name.
    pub fn is_balancer(&self, ip: IpAddr) -> bool {
        self.balancers.contains(ip)
    }

    /// The trusted sources of the listener.
    pub fn believed(&self) -> &TrustedSources {
        &self.believed
    }

    /// Whether every address is admitted.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The sets and their numbers of ranges, in the order of the checks.
    pub fn sets(&self) -> impl Iterator<Item = (&Arc<str>, &AddrRanges)> {
        self.sets.iter().map(|(name, ranges)| (name, ranges))
    }

    /// Every source that may open a connection: the sets and the load balancers.
    pub fn connecting(&self) -> AddrRanges {
        self.sets.iter().fold(self.balancers.clone(), |all, (_, ranges)| all.union(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

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
        Gate::of_listener(listener, &live)
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
    fn any_admits_everybody() {
        let gate = gate(r#"["any"]"#);
        assert!(gate.is_open());
        assert_eq!(gate.admits(ip("203.0.113.1")).map(|set| &**set), Some("any"));
    }

    #[test]
    fn the_admin_port_is_closed_for_cloudflare_whatever_its_sets_hold() {
        let text = "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
                    [admin]\nadmit = [\"any\"]\n\
                    [source]\nkind = \"directory\"\ndirectory = \"x\"\n";
        let config = Config::parse(text, "test").expect("a valid configuration");
        // Even when the list is not known yet.
        let gate = Gate::of_admin(&config.admin, &LiveSets::default());
        assert!(!gate.is_open());
        assert!(gate.admits(ip("104.16.0.1")).is_none());
        assert!(gate.admits(ip("2606:4700::1")).is_none());
        assert!(gate.admits(ip("203.0.113.1")).is_some());
    }
}
