//! `services` and `middlewares` of a route: what they name, and what they ask of it.

use super::health_check;
use super::sticky::sticky;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::control::translate::middleware::{Fields, Reference};
use crate::control::translate::report::Problem;
use crate::control::translate::wanted::AskedScheme;
use crate::model::{
    Algorithm, Broken, CookieSettings, HashKey, HealthCheck, HostSent, PortKey, Severity, Why,
};
use serde_json::Value;
use std::sync::Arc;

/// The most services of one route: each is looked at for a request or connection that draws among them.
const MOST_SERVICES: usize = 64;

/// What a service is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control::translate) enum Target<'o> {
    /// A port of a Service.
    Service(Reference<'o>, PortKey),
    /// A TraefikService.
    TraefikService(Reference<'o>),
    /// `noop@internal`: answers 418, where no Middleware answers before.
    Noop,
    /// It cannot be used, which was told; with what it is called.
    Unusable(&'o str, Broken),
}

/// What a route asks of a Service beside the words of the Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::control::translate) struct Asked<'o> {
    pub(in crate::control::translate) scheme: Option<AskedScheme>,
    /// The name of a ServersTransport, or its id with the provider.
    pub(in crate::control::translate) transport: Option<&'o str>,
    pub(in crate::control::translate) strategy: Option<Algorithm>,
    pub(in crate::control::translate) sticky: Option<Arc<CookieSettings>>,
    pub(in crate::control::translate) host: Option<HostSent>,
    pub(in crate::control::translate) check: Option<Arc<HealthCheck>>,
}

/// One of `services`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control::translate) struct ServiceRead<'o> {
    pub(in crate::control::translate) target: Target<'o>,
    pub(in crate::control::translate) asked: Asked<'o>,
    /// Its share of the requests.
    pub(in crate::control::translate) weight: u32,
}

/// The Middlewares of a route.
pub(in crate::control::translate) fn middlewares<'o>(
    fields: &mut Fields<'o, '_, '_>,
) -> Vec<Reference<'o>> {
    let count = length(fields, "middlewares", "list Middlewares by `name`");
    let mut all = Vec::with_capacity(count);
    for position in 0..count {
        let read = fields.item("middlewares", position, |one| {
            one.know(&["name", "namespace"]);
            reference(one, "add the `name` of a Middleware")
        });
        match read.flatten() {
            Some(reference) => all.push(reference),
            // One that cannot be read may protect.
            None => fields.break_off(),
        }
    }
    all
}

/// The services of a route.
pub(in crate::control::translate) fn read<'o>(
    fields: &mut Fields<'o, '_, '_>,
) -> Vec<ServiceRead<'o>> {
    list(fields, "services", "spread the requests over fewer Services", |_, service| one(service))
}

/// Reads a list of services, each with its position. Of one that is too long, which is told, none are read.
pub(in crate::control::translate) fn list<'o, 'f, S>(
    fields: &mut Fields<'o, '_, 'f>,
    key: &str,
    fix_of_many: &str,
    read: impl Fn(usize, &mut Fields<'o, '_, 'f>) -> S,
) -> Vec<S> {
    let count = length(fields, key, "list Services by `name` and `port`");
    if count > MOST_SERVICES {
        fields.refuse(key, format!("are more than {MOST_SERVICES}"), fix_of_many);
        return Vec::new();
    }
    let read = |position| fields.item(key, position, |service| read(position, service));
    (0..count).filter_map(read).collect()
}

/// How many values a list has.
pub(in crate::control::translate) fn length(
    fields: &mut Fields<'_, '_, '_>,
    key: &str,
    fix: &str,
) -> usize {
    match fields.get(key) {
        None => 0,
        Some(Value::Array(items)) => items.len(),
        Some(_) => {
            fields.refuse(key, "is not a list", fix);
            0
        }
    }
}

pub(in crate::control::translate) fn reference<'o>(
    fields: &mut Fields<'o, '_, '_>,
    fix: &str,
) -> Option<Reference<'o>> {
    let name = fields.required("name", fix)?;
    let namespace = fields.text("namespace").filter(|namespace| !namespace.is_empty());
    Some(Reference { namespace, name })
}

