//! What a circuit breaker remembers of the last seconds, as Traefik does: counts of ten seconds, times of a minute.

use crate::model::middleware::{BreakerCondition, Operator, Signal};
use http::StatusCode;
use std::time::Duration;

/// Seconds that counts are kept for.
const SECONDS: usize = 10;

/// Parts of ten seconds that times are kept for.
const PARTS: usize = 6;

const PART_SECONDS: u64 = 10;

/// Steps of an octave. Above the first only half of them are in use: a time is known to 3 %.
const STEPS: usize = 64;

/// Powers of two, from 64 microseconds up: the last is more than an hour.
const OCTAVES: usize = 27;

/// Counts by the second in which they were made.
#[derive(Debug)]
pub(super) struct Window {
    /// The second now, of the breaker's clock.
    second: u64,
    /// Rows of counts: requests, network errors, and two for each signal of statuses.
    rows: Box<[u32]>,
    columns: usize,
    statuses: Box<[StatusSignal]>,
    times: Option<Box<Times>>,
}

/// From, to: what is counted, and what that is divided by.
type StatusSignal = ((u16, u16), (u16, u16));

impl Window {
    /// An empty one with what a condition asks for: its size depends on nothing else.
    pub(super) fn of(condition: &BreakerCondition) -> Self {
        let mut statuses = Vec::new();
        let mut has_times = false;
        visit(condition, &mut |signal| match signal {
            Signal::Responses { counted, divided } if !statuses.contains(&(counted, divided)) => {
                statuses.push((counted, divided));
            }
            Signal::Latency(_) => has_times = true,
            _ => {}
        });
        let columns = 2 + 2 * statuses.len();
        Self {
            second: 0,
            rows: vec![0; SECONDS * columns].into(),
            columns,
            statuses: statuses.into(),
            times: has_times.then(Box::default),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.rows.fill(0);
        if let Some(times) = &mut self.times {
            **times = Times::default();
        }
    }

    /// Notes a response, `now` after the breaker's beginning.
    pub(super) fn record(&mut self, status: StatusCode, took: Duration, now: Duration) {
        self.advance(now);
        let start = self.row(self.second);
        let code = status.as_u16();
        let row = &mut self.rows[start..start + self.columns];
        row[0] = row[0].saturating_add(1);
        // As in Traefik: these two, of the proxy or of a proxy behind it.
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) {
            row[1] = row[1].saturating_add(1);
        }
        for (pair, (counted, divided)) in row[2..].chunks_mut(2).zip(&self.statuses) {
            pair[0] = pair[0].saturating_add(u32::from(is_in(code, *counted)));
            pair[1] = pair[1].saturating_add(u32::from(is_in(code, *divided)));
        }
        if let Some(times) = &mut self.times {
            times.record(took, now.as_secs() / PART_SECONDS);
        }
    }

    /// Whether a condition holds.
    pub(super) fn holds(&mut self, condition: &BreakerCondition, now: Duration) -> bool {
        self.advance(now);
        self.is_met(condition)
    }

    fn is_met(&self, condition: &BreakerCondition) -> bool {
        match condition {
            BreakerCondition::All(all) => all.iter().all(|one| self.is_met(one)),
            BreakerCondition::Any(all) => all.iter().any(|one| self.is_met(one)),
            BreakerCondition::Compare(signal, operator, number) => {
                compare(self.value(*signal), *operator, *number)
            }
        }
    }

    fn value(&self, signal: Signal) -> f64 {
        match signal {
            Signal::NetworkErrors => ratio(self.sum(1), self.sum(0)),
            Signal::Requests => count(self.sum(0)),
            Signal::Responses { counted, divided } => {
                let mut all = self.statuses.iter();
                let place = all.position(|known| *known == (counted, divided)).unwrap_or(0);
                ratio(self.sum(2 + 2 * place), self.sum(3 + 2 * place))
            }
            Signal::Latency(quantile) => {
                self.times.as_ref().map_or(0.0, |times| times.milliseconds_at(quantile))
            }
        }
    }

    fn sum(&self, column: usize) -> u64 {
        self.rows.iter().skip(column).step_by(self.columns).map(|&n| u64::from(n)).sum()
    }

    fn row(&self, second: u64) -> usize {
        usize::try_from(second % SECONDS as u64).unwrap_or(0) * self.columns
    }

    /// Makes room for the seconds that have passed. Workers read their clocks one after the other: one that is a
    /// little behind changes nothing.
    fn advance(&mut self, now: Duration) {
        let second = now.as_secs();
        let from = (self.second + 1).max(second.saturating_sub(SECONDS as u64 - 1));
        for passed in from..=second {
            let start = self.row(passed);
            self.rows[start..start + self.columns].fill(0);
        }
        self.second = self.second.max(second);
        if let Some(times) = &mut self.times {
            times.advance(second / PART_SECONDS);
        }
    }
}

fn visit(condition: &BreakerCondition, act: &mut impl FnMut(Signal)) {
    match condition {
        BreakerCondition::All(all) | BreakerCondition::Any(all) => {
            for one in all {
                visit(one, act);
            }
        }
        BreakerCondition::Compare(signal, ..) => act(*signal),
    }
}

