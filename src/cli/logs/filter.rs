//! Which lines are wanted.

use super::entry::{LogEntry, PartialField};
use crate::cli::Failure;
use crate::config::{AccessLogFormat, duration};
use crate::error::Reason;
use clap::Args;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Which lines are wanted: those that all options let through. An option that is given several times, or has several values
/// with commas between, takes any of them.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct LogFilter {
    /// Statuses: 404, 500-599, or 5xx.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = statuses)]
    status: Vec<RangeInclusive<u16>>,
    /// Hosts; * stands for any text: *.example.com.
    #[arg(long, value_name = "HOST", value_delimiter = ',', value_parser = host)]
    host: Vec<TextPattern>,
    /// Beginnings of paths, element by element: /api is also /api/x. With *, which stands for any text, whole paths.
    #[arg(long, value_name = "PATH", value_delimiter = ',', value_parser = path)]
    path: Vec<PathPattern>,
    /// Methods.
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    method: Vec<String>,
    /// Reasons of config/README.md, of responses of ravelin's own; * stands for any text: upstream_*.
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = reason)]
    reason: Vec<TextPattern>,
    /// Requests that took at least so long: 1s, 250ms.
    #[arg(long, value_name = "DURATION", value_parser = slower)]
    slower_than: Option<Duration>,
    /// Objects with routes: namespace/name; * stands for any text: shop/*.
    #[arg(long, value_name = "NAMESPACE/NAME", value_delimiter = ',', value_parser = TextPattern::parse)]
    route: Vec<TextPattern>,
    /// A Ray ID (CF-Ray), with or without its data centre.
    #[arg(long, value_name = "RAY")]
    ray: Option<String>,
    /// Clients: addresses, or networks such as 203.0.113.0/24.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    client: Vec<IpNet>,
    /// From this time on: 10m, 2h, 3d ago, or a time such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(super) since: Option<Timestamp>,
}

impl LogFilter {
    /// Whether a line is wanted.
    ///
    /// # Errors
    /// Lines of its format have no field that an option asks for.
    pub(super) fn wants(&self, entry: &LogEntry) -> Result<bool, Failure> {
        self.check(entry.format)?;
        let (host, path) = (entry.host.as_deref(), entry.path.as_deref());
        let any = |patterns: &[TextPattern], text: Option<&str>| {
            patterns.is_empty()
                || text.is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(text)))
        };
        let of = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
        Ok(any(&self.host, host)
            && any(&self.reason, entry.reason.as_deref())
            && any(&self.route, entry.route.as_deref())
            && one(&self.status, |range| entry.status.is_some_and(|it| range.contains(&it)))
            && one(&self.path, |pattern| path.is_some_and(|path| pattern.matches(path)))
            && one(&self.method, |method| method.eq_ignore_ascii_case(&of(&entry.method)))
            && one(&self.client, |network| is_within(entry.client.as_deref(), network))
            && self.slower_than.is_none_or(|least| is_as_slow(entry.microseconds, least))
            && self.ray.as_ref().is_none_or(|ray| bare(ray) == bare(&of(&entry.ray)))
            && self.since.is_none_or(|since| entry.time.is_some_and(|time| time >= since)))
    }

    fn check(&self, format: AccessLogFormat) -> Result<(), Failure> {
        let asked = [
            (PartialField::Host, !self.host.is_empty()),
            (PartialField::Reason, !self.reason.is_empty()),
            (PartialField::Route, !self.route.is_empty()),
            (PartialField::Ray, self.ray.is_some()),
        ];
        let lacking = asked.into_iter().find(|(field, asked)| *asked && !field.is_in(format));
        let Some((field, _)) = lacking else { return Ok(()) };
        let (field, format) = (field.name(), name(format));
        Err(Failure::usage(format!(
            "--{field} cannot be used: lines of log.format = {format:?} have no {field}; lines of \"ravelin\" and \"otel\" \
             have it"
        )))
    }
}

