//! Which keys there are, and which one was meant.
//!
//! The list of a table is all that a user may write in it. `tests/config_files.rs` holds
//! `config/ravelin.toml` against these lists.

use super::units::Fault;

/// The keys of one table.
pub(super) struct Keys {
    /// Its name; empty for the top level.
    pub(super) table: &'static str,
    /// Its keys.
    pub(super) keys: &'static [&'static str],
}

/// The keys outside of all tables, and the tables.
pub(super) const ROOT: Keys = Keys {
    table: "",
    keys: &[
        "workers",
        "http1",
        "listener",
        "entry_point",
        "certificate",
        "client_certificate",
        "tls",
        "admit",
        "cloudflare",
        "break_glass",
        "crowdsec",
        "access",
        "zone",
        "state",
        "source",
        "admin",
        "log",
        "log_filter",
        "tracing",
        "timeouts",
        "limits",
        "https",
        "http2",
        "dns",
        "metrics",
        "upstream",
    ],
};
/// `[[listener]]`.
pub(super) const LISTENER: Keys = Keys {
    table: "listener",
    keys: &[
        "name",
        "address",
        "protocol",
        "admit",
        "kernel_filter",
        "proxy_protocol_from",
        "trusted_proxies",
    ],
};
/// `[[entry_point]]`.
pub(super) const ENTRY_POINT: Keys = Keys {
    table: "entry_point",
    keys: &["name", "listeners", "middlewares", "redirect", "default"],
};
/// `[[certificate]]`.
pub(super) const CERTIFICATE: Keys =
    Keys { table: "certificate", keys: &["cert_file", "key_file", "secret", "default"] };
/// `[[client_certificate]]`.
pub(super) const CLIENT_CERTIFICATE: Keys = Keys {
    table: "client_certificate",
    keys: &["hosts", "policy", "ca", "ca_file", "subjects", "break_glass"],
};
/// `[tls]`.
pub(super) const TLS: Keys = Keys { table: "tls", keys: &["ticket_key_file"] };
/// `[cloudflare]`.
pub(super) const CLOUDFLARE: Keys = Keys {
    table: "cloudflare",
    keys: &[
        "refresh",
        "url",
        "ca_file",
        "jdcloud",
        "removal_delay",
        "file",
        "config_map",
        "extra",
        "extra_file",
        "extra_config_map",
        "worker_zones",
        "secret_header",
        "secret_file",
        "trust_store_file",
    ],
};
/// `[break_glass]`.
pub(super) const BREAK_GLASS: Keys = Keys {
    table: "break_glass",
    keys: &["file", "config_map", "connections", "requests", "drain"],
};
/// `[crowdsec]`.
pub(super) const CROWDSEC: Keys =
    Keys { table: "crowdsec", keys: &["url", "api_key_file", "ca_file", "interval"] };
/// `[[access]]`.
pub(super) const ACCESS: Keys = Keys {
    table: "access",
    keys: &["team", "hosts", "audiences", "groups", "certs_url", "ca_file"],
};
/// `[[zone]]`.
pub(super) const ZONE: Keys = Keys {
    table: "zone",
    keys: &[
        "hosts",
        "secret_header",
        "secret_file",
        "worker_zones",
        "max_cdn_passes",
        "client_certificate_headers",
    ],
};
/// `[state]`.
pub(super) const STATE: Keys =
    Keys { table: "state", keys: &["directory", "cluster", "certificates", "restore_after"] };
/// `[source]`.
pub(super) const SOURCE: Keys = Keys {
    table: "source",
    keys: &[
        "kind",
        "directory",
        "kubeconfig",
        "namespaces",
        "ingress_class",
        "ingress_classes",
        "status_of_other_classes",
        "ingress_without_class",
        "class_grace",
        "hosts",
        "middlewares",
        "node_name",
        "status_addresses",
        "watch_timeout",
        "request_timeout",
        "consistency_check",
        "write_back",
        "lease",
        "pod_selector",
    ],
};
/// `[admin]`.
pub(super) const ADMIN: Keys =
    Keys { table: "admin", keys: &["address", "admit", "admit_status", "socket"] };
