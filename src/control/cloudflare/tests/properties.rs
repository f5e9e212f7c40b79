//! No sequence of answers, restarts and clock jumps leads to a list that admits nobody, everybody,
//! or whom it must not; and nothing leaves before its time.

use super::{BEGIN, DELAY, net, nets, published, spec};
use crate::config::{CLOUDFLARE, ListOrigin, NEVER_CLOUDFLARE};
use crate::control::cloudflare::answer::{json, text};
use crate::control::cloudflare::check::{Rules, networks};
use crate::control::cloudflare::life::{ClockTimes, ListState};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

/// Events of a list.
#[derive(Clone, Debug)]
enum Step {
    /// The source has these networks, and the text is cut off at a share of its bytes, in percent.
    Answer(Vec<IpNet>, Option<usize>),
    Unchanged,
    /// Seconds pass.
    Pass(u64),
    /// The system's clock is set.
    Clock(u64),
    /// Another process takes over.
    Restart,
}

/// What hostile and old lists hold.
const HOSTILE: [&str; 12] = [
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "10.0.0.0/10",
    "104.16.0.0/12",
    "104.28.0.0/14",
    "104.28.9.0/24",
    "127.0.0.1/32",
    "fe80::/64",
    "::ffff:0:0/96",
    "2000::/3",
];

fn v4(bits: u32, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(bits.into(), length).trunc())
}

fn any_network() -> impl Strategy<Value = IpNet> {
    let public = (20u32..100, any::<u16>(), 10u8..=24);
    prop_oneof![
        3 => public.prop_map(|(top, bits, len)| v4(top << 24 | u32::from(bits) << 8, len)),
        1 => (any::<u32>(), 0u8..=32).prop_map(|(bits, len)| v4(bits, len)),
        1 => (any::<u128>(), 0u8..=128)
            .prop_map(|(bits, len)| IpNet::V6(Ipv6Net::new_assert(bits.into(), len).trunc())),
        1 => prop::sample::select(HOSTILE.to_vec()).prop_map(net),
    ]
}

/// Theirs with each network missing at a small chance, and others added.
fn list() -> impl Strategy<Value = Vec<IpNet>> {
    let most = prop::collection::vec(prop::bool::weighted(0.93), CLOUDFLARE.len());
    let subset = most.prop_map(|kept| {
        let each = CLOUDFLARE.into_iter().zip(kept);
        each.filter_map(|(net, kept)| kept.then_some(net)).collect::<Vec<_>>()
    });
    let public = (20u32..100, any::<u8>(), 12u8..=24)
        .prop_map(|(top, next, len)| v4(top << 24 | u32::from(next) << 16, len));
    let grown = (subset.clone(), prop::collection::vec(public, 0..12))
        .prop_map(|(list, more)| [list, more].concat());
    let poisoned = (subset.clone(), prop::collection::vec(any_network(), 1..4))
        .prop_map(|(list, more)| [list, more].concat());
    let random = prop::collection::vec(any_network(), 0..30);
    prop_oneof![4 => subset, 3 => grown, 2 => poisoned, 1 => random]
}

fn step() -> impl Strategy<Value = Step> {
    let cut = prop::option::weighted(0.2, 0..100usize);
    prop_oneof![
        6 => (list(), cut).prop_map(|(list, cut)| Step::Answer(list, cut)),
        1 => Just(Step::Unchanged),
        4 => (0u64..30 * 3600).prop_map(Step::Pass),
        1 => any::<u64>().prop_map(Step::Clock),
        1 => Just(Step::Restart),
    ]
}

fn answer_text(list: &[IpNet]) -> String {
    let family = |v4: bool| {
        let of = list.iter().filter(|net| matches!(net, IpNet::V4(_)) == v4);
        of.map(ToString::to_string).collect::<Vec<_>>()
    };
    let result = serde_json::json!({ "ipv4_cidrs": family(true), "ipv6_cidrs": family(false) });
    serde_json::json!({ "success": true, "result": result }).to_string()
}

/// A list under test, with its clocks.
struct Run {
    list: ListState,
    now: ClockTimes,
}

