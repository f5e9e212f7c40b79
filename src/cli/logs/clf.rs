//! Traefik's text, `traefik-clf`: the Common Log Format with more behind it.

use super::entry::LogEntry;
use crate::config::AccessLogFormat;
use jiff::Timestamp;
use jiff::fmt::strtime;
use regex::Regex;
use std::sync::LazyLock;

/// As `src/telemetry/access_log/clf.rs` writes it; lines of Traefik itself match, too.
static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"^(?<client>\S+) \S+ \S+ \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>.*?) \S+" (?<status>\d{3}|-) \S+ "#,
        r#""(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*" \d+ "[^"]*" "(?<pod>[^"]*)" (?<ms>\d+)ms$"#,
    ))
    .ok()
});

/// Reads a line, if it is one.
pub(super) fn parse(line: &str) -> Option<LogEntry> {
    let found = LINE.as_ref()?.captures(line)?;
    let text = |name: &str| Some(found[name].to_owned()).filter(|text| text != "-");
    let path = text("path").map(|path| path.split('?').next().unwrap_or_default().to_owned());
    let pod = text("pod");
    let endpoint =
        pod.map(|url| url.rsplit_once("//").map_or(url.clone(), |(_, it)| it.to_owned()));
    Some(LogEntry {
        format: AccessLogFormat::TraefikClf,
        time: time(&found["time"]),
        status: found["status"].parse().ok(),
        method: text("method"),
        host: None,
        path,
        reason: None,
        microseconds: found["ms"].parse::<u64>().ok().and_then(|ms| ms.checked_mul(1000)),
        client: text("client"),
        route: None,
        endpoint,
        ray: None,
    })
}

fn time(text: &str) -> Option<Timestamp> {
    strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?.to_timestamp().ok()
}