/// `[log]`.
pub(super) const LOG: Keys = Keys {
    table: "log",
    keys: &[
        "access",
        "format",
        "query",
        "request_headers",
        "response_headers",
        "redacted_headers",
        "level",
    ],
};
/// `[log_filter]`.
pub(super) const LOG_FILTER: Keys = Keys {
    table: "log_filter",
    keys: &[
        "statuses",
        "min_duration",
        "retry_attempts",
        "skip_hosts",
        "skip_paths",
        "skip_routes",
        "sample",
        "keep_errors",
    ],
};
/// `[tracing]`.
pub(super) const TRACING: Keys = Keys {
    table: "tracing",
    keys: &[
        "endpoint",
        "protocol",
        "compression",
        "headers",
        "headers_file",
        "ca_file",
        "timeout",
        "queue",
        "sample_rate",
        "parent",
        "parent_limit",
        "parent_from",
        "propagation",
        "mark_unsampled",
        "service_name",
        "resource",
        "query",
        "request_headers",
        "response_headers",
    ],
};
/// `[timeouts]`.
pub(super) const TIMEOUTS: Keys = Keys {
    table: "timeouts",
    keys: &[
        "downstream_idle",
        "proxy_header",
        "tls_handshake",
        "first_request",
        "request_head",
        "body_progress",
        "connect",
        "response_head",
        "tunnel_idle",
        "drain",
        "drain_idle",
        "reload",
        "coalesce",
        "coalesce_max",
    ],
};
/// `[limits]`.
pub(super) const LIMITS: Keys = Keys {
    table: "limits",
    keys: &["connections", "handshakes", "request_target", "header_block", "memory"],
};
/// `[https]`.
pub(super) const HTTPS: Keys = Keys { table: "https", keys: &["redirect", "hsts"] };
/// `[http2]`.
pub(super) const HTTP2: Keys = Keys {
    table: "http2",
    keys: &["streams", "stream_window", "connection_window", "send_buffer", "resets"],
};
/// `[dns]`.
pub(super) const DNS: Keys = Keys { table: "dns", keys: &["external_names", "servers"] };
/// `[metrics]`.
pub(super) const METRICS: Keys =
    Keys { table: "metrics", keys: &["per_route", "labels", "buckets", "traefik"] };
/// `[upstream]`.
pub(super) const UPSTREAM: Keys = Keys {
    table: "upstream",
    keys: &[
        "idle",
        "idle_per_endpoint",
        "connect_retries",
        "retry_budget",
        "eject_after",
        "eject_on_status",
        "prefer",
    ],
};

/// Every table with fixed keys. `[admit]` is not among them: its keys are the user's.
pub(super) const TABLES: [&Keys; 24] = [
    &ROOT,
    &LISTENER,
    &CERTIFICATE,
    &CLIENT_CERTIFICATE,
    &ENTRY_POINT,
    &TLS,
    &CLOUDFLARE,
    &BREAK_GLASS,
    &CROWDSEC,
    &ACCESS,
    &ZONE,
    &STATE,
    &SOURCE,
    &ADMIN,
    &LOG,
    &LOG_FILTER,
    &TRACING,
    &TIMEOUTS,
    &LIMITS,
    &HTTPS,
    &HTTP2,
    &DNS,
    &METRICS,
    &UPSTREAM,
];

/// Whether any table has this key.
pub fn is_key(name: &str) -> bool {
    TABLES.iter().any(|table| table.keys.contains(&name))
}