/// The fields of a service.
const FIELDS: [&str; 16] = [
    "name",
    "namespace",
    "kind",
    "port",
    "weight",
    "scheme",
    "passHostHeader",
    "sticky",
    "serversTransport",
    "strategy",
    "healthCheck",
    "passiveHealthCheck",
    "responseForwarding",
    "nativeLB",
    "nodePortLB",
    "middlewares",
];

/// Reads one of a list of services.
pub(in crate::control::translate) fn one<'o>(fields: &mut Fields<'o, '_, '_>) -> ServiceRead<'o> {
    service_with(fields, &[])
}

/// The same beside fields that are not of the service, as in `mirroring`.
pub(in crate::control::translate) fn service_with<'o>(
    fields: &mut Fields<'o, '_, '_>,
    others: &[&str],
) -> ServiceRead<'o> {
    let known: Vec<&str> = FIELDS.iter().chain(others).copied().collect();
    fields.know(&known);
    for (key, instead) in [
        ("passiveHealthCheck", "pods that fail are left out for a while anyway"),
        ("responseForwarding", "responses are passed on as they come"),
        ("nativeLB", "requests go to the addresses of pods"),
        ("nodePortLB", "requests go to the addresses of pods"),
    ] {
        fields.tell(key, instead);
    }
    if fields.get("middlewares").is_some() {
        let reason = "is not supported on a service";
        fields.refuse_for(Why::Unsupported, "middlewares", reason, "name them on the route");
    }
    let weight = fields.number("weight").unwrap_or(1);
    let weight = u32::try_from(weight.max(0)).unwrap_or(u32::MAX);
    let target = target(fields);
    let asked = asked(fields);
    let target = match target {
        Target::Service(..) | Target::TraefikService(_) if fields.is_broken() => {
            Target::Unusable(fields.text("name").unwrap_or_default(), Broken::Altered)
        }
        target => target,
    };
    ServiceRead { target, asked, weight }
}

fn target<'o>(fields: &mut Fields<'o, '_, '_>) -> Target<'o> {
    let Some(named) = reference(fields, "add the `name` of a Service") else {
        return Target::Unusable("", Broken::ServiceMissing);
    };
    if let Some((name, provider)) = named.name.rsplit_once('@') {
        return of_provider(fields, named.name, name, provider);
    }
    match fields.text("kind") {
        None | Some("" | "Service") => {}
        Some("TraefikService") => return Target::TraefikService(named),
        Some(other) => {
            let fix = match nearest(other, ["Service", "TraefikService"]) {
                Some(near) => format!("did you mean {near}?"),
                None => "write Service or TraefikService".to_owned(),
            };
            let reason = format!("{} is not a kind of service", quote(other));
            fields.refuse("kind", reason, fix);
            return Target::Unusable(named.name, Broken::Unsupported);
        }
    }
    match port(fields) {
        Some(port) => Target::Service(named, port),
        None => Target::Unusable(named.name, Broken::PortMissing),
    }
}

/// Reads `port` of a service. Nothing if it is none, which is told.
pub(in crate::control::translate) fn port(fields: &mut Fields<'_, '_, '_>) -> Option<PortKey> {
    let port = match fields.get("port") {
        Some(Value::Number(number)) => {
            let number = number.as_u64().and_then(|number| u16::try_from(number).ok());
            number.filter(|number| *number > 0).map(PortKey::Number)
        }
        // Digits in quotes are a name for Traefik, of a port that no Service has.
        Some(Value::String(text)) => match text.parse::<u16>() {
            Ok(number) if number > 0 => Some(PortKey::Number(number)),
            Ok(_) => None,
            Err(_) => Some(PortKey::Name(text.as_str().into())).filter(|_| !text.is_empty()),
        },
        _ => None,
    };
    if port.is_none() {
        let reason = "is missing, or is no port";
        fields.refuse("port", reason, "write number or name of a port of the Service");
    }
    port
}

