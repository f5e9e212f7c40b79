//! Several Services of one route, and TraefikServices.

use super::ingress_routes::{broken, mk_routes, run};
use crate::model::middleware::{Mirroring, ServiceChoice, StatusRange, Step};
use crate::model::{Algorithm, Broken, CookieSettings, HashKey, HostSent, Model, SameSite};

#[test]
fn several_services_are_one_choice_with_all_of_their_backends() {
    let of_traefik = "
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: both}
spec: {weighted: {services: [{name: web, port: 80, weight: 3}, {name: api, port: 9000}], sticky: {cookie: {name: c}}}}
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: safe}
spec: {failover: {service: {name: both, kind: TraefikService}, fallback: {name: api, port: 9000}}}
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: itself}
spec: {failover: {service: {name: itself, kind: TraefikService}, fallback: {name: api, port: 9000}}}
---";
    let route = |services: &str| {
        format!("routes: [{{match: 'Host(`a.example`)', services: [{services}]}}]")
    };
    let served = |services: &str| {
        let (model, said) = run(&format!("{of_traefik}{}", mk_routes(&route(services))));
        let steps = model.rules[0].middlewares.iter().flat_map(|chain| chain.iter());
        let last = steps.last().map(|step| format!("{:?}", step.step.step_kind()));
        let mut backends: Vec<_> = model.backends.iter().map(|one| one.key.to_string()).collect();
        backends.sort();
        (broken(&model), last, backends, said)
    };
    let all = |own: &str| {
        vec!["default/api:9000".to_owned(), own.to_owned(), "default/web:80".to_owned()]
    };
    let services = Some("Services".to_owned());
    for (names, own) in [
        ("{name: web, port: 80, weight: 1}, {name: api, port: 9000}", "default/r[0]:0"),
        ("{name: both, kind: TraefikService}", "default/TraefikService/both:0"),
        ("{name: safe, kind: TraefikService}", "default/TraefikService/safe:0"),
    ] {
        let (broken, last, mut backends, said) = served(names);
        let mut expected = all(own);
        expected.sort();
        backends.sort();
        assert_eq!((broken, last, backends), (vec![None], services.clone(), expected), "{names}");
        assert_eq!(said, [""; 0], "{names}");
    }
    for (names, expected) in [
        (
            "{name: web, port: 80, weight: 0}, {name: api, port: 9000, weight: 0}",
            Broken::Unsupported,
        ),
        ("{name: gone, kind: TraefikService}", Broken::ServiceMissing),
        ("{name: itself, kind: TraefikService}", Broken::Unsupported),
        ("{name: web, port: 80}, {name: noop@internal, kind: TraefikService}", Broken::Unsupported),
    ] {
        let (broken, last, _, said) = served(names);
        assert_eq!((broken, last), (vec![Some(expected)], None), "{names}");
        assert!(!said.is_empty(), "{names}");
    }
}

#[test]
fn a_route_or_the_service_says_which_host_pods_get() {
    let annotated = |value: &str| {
        let name = "traefik.ingress.kubernetes.io/service.passhostheader";
        format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: pods, annotations: {{{name}: '{value}'}}}}
spec: {{ports: [{{port: 80}}]}}
---"
        )
    };
    let route = |asked: &str| {
        mk_routes(&format!(
            "routes: [{{match: 'Host(`a.example`)', services: [{{name: pods, port: 80{asked}}}]}}]"
        ))
    };
    let of = |value: &str, asked: &str| {
        let (model, said) = run(&format!("{}{}", annotated(value), route(asked)));
        (model.backends[0].treatment.host, said)
    };
    for (value, asked, expected) in [
        ("true", "", HostSent::Visitors),
        ("false", "", HostSent::Endpoints),
        ("false", ", passHostHeader: true", HostSent::Visitors),
        ("true", ", passHostHeader: false", HostSent::Endpoints),
    ] {
        assert_eq!(of(value, asked), (expected, vec![]), "{value} {asked}");
    }
    let (host, said) = of("maybe", "");
    assert_eq!(host, HostSent::Visitors);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with(
        "error: Service default/pods: metadata.annotations[traefik.ingress.kubernetes.io/service.passhostheader]: "
    ), "{said:?}");
}