/// What a duration is the duration of: `connect = "0s"` is easily meant as "no limit".
const MEANINGS: [(&str, &str); 24] = [
    ("downstream_idle", "how long a client connection may be idle between requests"),
    ("proxy_header", "how long a PROXY header may take to arrive"),
    ("refresh", "how often Cloudflare's list is fetched; \"off\" means never"),
    ("removal_delay", "how long a range that has left Cloudflare's list stays admitted"),
    ("interval", "how often CrowdSec's decisions are fetched"),
    ("tls_handshake", "how long a TLS handshake may take"),
    ("first_request", "how long a new connection may wait before its first request"),
    ("request_head", "how long a request head may take to arrive"),
    ("body_progress", "how long a body may make no progress"),
    ("connect", "how long connecting to an endpoint may take"),
    ("response_head", "how long a pod may take to begin its response"),
    ("tunnel_idle", "how long a WebSocket or other tunnel may be silent"),
    ("drain", "how long requests may go on after SIGTERM"),
    ("drain_idle", "how long idle client connections stay open after SIGTERM"),
    ("reload", "how long a reloaded configuration may take to become ready"),
    ("min_duration", "how long a request takes that is logged"),
    ("timeout", "how long an export of traces may take"),
    ("coalesce", "how long a change waits for further changes"),
    ("coalesce_max", "how long a change may wait in total"),
    ("watch_timeout", "how long one watch of the API server lasts"),
    ("request_timeout", "how long the API server may take to respond"),
    ("consistency_check", "how often the watched state is compared with the API server"),
    (
        "restore_after",
        "how long a start waits for the API server before it uses the last-good state",
    ),
    ("idle", "how long an unused connection to a pod is kept"),
];

/// What the duration under this key is the duration of.
pub(super) fn meaning(key: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(name, _)| *name == key).map(|(_, meaning)| *meaning)
}

/// What to say of a key that its table does not have, and the valid key that is offered instead.
pub(super) fn unknown_key(keys: &Keys, key: &str) -> (Fault, Option<&'static str>) {
    if let Some(near) = nearest(key, keys.keys.iter().copied()) {
        return (Fault::new("unknown key", format!("did you mean \"{near}\"?")), Some(near));
    }
    // A key below the header of another table belongs to that table, which is easily overlooked.
    if let Some(other) = TABLES.iter().find(|other| other.keys.contains(&key)) {
        let place = match other.table {
            "" => "at the top of the file, before the first table".to_owned(),
            table => format!("in [{table}]"),
        };
        return (Fault::new("unknown key", format!("it belongs {place}")), None);
    }
    let valid = keys.keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
    (Fault::new("unknown key", format!("the keys here are {valid}")), None)
}

/// The candidate most like `word`, if any is near enough to be meant.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // Two letters of five may be wrong; below that the suggestion is a guess.
    const NEAR_ENOUGH: f64 = 0.6;
    let score = |candidate: &str| {
        if word.starts_with(candidate) || !word.is_empty() && candidate.starts_with(word) {
            // A word cut short or drawn out: "warning", "dir".
            return 1.0;
        }
        strsim::normalized_damerau_levenshtein(word, candidate)
    };
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    scored
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_meaning() {
        for key in TIMEOUTS.keys {
            assert!(meaning(key).is_some(), "{key}");
        }
    }

    #[test]
    fn every_table_of_the_file_is_among_those_that_are_searched() {
        // Their keys are the user's.
        let free = ["admit"];
        let tables = ROOT.keys.iter().filter(|key| !free.contains(key));
        let known: Vec<&str> = TABLES.iter().map(|table| table.table).collect();
        let missing: Vec<_> = tables.filter(|key| !known.contains(key)).collect();
        assert_eq!(missing, [&"workers", &"http1"], "no tables");
        let (fault, _) = unknown_key(&UPSTREAM, "external_names");
        assert_eq!(fault.fix, "it belongs in [dns]");
    }

    #[test]
    fn the_nearest_key_is_one_that_could_be_meant() {
        let keys = ["name", "address", "protocol"];
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("addr", keys), Some("address"));
        assert_eq!(nearest("zone", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