/// What stands behind `@` is not one of the cluster's.
fn of_provider<'o>(
    fields: &mut Fields<'o, '_, '_>,
    whole: &'o str,
    name: &str,
    provider: &str,
) -> Target<'o> {
    let shown = quote(whole);
    let (reason, fix) = match (name, provider) {
        ("noop", "internal") => return Target::Noop,
        ("api" | "dashboard", "internal") => (
            format!("{shown} is Traefik's dashboard, which is not here"),
            "use `ravelin explain`, the metrics and the status page of the admin port, and remove the route",
        ),
        ("ping", "internal") => (
            format!("{shown} is Traefik's own health page"),
            "check /readyz of the admin port, and remove the route",
        ),
        ("prometheus", "internal") => (
            format!("{shown} has the metrics of Traefik"),
            "scrape /metrics of the admin port, and remove the route",
        ),
        (_, "internal") => {
            (format!("{shown} is one of Traefik's own services"), "remove the route")
        }
        _ => (
            format!("{shown} is of a provider that is not read"),
            "write a TraefikService or a Service, and name it without a provider",
        ),
    };
    fields.refuse_for(Why::Unsupported, "name", reason, fix);
    Target::Unusable(whole, Broken::Unsupported)
}

fn asked<'o>(fields: &mut Fields<'o, '_, '_>) -> Asked<'o> {
    let scheme = match fields.text("scheme") {
        None | Some("") => None,
        Some("http") => Some(AskedScheme::Http),
        Some("https") => Some(AskedScheme::Https),
        Some("h2c") => Some(AskedScheme::H2c),
        Some(other) => {
            let reason = format!("{} is not a scheme", quote(other));
            fields.refuse("scheme", reason, "write http, https or h2c");
            None
        }
    };
    let transport = fields.text("serversTransport").filter(|name| !name.is_empty());
    let transport = transport.and_then(|name| match name.rsplit_once('@') {
        None | Some((_, "kubernetescrd")) => Some(name),
        Some(_) => {
            let reason = format!("{} is of a provider that is not read", quote(name));
            fields.refuse("serversTransport", reason, "name a ServersTransport of this namespace");
            None
        }
    });
    let host = fields.flag_if_any("passHostHeader").map(|passed| match passed {
        true => HostSent::Visitors,
        false => HostSent::Endpoints,
    });
    let (strategy, sticky) = (strategy(fields), sticky(fields));
    let check = health_check::read(fields);
    Asked { scheme, transport, strategy, sticky, host, check }
}

/// Reads `strategy`.
fn strategy(fields: &mut Fields<'_, '_, '_>) -> Option<Algorithm> {
    match fields.text("strategy")? {
        "" => None,
        "wrr" | "RoundRobin" => Some(Algorithm::RoundRobin),
        "p2c" => Some(Algorithm::LeastLoad),
        "hrw" => Some(Algorithm::Hash(HashKey::Client)),
        "leasttime" => {
            fields.tell("strategy", "of two pods the one with less to do, which answers faster");
            Some(Algorithm::LeastLoad)
        }
        other => {
            let fix = match nearest(other, ["wrr", "p2c", "hrw", "leasttime"]) {
                Some(near) => format!("did you mean {near}?"),
                None => "write wrr, p2c, hrw or leasttime".to_owned(),
            };
            fields.refuse("strategy", format!("{} is not a strategy", quote(other)), fix);
            None
        }
    }
}

impl Asked<'_> {
    /// The load balancing that is asked for. `hrw` knows no cookie, as in Traefik.
    pub(in crate::control::translate) fn algorithm(&self) -> Option<Algorithm> {
        match (&self.strategy, &self.sticky) {
            (Some(Algorithm::Hash(key)), _) => Some(Algorithm::Hash(key.clone())),
            (_, Some(cookie)) => Some(Algorithm::Cookie(Arc::clone(cookie))),
            (strategy, None) => strategy.clone(),
        }
    }
}

/// What is wrong with a TraefikService or ServersTransport that does not exist.
pub(in crate::control::translate) fn missing(kind: &str, namespace: &str, name: &str) -> Problem {
    let reason = format!("there is no {kind} {} in namespace {namespace}", quote(name));
    let fix = "create it; until then requests get 503";
    Problem::error(Why::Unsupported, "", reason, fix).with(Severity::Error)
}
