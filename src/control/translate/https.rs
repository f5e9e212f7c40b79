//! How an Ingress has its visitors brought to TLS, by annotations.
//!
//! `ravelin.dev/https-redirect` comes first. Without it, an annotation of another controller that has
//! the Ingress served with TLS alone, or redirected to it, asks for the same.

use super::annotations::{Annotations, HSTS, HTTPS_REDIRECT, field};
use super::report::{Problem, Report};
use crate::error::Advice;
use crate::model::{Hsts, Https};

/// `"true"`: Traefik does not serve the route without TLS.
pub(super) const ROUTER_TLS: &str = "traefik.ingress.kubernetes.io/router.tls";
/// `"true"`: visitors are redirected where the Ingress has `spec.tls`.
pub(super) const NGINX_SSL_REDIRECT: &str = "nginx.ingress.kubernetes.io/ssl-redirect";
/// `"true"`: visitors are redirected.
pub(super) const NGINX_FORCE_SSL_REDIRECT: &str = "nginx.ingress.kubernetes.io/force-ssl-redirect";
/// `"true"`: visitors are redirected.
pub(super) const HAPROXY_SSL_REDIRECT: [&str; 4] = [
    "haproxy.org/ssl-redirect",
    "haproxy.com/ssl-redirect",
    "haproxy-ingress.github.io/ssl-redirect",
    "ingress.kubernetes.io/ssl-redirect",
];
/// `"false"`: not served without TLS (GKE).
pub(super) const ALLOW_HTTP: &str = "kubernetes.io/ingress.allow-http";

/// Reads it. What is not said, or cannot be understood, is as in `default`. `has_tls`: whether the
/// Ingress has `spec.tls`. `is_secure`: whether it names entry points with TLS alone.
pub(super) fn read(
    annotations: Annotations<'_>,
    has_tls: bool,
    is_secure: bool,
    default: &Https,
    report: &mut Report<'_>,
) -> Https {
    let redirect = annotations.switch(HTTPS_REDIRECT).unwrap_or_else(|problem| {
        report.add(&field(HTTPS_REDIRECT), problem);
        None
    });
    let hsts = match annotations.get(HSTS).map(|text| (text, Hsts::parse(text))) {
        None => default.hsts.clone(),
        Some(("off", _)) => None,
        Some((_, Ok(hsts))) => Some(hsts),
        Some((_, Err(error))) => {
            let (reason, fix) = (error.reason(), error.fix());
            report.add(&field(HSTS), Problem::invalid("", reason, format!("{fix}, or \"off\"")));
            default.hsts.clone()
        }
    };
    let redirect = redirect
        .unwrap_or_else(|| default.redirect || is_secure || others_ask(annotations, has_tls));
    Https { redirect, hsts }
}

/// Whether an annotation of another controller asks for TLS.
fn others_ask(annotations: Annotations<'_>, has_tls: bool) -> bool {
    let is = |name: &str, word: &str| {
        annotations.get(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
    };
    is(ROUTER_TLS, "true")
        || is(NGINX_FORCE_SSL_REDIRECT, "true")
        || (has_tls && is(NGINX_SSL_REDIRECT, "true"))
        || HAPROXY_SSL_REDIRECT.iter().any(|name| is(name, "true"))
        || is(ALLOW_HTTP, "false")
}
