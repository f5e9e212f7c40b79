//! Flags of Traefik that are not of one entry point, to tables of ravelin.

use super::Given;
use super::access_log;
use super::configuration::Draft;
use super::file::{list, quoted};
use super::reasons::Weight;
use super::value::{self, duration, in_words, is_true, text};
use std::time::Duration;

/// Cloudflare reuses its connections for 900 s.
const REUSE: Duration = Duration::from_secs(930);
/// Cloudflare answers 524 after 100 s.
const CLOUDFLARE_WAITS: Duration = Duration::from_secs(100);

/// Adds them. Says whether the file serves Traefik's class as it is.
pub(super) fn add(draft: &mut Draft<'_>, class: &str, is_default: bool) -> bool {
    let takes_class = source(draft, class, is_default);
    log(draft);
    of_all_entry_points(draft);
    upstream(draft);
    metrics(draft);
    takes_class
}

/// Classes, namespaces, addresses of the status, and names of other servers.
fn source(draft: &mut Draft<'_>, class: &str, is_default: bool) -> bool {
    let head = "[source]";
    let keys = ["providers.kubernetesingress.ingressclass", "providers.kubernetescrd.ingressclass"];
    let given: Vec<&Given> = keys.iter().filter_map(|key| draft.take(key)).collect();
    let chart = draft.take_chart("ingressclass.name");
    let from = given.first().copied().or(chart).map(|given| given.from.clone());
    for given in given.iter().copied().chain(chart) {
        if text(&given.value).as_deref() == Some(class) {
            let reason = "it is the class of `ravelin migrate --ingress-class`";
            draft.leave(Weight::Nothing, &given.from, reason, "");
        } else {
            let reason = format!("names another class than {class:?}, which was asked for");
            let fix = "run migrate with --ingress-class of this name";
            draft.leave(Weight::Differs, &given.from, &reason, fix);
        }
    }
    let from = from.unwrap_or_else(|| "--ingress-class of `ravelin migrate`".to_owned());
    let classes = list(&[class.to_owned()]);
    let takes_class = draft.file.offer_line(head, "ingress_classes", classes, &from).is_ok();
    if !takes_class {
        let from = "copies of the Ingresses have it (COMMANDS.md)";
        draft.line(head, "ingress_class", quoted("ravelin"), from);
    }
    // Otherwise copies of those Ingresses have a class.
    if is_default && takes_class {
        let from = "there are Ingresses without a class, which Traefik takes";
        draft.line(head, "ingress_without_class", "true".to_owned(), from);
    }
    let keys = ["kubernetesingress", "kubernetescrd"];
    let all = keys.map(|provider| draft.take(&format!("providers.{provider}.namespaces")));
    let given: Vec<&Given> = all.into_iter().flatten().collect();
    let mut names: Vec<String> = given.iter().flat_map(|given| value::list(&given.value)).collect();
    names.sort();
    names.dedup();
    for (at, given) in given.iter().enumerate() {
        match (at, names.is_empty()) {
            (0, false) => draft.line(head, "namespaces", list(&names), &given.from),
            (_, false) => {
                let reason = "ravelin has one list of namespaces: both are in it";
                draft.leave(Weight::Nothing, &given.from, reason, "");
            }
            (_, true) => draft.leave(Weight::Nothing, &given.from, "all namespaces are read", ""),
        }
    }
    for key in ["ip", "hostname"] {
        let key = format!("providers.kubernetesingress.ingressendpoint.{key}");
        if let Some(given) = draft.take(&key) {
            draft.line(head, "status_addresses", list(&value::list(&given.value)), &given.from);
        }
    }
    let external = keys.map(|key| format!("providers.{key}.allowexternalnameservices"));
    for given in external.iter().filter_map(|key| draft.take(key)).collect::<Vec<_>>() {
        match is_true(&given.value) {
            true => draft.line("[dns]", "external_names", "true".to_owned(), &given.from),
            false => draft.leave(Weight::Nothing, &given.from, "it is ravelin's default", ""),
        }
    }
    takes_class
}

fn log(draft: &mut Draft<'_>) {
    access_log::add(draft);
    if let Some(given) = draft.take("log.level") {
        let level = match text(&given.value).unwrap_or_default().to_lowercase().as_str() {
            "fatal" | "panic" => "error".to_owned(),
            "warning" => "warn".to_owned(),
            level => level.to_owned(),
        };
        draft.line("[log]", "level", quoted(&level), &given.from);
    }
}

