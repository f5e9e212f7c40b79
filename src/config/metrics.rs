//! `[metrics]`: what a scrape has, and so what it costs.

use super::raw::{self, Table};
use super::units::Fault;
use super::values::unknown_word;
use std::time::Duration;
use toml::de::DeValue;

/// Upper bounds of the histograms, in seconds. From 1 ms, below which a request behind Cloudflare is as
/// good as instant, to 60 s, above which it has timed out somewhere; about two a decade at the ends, three
/// where service objectives are usually set.
const BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Most buckets. Each is a line of every histogram, and eight bytes of every route and worker.
const MOST_BUCKETS: usize = 32;

/// The longest bound that is of use: no request takes longer than a day.
const LONGEST: Duration = super::MAX_DURATION;

/// `[metrics]`: labels and buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The metrics by route. Default: the number of requests.
    pub per_route: PerRoute,
    /// The labels of `ravelin_requests_total` in addition to listener, status and reason; with
    /// [`PerRoute::All`] of all families of requests. Default: all.
    pub labels: RequestLabels,
    /// Upper bounds of the histograms: 1 to 32, ascending.
    pub buckets: Box<[Duration]>,
    /// The metrics of Traefik that there are as well. Default: none.
    pub traefik: TraefikFamilies,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            per_route: PerRoute::Requests,
            labels: RequestLabels::ALL,
            buckets: BUCKETS.map(Duration::from_secs_f64).into(),
            traefik: TraefikFamilies::default(),
        }
    }
}

/// Which metrics are split by route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerRoute {
    /// Requests, bytes and times.
    All,
    /// How many requests there were. Bytes and times are those of listeners.
    Requests,
    /// Nothing: all is by listener.
    Nothing,
}

impl PerRoute {
    const ALL: [(&str, Self); 3] =
        [("all", Self::All), ("requests", Self::Requests), ("none", Self::Nothing)];
}

/// Labels that can be omitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLabels {
    /// `host`: of the rule.
    pub host: bool,
    /// `route`: namespace and name of the Ingress.
    pub route: bool,
    /// `service`: namespace, name and port of the Service.
    pub service: bool,
    /// `method`.
    pub method: bool,
}

impl RequestLabels {
    /// All of them.
    pub const ALL: Self = Self { host: true, route: true, service: true, method: true };
    const NONE: Self = Self { host: false, route: false, service: false, method: false };
    const WORDS: [&str; 4] = ["host", "route", "service", "method"];
}

/// Traefik's metrics of requests that there are beside ours (`metrics.prometheus.addEntryPointsLabels`,
/// `addRoutersLabels` and `addServicesLabels` of Traefik).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraefikFamilies {
    /// `traefik_entrypoint_*`.
    pub entry_points: bool,
    /// `traefik_router_*`.
    pub routers: bool,
    /// `traefik_service_*`.
    pub services: bool,
}

impl TraefikFamilies {
    const WORDS: [&str; 3] = ["entrypoints", "routers", "services"];

    /// Whether there are any.
    pub fn is_any(self) -> bool {
        self.entry_points || self.routers || self.services
    }
}

pub(super) fn section(table: &Table<'_>) -> Metrics {
    let default = Metrics::default();
    let per_route = table.read("per_route", |value| {
        let word = raw::string(value)?;
        let meant = PerRoute::ALL.iter().find(|(known, _)| *known == word);
        let known = PerRoute::ALL.map(|(known, _)| known);
        meant.map(|(_, meant)| *meant).ok_or_else(|| unknown_word(word, &known))
    });
    Metrics {
        per_route: per_route.unwrap_or(default.per_route),
        labels: labels(table).unwrap_or(default.labels),
        buckets: buckets(table).unwrap_or(default.buckets),
        traefik: traefik(table).unwrap_or_default(),
    }
}

fn labels(table: &Table<'_>) -> Option<RequestLabels> {
    let list = table.list("labels")?;
    let words = list.strings(&table.path("labels"), |word| {
        let known = RequestLabels::WORDS.into_iter().find(|known| *known == word);
        known.ok_or_else(|| unknown_word(word, &RequestLabels::WORDS))
    });
    let mut labels = RequestLabels::NONE;
    for word in words {
        match word {
            "host" => labels.host = true,
            "route" => labels.route = true,
            "service" => labels.service = true,
            _ => labels.method = true,
        }
    }
    Some(labels)
}

fn traefik(table: &Table<'_>) -> Option<TraefikFamilies> {
    let list = table.list("traefik")?;
    let words = list.strings(&table.path("traefik"), |word| {
        let known = TraefikFamilies::WORDS.into_iter().find(|known| *known == word);
        known.ok_or_else(|| unknown_word(word, &TraefikFamilies::WORDS))
    });
    let mut families = TraefikFamilies::default();
    for word in words {
        match word {
            "entrypoints" => families.entry_points = true,
            "routers" => families.routers = true,
            _ => families.services = true,
        }
    }
    Some(families)
}

fn buckets(table: &Table<'_>) -> Option<Box<[Duration]>> {
    let list = table.list_of("buckets", "a list of numbers", "[0.01, 0.1, 1.0]")?;
    let buckets = list.each(&table.path("buckets"), seconds);
    let complain = |problem: &str, fix: &str| {
        table.complain("buckets", Fault::new(problem, fix));
        None
    };
    if buckets.is_empty() || buckets.len() > MOST_BUCKETS {
        let fix = format!("write 1 to {MOST_BUCKETS} upper bounds in seconds");
        return complain(&format!("{} bounds do not make a histogram", buckets.len()), &fix);
    }
    if !buckets.is_sorted_by(|a, b| a < b) {
        return complain("the bounds are not in ascending order", "sort them without duplicates");
    }
    Some(buckets.into())
}

/// An upper bound: a number of seconds, as Prometheus has them.
fn seconds(value: &DeValue<'_>) -> Result<Duration, Fault> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) => number.as_str(),
        _ => {
            let problem = format!("the value is of type {}, not a number", value.type_str());
            return Err(Fault::new(problem, "write seconds without quotes, such as 0.25"));
        }
    };
    let number = text.replace('_', "").parse().ok();
    let bound = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    // Times are counted in microseconds.
    bound.filter(|bound| (Duration::from_micros(1)..=LONGEST).contains(bound)).ok_or_else(|| {
        let problem = format!("{text} is out of range");
        Fault::new(problem, format!("give 0.000001 to {} seconds", LONGEST.as_secs()))
    })
}
