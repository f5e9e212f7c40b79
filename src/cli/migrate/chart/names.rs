//! Keys of the chart to names of flags. The chart has moved its keys over the years; all of them are read.

/// What a key of the chart is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A flag of Traefik, by its name in lower case.
    Flag(String),
    /// Something of the chart alone.
    Chart,
    /// A list of flags.
    Arguments,
}

/// Keys of a port that are not Traefik's, but of the workload and the Service.
const OF_PORTS: [&str; 13] = [
    "port",
    "hostport",
    "hostip",
    "containerport",
    "exposedport",
    "expose",
    "exposeinternal",
    "targetport",
    "nodeport",
    "protocol",
    "appprotocol",
    "nativelb",
    "annotations",
];

/// Beginnings of keys of the chart, in lower case, and of the flags that they became.
const RENAMED: [(&str, &str); 6] = [
    ("logs.general.", "log."),
    ("logs.access.enabled", "accesslog"),
    ("logs.access.", "accesslog."),
    ("accesslogs.", "accesslog."),
    ("additionalcertresolvers.", "certificatesresolvers."),
    ("certresolvers.", "certificatesresolvers."),
];

/// Top keys that chart and flags have in common.
const SAME: [&str; 14] = [
    "accesslog",
    "api",
    "certificatesresolvers",
    "core",
    "entrypoints",
    "experimental",
    "log",
    "metrics",
    "ocsp",
    "ping",
    "providers",
    "serverstransport",
    "spiffe",
    "tracing",
];

/// Keys below them that only the chart has: objects that it renders.
const OBJECTS: [&str; 4] = [
    "metrics.prometheus.service",
    "metrics.prometheus.servicemonitor",
    "metrics.prometheus.prometheusrule",
    "metrics.prometheus.disableapicheck",
];

/// Reads a path of the chart's values.
pub(super) fn key(path: &str) -> Key {
    let lower = path.to_lowercase();
    if matches!(lower.as_str(), "additionalarguments" | "globalarguments") {
        return Key::Arguments;
    }
    if let Some(rest) = lower.strip_prefix("ports.") {
        return match rest.split_once('.') {
            Some((name, key)) => of_port(name, key),
            None => Key::Chart,
        };
    }
    if OBJECTS.iter().any(|own| lower == *own || lower.starts_with(&format!("{own}."))) {
        return Key::Chart;
    }
    for (old, new) in RENAMED {
        if let Some(rest) = lower.strip_prefix(old) {
            return Key::Flag(format!("{new}{rest}"));
        }
    }
    let top = lower.split('.').next().unwrap_or_default();
    if !SAME.contains(&top) {
        return Key::Chart;
    }
    // A section of its own switch: `providers.kubernetesCRD.enabled`.
    let name = lower.strip_suffix(".enabled").unwrap_or(&lower);
    Key::Flag(name.to_owned())
}

fn of_port(name: &str, key: &str) -> Key {
    let first = key.split('.').next().unwrap_or_default();
    if OF_PORTS.contains(&first) {
        return Key::Chart;
    }
    let renamed = [
        ("redirectto", "http.redirections.entrypoint"),
        ("redirections", "http.redirections"),
        ("tls", "http.tls"),
        ("middlewares", "http.middlewares"),
        ("default", "asdefault"),
        ("advertisedport", "http3.advertisedport"),
    ];
    let key = match renamed.iter().find(|(old, _)| *old == first) {
        // Before chart 21 a text, after it a mapping, whose `port` is the name of the other one.
        Some(("redirectto", new)) => match &key[first.len()..] {
            "" | ".port" => format!("{new}.to"),
            rest => format!("{new}{rest}"),
        },
        Some((_, new)) => format!("{new}{}", &key[first.len()..]),
        None => key.to_owned(),
    };
    let key = match key.as_str() {
        "http.tls.enabled" => "http.tls",
        "http3.enabled" => "http3",
        key => key,
    };
    Key::Flag(format!("entrypoints.{name}.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_redirect_are_one() {
        let to = Key::Flag("entrypoints.web.http.redirections.entrypoint.to".to_owned());
        for path in [
            "ports.web.redirectTo",
            "ports.web.redirectTo.port",
            "ports.web.redirections.entryPoint.to",
            "ports.web.http.redirections.entryPoint.to",
        ] {
            assert_eq!(key(path), to, "{path}");
        }
    }

    #[test]
    fn keys_of_the_chart_are_told_from_flags() {
        let flag = |path: &str| match key(path) {
            Key::Flag(name) => name,
            other => format!("{other:?}"),
        };
        for (path, expected) in [
            ("ports.websecure.tls.enabled", "entrypoints.websecure.http.tls"),
            ("ports.websecure.http.tls.options", "entrypoints.websecure.http.tls.options"),
            ("ports.web.exposedPort", "Chart"),
            ("ports.web.expose.default", "Chart"),
            (
                "ports.web.transport.respondingTimeouts.readTimeout",
                "entrypoints.web.transport.respondingtimeouts.readtimeout",
            ),
            ("logs.access.enabled", "accesslog"),
            ("logs.access.format", "accesslog.format"),
            ("logs.general.level", "log.level"),
            ("providers.kubernetesCRD.enabled", "providers.kubernetescrd"),
            (
                "providers.kubernetesCRD.allowCrossNamespace",
                "providers.kubernetescrd.allowcrossnamespace",
            ),
            ("metrics.prometheus.serviceMonitor.enabled", "Chart"),
            ("certResolvers.le.email", "certificatesresolvers.le.email"),
            ("service.type", "Chart"),
            ("globalArguments", "Arguments"),
        ] {
            assert_eq!(flag(path), expected, "{path}");
        }
    }
}
