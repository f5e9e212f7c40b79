//! `healthCheck` of services.

use super::ingress_routes::{broken, mk_routes, run};
use crate::model::{Broken, CheckKind, HealthCheck, PlainCheck};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::num::NonZeroU16;
use std::time::Duration;

/// What the only backend has with this check, why its route is broken, and what is said.
fn check(written: &str) -> (Option<HealthCheck>, Option<Broken>, Vec<String>) {
    let route = format!(
        "routes: [{{match: 'Host(`a.example`)', services: [{{name: web, port: 80, healthCheck: {{{written}}}}}]}}]"
    );
    let (model, said) = run(&mk_routes(&route));
    let check = model.backends[0].treatment.check.as_deref().cloned();
    (check, broken(&model)[0], said)
}

fn usual(path: &str) -> HealthCheck {
    let interval = Duration::from_secs(30);
    let timeout = Duration::from_secs(5);
    let usual = HealthCheck::of(path.into());
    HealthCheck { interval, failing_interval: interval, timeout, follows: true, ..usual }
}

#[test]
fn what_is_not_said_is_as_in_traefik() {
    assert_eq!(check("path: /up"), (Some(usual("/up")), None, vec![]));
    assert_eq!(check(""), (Some(usual("/")), None, vec![]));
    assert_eq!(check("path: up?x=1").0, Some(usual("/up?x=1")));
    assert_eq!(check("interval: 0, timeout: 0s").0, Some(usual("/")));
}

#[test]
fn all_fields_are_obeyed() {
    let written = "mode: http, path: /up, method: HEAD, status: 204, port: 81, scheme: h2c, \
                   interval: 10s, unhealthyInterval: 2s, timeout: 1, hostname: 'c.example:8080', \
                   followRedirects: false, headers: {X-Check: a, Host: other, Content-Length: '3'}";
    let fields = [(HeaderName::from_static("x-check"), HeaderValue::from_static("a"))];
    let expected = HealthCheck {
        kind: CheckKind::Http,
        path: "/up".into(),
        method: Method::HEAD,
        host: Some("c.example:8080".into()),
        fields: fields.into(),
        status: Some(StatusCode::NO_CONTENT),
        port: NonZeroU16::new(81),
        plain: Some(PlainCheck::H2c),
        follows: false,
        interval: Duration::from_secs(10),
        failing_interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
    };
    assert_eq!(check(written), (Some(expected), None, vec![]));
    assert_eq!(check("mode: grpc").0.map(|check| check.kind), Some(CheckKind::Grpc));
    let (found, _, said) = check("interval: 100ms");
    assert_eq!(found.map(|check| check.interval), Some(HealthCheck::SHORTEST));
    assert!(said[0].starts_with("warning: "), "{said:?}");
}

#[test]
fn a_mistake_leaves_the_route_with_503_as_it_costs_the_route_in_traefik() {
    for (written, field) in [
        ("mode: tcp", "mode"),
        ("path: 'a b'", "path"),
        ("method: 'G T'", "method"),
        ("status: 42", "status"),
        ("port: 70000", "port"),
        ("interval: soon", "interval"),
        ("hostname: 'a b'", "hostname"),
        ("headers: {'X Bad': a}", "headers"),
        ("scheme: ftp", "scheme"),
    ] {
        let (_, broken, said) = check(written);
        assert_eq!(broken, Some(Broken::Altered), "{written}");
        let place = format!("spec.routes[0].services[0].healthCheck.{field}");
        assert!(said[0].contains(&place), "{written}: {said:?}");
    }
}
