//! Entry points of Traefik to listeners and entry points of ravelin.

use super::configuration::Draft;
use super::file::{BESIDE, ENTRY_POINT, LISTENER, Refused, Section, list, quoted};
use super::reasons::Weight;
use super::value::{is_true, network, port, text};
use super::{Given, Told, value};
use crate::config::CLOUDFLARE;
use ipnet::IpNet;
use std::collections::BTreeSet;

/// Entry points of the chart for its own questions.
const INTERNAL: [&str; 2] = ["traefik", "metrics"];

/// How connections that are not HTTP come in.
const SPECTRUM: &str = "use Spectrum of Cloudflare; or a DNS record that is not proxied, with the networks of the clients \
                        in `admit`; or a Service of type LoadBalancer that selects the pods themselves";

/// Listeners for `compare`, without TLS and with it: name, address, and URL.
pub(in crate::cli::migrate) const TRIALS: [(&str, &str, &str); 2] = [
    ("trial", "127.0.0.1:9181", "http://127.0.0.1:9181"),
    ("trial-tls", "127.0.0.1:9182", "https://127.0.0.1:9182"),
];

/// Name of the set of `loadBalancerSourceRanges`.
const SET: &str = "sources";

/// An entry point, before it is written.
struct Entry {
    name: String,
    port: u16,
    /// Where the port is from.
    port_from: String,
    is_secure: bool,
    secure_from: String,
    /// Whether it was reachable from outside of the cluster.
    is_exposed: bool,
}

/// Adds all of them.
pub(super) fn add(draft: &mut Draft<'_>) {
    let told = draft.told;
    internal(draft);
    let set = source_ranges(draft);
    let mut entries: Vec<Entry> = Vec::new();
    for name in names(told) {
        entries.extend(entry(draft, &name));
    }
    let secure: BTreeSet<String> =
        entries.iter().filter(|entry| entry.is_secure).map(|entry| entry.name.clone()).collect();
    let is_secure = |to: &str| secure.contains(&to.to_lowercase()) || to == ":443" || to == "443";
    let has_port = |wanted: u16| entries.iter().any(|entry| entry.port == wanted);
    let has_twins = BESIDE.iter().all(|&(own, beside)| has_port(own) && !has_port(beside));
    let trials = [false, true].map(|is_secure| tried(&entries, told, is_secure));
    for entry in &entries {
        let mut listener =
            Section::new(LISTENER, &format!("Traefik's entry point {}.", entry.name));
        listener.line("name", quoted(&entry.name), "its name");
        let address = format!("[::]:{}", entry.port);
        listener.line("address", quoted(&address), &entry.port_from);
        let of_tcp = told.of_tcp.get(&entry.name.to_lowercase());
        match of_tcp {
            Some(object) => listener.line("protocol", quoted("tcp"), &format!("{object} names it")),
            None if entry.is_secure => {
                listener.line("protocol", quoted("https"), &entry.secure_from);
            }
            None => {}
        }
        if of_tcp.is_some() && entry.is_exposed && set.is_none() {
            let reason = format!(
                "is the port of the entry point {}, which is for connections of IngressRouteTCPs: Cloudflare passes on \
                 HTTP alone",
                entry.name
            );
            draft.leave(Weight::Differs, &entry.port_from, &reason, SPECTRUM);
        }
        let (admit, from) = admit(entry, &set);
        listener.line("admit", list(&admit), &from);
        if let Err(Refused { problem, fix }) = draft.file.offer(listener) {
            let reason = format!("cannot be a listener of ravelin: {problem}");
            draft.leave(Weight::Differs, &entry.port_from, &reason, &fix);
            continue;
        }
        addresses(draft, &entry.name);
        let mut listeners = vec![entry.name.clone()];
        if has_twins {
            listeners.extend(draft.file.twin(&entry.name, entry.port));
        }
        if trials.contains(&Some(&entry.name)) {
            listeners.extend(trial(draft, entry));
        }
        let mut point = Section::new(ENTRY_POINT, "");
        point.line("name", quoted(&entry.name), "the name that routes have for it");
        point.line("listeners", list(&listeners), "above");
        draft.file.put(point);
        options(draft, &entry.name, &is_secure);
    }
}