impl Run {
    fn new(rules: Rules) -> Self {
        let spec = match rules {
            Rules::Published => published(false),
            Rules::Override | Rules::Extra => spec(rules, ListOrigin::File("list".into())),
        };
        let begin = AddrRanges::new(&CLOUDFLARE);
        let list = ListState::new(&spec, ListSource::Embedded, begin, None);
        Self { list, now: ClockTimes { monotonic: Instant::now(), unix: BEGIN } }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Answer(list, cut) => {
                let is_api = self.list.spec.rules == Rules::Published;
                let whole = match is_api {
                    true => answer_text(list),
                    false => list.iter().map(|net| format!("{net}\n")).collect(),
                };
                let bytes = &whole.as_bytes()[..whole.len() * cut.unwrap_or(100) / 100];
                if let Ok(list) = if is_api { json(bytes, false) } else { text(bytes) } {
                    // A refusal is as good an end as any.
                    let _ = self.list.take(self.now, Some(list));
                }
            }
            Step::Unchanged => {
                let _ = self.list.take(self.now, None);
            }
            Step::Pass(seconds) => {
                self.now.monotonic += Duration::from_secs(*seconds);
                self.now.unix = self.now.unix.saturating_add(*seconds);
                self.list.expire(self.now);
            }
            Step::Clock(unix) => {
                self.now.unix = *unix;
                self.list.expire(self.now);
            }
            Step::Restart => {
                let kept = self.list.keep(self.now);
                self.list = ListState::restore(self.now, &kept, &self.list.spec)
                    .expect("what was in force is good enough for the next process");
            }
        }
    }
}

fn addresses(ranges: &AddrRanges) -> [u128; 2] {
    let v4 = ranges.v4().iter().map(|&(a, b)| u128::from(b - a) + 1).sum();
    [v4, ranges.v6().iter().map(|&(a, b)| b - a + 1).sum()]
}

fn nothing_forbidden(in_force: &AddrRanges) -> Result<(), TestCaseError> {
    prop_assert!(!in_force.is_empty());
    let embedded = addresses(&AddrRanges::new(&CLOUDFLARE));
    let now = addresses(in_force);
    prop_assert!(now[0] <= 6 * embedded[0] && now[1] <= 6 * embedded[1], "{:?}", now);
    let special = nets(&[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001:db8::/32",
        "2002::/16",
    ]);
    let forbidden = AddrRanges::new(special.iter().chain(&NEVER_CLOUDFLARE));
    prop_assert_eq!(&in_force.minus(&forbidden), in_force);
    Ok(())
}

proptest! {
    #[test]
    fn no_list_ever_admits_nobody_everybody_or_the_forbidden(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let embedded = AddrRanges::new(&CLOUDFLARE);
        let whole = addresses(&embedded);
        for rules in [Rules::Published, Rules::Override] {
            let mut run = Run::new(rules);
            for step in &steps {
                run.step(step);
                let in_force = run.list.in_force();
                nothing_forbidden(&in_force)?;
                let lost = addresses(&embedded.minus(&in_force));
                let is_most_there = 2 * lost[0] <= whole[0] && 2 * lost[1] <= whole[1];
                prop_assert!(is_most_there || rules == Rules::Override, "{:?}", lost);
            }
        }
    }

    #[test]
    fn nothing_leaves_before_its_delay_and_everything_after_it(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut run = Run::new(Rules::Published);
        // For each network of theirs: since when it is not listed.
        let mut missing: Vec<Option<Instant>> = vec![None; CLOUDFLARE.len()];
        for step in steps.iter().filter(|step| !matches!(step, Step::Restart)) {
            run.step(step);
            let in_force = run.list.in_force();
            let listed = in_force.minus(&run.list.leaving());
            for (net, missing) in CLOUDFLARE.iter().zip(&mut missing) {
                let is_in = |set: &AddrRanges| AddrRanges::new([net]).minus(set).is_empty();
                *missing = (!is_in(&listed)).then(|| missing.unwrap_or(run.now.monotonic));
                let due = missing.is_some_and(|since| since + DELAY <= run.now.monotonic);
                prop_assert_eq!(is_in(&in_force), !due, "{}", net);
            }
        }
    }

    #[test]
    fn networks_and_ranges_say_the_same(nets in prop::collection::vec(any_network(), 0..20)) {
        let ranges = AddrRanges::new(&nets);
        prop_assert_eq!(AddrRanges::new(&networks(&ranges)), ranges);
    }
}
