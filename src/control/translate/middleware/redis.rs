//! `redis` of a `rateLimit`: where the buckets of the whole cluster are.

use super::{Context, Fields, address, credentials};
use crate::control::quote::quote;
use crate::model::Why;
use crate::model::middleware::{Password, SharedStore};
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for the store at most: then it is counted here.
const BUDGET: Duration = Duration::from_millis(5);

/// The port of Redis and Valkey.
const PORT: u16 = 6379;

/// Reads it.
pub(super) fn read(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
) -> Option<SharedStore> {
    const OURS: [&str; 3] = ["poolSize", "minIdleConns", "maxActiveConns"];
    const TIMES: [&str; 3] = ["dialTimeout", "readTimeout", "writeTimeout"];
    let known = ["endpoints", "secret", "db", "tls"].into_iter().chain(OURS).chain(TIMES);
    fields.know(&known.collect::<Vec<_>>());
    for key in OURS {
        fields.tell(key, "each process has one connection to the store");
    }
    let mut budget = BUDGET;
    for key in TIMES {
        // 0 and -1 are Traefik's words for its default and for none.
        let is_none = fields.get(key).is_some_and(|value| value.as_i64().is_some_and(|n| n <= 0));
        if let Some(time) = if is_none { None } else { fields.duration(key) }
            && !time.is_zero()
        {
            budget = budget.min(time);
        }
        fields
            .tell(key, "a request waits for the store for 5 ms at most, and is counted here then");
    }
    let database = i64::try_from(fields.count("db")).unwrap_or(i64::MAX);
    let endpoints = endpoints(fields);
    let first = endpoints.first();
    let service = first.and_then(|(host, port)| address::service_port(host, *port, context));
    let tls = fields.below("tls", |tls| tls_of(tls));
    let (username, password) = user(fields, context);
    let all = endpoints.iter().map(|(host, port)| match host.contains(':') {
        true => format!("[{host}]:{port}").into(),
        false => format!("{host}:{port}").into(),
    });
    let endpoints: Vec<Arc<str>> = all.collect();
    (!endpoints.is_empty()).then_some(SharedStore {
        endpoints,
        service,
        username,
        password,
        database,
        tls,
        budget,
    })
}

fn endpoints(fields: &mut Fields<'_, '_, '_>) -> Vec<(String, u16)> {
    let mut endpoints = Vec::new();
    let texts = fields.texts("endpoints");
    if texts.is_empty() && !fields.is_broken() {
        fields.refuse("endpoints", "is empty", "write HOST:PORT of a Valkey or Redis");
    }
    for text in texts {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)),
            None => (text, Some(PORT)),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port {
            Some(port) if !host.is_empty() && !host.contains('/') => {
                endpoints.push((host.to_ascii_lowercase(), port));
            }
            _ => {
                let reason = format!("{} is not a host and a port", quote(text));
                fields.refuse("endpoints", reason, "write one such as valkey.default:6379");
            }
        }
    }
    endpoints
}

/// Whether the certificate of the store is verified.
fn tls_of(tls: &mut Fields<'_, '_, '_>) -> bool {
    tls.know(&["caSecret", "certSecret", "insecureSkipVerify"]);
    for key in ["caSecret", "certSecret"] {
        if tls.text(key).is_some_and(|name| !name.is_empty()) {
            let reason = "is not supported: the store is verified by public CAs, or not at all";
            tls.refuse_for(Why::Unsupported, key, reason, "use a store without TLS in the cluster");
        }
    }
    !tls.flag("insecureSkipVerify")
}

fn user(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
) -> (Option<Arc<str>>, Option<Password>) {
    let name = fields.text("secret").filter(|name| !name.is_empty());
    let Some((name, found)) = name.and_then(|name| Some((name, context.secret(name)?))) else {
        return (None, None);
    };
    let Some(secret) = found else {
        let reason =
            format!("there is no Secret {} in namespace {}", quote(name), context.namespace);
        fields.refuse_for(Why::SecretUnusable, "secret", reason, "create it");
        return (None, None);
    };
    let values = credentials::values(&secret);
    let text = |key: &str| {
        let value = values.get(key).filter(|value| !value.is_empty())?;
        String::from_utf8(value.to_vec()).ok().map(Arc::<str>::from)
    };
    let (username, password) = (text("username"), text("password").map(Password));
    if password.is_none() {
        let reason = format!("Secret {} has no `password`", quote(name));
        fields.refuse_for(Why::SecretUnusable, "secret", reason, "add the key");
    }
    (username, password)
}
