//! Several Services of one route, and TraefikServices.

use super::ingress_routes::{broken, mk_routes, run};
use crate::model::{Broken, HostSent};

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
    let (host, said) = of("perhaps", "");
    assert_eq!(host, HostSent::Visitors);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with(
        "error: Service default/pods: metadata.annotations[traefik.ingress.kubernetes.io/service.passhostheader]: "
    ), "{said:?}");
}
