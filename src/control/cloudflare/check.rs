//! The checks that a list must pass before it admits any address. Pure.
//!
//! Every list passes here: what the API answers, what a file or ConfigMap holds, and what was kept
//! on disk. The bounds are relative to what is compiled in, which no answer can change, so that no
//! sequence of answers creeps to an empty list or to one that admits the world.

use super::failure::Failure;
use crate::config::{BROADEST_V4, BROADEST_V6, CLOUDFLARE, NEVER_CLOUDFLARE};
use crate::net::addr::AddrRanges;
use crate::net::addr::{reserved, special_net};
use crate::telemetry::ListFailure;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

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
    /// what is in force. A loss is measured by ranges that are not there as a whole and by addresses: one of
    /// many small networks is as much of an outage for the visitors behind it as one large one.
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

/// Checks a list. `in_force` is everything that is admitted now, what is about to leave included,
/// so that several small steps within the delay count as one; `None` or empty at start.
///
/// # Errors
/// The first rule that the list breaks.
pub fn check(
    candidate: &[IpNet],
    in_force: Option<&AddrRanges>,
    rules: Rules,
) -> Result<Checked, Failure> {
    let checked = plausible(candidate, rules)?;
    let before = in_force.filter(|before| !before.is_empty());
    match (rules, before) {
        (Rules::Published, before) => {
            let embedded = AddrRanges::new(&CLOUDFLARE);
            if let Some(loss) = loss(&embedded, "of the embedded list", &checked.ranges, 2) {
                return Err(Failure::new(ListFailure::Short, loss + "more than half"));
            }
            if let Some(loss) = before.and_then(|it| loss(it, "in force", &checked.ranges, 4)) {
                let words = loss + "more than a quarter at once";
                return Err(Failure::new(ListFailure::Shrunk, words));
            }
        }
        (Rules::Override, Some(before)) => {
            let (now, before) = (range_count(&checked.ranges), range_count(before));
            if before.saturating_sub(now) > (before / 4).max(1) {
                let words = format!(
                    "it has {now} ranges and had {before}: more than a quarter are missing at once; if this is \
                        intended, restart: the first list is not compared"
                );
                return Err(Failure::new(ListFailure::Shrunk, words));
            }
        }
        (Rules::Override, None) | (Rules::Extra, _) => {}
    }
    Ok(checked)
}

/// The rules for every list, whatever came before: what it may hold, and how much of it.
///
/// # Errors
/// The first rule that the list breaks.
pub(super) fn plausible(candidate: &[IpNet], rules: Rules) -> Result<Checked, Failure> {
    let refused = |why, words: String| Err(Failure::new(why, words));
    let count = candidate.len();
    if count > MOST_NETWORKS {
        let words = format!("it has {count} networks; at most {MOST_NETWORKS} are accepted");
        return refused(ListFailure::TooMany, words);
    }
    for net in candidate {
        let broadest = match net {
            IpNet::V4(_) => BROADEST_V4,
            IpNet::V6(_) => BROADEST_V6,
        };
        if net.prefix_len() < broadest {
            return refused(ListFailure::Broad, format!("{net} is broader than a /{broadest}"));
        }
        let allowed = rules == Rules::Extra && special_net(net).is_none();
        if let Some((block, what)) = reserved(net).filter(|_| !allowed) {
            let words = format!("{net} overlaps {block} ({what}), which Cloudflare cannot use");
            return refused(ListFailure::Reserved, words);
        }
    }
    let all = AddrRanges::new(candidate);
    let ranges = all.minus(&AddrRanges::new(&NEVER_CLOUDFLARE));
    if ranges.is_empty() {
        return refused(ListFailure::Empty, "it has no network that could be admitted".to_owned());
    }
    let embedded = families(&AddrRanges::new(&CLOUDFLARE));
    for ((family, now), (_, embedded)) in families(&ranges).iter().zip(&embedded) {
        if addresses(now) > addresses(embedded).saturating_mul(MOST_GROWTH) {
            let than = format!("{MOST_GROWTH} times the {family} addresses of the embedded list");
            return refused(ListFailure::Grown, format!("it has more than {than}"));
        }
    }
    let never = networks(&all.minus(&ranges));
    Ok(Checked { ranges, never })
}

/// The networks of a set, the fewest that have exactly its addresses.
pub fn networks(ranges: &AddrRanges) -> Vec<IpNet> {
    let v4 = ranges.v4().iter().flat_map(|&(a, b)| Ipv4Subnets::new(a.into(), b.into(), 0));
    let v6 = ranges.v6().iter().flat_map(|&(a, b)| Ipv6Subnets::new(a.into(), b.into(), 0));
    v4.map(IpNet::V4).chain(v6.map(IpNet::V6)).collect()
}

/// First and last address.
type Span = (u128, u128);

/// The ranges by address family.
fn families(ranges: &AddrRanges) -> [(&'static str, Vec<Span>); 2] {
    let v4 = ranges.v4().iter().map(|&(first, last)| (first.into(), last.into()));
    [("IPv4", v4.collect()), ("IPv6", ranges.v6().to_vec())]
}

/// Says by which family and measure more than one `share`-th of `before` is not in `after`, with an example. `place`
/// says what `before` is.
fn loss(before: &AddrRanges, place: &str, after: &AddrRanges, share: u128) -> Option<String> {
    let lost = before.minus(after);
    for ((family, all), (_, gone)) in families(before).into_iter().zip(families(&lost)) {
        let within = |hole: &Span, span: &Span| span.0 <= hole.0 && hole.1 <= span.1;
        let broken = all.iter().filter(|span| gone.iter().any(|hole| within(hole, span)));
        let ranges = (broken.count() as u128, all.len() as u128);
        let measures = [("addresses", (addresses(&gone), addresses(&all))), ("ranges", ranges)];
        for (measure, (part, whole)) in measures {
            if part.saturating_mul(share) > whole {
                // Rounded up, so that a loss is never "0 %".
                let percent = part.saturating_mul(100).div_ceil(whole.max(1)).min(100);
                let is_v4 = |net: &&IpNet| matches!(net, IpNet::V4(_)) == (family == "IPv4");
                let example = networks(&lost)
                    .iter()
                    .find(is_v4)
                    .map_or_else(String::new, |net| format!(", such as {net}"));
                return Some(format!(
                    "{percent} % of the {family} {measure} {place} are missing{example}: "
                ));
            }
        }
    }
    None
}

fn range_count(ranges: &AddrRanges) -> usize {
    ranges.v4().len() + ranges.v6().len()
}

fn addresses(spans: &[Span]) -> u128 {
    let one = |&(first, last): &Span| (last - first).saturating_add(1);
    spans.iter().map(one).fold(0, u128::saturating_add)
}