/// The choice of the only route, whose service is the TraefikService `t` with this spec, and what is said.
fn choice(spec: &str) -> (Option<ServiceChoice>, Vec<String>) {
    let object = format!(
        "
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {{name: t}}
spec: {{{spec}}}
---"
    );
    let route =
        "routes: [{match: 'Host(`a.example`)', services: [{name: t, kind: TraefikService}]}]";
    let (model, said) = run(&format!("{object}{}", mk_routes(route)));
    (choice_of(&model), said)
}

fn choice_of(model: &Model) -> Option<ServiceChoice> {
    match &model.rules[0].middlewares.as_ref()?.last()?.step {
        Step::Services(choice) => Some((**choice).clone()),
        _ => None,
    }
}

#[test]
fn a_mirroring_has_its_service_and_its_mirrors() {
    let (found, said) = choice(
        "mirroring: {name: web, port: 80, mirrorBody: false, maxBodySize: 10, \
         mirrors: [{name: api, port: 9000, percent: 20}]}",
    );
    assert_eq!(said, [""; 0]);
    let Some(ServiceChoice::Mirrored(mirroring)) = found else { panic!("{found:?}") };
    let Mirroring { main, mirrors, with_body, max_body } = &*mirroring;
    assert!(matches!(main, ServiceChoice::One(key) if key.to_string() == "default/web:80"));
    assert_eq!(
        (mirrors.len(), mirrors[0].percent, *with_body, *max_body),
        (1, 20, false, Some(10))
    );
    let (found, said) = choice(
        "mirroring: {name: web, port: 80, maxBodySize: -1, mirrors: [{name: api, port: 9000}]}",
    );
    let Some(ServiceChoice::Mirrored(mirroring)) = found else { panic!("{found:?}") };
    assert_eq!(
        (mirroring.with_body, mirroring.max_body, mirroring.mirrors[0].percent),
        (true, None, 0)
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("spec.mirroring.mirrors[0].percent: is missing"), "{said:?}");
    for (spec, field) in [
        (
            "mirroring: {name: web, port: 80, mirrors: [{name: api, port: 9000, percent: 101}]}",
            "mirrors[0].percent",
        ),
        (
            "mirroring: {name: web, port: 80, mirrors: [{name: api, port: 9000, percent: -1}]}",
            "mirrors[0].percent",
        ),
        ("mirroring: {name: web, port: 80, mirrors: {name: api}}", "mirroring.mirrors"),
        ("mirroring: {name: web, port: 80, mirrors: [{name: api, percent: 5}]}", "mirrors[0].port"),
        ("failover: {service: {name: web, port: 80}}", "failover.fallback"),
        (
            "failover: {service: {name: web, port: 80}, fallback: {name: api, port: 9000}, errors: {status: [abc]}}",
            "errors.status",
        ),
        (
            "highestRandomWeight: {services: [{name: web, port: 80, weight: 0}]}",
            "highestRandomWeight.services",
        ),
    ] {
        let (found, said) = choice(spec);
        assert_eq!(found, None, "{spec}");
        assert!(said.iter().any(|line| line.contains(field)), "{spec}: {said:?}");
    }
}

