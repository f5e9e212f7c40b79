//! Who may connect: named sets of networks, built in or written under `[admit]`.
//!
//! A listener names sets; here the names become networks. Which peer is in which set is decided by
//! the admission stage, in the kernel and again in user space.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::keys::nearest;
use super::raw::Document;
use super::units::{self, Fault};

/// The addresses from which Cloudflare opens connections to origins.
///
/// Source: <https://www.cloudflare.com/ips/> (as text: `/ips-v4`, `/ips-v6`), 15 IPv4 and 7 IPv6
/// networks. Last change of the list: 2021-04-08 ([`CLOUDFLARE_DATE`]), when `104.16.0.0/12` was replaced by
/// `104.16.0.0/13` and `104.24.0.0/14`. The rest of it, `104.28.0.0/14`, serves WARP users since
/// then and must not come back. Compare with the source before each release.
pub const CLOUDFLARE: [IpNet; 22] = [
    v4(173, 245, 48, 0, 20),
    v4(103, 21, 244, 0, 22),
    v4(103, 22, 200, 0, 22),
    v4(103, 31, 4, 0, 22),
    v4(141, 101, 64, 0, 18),
    v4(108, 162, 192, 0, 18),
    v4(190, 93, 240, 0, 20),
    v4(188, 114, 96, 0, 20),
    v4(197, 234, 240, 0, 22),
    v4(198, 41, 128, 0, 17),
    v4(162, 158, 0, 0, 15),
    v4(104, 16, 0, 0, 13),
    v4(104, 24, 0, 0, 14),
    v4(172, 64, 0, 0, 13),
    v4(131, 0, 72, 0, 22),
    v6(0x2400, 0xcb00, 32),
    v6(0x2606, 0x4700, 32),
    v6(0x2803, 0xf800, 32),
    v6(0x2405, 0xb500, 32),
    v6(0x2405, 0x8100, 32),
    v6(0x2a06, 0x98c0, 29),
    v6(0x2c0f, 0xf248, 32),
];

/// When [`CLOUDFLARE`] was last changed by Cloudflare, as a date.
pub const CLOUDFLARE_DATE: &str = "2021-04-08";

/// What was Cloudflare's and has its users behind it now (WARP), so that an old list is a hole: no
/// list brings it back (see [`CLOUDFLARE`]).
pub const NEVER_CLOUDFLARE: [IpNet; 1] = [v4(104, 28, 0, 0, 14)];

/// The node itself (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
pub const LOOPBACK: [IpNet; 2] =
    [v4(127, 0, 0, 0, 8), IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128))];

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(a: u16, b: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length))
}

/// Names that `[admit]` cannot take.
const BUILT_IN: [&str; 5] = ["cloudflare", "loopback", "nodes", "pods", ANY];

const ANY: &str = "any";

/// The sources that may connect to one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admit {
    /// The sets, in the order of the checks. Never empty, without duplicates; [`Members::Any`] is alone.
    pub sets: Vec<NamedSet>,
}

/// A set under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSet {
    /// As written: the label in metrics and logs.
    pub name: Arc<str>,
    /// The members of the set.
    pub members: Members,
}

/// The members of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Everybody.
    Any,
    /// These networks.
    Fixed(Vec<IpNet>),
    /// [`crate::net::trust::LiveSets::cloudflare`].
    Cloudflare,
    /// [`crate::net::trust::LiveSets::nodes`].
    Nodes,
    /// [`crate::net::trust::LiveSets::pods`].
    Pods,
}

impl Admit {
    /// The built-in set of that name. `None` for other names.
    pub fn built_in(name: &str) -> Option<Self> {
        Self::from_names(vec![name.to_owned()], &Sets::default()).ok()
    }

    /// Whether every source may connect.
    pub fn is_any(&self) -> bool {
        self.sets.iter().any(|set| set.members == Members::Any)
    }

    /// Looks the names up. They are not empty, each once.
    fn from_names(names: Vec<String>, sets: &Sets) -> Result<Self, Fault> {
        if names.len() > 1 && names.iter().any(|name| name == ANY) {
            return Err(Fault::new(
                "\"any\" makes the other sets redundant",
                "name \"any\" alone or leave it out",
            ));
        }
        let named = names.into_iter().map(|name| {
            let members = sets.members(&name)?;
            Ok(NamedSet { name: name.into(), members })
        });
        Ok(Self { sets: named.collect::<Result<_, Fault>>()? })
    }
}

/// The sets that may be named: the built-in ones and those of `[admit]`.
#[derive(Default)]
pub(super) struct Sets {
    own: BTreeMap<String, Vec<IpNet>>,
}

