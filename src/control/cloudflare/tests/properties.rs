//! No sequence of answers, restarts and clock jumps leads to a list that admits nobody, everybody,
//! or whom it must not; and nothing leaves before its time.

use super::net;
use crate::config::{CLOUDFLARE, NEVER_CLOUDFLARE};
use crate::control::cloudflare::answer::{json, text};
use crate::control::cloudflare::check::{Rules, networks};
use crate::control::cloudflare::life::{Answer, ClockTimes, ListState};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use std::time::Duration;

const DELAY: Duration = Duration::from_secs(24 * 3600);

/// Events of a list.
#[derive(Clone, Debug)]
enum Step {
    /// The API answers with these networks, and the answer is cut off at a share of its bytes.
    Answer(Vec<IpNet>, Option<f64>),
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

fn any_network() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0u8..=32)
        .prop_map(|(bits, len)| IpNet::V4(Ipv4Net::new_assert(bits.into(), len).trunc()));
    let public = (20u32..100, any::<u16>(), 10u8..=24).prop_map(|(top, bits, len)| {
        IpNet::V4(Ipv4Net::new_assert((top << 24 | u32::from(bits) << 8).into(), len).trunc())
    });
    let v6 = (any::<u128>(), 0u8..=128)
        .prop_map(|(bits, len)| IpNet::V6(Ipv6Net::new_assert(bits.into(), len).trunc()));
    let hostile = prop::sample::select(HOSTILE.to_vec()).prop_map(net);
    prop_oneof![3 => public, 1 => v4, 1 => v6, 1 => hostile]
}

/// Theirs with each network missing at a small chance, and others added.
fn list() -> impl Strategy<Value = Vec<IpNet>> {
    let most = prop::collection::vec(prop::bool::weighted(0.93), CLOUDFLARE.len());
    let subset = most.prop_map(|kept| {
        let each = CLOUDFLARE.into_iter().zip(kept);
        each.filter_map(|(net, kept)| kept.then_some(net)).collect::<Vec<_>>()
    });
    let public = (20u32..100, any::<u8>(), 12u8..=24).prop_map(|(top, next, len)| {
        IpNet::V4(Ipv4Net::new_assert((top << 24 | u32::from(next) << 16).into(), len).trunc())
    });
    let grown = (subset.clone(), prop::collection::vec(public, 0..12))
        .prop_map(|(list, more)| [list, more].concat());
    let poisoned = (subset.clone(), prop::collection::vec(any_network(), 1..4))
        .prop_map(|(list, more)| [list, more].concat());
    let random = prop::collection::vec(any_network(), 0..30);
    prop_oneof![4 => subset, 3 => grown, 2 => poisoned, 1 => random]
}

fn step() -> impl Strategy<Value = Step> {
    let cut = prop::option::weighted(0.2, 0.0..1.0f64);
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
    life: ListState,
    now: ClockTimes,
    rules: Rules,
}

impl Run {
    fn new(rules: Rules) -> Self {
        let begin = AddrRanges::new(&CLOUDFLARE);
        let life = ListState::new(rules, DELAY, ListSource::Embedded, begin, None);
        Self { life, now: ClockTimes { monotonic: Duration::ZERO, unix: 1_790_000_000 }, rules }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Answer(list, cut) => {
                let whole = match self.rules {
                    Rules::Published => answer_text(list),
                    Rules::Override | Rules::Extra => {
                        list.iter().map(|net| format!("{net}\n")).collect::<String>()
                    }
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a share of a short text"
                )]
                let bytes = cut.map_or(whole.len(), |share| (whole.len() as f64 * share) as usize);
                let bytes = &whole.as_bytes()[..bytes];
                let read = match self.rules {
                    Rules::Published => json(bytes, false),
                    Rules::Override | Rules::Extra => text(bytes),
                };
                if let Ok(list) = read {
                    // A refusal is as good an end as any.
                    let _ = self.life.on_answer(self.now, ListSource::Api, Answer::List(list));
                }
            }
            Step::Unchanged => {
                let _ = self.life.on_answer(self.now, ListSource::Api, Answer::Unchanged);
            }
            Step::Pass(seconds) => {
                self.now.monotonic += Duration::from_secs(*seconds);
                self.now.unix = self.now.unix.saturating_add(*seconds);
                self.life.expire(self.now);
            }
            Step::Clock(unix) => {
                self.now.unix = *unix;
                self.life.expire(self.now);
            }
            Step::Restart => {
                let kept = self.life.keep(self.now);
                self.now.monotonic = Duration::ZERO;
                self.life = ListState::restore(self.now, &kept, self.rules, DELAY)
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
    let mut forbidden: Vec<IpNet> = NEVER_CLOUDFLARE.to_vec();
    for special in [
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
    ] {
        forbidden.push(net(special));
    }
    prop_assert_eq!(&in_force.minus(&AddrRanges::new(&forbidden)), in_force);
    Ok(())
}

proptest! {
    #[test]
    fn a_published_list_never_admits_nobody_everybody_or_the_forbidden(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut run = Run::new(Rules::Published);
        let embedded = AddrRanges::new(&CLOUDFLARE);
        let whole = addresses(&embedded);
        for step in &steps {
            run.step(step);
            let in_force = run.life.in_force();
            nothing_forbidden(&in_force)?;
            let lost = addresses(&embedded.minus(&in_force));
            prop_assert!(2 * lost[0] <= whole[0] && 2 * lost[1] <= whole[1], "{:?}", lost);
        }
    }

    #[test]
    fn an_own_list_never_admits_nobody_everybody_or_the_forbidden(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut run = Run::new(Rules::Override);
        for step in &steps {
            run.step(step);
            nothing_forbidden(&run.life.in_force())?;
        }
    }

    #[test]
    fn nothing_leaves_before_its_delay_and_everything_after_it(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut run = Run::new(Rules::Published);
        // For each network of theirs: since when it is not listed.
        let mut missing: Vec<Option<Duration>> = vec![None; CLOUDFLARE.len()];
        for step in steps.iter().filter(|step| !matches!(step, Step::Restart)) {
            run.step(step);
            let in_force = run.life.in_force();
            let listed = in_force.minus(&run.life.leaving());
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
