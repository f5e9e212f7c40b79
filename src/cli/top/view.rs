//! What the user has chosen to see: order, filter, pause; and the keys that choose it.

use super::rates::{HostRates, Rates};
use super::sample::{Pod, Sample};
use clap::ValueEnum;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Most bytes of a filter: the longest name of DNS.
const MOST_FILTER: usize = 253;

/// Rows that Page Up and Page Down move by.
const PAGE: usize = 10;

/// By what hosts are ordered, the most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum HostOrder {
    /// Requests a second.
    #[default]
    Rate,
    /// 5xx a second.
    Errors,
    /// Duration of the slowest hundredth: needs metrics.per_route = "all".
    P99,
    /// Requests since the process started.
    Total,
    /// From a to z.
    Name,
}

impl HostOrder {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rate => "req/s",
            Self::Errors => "5xx",
            Self::P99 => "p99",
            Self::Total => "total",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Rate => Self::Errors,
            Self::Errors => Self::P99,
            Self::P99 => Self::Total,
            Self::Total => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    fn key(self, host: &HostRates) -> f64 {
        match self {
            Self::Rate => host.all(),
            Self::Errors => host.classes[4],
            Self::P99 => host.quantiles.p99.unwrap_or(-1.0),
            Self::Total => host.total,
            Self::Name => 0.0,
        }
    }
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterKey {
    Continue,
    Quit,
}

/// Why the last question had no answer, and since when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoAnswer {
    pub(super) text: String,
    since: Instant,
}

impl NoAnswer {
    pub(super) fn lasts(&self) -> Duration {
        self.since.elapsed()
    }
}

/// The view of a process.
#[derive(Debug, Default)]
pub(super) struct TopView {
    /// Where the process is.
    pub(super) place: String,
    pub(super) order: HostOrder,
    pub(super) filter: String,
    /// Whether keys go to the filter.
    pub(super) typing: bool,
    pub(super) paused: bool,
    /// How many hosts are above the first one that is on the screen.
    pub(super) above: usize,
    pub(super) no_answer: Option<NoAnswer>,
    pub(super) now: Option<Sample>,
    pub(super) rates: Rates,
}

impl TopView {
    pub(super) fn new(place: String, order: HostOrder, filter: String) -> Self {
        Self { place, order, filter, ..Self::default() }
    }

    /// Takes what the process answered last. While the view is paused, nothing changes.
    pub(super) fn take(&mut self, sample: Result<Sample, String>) {
        if self.paused {
            return;
        }
        match sample {
            Ok(sample) => {
                self.no_answer = None;
                self.rates = Rates::between(self.now.as_ref(), &sample);
                self.now = Some(sample);
            }
            Err(text) => {
                let since = self.no_answer.as_ref().map_or_else(Instant::now, |told| told.since);
                self.no_answer = Some(NoAnswer { text, since });
            }
        }
    }

    /// The hosts that the filter lets through, in order.
    pub(super) fn hosts(&self) -> Vec<(&str, &HostRates)> {
        let mut hosts: Vec<_> = self.rates.hosts.iter().collect();
        hosts.retain(|(host, _)| self.lets_through(host));
        // The map has them from a to z, and the sort keeps that among equals.
        hosts.sort_by(|a, b| self.order.key(b.1).total_cmp(&self.order.key(a.1)));
        hosts.into_iter().map(|(host, rates)| (host.as_str(), rates)).collect()
    }

    /// The pods of the Services of these hosts, and of those with the filter in their name: ejected ones first, then the
    /// busiest.
    pub(super) fn pods(&self) -> Vec<(&Pod, Option<f64>)> {
        let Some(now) = &self.now else { return Vec::new() };
        let shown = now.hosts.iter().filter(|(host, _)| self.lets_through(host));
        let services: BTreeSet<&str> =
            shown.flat_map(|(_, host)| &host.services).map(String::as_str).collect();
        let is_shown = |pod: &Pod| {
            self.filter.is_empty()
                || services.contains(pod.service.as_str())
                || self.lets_through(&pod.service)
        };
        let rates = self.rates.pods.iter().copied();
        let mut pods: Vec<_> =
            now.pods.iter().zip(rates).filter(|(pod, _)| is_shown(pod)).collect();
        pods.sort_by(|(a, a_rate), (b, b_rate)| {
            let busier = b_rate.unwrap_or_default().total_cmp(&a_rate.unwrap_or_default());
            let name = (&a.service, &a.address).cmp(&(&b.service, &b.address));
            b.is_ejected().cmp(&a.is_ejected()).then(busier).then(name)
        });
        pods
    }

    fn lets_through(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// Obeys a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> AfterKey {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => AfterKey::Quit,
                _ => AfterKey::Continue,
            };
        }
        if self.typing {
            self.press_typing(key.code);
            return AfterKey::Continue;
        }
        match key.code {
            KeyCode::Char('q') => return AfterKey::Quit,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.above = 0;
            }
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc => self.set_filter(String::new()),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::PageDown => self.scroll(PAGE),
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageUp => self.above = self.above.saturating_sub(PAGE),
            KeyCode::Home => self.above = 0,
            KeyCode::End => self.scroll(usize::MAX),
            _ => {}
        }
        AfterKey::Continue
    }

    fn scroll(&mut self, rows: usize) {
        let last = self.hosts().len().saturating_sub(1);
        self.above = self.above.saturating_add(rows).min(last);
    }

    fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.above = 0;
    }

    fn press_typing(&mut self, code: KeyCode) {
        let mut filter = std::mem::take(&mut self.filter);
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                filter.clear();
            }
            KeyCode::Backspace => {
                filter.pop();
            }
            KeyCode::Char(letter) if filter.len() + letter.len_utf8() <= MOST_FILTER => {
                filter.push(letter);
            }
            _ => {}
        }
        self.set_filter(filter);
    }
}