impl Sets {
    /// Takes the entries of `[admit]`, reporting each that is wrong.
    pub(super) fn read(document: &Document<'_>) -> Self {
        let mut own = BTreeMap::new();
        for (name, list) in document.named_lists("admit") {
            let key = format!("admit.{name}");
            let nets = list.map_or_else(Vec::new, |list| {
                if let Err(fault) = set_name(name) {
                    document.report(list.at, &key, fault);
                }
                if list.is_empty() {
                    let fault = Fault::new("the set is empty", "list networks, or remove the set");
                    document.report(list.at, &key, fault);
                }
                list.strings(&key, units::net)
            });
            // Kept even when faulty, so that a listener naming it is not blamed as well.
            own.insert(name.to_owned(), nets);
        }
        Self { own }
    }

    /// Turns the value of an `admit` key into networks.
    pub(super) fn admit(&self, names: Vec<String>) -> Result<Admit, Fault> {
        if names.is_empty() {
            return Err(Fault::new(
                "the list is empty, so no client could connect",
                format!("name a set: {}", self.known()),
            ));
        }
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                return Err(Fault::new(format!("\"{name}\" is named twice"), "remove one"));
            }
        }
        Admit::from_names(names, self)
    }

    fn members(&self, name: &str) -> Result<Members, Fault> {
        Ok(match name {
            ANY => Members::Any,
            "cloudflare" => Members::Cloudflare,
            "loopback" => Members::Fixed(LOOPBACK.to_vec()),
            "nodes" => Members::Nodes,
            "pods" => Members::Pods,
            _ => Members::Fixed(self.own.get(name).cloned().ok_or_else(|| self.unknown(name))?),
        })
    }

    fn unknown(&self, name: &str) -> Fault {
        let names = BUILT_IN.into_iter().chain(self.own.keys().map(String::as_str));
        let fix = match nearest(name, names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if units::net(name).is_ok() => {
                "define the networks as a set under [admit], and name the set here".to_owned()
            }
            None => format!("define it under [admit], or use one of {}", self.known()),
        };
        Fault::new(format!("there is no set \"{name}\""), fix)
    }

    fn known(&self) -> String {
        let own = self.own.keys().map(String::as_str);
        let usable = BUILT_IN.into_iter().chain(own);
        usable.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }
}

/// The name of an own set becomes a metric label, as a listener's does.
fn set_name(name: &str) -> Result<(), Fault> {
    if BUILT_IN.contains(&name) {
        return Err(Fault::new(
            format!("\"{name}\" is built in and cannot be redefined"),
            "choose another name",
        ));
    }
    super::values::label(name).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn contains(nets: &[IpNet], ip: &str) -> bool {
        let ip: IpAddr = ip.parse().expect("literal");
        nets.iter().any(|net| net.contains(&ip))
    }

    #[test]
    fn the_cloudflare_list_is_whole_and_holds_nothing_to_merge() {
        let (v4, v6): (Vec<IpNet>, Vec<IpNet>) =
            CLOUDFLARE.iter().partition(|net| matches!(net, IpNet::V4(_)));
        assert_eq!((v4.len(), v6.len()), (15, 7));
        let addresses: u64 = v4.iter().map(|net| 1_u64 << (32 - net.prefix_len())).sum();
        assert_eq!(addresses, 1_524_736);
        assert_eq!(IpNet::aggregate(&CLOUDFLARE.to_vec()).len(), 22);
        assert!(CLOUDFLARE.iter().all(|net| net.trunc() == *net));
    }

    #[test]
    fn the_range_that_cloudflare_gave_to_warp_users_stays_out() {
        assert!(contains(&CLOUDFLARE, "104.27.255.255"));
        assert!(!contains(&CLOUDFLARE, "104.28.0.1"));
    }

    #[test]
    fn sets_keep_their_order_and_names() {
        let office = vec![units::net("192.0.2.0/25").expect("net")];
        let own = BTreeMap::from([("office".to_owned(), office.clone())]);
        let names = ["office", "loopback", "cloudflare"].map(str::to_owned).to_vec();
        let admit = Sets { own }.admit(names).expect("known");
        let members: Vec<_> = admit.sets.iter().map(|set| (&*set.name, &set.members)).collect();
        let loopback = Members::Fixed(LOOPBACK.to_vec());
        assert_eq!(
            members,
            [
                ("office", &Members::Fixed(office)),
                ("loopback", &loopback),
                ("cloudflare", &Members::Cloudflare)
            ]
        );
        assert!(!admit.is_any());
    }

    #[test]
    fn any_is_everybody() {
        assert_eq!(Admit::built_in("any").map(|admit| admit.is_any()), Some(true));
        assert_eq!(Admit::built_in("office"), None);
    }
}
