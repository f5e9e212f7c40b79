//! The checks that a list must pass before it admits any address. Pure.
//!
//! Every list passes here: what the API answers, what a file or ConfigMap holds, and what was kept
//! on disk. The bounds are relative to what is compiled in, which no answer can change, so that no
//! sequence of answers creeps to an empty list or to one that admits the world.

use crate::config::{BROADEST_V4, BROADEST_V6, CLOUDFLARE, NEVER_CLOUDFLARE};
use crate::net::addr::AddrRanges;
use crate::net::addr::{reserved, special_net};
use crate::telemetry::ListFailure;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::fmt;

/// Most networks in a list. Theirs has 22; the rest is room for the China Network's, and still
/// small enough for a filter in the kernel.
pub const MOST_NETWORKS: usize = 1024;
/// How many times the addresses that are compiled in a list may have, by family. Theirs grew by a
/// tenth in ten years; what is beyond is somebody else's.
const MOST_GROWTH: u128 = 4;

/// The source of the list, which decides how far it may differ from the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Cloudflare's: it holds at least half of what is compiled in, and at least three quarters of
    /// what is in force.
    Published,
    /// The operator's: it may be anything that is not empty (an Enterprise zone with egress
    /// addresses of its own names two or three). Only when it changes while it is in force, it
    /// may not get shorter by more than a quarter of its ranges, or one if that is more, for that
    /// is what a file looks like that is being written. At start nothing is compared.
    Override,
    /// Further ranges beside the list: one or two addresses as a rule, which come and go as a whole, and may be
    /// private (100.64.0.0/12 by a private path). Nothing is compared.
    Extra,
}

/// A list that may be put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its addresses without [`NEVER_CLOUDFLARE`]. Not empty.
    pub ranges: AddrRanges,
    /// What of [`NEVER_CLOUDFLARE`] was in it: the list is older than its source should be.
    pub never: Vec<IpNet>,
}

/// One of the two families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// By what a loss is measured: one of many small networks is as much of an outage for the visitors
/// behind it as one large one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Ranges that are not there as a whole.
    Ranges,
    /// Addresses.
    Addresses,
}

/// Why a list is not put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing is in it, or nothing but [`NEVER_CLOUDFLARE`].
    #[error("it has no network that could be admitted")]
    Empty,
    /// Above [`MOST_NETWORKS`].
    #[error("it has {0} networks; at most {MOST_NETWORKS} are accepted")]
    TooMany(usize),
    /// A prefix shorter than any of theirs by far; `/0` among them.
    #[error("{net} is broader than a /{broadest}")]
    Broad {
        /// The network.
        net: IpNet,
        /// The shortest prefix of the family.
        broadest: u8,
    },
    /// Private, reserved, multicast and the like.
    #[error("{net} overlaps {block} ({what}), which Cloudflare cannot use")]
    Reserved {
        /// The network.
        net: IpNet,
        /// The registered block.
        block: IpNet,
        /// The purpose of the block.
        what: &'static str,
    },
    /// More addresses than a list of theirs can have.
    #[error("it has more than {MOST_GROWTH} times the {0} addresses of the embedded list")]
    Grown(Family),
    /// Too little of what is compiled in.
    #[error(
        "{percent} % of the {family} {measure} of the embedded list are missing, such as {example}: \
            more than half"
    )]
    Short {
        /// The family.
        family: Family,
        /// What was counted.
        measure: Measure,
        /// The missing share, 1 to 100.
        percent: u8,
        /// A missing network.
        example: IpNet,
    },
    /// Too little of what is in force.
    #[error(
        "{percent} % of the {family} {measure} in force are missing, such as {example}: more \
        than a quarter at once"
    )]
    Shrunk {
        /// The family.
        family: Family,
        /// What was counted.
        measure: Measure,
        /// The missing share, 1 to 100.
        percent: u8,
        /// A missing network.
        example: IpNet,
    },
    /// An override with too few of the ranges that it had.
    #[error(
        "it has {now} ranges and had {before}: more than a quarter are missing at once; if this is \
            intended, restart: the first list is not compared"
    )]
    Cut {
        /// Ranges of both families in it.
        now: usize,
        /// Ranges of both families in force.
        before: usize,
    },
}

impl Refused {
    /// The reason in metrics.
    pub fn why(&self) -> ListFailure {
        match self {
            Self::Empty => ListFailure::Empty,
            Self::TooMany(_) => ListFailure::TooMany,
            Self::Broad { .. } => ListFailure::Broad,
            Self::Reserved { .. } => ListFailure::Reserved,
            Self::Grown(_) => ListFailure::Grown,
            Self::Short { .. } => ListFailure::Short,
            Self::Shrunk { .. } | Self::Cut { .. } => ListFailure::Shrunk,
        }
    }
}