#[test]
fn a_failover_says_which_answers_are_errors() {
    let of = |errors: &str| {
        let (found, said) = choice(&format!(
            "failover: {{service: {{name: web, port: 80}}, fallback: {{name: api, port: 9000}}, errors: {{{errors}}}}}"
        ));
        assert_eq!(said, [""; 0], "{errors}");
        match found {
            Some(ServiceChoice::Failover(failover)) => failover.errors.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(of(""), None);
    assert_eq!(of("status: [], maxRequestBodyBytes: 5"), None);
    let errors = of("status: ['500-502', '504'], maxRequestBodyBytes: 5").expect("some");
    let range = |first, last| StatusRange { first, last };
    assert_eq!(errors.statuses, [range(500, 502), range(504, 504)]);
    assert_eq!(errors.max_body, Some(5));
    assert_eq!(of("status: ['503'], maxRequestBodyBytes: -1").expect("some").max_body, None);
}

#[test]
fn a_choice_by_address_has_the_names_that_traefik_hashes() {
    let (found, said) = choice(
        "highestRandomWeight: {services: [{name: web, port: http, weight: 3}, {name: api, port: 9000}, \
         {name: web, port: 80, weight: 0}]}",
    );
    assert_eq!(said, [""; 0]);
    let Some(ServiceChoice::Hashed(services)) = found else { panic!("{found:?}") };
    let all: Vec<_> = services.iter().map(|one| (&*one.name, one.weight)).collect();
    assert_eq!(all, [("default-web-http", 3), ("default-api-9000", 1)]);
}

#[test]
fn the_strategy_of_a_service_is_obeyed() {
    let of = |asked: &str| {
        let route = format!(
            "routes: [{{match: 'Host(`a.example`)', services: [{{name: web, port: 80, {asked}}}]}}]"
        );
        let (model, said) = run(&mk_routes(&route));
        (model.backends[0].treatment.balancing.algorithm.clone(), said)
    };
    let client = || Algorithm::Hash(HashKey::Client);
    for (asked, expected) in [
        ("strategy: wrr", Algorithm::RoundRobin),
        ("strategy: RoundRobin", Algorithm::RoundRobin),
        ("strategy: p2c", Algorithm::LeastLoad),
        ("strategy: hrw", client()),
        ("strategy: hrw, sticky: {cookie: {}}", client()),
    ] {
        assert_eq!(of(asked), (expected, vec![]), "{asked}");
    }
    assert!(matches!(of("strategy: wrr, sticky: {cookie: {}}").0, Algorithm::Cookie(_)));
    assert_eq!(of("strategy: leasttime").0, Algorithm::LeastLoad);
    let (model, said) = run(&mk_routes(
        "routes: [{match: 'Host(`a.example`)', services: [{name: web, port: 80, strategy: hwr}]}]",
    ));
    assert_eq!(broken(&model), [Some(Broken::Altered)]);
    assert!(said[0].contains("did you mean hrw?"), "{said:?}");
}

#[test]
fn a_cookie_has_all_that_is_asked_for_on_a_service_and_over_several() {
    let cookie = "sticky: {cookie: {name: c, secure: true, httpOnly: false, sameSite: none, \
                  maxAge: 60, path: /p, domain: .a.example}}";
    let expected = CookieSettings {
        name: "c".into(),
        secure: Some(true),
        http_only: false,
        same_site: SameSite::None,
        max_age: Some(60),
        path: "/p".into(),
        domain: Some("a.example".into()),
    };
    let (model, said) = run(&mk_routes(&format!(
        "routes: [{{match: 'Host(`a.example`)', services: [{{name: web, port: 80, {cookie}}}]}}]"
    )));
    assert_eq!(said, [""; 0]);
    let algorithm = &model.backends[0].treatment.balancing.algorithm;
    assert_eq!(*algorithm, Algorithm::Cookie(expected.clone().into()));
    let (found, said) =
        choice(&format!("weighted: {{services: [{{name: web, port: 80}}], {cookie}}}"));
    assert_eq!(said, [""; 0]);
    let Some(ServiceChoice::Weighted(weighted)) = found else { panic!("{found:?}") };
    assert_eq!(weighted.cookie.as_deref(), Some(&expected));
    let wrong = cookie.replace(".a.example", "'a b'");
    let (found, said) =
        choice(&format!("weighted: {{services: [{{name: web, port: 80}}], {wrong}}}"));
    assert_eq!(found, None);
    assert!(
        said[0].contains("spec.weighted.sticky.cookie.domain: \"a b\" is not a domain"),
        "{said:?}"
    );
}
