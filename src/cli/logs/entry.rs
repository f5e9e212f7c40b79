//! A line of the access log, of any of its formats: the fields that lines are chosen by.

use super::clf;
use crate::config::AccessLogFormat;
use http::uri::Authority;
use jiff::Timestamp;
use serde_json::Value;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogEntry {
    pub(super) format: AccessLogFormat,
    pub(super) time: Option<Timestamp>,
    /// `None` for a relayed connection.
    pub(super) status: Option<u16>,
    pub(super) method: Option<String>,
    /// Without its port, in lower case; for a connection the name of its ClientHello.
    pub(super) host: Option<String>,
    /// Without its query.
    pub(super) path: Option<String>,
    /// Why it was not the pod's response, whole; for a connection why it ended early.
    pub(super) reason: Option<String>,
    pub(super) microseconds: Option<u64>,
    pub(super) client: Option<String>,
    pub(super) route: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) ray: Option<String>,
}

/// Fields that not all formats have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartialField {
    Host,
    Reason,
    Route,
    Ray,
}

impl PartialField {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Reason => "reason",
            Self::Route => "route",
            Self::Ray => "ray",
        }
    }

    /// Whether lines of a format have it.
    pub(super) fn is_in(self, format: AccessLogFormat) -> bool {
        match format {
            AccessLogFormat::Ravelin | AccessLogFormat::Otel => true,
            // Their router's name is made of that of the route, and cannot be taken apart.
            AccessLogFormat::Traefik => self == Self::Host,
            AccessLogFormat::TraefikClf => false,
        }
    }
}

impl LogEntry {
    /// Reads a line; `None` for what is no line of the access log, such as the process's own log.
    pub(super) fn parse(line: &str) -> Option<Self> {
        if !line.starts_with('{') {
            return clf::parse(line);
        }
        let value: Value = serde_json::from_str(line).ok()?;
        match &value {
            line if line["duration_us"].is_u64() => Some(of_ravelin(line)),
            line if line["attributes"].is_object() && line["severity_number"].is_u64() => {
                Some(of_otel(line))
            }
            line if line["DownstreamStatus"].is_u64() => Some(of_traefik(line)),
            _ => None,
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| u16::try_from(status).ok())
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A `Host` as clients send it, without its port.
fn host(value: &Value) -> Option<String> {
    let written = text(value)?.to_ascii_lowercase();
    let bare = written.parse::<Authority>().ok().map(|authority| authority.host().to_owned());
    Some(bare.unwrap_or(written))
}

fn of_ravelin(line: &Value) -> LogEntry {
    let end = text(&line["end"]).filter(|end| end != "complete");
    LogEntry {
        format: AccessLogFormat::Ravelin,
        time: time(&line["time"]),
        status: status(&line["status"]),
        method: text(&line["method"]),
        host: host(&line["host"]).or_else(|| host(&line["sni"])),
        path: text(&line["path"]),
        reason: text(&line["reason"]).or(end),
        microseconds: line["duration_us"].as_u64(),
        client: text(&line["client"]),
        route: text(&line["route"]),
        endpoint: text(&line["endpoint"]),
        ray: text(&line["cf_ray"]),
    }
}

fn of_otel(record: &Value) -> LogEntry {
    let line = &record["attributes"];
    let seconds = [&line["http.server.request.duration"], &line["ravelin.connection.duration"]];
    // The type of an error is the status where it is the pod's own.
    let is_reason = |error: &String| !error.bytes().all(|byte| byte.is_ascii_digit());
    let method = [&line["http.request.method_original"], &line["http.request.method"]];
    LogEntry {
        format: AccessLogFormat::Otel,
        time: time(&record["timestamp"]),
        status: status(&line["http.response.status_code"]),
        method: method.into_iter().find_map(text),
        host: host(&line["server.address"]).or_else(|| host(&line["tls.client.server_name"])),
        path: text(&line["url.path"]),
        reason: text(&line["error.type"]).filter(is_reason),
        microseconds: seconds.into_iter().find_map(Value::as_f64).and_then(microseconds),
        client: text(&line["client.address"]),
        route: text(&line["ravelin.route"]),
        endpoint: text(&line["ravelin.endpoint"]),
        ray: text(&line["ravelin.cf_ray"]),
    }
}

fn microseconds(seconds: f64) -> Option<u64> {
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(duration.as_micros()).ok()
}

fn of_traefik(line: &Value) -> LogEntry {
    let path = text(&line["RequestPath"]);
    LogEntry {
        format: AccessLogFormat::Traefik,
        // Its `time` is to the second.
        time: time(&line["StartUTC"]).or_else(|| time(&line["time"])),
        status: status(&line["DownstreamStatus"]),
        method: text(&line["RequestMethod"]),
        host: host(&line["RequestHost"]),
        path: path.map(|path| path.split('?').next().unwrap_or_default().to_owned()),
        reason: None,
        microseconds: line["Duration"].as_u64().map(|nanoseconds| nanoseconds / 1000),
        client: text(&line["ClientHost"]),
        route: None,
        endpoint: text(&line["ServiceAddr"]),
        ray: None,
    }
}