fn one<T>(wanted: &[T], is_it: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is_it)
}

fn is_within(client: Option<&str>, network: &IpNet) -> bool {
    client.and_then(|client| client.parse::<IpAddr>().ok()).is_some_and(|it| network.contains(&it))
}

fn is_as_slow(microseconds: Option<u64>, least: Duration) -> bool {
    microseconds.is_some_and(|took| Duration::from_micros(took) >= least)
}

/// A Ray ID without its data centre.
fn bare(ray: &str) -> String {
    ray.split('-').next().unwrap_or_default().to_ascii_lowercase()
}

/// The word for a format in `log.format`.
fn name(format: AccessLogFormat) -> &'static str {
    match format {
        AccessLogFormat::Ravelin => "ravelin",
        AccessLogFormat::Otel => "otel",
        AccessLogFormat::Traefik => "traefik",
        AccessLogFormat::TraefikClf => "traefik-clf",
    }
}

/// A text in which `*` stands for any text.
#[derive(Clone, Debug)]
struct TextPattern(Regex);

impl TextPattern {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let parts: Vec<String> = text.split('*').map(regex::escape).collect();
        let regex = Regex::new(&format!("^{}$", parts.join(".*")));
        regex.map(Self).map_err(|error| error.to_string())
    }

    fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// The beginning of a path, or with `*` a whole one.
#[derive(Clone, Debug)]
enum PathPattern {
    Beginning(String),
    Whole(TextPattern),
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Whole(pattern) => pattern.matches(path),
            Self::Beginning(beginning) => {
                path.strip_prefix(beginning.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with('/') || beginning.ends_with('/')
                })
            }
        }
    }
}

fn statuses(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "write 404, 500-599 or 5xx, within 100 to 599".to_owned();
    let status = |text: &str| {
        let is_number = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| is_number && (100..=599).contains(status))
    };
    if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
        let first: u16 = status(&format!("{class}00")).ok_or_else(wrong)?;
        return Ok(first..=first + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(wrong()),
    }
}

fn host(text: &str) -> Result<TextPattern, String> {
    if text.contains('/') {
        return Err("write a name without scheme and path, such as app.example.com".to_owned());
    }
    TextPattern::parse(&text.to_ascii_lowercase())
}

fn path(text: &str) -> Result<PathPattern, String> {
    if text.contains('*') {
        return TextPattern::parse(text).map(PathPattern::Whole);
    }
    match text.starts_with('/') && !text.contains('?') {
        true => Ok(PathPattern::Beginning(text.to_owned())),
        false => Err("begin with a slash, such as /api, and leave the query out".to_owned()),
    }
}

fn reason(text: &str) -> Result<TextPattern, String> {
    let labels = || Reason::ALL.into_iter().map(Reason::label);
    if !text.contains('*') && labels().all(|label| label != text) {
        let nearest = labels()
            .max_by(|a, b| strsim::jaro_winkler(a, text).total_cmp(&strsim::jaro_winkler(b, text)));
        let nearest = nearest.unwrap_or_default();
        return Err(format!("no such reason; did you mean {nearest}? See config/README.md"));
    }
    TextPattern::parse(text)
}

fn slower(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|fault| format!("{}; {}", fault.problem, fault.fix))
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from).ok();
    address
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "write an address or a network, such as 203.0.113.0/24".to_owned())
}

fn since(text: &str) -> Result<Timestamp, String> {
    let wrong = || "write 10m, 2h or 3d, or a time such as 2026-01-31T12:00:00Z".to_owned();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    // Spans with days have no one length by themselves; here a day is 24 h.
    let span = match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(days) => SignedDuration::from_hours(24 * i64::from(days.map_err(|_| wrong())?)),
        None => text.parse::<SignedDuration>().map_err(|_| wrong())?,
    };
    if span.is_negative() {
        return Err(wrong());
    }
    Timestamp::now().checked_sub(span).map_err(|_| wrong())
}
