//! How requests are spread over the endpoints of a Service, by annotations of Services and Ingresses.
//!
//! The first of these that says something: `ravelin.dev/balance` of the Ingress that the request comes
//! by, that of the Service, and Traefik's `service.sticky.cookie` of the Service. A mistake is reported,
//! and the object says nothing then: how load is spread protects nobody.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::{
    Algorithm, CookieSettings, HashKey, Prefer, SameSite, Severity, Why, cookie_domain,
    is_cookie_name, is_cookie_path,
};
use http::HeaderName;
use k8s_openapi::api::core::v1::Service;
use std::sync::Arc;

/// `least-load`, `round-robin`, `hash-client`, `hash-header` or `sticky-cookie`.
pub(super) const BALANCE: &str = "ravelin.dev/balance";
/// The field whose value is the key of `hash-header`.
pub(super) const HASH_HEADER: &str = "ravelin.dev/hash-header";
/// Name of the cookie of `sticky-cookie`.
pub(super) const COOKIE_NAME: &str = "ravelin.dev/cookie-name";
/// `same-node`, `same-zone` or `none`: which endpoints come first. Of Services.
pub(super) const PREFER: &str = "ravelin.dev/prefer";

/// Traefik's words for a cookie (`loadBalancer.sticky.cookie`); `"true"`, or any of the others, asks for
/// one.
pub(super) const STICKY: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie";
pub(super) const STICKY_NAME: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie.name";
pub(super) const STICKY_SECURE: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie.secure";
pub(super) const STICKY_HTTP_ONLY: &str =
    "traefik.ingress.kubernetes.io/service.sticky.cookie.httponly";
pub(super) const STICKY_SAME_SITE: &str =
    "traefik.ingress.kubernetes.io/service.sticky.cookie.samesite";
pub(super) const STICKY_MAX_AGE: &str =
    "traefik.ingress.kubernetes.io/service.sticky.cookie.maxage";
pub(super) const STICKY_PATH: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie.path";
pub(super) const STICKY_DOMAIN: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie.domain";
const OF_STICKY: [&str; 7] = [
    STICKY_NAME,
    STICKY_SECURE,
    STICKY_HTTP_ONLY,
    STICKY_SAME_SITE,
    STICKY_MAX_AGE,
    STICKY_PATH,
    STICKY_DOMAIN,
];

#[derive(Clone, Copy)]
enum Word {
    LeastLoad,
    RoundRobin,
    HashClient,
    HashHeader,
    StickyCookie,
}

const WORDS: [(&str, Word); 5] = [
    ("least-load", Word::LeastLoad),
    ("round-robin", Word::RoundRobin),
    ("hash-client", Word::HashClient),
    ("hash-header", Word::HashHeader),
    ("sticky-cookie", Word::StickyCookie),
];

/// What our annotations of an object say. `Err` after a mistake, which has been reported.
fn ours(annotations: Annotations<'_>, report: &mut Report<'_>) -> Result<Option<Algorithm>, ()> {
    let word =
        annotations.word(BALANCE, &WORDS).map_err(|problem| refuse(report, BALANCE, problem))?;
    let needed = match word {
        Some(Word::HashHeader) => Some(HASH_HEADER),
        Some(Word::StickyCookie) => Some(COOKIE_NAME),
        _ => None,
    };
    for (annotation, with) in [(HASH_HEADER, "hash-header"), (COOKIE_NAME, "sticky-cookie")] {
        if annotations.get(annotation).is_some() && needed != Some(annotation) {
            let reason = format!("has no effect without {BALANCE}: {with}");
            let problem = Problem::error(Why::Invalid, "", reason, "add it, or remove this one");
            report.add(&field(annotation), problem.with(Severity::Warning));
        }
    }
    let Some(word) = word else {
        return Ok(None);
    };
    let algorithm = match word {
        Word::LeastLoad => Algorithm::LeastLoad,
        Word::RoundRobin => Algorithm::RoundRobin,
        Word::HashClient => Algorithm::Hash(HashKey::Client),
        Word::HashHeader => Algorithm::Hash(HashKey::Header(header(annotations, report)?)),
        Word::StickyCookie => {
            let name = cookie_name(annotations, COOKIE_NAME);
            let name = name.map_err(|problem| refuse(report, COOKIE_NAME, problem))?;
            let usual = CookieSettings::default();
            let name = name.unwrap_or_else(|| Arc::clone(&usual.name));
            Algorithm::Cookie(Arc::new(CookieSettings { name, ..usual }))
        }
    };
    Ok(Some(algorithm))
}

/// Reports a mistake after which the object says nothing.
fn refuse(report: &mut Report<'_>, annotation: &str, problem: Problem) {
    let fix = format!("{}; until then requests are balanced by load", problem.fix);
    report.add(&field(annotation), Problem { fix, ..problem });
}

fn header(annotations: Annotations<'_>, report: &mut Report<'_>) -> Result<Arc<HeaderName>, ()> {
    let fix = "name a request header, such as X-User";
    let Some(text) = annotations.get(HASH_HEADER) else {
        let reason = format!("is missing; {BALANCE}: hash-header requires it");
        refuse(report, HASH_HEADER, Problem::invalid("", reason, fix));
        return Err(());
    };
    let name = text.parse::<HeaderName>().map(Arc::new);
    name.map_err(|_| {
        let reason = format!("{} is not a header name", quote(text));
        refuse(report, HASH_HEADER, Problem::invalid("", reason, fix));
    })
}