/// The entry point whose routes are compared: that of the chart, or the first one.
fn tried<'e>(entries: &'e [Entry], told: &Told, is_secure: bool) -> Option<&'e String> {
    let usual = if is_secure { "websecure" } else { "web" };
    let of_http = |entry: &&Entry| !told.of_tcp.contains_key(&entry.name.to_lowercase());
    let mut all = entries.iter().filter(of_http).filter(|entry| entry.is_secure == is_secure);
    let first = all.clone().next();
    all.find(|entry| entry.name == usual).or(first).map(|entry| &entry.name)
}

/// A listener for the node itself, with the routes of an entry point: `compare` asks it beside Traefik. Nothing if its
/// name or port is taken.
fn trial(draft: &mut Draft<'_>, entry: &Entry) -> Option<String> {
    let (name, address, _) = TRIALS[usize::from(entry.is_secure)];
    let about = "For `ravelin compare`, on the node alone: remove it once Traefik is gone.";
    let mut listener = Section::new(LISTENER, about);
    listener.line("name", quoted(name), "beside its entry point");
    listener.line("address", quoted(address), "a free port, as in deploy/overlays");
    if entry.is_secure {
        listener.line("protocol", quoted("https"), "as its entry point");
    }
    listener.line("admit", list(&["loopback".to_owned()]), "nobody else");
    draft.file.offer(listener).ok()?;
    draft.file.tries(&entry.name, name);
    Some(name.to_owned())
}

/// Without any word about them, the chart has `web` and `websecure`.
fn names(told: &Told) -> BTreeSet<String> {
    let of = |key: &str, begin: &str| {
        let (name, _) = key.strip_prefix(begin)?.split_once('.')?;
        Some(name.to_owned())
    };
    let flags = told.flags.keys().filter_map(|key| of(key, "entrypoints."));
    let chart = told.chart.keys().filter_map(|key| of(key, "ports."));
    let mut names: BTreeSet<String> = flags.chain(chart).collect();
    if told.is_chart || names.is_empty() {
        names.extend(["web", "websecure"].map(str::to_owned));
    }
    names.retain(|name| !INTERNAL.contains(&name.as_str()));
    names
}

fn internal(draft: &mut Draft<'_>) {
    let told = draft.told;
    let is_internal = |key: &str, begin: &str| {
        let name = key.strip_prefix(begin).and_then(|rest| rest.split('.').next());
        name.is_some_and(|name| INTERNAL.contains(&name))
    };
    let reason = "is an entry point for Traefik's own metrics, health and dashboard: ravelin has the admin port, 9180";
    for (key, given) in told.flags.iter().filter(|(key, _)| is_internal(key, "entrypoints.")) {
        draft.take(key);
        draft.leave(Weight::Nothing, &given.from, reason, "");
    }
    for (key, given) in told.chart.iter().filter(|(key, _)| is_internal(key, "ports.")) {
        draft.take_chart(key);
        draft.leave(Weight::Nothing, &given.from, reason, "");
    }
}

