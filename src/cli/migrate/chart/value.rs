//! Values as people write them for Traefik: numbers as texts, lists with commas, durations of Go.

use crate::control::translate::go_duration;
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;

/// A scalar as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A truth, as Traefik and Helm take it.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1"),
        Value::Number(number) => number.as_i64() == Some(1),
        // `tls: {}` and other mappings ask for what they are named for.
        Value::Object(_) => true,
        _ => false,
    }
}

/// The elements of a list, or of a text with commas.
pub(super) fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(list).collect(),
        value => {
            let text = text(value).unwrap_or_default();
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        }
    }
}

/// A port.
pub(super) fn port(value: &Value) -> Option<u16> {
    text(value)?.parse().ok().filter(|port| *port != 0)
}

/// A network, without bits of a host. `None` for all addresses, and for what is no network.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    (net.prefix_len() > 0).then(|| net.trunc())
}

/// A duration of Go (`1m30s`), or a number of seconds.
pub(super) fn duration(value: &Value) -> Option<Duration> {
    go_duration(&text(value)?)
}

/// A duration as the configuration writes it.
pub(super) fn in_words(duration: Duration) -> String {
    match (duration.as_millis() % 1000, duration.as_secs()) {
        (0, seconds) => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_those_of_go_or_seconds() {
        let of = |value: Value| duration(&value).map(in_words);
        assert_eq!(of(json!("1m30s")).as_deref(), Some("90s"));
        assert_eq!(of(json!("0.5s")).as_deref(), Some("500ms"));
        assert_eq!(of(json!(600)).as_deref(), Some("600s"));
        assert_eq!(of(json!("180")).as_deref(), Some("180s"));
        for wrong in ["", "soon", "1x", "s", "-1s", "1..s"] {
            assert_eq!(of(json!(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn lists_are_of_yaml_or_with_commas() {
        assert_eq!(list(&json!(["a, b", "c", 1])), ["a", "b", "c", "1"]);
        assert_eq!(list(&json!(" a ,,b ")), ["a", "b"]);
        assert_eq!(list(&json!(null)), Vec::<String>::new());
    }
}