/// The values of all entry points for something that ravelin has once.
fn each<'t>(draft: &mut Draft<'t>, key: &str) -> Vec<&'t Given> {
    let names = draft.told.flags.keys().filter(|name| {
        let rest = name.strip_prefix("entrypoints.").and_then(|rest| rest.split_once('.'));
        rest.is_some_and(|(_, rest)| rest == key)
    });
    let names: Vec<&String> = names.collect();
    names.into_iter().filter_map(|name| draft.take(name)).collect()
}

/// The largest of several durations, and where it is from; others are said to have no effect.
fn longest<'t>(draft: &mut Draft<'t>, key: &str) -> Option<(Duration, &'t str)> {
    let mut best: Option<(Duration, &Given)> = None;
    for given in each(draft, key) {
        let Some(time) = duration(&given.value) else {
            draft.leave(
                Weight::Differs,
                &given.from,
                "is not a duration",
                "write one, such as 30s",
            );
            continue;
        };
        let is_longer = best.is_none_or(|(longest, _)| time > longest);
        let other = if is_longer { best.replace((time, given)) } else { Some((time, given)) };
        if let Some((_, other)) = other {
            let reason = "ravelin has one value for all entry points: the longest counts";
            draft.leave(Weight::Nothing, &other.from, reason, "");
        }
    }
    best.map(|(time, given)| (time, given.from.as_str()))
}

fn of_all_entry_points(draft: &mut Draft<'_>) {
    if let Some((idle, from)) = longest(draft, "transport.respondingtimeouts.idletimeout") {
        if idle >= REUSE {
            draft.line("[timeouts]", "downstream_idle", quoted(&in_words(idle)), from);
        } else {
            let reason = "Cloudflare reuses connections for 900 s, and visitors see error 520 if they close earlier: \
                          timeouts.downstream_idle stays 930s";
            draft.leave(Weight::Nothing, from, reason, "");
        }
    }
    if let Some((grace, from)) = longest(draft, "transport.lifecycle.gracetimeout") {
        draft.line("[timeouts]", "drain", quoted(&in_words(grace)), from);
    }
    for (key, head, name) in [
        ("http2.maxconcurrentstreams", "[http2]", "streams"),
        ("http.maxheaderbytes", "[limits]", "header_block"),
    ] {
        for given in each(draft, key) {
            match text(&given.value).and_then(|text| text.parse::<u64>().ok()) {
                Some(number) => draft.line(head, name, number.to_string(), &given.from),
                None => draft.leave(Weight::Differs, &given.from, "is not a number", "write one"),
            }
        }
    }
}

fn upstream(draft: &mut Draft<'_>) {
    let begin = "serverstransport.forwardingtimeouts";
    for (flag, head, key) in [
        ("dialtimeout", "[timeouts]", "connect"),
        ("responseheadertimeout", "[timeouts]", "response_head"),
        ("idleconntimeout", "[upstream]", "idle"),
    ] {
        let Some(given) = draft.take(&format!("{begin}.{flag}")) else { continue };
        match duration(&given.value) {
            Some(time)
                if key == "response_head" && (time.is_zero() || time >= CLOUDFLARE_WAITS) =>
            {
                let reason =
                    "Cloudflare answers 524 after 100 s: timeouts.response_head stays below";
                draft.leave(Weight::Nothing, &given.from, reason, "");
            }
            Some(time) => draft.line(head, key, quoted(&in_words(time)), &given.from),
            None => draft.leave(Weight::Differs, &given.from, "is not a duration", "write one"),
        }
    }
    if let Some(given) = draft.take("serverstransport.maxidleconnsperhost") {
        let number = text(&given.value).unwrap_or_default();
        match number.parse::<u32>() {
            Ok(number) => {
                draft.line("[upstream]", "idle_per_endpoint", number.to_string(), &given.from);
            }
            Err(_) => draft.leave(
                Weight::Nothing,
                &given.from,
                "upstream.idle_per_endpoint bounds it",
                "",
            ),
        }
    }
    if let Some(given) = draft.told.flag("serverstransport.insecureskipverify")
        && !is_true(&given.value)
    {
        draft.take("serverstransport.insecureskipverify");
        draft.leave(Weight::Nothing, &given.from, "TLS to pods is verified", "");
    }
}

fn metrics(draft: &mut Draft<'_>) {
    let Some(given) = draft.take("metrics.prometheus.buckets") else { return };
    let all = value::list(&given.value);
    let mut bounds: Vec<f64> = all.iter().filter_map(|bound| bound.parse().ok()).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let bounds: Vec<String> = bounds.iter().map(|bound| format!("{bound:?}")).collect();
    draft.line("[metrics]", "buckets", format!("[{}]", bounds.join(", ")), &given.from);
}