/// Reads what is known of one; `None` if it is not of TCP.
fn entry(draft: &mut Draft<'_>, name: &str) -> Option<Entry> {
    let told = draft.told;
    let protocol = told.chart.get(&format!("ports.{name}.protocol"));
    let address = told.flag(&format!("entrypoints.{name}.address"));
    let words = address.and_then(|given| text(&given.value)).unwrap_or_default();
    let udp = protocol
        .filter(|given| text(&given.value).is_some_and(|it| it.eq_ignore_ascii_case("udp")));
    if let Some(given) = udp.or_else(|| address.filter(|_| words.ends_with("/udp"))) {
        let reason = format!("UDP is not served: entry point {name}");
        let fix = "a Service of type LoadBalancer for the pods themselves";
        draft.leave(Weight::Differs, &given.from, &reason, fix);
        return None;
    }
    let (port, port_from) = port_of(draft, name, address)?;
    if address.is_some_and(|given| given.from == port_from) {
        draft.take(&format!("entrypoints.{name}.address"));
    }
    let tls = draft.take(&format!("entrypoints.{name}.http.tls"));
    let below = told.below(&format!("entrypoints.{name}.http.tls")).next();
    let (is_secure, secure_from) = match (tls, below) {
        (Some(given), _) if is_true(&given.value) => (true, given.from.clone()),
        (Some(given), _) => {
            draft.leave(Weight::Nothing, &given.from, "its listener has no TLS", "");
            (false, String::new())
        }
        (None, Some((_, given))) => (true, given.from.clone()),
        (None, None) => (
            name == "websecure" && (told.is_chart || told.sources.is_empty()),
            "Traefik's chart has TLS on websecure".to_owned(),
        ),
    };
    let expose = ["expose", "expose.default"].map(|key| format!("ports.{name}.{key}"));
    let expose = expose.iter().find_map(|key| told.chart.get(key));
    let has_host_port = told.chart.contains_key(&format!("ports.{name}.hostport"));
    let is_open = has_host_port || host_network(told);
    let is_exposed = is_open || expose.is_none_or(|given| is_true(&given.value));
    Some(Entry { name: name.to_owned(), port, port_from, is_secure, secure_from, is_exposed })
}

fn host_network(told: &Told) -> bool {
    told.chart.get("hostnetwork").is_some_and(|given| is_true(&given.value))
}

/// The port that visitors use: of the node, or of the Service.
fn port_of(draft: &mut Draft<'_>, name: &str, address: Option<&Given>) -> Option<(u16, String)> {
    let known = |key: &str| format!("ports.{name}.{key}");
    let keys = match host_network(draft.told) {
        true => ["hostport", "port", "exposedport"],
        false => ["hostport", "exposedport", "none"],
    };
    for key in keys {
        let Some(given) = draft.take_chart(&known(key)) else { continue };
        match port(&given.value) {
            Some(port) => return Some((port, given.from.clone())),
            None => draft.leave(Weight::Differs, &given.from, "is not a port", "write a number"),
        }
    }
    let preset = match name {
        "web" => Some(80),
        "websecure" => Some(443),
        _ => None,
    };
    let words = address.and_then(|given| text(&given.value)).unwrap_or_default();
    let words = words.split('/').next().unwrap_or_default();
    let own = words.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    match (own, preset, address) {
        // Ports above 1024 are those of the container behind a Service.
        (Some(own), None, Some(given)) => Some((own, given.from.clone())),
        (Some(own), Some(_), Some(given)) if own < 1024 || host_network(draft.told) => {
            Some((own, given.from.clone()))
        }
        (_, Some(preset), _) => Some((preset, format!("the port of {name} in Traefik's chart"))),
        (_, None, _) => {
            let given = draft.take_chart(&known("port"))?;
            let Some(port) = port(&given.value) else {
                draft.leave(Weight::Differs, &given.from, "is not a port", "write a number");
                return None;
            };
            Some((port, given.from.clone()))
        }
    }
}

/// `loadBalancerSourceRanges` of the Service, if Cloudflare's ranges are not all of it.
fn source_ranges(draft: &mut Draft<'_>) -> Option<String> {
    let keys = ["service.loadbalancersourceranges", "service.spec.loadbalancersourceranges"];
    let given = keys.iter().find_map(|key| draft.take_chart(key))?;
    let nets: Vec<IpNet> = value::list(&given.value).iter().filter_map(|it| network(it)).collect();
    if nets.is_empty() || nets.iter().all(is_cloudflare) {
        draft.leave(Weight::Nothing, &given.from, "listeners admit Cloudflare", "");
        return None;
    }
    let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
    let mut set = Section::new("[admit]", "Sources that the Service of Traefik let through.");
    set.line(SET, list(&nets), &given.from);
    draft.file.put(set);
    Some(given.from.clone())
}

fn is_cloudflare(net: &IpNet) -> bool {
    CLOUDFLARE.iter().any(|range| range.contains(net))
}

fn admit(entry: &Entry, set: &Option<String>) -> (Vec<String>, String) {
    match set {
        _ if !entry.is_exposed => (
            ["nodes", "pods"].map(str::to_owned).to_vec(),
            "it was reachable within the cluster alone".to_owned(),
        ),
        Some(from) => (vec![SET.to_owned()], from.clone()),
        None => (
            vec!["cloudflare".to_owned()],
            "Traefik admits everybody; add sets for hosts that are not behind Cloudflare"
                .to_owned(),
        ),
    }
}