fn cookie_name(
    annotations: Annotations<'_>,
    annotation: &str,
) -> Result<Option<Arc<str>>, Problem> {
    match annotations.get(annotation) {
        None => Ok(None),
        Some(name) if is_cookie_name(name) => Ok(Some(name.into())),
        Some(name) => {
            let reason = format!("{} is not a valid cookie name", quote(name));
            Err(Problem::invalid("", reason, "use letters, digits, - and _"))
        }
    }
}

/// How an Ingress has its requests spread, if it says so.
pub(super) fn of_ingress(
    annotations: Annotations<'_>,
    report: &mut Report<'_>,
) -> Option<Algorithm> {
    ours(annotations, report).ok().flatten()
}

/// How a Service has its requests spread.
pub(super) fn of_service(annotations: Annotations<'_>, report: &mut Report<'_>) -> Algorithm {
    match ours(annotations, report) {
        Ok(Some(algorithm)) => algorithm,
        Ok(None) => traefiks(annotations, report).unwrap_or_default(),
        Err(()) => Algorithm::default(),
    }
}

/// What Traefik's annotations ask for.
fn traefiks(annotations: Annotations<'_>, report: &mut Report<'_>) -> Option<Algorithm> {
    let asked = match annotations.switch(STICKY) {
        Ok(asked) => asked,
        Err(problem) => {
            refuse(report, STICKY, problem);
            return None;
        }
    };
    let implied = OF_STICKY.iter().any(|name| annotations.get(name).is_some());
    if !asked.unwrap_or(implied) {
        return None;
    }
    match settings(annotations) {
        Ok(settings) => Some(Algorithm::Cookie(Arc::new(settings))),
        Err((annotation, problem)) => {
            refuse(report, annotation, problem);
            None
        }
    }
}

/// What Traefik's annotations say of the cookie; the first mistake in them.
fn settings(annotations: Annotations<'_>) -> Result<CookieSettings, (&'static str, Problem)> {
    let usual = CookieSettings::default();
    let sites = [("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];
    let at = |annotation| move |problem| (annotation, problem);
    let switch = |annotation| annotations.switch(annotation).map_err(at(annotation));
    let name = cookie_name(annotations, STICKY_NAME).map_err(at(STICKY_NAME))?;
    let same_site = annotations.word(STICKY_SAME_SITE, &sites).map_err(at(STICKY_SAME_SITE))?;
    let max_age = annotations.get(STICKY_MAX_AGE).map(|text| {
        text.parse::<u32>().map_err(|_| {
            let reason = format!("{} is not a number of seconds", quote(text));
            (
                STICKY_MAX_AGE,
                Problem::invalid("", reason, "write 3600 for an hour, 0 for a session cookie"),
            )
        })
    });
    let path = annotations.get(STICKY_PATH).map(|text| {
        is_cookie_path(text).then(|| text.into()).ok_or_else(|| {
            let reason = format!("{} is not a valid cookie path", quote(text));
            (STICKY_PATH, Problem::invalid("", reason, "write a path that begins with /"))
        })
    });
    let domain = annotations.get(STICKY_DOMAIN).map(|text| {
        cookie_domain(text).map(Into::into).ok_or_else(|| {
            let reason = format!("{} is not a domain", quote(text));
            (STICKY_DOMAIN, Problem::invalid("", reason, "write one such as a.example"))
        })
    });
    Ok(CookieSettings {
        name: name.unwrap_or(usual.name),
        secure: switch(STICKY_SECURE)?,
        http_only: switch(STICKY_HTTP_ONLY)?.unwrap_or(usual.http_only),
        same_site: same_site.unwrap_or(usual.same_site),
        max_age: max_age.transpose()?.filter(|seconds| *seconds > 0),
        path: path.transpose()?.unwrap_or(usual.path),
        domain: domain.transpose()?,
    })
}

/// Which endpoints of a Service come first: what it says, and whether hints in slices count before
/// that. `default` is for those that do not say.
pub(super) fn prefer(service: &Service, default: Prefer, report: &mut Report<'_>) -> Preference {
    let annotations = Annotations::of(&service.metadata);
    let word = annotations.word(PREFER, &Prefer::WORDS).unwrap_or_else(|problem| {
        let fix = format!("{}; until then it is ignored", problem.fix);
        report.add(&field(PREFER), Problem { fix, ..problem });
        None
    });
    if let Some(prefer) = word {
        return Preference { prefer, hints: false };
    }
    let spec = service.spec.as_ref();
    let prefer = match spec.and_then(|spec| spec.traffic_distribution.as_deref()) {
        Some("PreferSameNode") => Prefer::SameNode,
        // The older name of the same (KEP-3015).
        Some("PreferSameZone" | "PreferClose") => Prefer::SameZone,
        _ => default,
    };
    Preference { prefer, hints: true }
}

/// Which endpoints come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preference {
    pub(super) prefer: Prefer,
    /// Whether the hints of slices count, before `prefer` does.
    pub(super) hints: bool,
}