/// Checks a list. `in_force` is everything that is admitted now, what is about to leave included,
/// so that several small steps within the delay count as one; `None` or empty at start.
///
/// # Errors
/// The first rule that the list breaks.
pub fn check(
    candidate: &[IpNet],
    in_force: Option<&AddrRanges>,
    rules: Rules,
) -> Result<Checked, Refused> {
    let Checked { ranges, never } = plausible(candidate, rules)?;
    let before = in_force.filter(|before| !before.is_empty());
    match rules {
        Rules::Published => {
            if let Some(loss) = worst_loss(&AddrRanges::new(&CLOUDFLARE), &ranges, 2) {
                let Loss { family, measure, percent, example } = loss;
                return Err(Refused::Short { family, measure, percent, example });
            }
            if let Some(loss) = before.and_then(|before| worst_loss(before, &ranges, 4)) {
                let Loss { family, measure, percent, example } = loss;
                return Err(Refused::Shrunk { family, measure, percent, example });
            }
        }
        Rules::Extra => {}
        Rules::Override => {
            if let Some(before) = before {
                let (now, before) = (range_count(&ranges), range_count(before));
                if before.saturating_sub(now) > (before / 4).max(1) {
                    return Err(Refused::Cut { now, before });
                }
            }
        }
    }
    Ok(Checked { ranges, never })
}

/// The rules for every list, whatever came before: what it may hold, and how much of it.
///
/// # Errors
/// The first rule that the list breaks.
pub(super) fn plausible(candidate: &[IpNet], rules: Rules) -> Result<Checked, Refused> {
    if candidate.len() > MOST_NETWORKS {
        return Err(Refused::TooMany(candidate.len()));
    }
    for &net in candidate {
        let broadest = match net {
            IpNet::V4(_) => BROADEST_V4,
            IpNet::V6(_) => BROADEST_V6,
        };
        if net.prefix_len() < broadest {
            return Err(Refused::Broad { net, broadest });
        }
        let allowed = rules == Rules::Extra && special_net(&net).is_none();
        if let Some((block, what)) = reserved(&net).filter(|_| !allowed) {
            return Err(Refused::Reserved { net, block, what });
        }
    }
    let all = AddrRanges::new(candidate);
    let ranges = all.minus(&AddrRanges::new(&NEVER_CLOUDFLARE));
    if ranges.is_empty() {
        return Err(Refused::Empty);
    }
    let embedded = AddrRanges::new(&CLOUDFLARE);
    for family in Family::BOTH {
        let most = addresses(&family.spans(&embedded)).saturating_mul(MOST_GROWTH);
        if addresses(&family.spans(&ranges)) > most {
            return Err(Refused::Grown(family));
        }
    }
    let never = networks(&all.minus(&ranges));
    Ok(Checked { ranges, never })
}

/// The networks of a set, the fewest that have exactly its addresses.
pub fn networks(ranges: &AddrRanges) -> Vec<IpNet> {
    let v4 = ranges
        .v4()
        .iter()
        .flat_map(|&(first, last)| Ipv4Subnets::new(first.into(), last.into(), 0).map(IpNet::V4));
    let v6 = ranges
        .v6()
        .iter()
        .flat_map(|&(first, last)| Ipv6Subnets::new(first.into(), last.into(), 0).map(IpNet::V6));
    v4.chain(v6).collect()
}

/// How much of a set another one lacks.
struct Loss {
    family: Family,
    measure: Measure,
    percent: u8,
    example: IpNet,
}

/// The first family and measure by which more than one `share`-th of `before` is not in `after`.
fn worst_loss(before: &AddrRanges, after: &AddrRanges, share: u128) -> Option<Loss> {
    let lost = before.minus(after);
    let example = *networks(&lost).first()?;
    for family in Family::BOTH {
        let (all, gone) = (family.spans(before), family.spans(&lost));
        let broken = all.iter().filter(|span| gone.iter().any(|hole| within(*hole, **span)));
        let counts = [
            (Measure::Addresses, addresses(&gone), addresses(&all)),
            (Measure::Ranges, broken.count() as u128, all.len() as u128),
        ];
        for (measure, part, whole) in counts {
            if part.saturating_mul(share) > whole {
                let example = family.spans_example(&lost).unwrap_or(example);
                return Some(Loss { family, measure, percent: percent(part, whole), example });
            }
        }
    }
    None
}

impl Family {
    const BOTH: [Self; 2] = [Self::V4, Self::V6];

    fn spans(self, ranges: &AddrRanges) -> Vec<(u128, u128)> {
        match self {
            Self::V4 => ranges.v4().iter().map(|&(a, b)| (a.into(), b.into())).collect(),
            Self::V6 => ranges.v6().to_vec(),
        }
    }

    fn spans_example(self, ranges: &AddrRanges) -> Option<IpNet> {
        let of_family = |net: &IpNet| matches!(net, IpNet::V4(_)) == (self == Self::V4);
        networks(ranges).into_iter().find(of_family)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ranges => "ranges",
            Self::Addresses => "addresses",
        })
    }
}

fn range_count(ranges: &AddrRanges) -> usize {
    ranges.v4().len() + ranges.v6().len()
}

fn within(inner: (u128, u128), outer: (u128, u128)) -> bool {
    outer.0 <= inner.0 && inner.1 <= outer.1
}

fn addresses(spans: &[(u128, u128)]) -> u128 {
    let one = |&(first, last): &(u128, u128)| (last - first).saturating_add(1);
    spans.iter().map(one).fold(0, u128::saturating_add)
}

/// Rounded up, so that a loss is never "0 %".
fn percent(part: u128, whole: u128) -> u8 {
    let percent = part.saturating_mul(100).div_ceil(whole.max(1)).min(100);
    u8::try_from(percent).unwrap_or(100)
}