/// Both ends as in Traefik: the second one is not in it.
fn is_in(code: u16, range: (u16, u16)) -> bool {
    (range.0..range.1).contains(&code)
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 responses")]
fn count(number: u64) -> f64 {
    number as f64
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { count(part) / count(whole) }
}

#[expect(clippy::float_cmp, reason = "the user has asked for it")]
fn compare(value: f64, operator: Operator, number: f64) -> bool {
    match operator {
        Operator::Less => value < number,
        Operator::LessOrEqual => value <= number,
        Operator::Greater => value > number,
        Operator::GreaterOrEqual => value >= number,
        Operator::Equal => value == number,
        Operator::NotEqual => value != number,
    }
}

/// A histogram of times for each ten seconds: 42 KiB.
#[derive(Debug)]
struct Times {
    part: u64,
    parts: Box<[[u32; STEPS * OCTAVES]]>,
}

impl Default for Times {
    fn default() -> Self {
        Self { part: 0, parts: vec![[0; STEPS * OCTAVES]; PARTS].into() }
    }
}

impl Times {
    fn record(&mut self, took: Duration, part: u64) {
        self.advance(part);
        let slot = usize::try_from(self.part % PARTS as u64).unwrap_or(0);
        let step = &mut self.parts[slot][step_of(took)];
        *step = step.saturating_add(1);
    }

    fn advance(&mut self, part: u64) {
        let from = (self.part + 1).max(part.saturating_sub(PARTS as u64 - 1));
        for passed in from..=part {
            self.parts[usize::try_from(passed % PARTS as u64).unwrap_or(0)].fill(0);
        }
        self.part = self.part.max(part);
    }

    /// The time below which so many of a hundred are, in whole milliseconds.
    fn milliseconds_at(&self, quantile: f64) -> f64 {
        let at = |step: usize| self.parts.iter().map(|part| u64::from(part[step])).sum::<u64>();
        let total: u64 = (0..STEPS * OCTAVES).map(at).sum();
        let wanted = (count(total) * quantile / 100.0).max(1.0);
        let mut seen = 0;
        for step in 0..STEPS * OCTAVES {
            seen += at(step);
            if seen > 0 && count(seen) >= wanted {
                return count(micros_of(step) / 1000);
            }
        }
        0.0
    }
}

/// Below 64 microseconds each has its own; above, there are 32 for each power of two.
fn step_of(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let octave = (64 - micros.leading_zeros() as usize).saturating_sub(6);
    // In the octave's own units it is 32 to 63, but for the first.
    let step = usize::try_from(micros >> octave).unwrap_or(0);
    (octave * STEPS + step).min(STEPS * OCTAVES - 1)
}

/// The largest time of a step, in microseconds.
fn micros_of(step: usize) -> u64 {
    let (octave, step) = (step / STEPS, (step % STEPS) as u64);
    ((step + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(signal: Signal) -> Window {
        Window::of(&BreakerCondition::Compare(signal, Operator::Greater, 0.0))
    }

    #[test]
    fn counts_are_forgotten_after_ten_seconds() {
        let mut window = window(Signal::NetworkErrors);
        for second in 0..30 {
            let status = if second < 15 { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
            window.record(status, Duration::ZERO, SECOND * second);
        }
        assert!((window.value(Signal::Requests) - 10.0).abs() < f64::EPSILON);
        assert!(window.value(Signal::NetworkErrors).abs() < f64::EPSILON);
        window.record(StatusCode::GATEWAY_TIMEOUT, Duration::ZERO, SECOND * 29);
        assert!((window.value(Signal::NetworkErrors) - 1.0 / 11.0).abs() < 1e-9);
        // A pause of days costs no more than one of ten seconds.
        window.advance(SECOND * 1_000_000);
        assert!(window.value(Signal::Requests).abs() < f64::EPSILON);
    }

    #[test]
    fn a_worker_whose_clock_is_behind_changes_nothing() {
        let mut window = window(Signal::Latency(50.0));
        window.record(StatusCode::OK, SECOND, SECOND * 20);
        window.record(StatusCode::OK, SECOND, SECOND * 19);
        assert!((window.value(Signal::Requests) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn ratios_of_statuses_have_half_open_ends() {
        let signal = Signal::Responses { counted: (500, 600), divided: (0, 600) };
        let mut window = window(signal);
        assert!(window.value(signal).abs() < f64::EPSILON, "of nothing");
        for code in [200, 500, 599, 600] {
            let status = StatusCode::from_u16(code).expect("a status");
            window.record(status, Duration::ZERO, Duration::ZERO);
        }
        assert!((window.value(signal) - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn times_are_known_by_quantile_for_a_minute() {
        let mut window = window(Signal::Latency(50.0));
        for took in 1..=100 {
            window.record(StatusCode::OK, Duration::from_millis(took), Duration::ZERO);
        }
        for (quantile, expected) in [(50.0, 50.0), (99.0, 99.0), (100.0, 100.0), (0.0, 1.0)] {
            let value = window.value(Signal::Latency(quantile));
            assert!((value - expected).abs() <= 1.0 + expected * 0.032, "{quantile}: {value}");
        }
        window.advance(SECOND * 59);
        assert!(window.value(Signal::Latency(50.0)) > 0.0);
        window.advance(SECOND * 60);
        assert!(window.value(Signal::Latency(50.0)).abs() < f64::EPSILON);
    }

    #[test]
    fn steps_of_times_follow_one_another() {
        let mut last = 0;
        for micros in (0..100_000).chain([10_000_000, u64::MAX / 2]) {
            let step = step_of(Duration::from_micros(micros));
            assert!(step >= last, "{micros}");
            last = step;
            if micros < 100_000 {
                assert!(micros_of(step) >= micros && micros_of(step) <= micros + micros / 32);
            }
        }
    }
}