/// Trusted proxies, and balancers with PROXY protocol.
fn addresses(draft: &mut Draft<'_>, name: &str) {
    for (flag, key) in
        [("forwardedheaders", "trusted_proxies"), ("proxyprotocol", "proxy_protocol_from")]
    {
        let Some(given) = draft.take(&format!("entrypoints.{name}.{flag}.trustedips")) else {
            continue;
        };
        let mut nets = Vec::new();
        let mut own = 0;
        for text in value::list(&given.value) {
            match network(&text) {
                Some(net) if key == "trusted_proxies" && is_cloudflare(&net) => own += 1,
                Some(net) => nets.push(net.to_string()),
                None => {
                    let reason = format!("{text:?} is not a network, or all addresses");
                    let fix = format!("name the addresses of the proxies in {key}");
                    draft.leave(Weight::Differs, &given.from, &reason, &fix);
                }
            }
        }
        if own > 0 {
            let reason = format!(
                "{own} of its networks are Cloudflare's, which ravelin knows and refreshes"
            );
            draft.leave(Weight::Nothing, &given.from, &reason, "");
        }
        if value::list(&given.value).is_empty() {
            draft.leave(Weight::Nothing, &given.from, "the list is empty", "");
        }
        if !nets.is_empty() {
            draft.line(LISTENER, key, list(&nets), &given.from);
        }
    }
    for key in ["forwardedheaders.insecure", "proxyprotocol.insecure"] {
        let flag = format!("entrypoints.{name}.{key}");
        if draft.told.flag(&flag).is_some_and(|given| !is_true(&given.value))
            && let Some(given) = draft.take(&flag)
        {
            draft.leave(Weight::Nothing, &given.from, "ravelin trusts nobody unless told", "");
        }
    }
}

/// What the entry point does to requests.
fn options(draft: &mut Draft<'_>, name: &str, is_secure: &impl Fn(&str) -> bool) {
    let head = ENTRY_POINT;
    let flag = |key: &str| format!("entrypoints.{name}.{key}");
    if let Some(given) = draft.take(&flag("http.middlewares")) {
        match value::list(&given.value) {
            names if names.is_empty() => {
                draft.leave(Weight::Nothing, &given.from, "the list is empty", "");
            }
            names => draft.line(head, "middlewares", list(&names), &given.from),
        }
    }
    let scheme = draft.told.flag(&flag("http.redirections.entrypoint.scheme"));
    let is_https = scheme.is_none_or(|given| text(&given.value).is_some_and(|it| it == "https"));
    if let Some(given) = draft.take(&flag("http.redirections.entrypoint.to")) {
        let to = text(&given.value).unwrap_or_default();
        if is_https && is_secure(&to) {
            draft.line(head, "redirect", quoted("https"), &given.from);
        } else {
            let reason = format!("redirects to {to:?}, which is not an entry point with TLS");
            let fix = "write a Middleware redirectScheme or redirectRegex for these routes";
            draft.leave(Weight::Differs, &given.from, &reason, fix);
        }
    }
    let default = draft.take(&flag("asdefault"));
    let anybody = draft.told.flags.iter().any(|(key, given)| {
        key.starts_with("entrypoints.") && key.ends_with(".asdefault") && is_true(&given.value)
    });
    // Without a default all are; the chart's own are defaults.
    let preset = ["web", "websecure"].contains(&name) || !(draft.told.is_chart || anybody);
    match default {
        Some(given) if !is_true(&given.value) && (anybody || draft.told.is_chart) => {
            draft.line(head, "default", "false".to_owned(), &given.from);
        }
        Some(given) => {
            let reason = "routes that name no entry point are served here, as by default";
            draft.leave(Weight::Nothing, &given.from, reason, "");
        }
        None if !preset => {
            let from = "Traefik's chart: asDefault of web and websecure alone";
            draft.line(head, "default", "false".to_owned(), from);
        }
        None => {}
    }
}
