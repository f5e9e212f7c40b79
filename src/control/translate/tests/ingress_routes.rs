//! IngressRoutes: what their routes come to, and what is said of those that cannot be served.

use super::{at_host, lines, options, run_with};
use crate::config::MiddlewarePolicy;
use crate::control::translate::Options;
use crate::model::{BackendState, Broken, EntryPoints, Model, Protocol};
use crate::pki::endpoint_tls::Trust;
use std::sync::Arc;

/// The IngressRoute `default/r` with this spec, in flow style.
pub(super) fn mk_routes(spec: &str) -> String {
    mk_named("r", spec)
}

fn mk_named(name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}}}
spec: {{{spec}}}
---"
    )
}

/// A route to the Service `web`.
fn mk_route(rule: &str, more: &str) -> String {
    format!("{{match: '{rule}', kind: Rule, services: [{{name: web, port: 80}}]{more}}}")
}

fn taking() -> Options {
    Options { taken_classes: vec!["traefik".to_owned()], ..options() }
}

pub(super) fn run(yaml: &str) -> (Model, Vec<String>) {
    let (model, findings) = run_with(&taking(), yaml);
    (model, lines(&findings))
}

/// The field of the route that has a request, or nothing.
fn found(model: &Model, host: &str, path: &str) -> Option<String> {
    at_host(model, host, path, |table, route| {
        let route = table.route(route);
        format!("{} {}", route.ingress, route.field())
    })
}

pub(super) fn broken(model: &Model) -> Vec<Option<Broken>> {
    let state = |rule: &Arc<crate::model::Rule>| match model.backends[&rule.backend].state {
        BackendState::Broken(broken) => Some(broken),
        _ => None,
    };
    model.rules.iter().map(state).collect()
}

#[test]
fn the_longest_rule_has_a_request_unless_a_priority_says_otherwise() {
    let routes = [
        mk_route("Host(`a.example`)", ""),
        mk_route("Host(`a.example`) && PathPrefix(`/api`)", ""),
        mk_route("Host(`a.example`) && PathPrefix(`/api/v1`)", ""),
        mk_route("Host(`a.example`) && Method(`GET`) && Path(`/get`)", ""),
        mk_route("PathPrefix(`/first`)", ", priority: 1000"),
        mk_route("HostRegexp(`^.+[.]example$`)", ", priority: 1"),
    ];
    let (model, said) = run(&mk_routes(&format!("routes: [{}]", routes.join(", "))));
    assert_eq!(said, [""; 0]);
    for (host, path, route) in [
        ("a.example", "/", 0),
        ("a.example", "/apiary", 1),
        ("a.example", "/api/v1/x", 2),
        ("a.example", "/get", 3),
        ("a.example", "/first/x", 4),
        ("other.example", "/first", 4),
        ("other.example", "/", 5),
    ] {
        let expected = Some(format!("r spec.routes[{route}]"));
        assert_eq!(found(&model, host, path), expected, "{host}{path}");
    }
    assert_eq!(found(&model, "elsewhere.test", "/"), None);
}

#[test]
fn a_host_alone_is_shorter_than_a_host_with_anything_else() {
    let routes =
        [mk_route("Host(`a.example`)", ""), mk_route("Host(`a.example`) && Method(`GET`)", "")];
    let (model, said) = run(&mk_routes(&format!("routes: [{}]", routes.join(", "))));
    assert_eq!(said, [""; 0]);
    assert_eq!(found(&model, "a.example", "/"), Some("r spec.routes[1]".to_owned()));
}

#[test]
fn without_the_class_of_traefik_they_are_somebody_else_s() {
    let yaml = mk_routes(&format!("routes: [{}]", mk_route("Host(`a.example`)", "")));
    let (model, findings) = run_with(&options(), &yaml);
    assert!(model.rules.is_empty());
    assert_eq!(findings.len(), 1, "{findings:?}");
    let named =
        yaml.replace("{name: r}", "{name: r, annotations: {kubernetes.io/ingress.class: inner}}");
    let (model, _) = run(&named);
    assert!(model.rules.is_empty());
    let (model, said) = run(&named.replace("inner", "traefik"));
    assert_eq!((model.rules.len(), said), (1, vec![]));
}

#[test]
fn a_mistake_costs_its_route_alone() {
    let routes = [
        mk_route("Host(`a.example`) && Headers(`x`, `y`)", ""),
        mk_route("Host(`a.example`)", ", middlewares: [{name: auth}]"),
        "{match: 'Host(`b.example`)', services: [{name: missing, port: 80}]}".to_owned(),
        "{match: 'Host(`c.example`)', services: [{name: web, port: 81}]}".to_owned(),
        "{match: 'Host(`d.example`)', services: [{name: web}]}".to_owned(),
        "{match: 'Host(`e.example`)', services: [{name: api@internal, kind: TraefikService}]}"
            .to_owned(),
        mk_route("Host(`f.example`)", ""),
    ];
    let (model, said) = run(&mk_routes(&format!("routes: [{}]", routes.join(", "))));
    let object = "IngressRoute default/r: spec.routes";
    let mut expected = [
        format!(
            "error: {object}[0].match: has Headers, which is no matcher of Traefik 3: the route does not exist, as in \
             Traefik (fix: write Header, or set syntax: v2)"
        ),
        format!(
            "error: {object}[1].middlewares: there is no Middleware default/auth: requests of this route answer 503 \
             (fix: create it)"
        ),
        format!(
            "error: {object}[2].services[0].name: there is no Service \"missing\" in namespace default (fix: create \
             it; until then requests get 503)"
        ),
        format!(
            "error: {object}[3].services[0].port: Service \"web\" has no port \"81\" (fix: it has 80 (http); until \
             then requests get 503)"
        ),
        format!(
            "error: {object}[4].services[0].port: is missing, or is no port (fix: write number or name of a port of \
             the Service; until then its requests get 503)"
        ),
        format!(
            "error: {object}[5].services[0].name: \"api@internal\" is Traefik's dashboard, which is not here (fix: use \
             `ravelin explain`, the metrics and the status page of the admin port, and remove the route; until then \
             its requests get 503)"
        ),
    ];
    expected.sort();
    let mut said = said;
    said.sort();
    assert_eq!(said, expected);
    let mut all = broken(&model);
    all.sort();
    let mut expected = [
        Some(Broken::MiddlewareUnusable),
        Some(Broken::ServiceMissing),
        Some(Broken::PortMissing),
        Some(Broken::PortMissing),
        Some(Broken::Unsupported),
        None,
    ];
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn entry_points_and_tls_say_where_routes_are_served() {
    const WEB: u32 = 1;
    const WEBSECURE: u32 = 2;
    let served = |own, also| EntryPoints { own, also };
    for (spec, expected) in [
        ("", EntryPoints::ALL),
        ("entryPoints: [web], ", served(WEB, 0)),
        ("entryPoints: [websecure], ", served(WEBSECURE, WEB)),
        ("entryPoints: [web, websecure], ", EntryPoints::ALL),
        ("entryPoints: [web, websecure], tls: {}, ", served(WEBSECURE, WEB)),
        ("tls: {}, ", served(WEBSECURE, WEB)),
    ] {
        let routes = format!("{spec}routes: [{}]", mk_route("Host(`a.example`)", ""));
        let (model, said) = run(&mk_routes(&routes));
        assert_eq!(said, [""; 0], "{spec}");
        assert_eq!(model.rules[0].matching.entry_points, expected, "{spec}");
        assert_eq!(model.ingresses[0].https.redirect, expected.own == WEBSECURE, "{spec}");
    }
}

#[test]
fn a_route_asks_a_service_for_a_scheme_and_a_transport() {
    let transport = "
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {name: inner}
spec: {serverName: pods.example, insecureSkipVerify: true}
---";
    let to = |more: &str| {
        format!("{{match: 'Host(`a.example`)', services: [{{name: web, port: http, {more}}}]}}")
    };
    let protocol = |more: &str| {
        let (model, said) =
            run(&format!("{transport}{}", mk_routes(&format!("routes: [{}]", to(more)))));
        let errors: Vec<_> = said.into_iter().filter(|line| line.starts_with("error")).collect();
        assert_eq!(errors, [""; 0], "{more}");
        model.backends[&model.rules[0].backend].protocol.clone()
    };
    assert_eq!(protocol("scheme: http"), Protocol::Http);
    assert_eq!(protocol("scheme: h2c"), Protocol::H2c);
    let Protocol::Https(tls) = protocol("scheme: https, serversTransport: inner") else {
        panic!("no TLS");
    };
    assert_eq!((&*tls.server_name.to_str(), &tls.trust), ("pods.example", &Trust::Anybody));
    let (model, said) =
        run(&mk_routes(&format!("routes: [{}]", to("scheme: https, serversTransport: gone"))));
    assert_eq!(broken(&model), [Some(Broken::ProtocolUnusable)]);
    assert_eq!(
        said,
        [
            "error: IngressRoute default/r: spec.routes[0].services[0].serversTransport: there is no ServersTransport \
          \"gone\" in namespace default (fix: create it; until then requests get 503)"
        ]
    );
}

#[test]
fn a_transport_is_of_the_namespace_of_its_service_or_named_by_id() {
    let of = |kind: &str, namespace: &str, name: &str, spec: &str| {
        format!(
            "
apiVersion: {kind}
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
---"
        )
    };
    let transport = |namespace: &str| {
        of("traefik.io/v1alpha1\nkind: ServersTransport", namespace, "inner", "serverName: a.b")
    };
    let service = of("v1\nkind: Service", "other", "web", "ports: [{port: 80}]");
    let asked = |namespace: &str, name: &str| {
        format!(
            "{{match: 'Host(`a.example`)', services: [{{name: web, namespace: {namespace}, port: 80, scheme: https, \
             serversTransport: {name}}}]}}"
        )
    };
    for (at, namespace, name, expected) in [
        ("default", "default", "inner", None),
        ("other", "other", "inner", None),
        ("default", "other", "inner", Some(Broken::ProtocolUnusable)),
        ("other", "default", "other-inner@kubernetescrd", None),
        ("other", "default", "default-inner@kubernetescrd", Some(Broken::ProtocolUnusable)),
        ("default", "default", "inner@file", Some(Broken::Altered)),
    ] {
        let routes = mk_routes(&format!("routes: [{}]", asked(namespace, name)));
        let (model, _) = run(&format!("{service}{}{routes}", transport(at)));
        assert_eq!(broken(&model), [expected], "{name} at {at} for {namespace}");
    }
}

#[test]
fn another_namespace_is_named_where_that_is_allowed() {
    let elsewhere = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: other}
spec: {ports: [{port: 80}]}
---";
    let route = "{match: 'Host(`a.example`)', services: [{name: web, namespace: other, port: 80}]}";
    let yaml = format!("{elsewhere}{}", mk_routes(&format!("routes: [{route}]")));
    let (model, said) = run(&yaml);
    assert_eq!((broken(&model), said), (vec![None], vec![]));
    let strict = Options { middlewares: MiddlewarePolicy::OwnNamespace, ..taking() };
    let (model, findings) = run_with(&strict, &yaml);
    assert_eq!(broken(&model), [Some(Broken::Restricted)]);
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn the_certificate_of_a_route_is_for_its_hosts() {
    let tls = "tls: {secretName: cert, domains: [{main: c.example}]}";
    let rules =
        [mk_route("Host(`a.example`) || Host(`b.example`)", ""), mk_route("Method(`GET`)", "")];
    let (_, said) = run(&mk_routes(&format!("{tls}, routes: [{}]", rules.join(", "))));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("error: IngressRoute default/r: spec.tls.secretName: "),
        "{said:?}"
    );
}

#[test]
fn the_length_of_a_rule_decides_whatever_its_matcher_is() {
    let ingress = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i, annotations: {kubernetes.io/ingress.class: traefik}}
spec:
  rules:
  - {host: '*.example', http: {paths: [
    {path: /a/long/path/of/an/ingress, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
---";
    let routes = [
        mk_route("Host(`a.example`)", ""),
        mk_route("Host(`a.example`) && PathPrefix(`/`)", ""),
        mk_route("Host(`a.example`) && Path(`/short`)", ""),
        mk_route("Host(`a.example`) && Path(`/a/longer/path`)", ""),
        mk_route("Host(`b.example`)", ""),
    ];
    let routes = mk_routes(&format!("routes: [{}]", routes.join(", ")));
    let (model, _) = run(&format!("{ingress}{routes}"));
    for (host, path, taker) in [
        ("a.example", "/", "r spec.routes[1]"),
        ("a.example", "/short", "r spec.routes[1]"),
        ("a.example", "/a/longer/path", "r spec.routes[3]"),
        ("b.example", "/", "r spec.routes[4]"),
        ("b.example", "/a/long/path/of/an/ingress", "i spec.rules[0].http.paths[0]"),
    ] {
        assert_eq!(found(&model, host, path), Some(taker.to_owned()), "{host}{path}");
    }
}

#[test]
fn of_two_routes_with_one_rule_the_last_is_served() {
    let routes = [
        mk_route("Host(`a.example`)", ", priority: 100"),
        mk_route("Host(`a.example`)", ""),
        mk_route("Host(`a.example`) && Path(`/`)", &format!(", priority: {}", i64::MAX)),
    ];
    let (model, said) = run(&mk_routes(&format!("routes: [{}]", routes.join(", "))));
    assert_eq!(found(&model, "a.example", "/x"), Some("r spec.routes[1]".to_owned()));
    let object = "IngressRoute default/r: spec.routes";
    assert_eq!(
        said,
        [
            format!(
                "error: {object}[2].priority: is above those that Traefik keeps for itself (fix: write at most \
                 9223372036854774807; until then its requests get 503)"
            ),
            format!(
                "warning: {object}[0].match: is that of routes[1] as well, which takes its place, as in Traefik (fix: \
                 remove one of the two)"
            ),
        ]
    );
    assert_eq!(broken(&model).iter().flatten().count(), 1);
}

#[test]
fn a_misspelt_field_that_would_protect_closes_its_route() {
    let route = |more: &str| mk_route("Host(`a.example`)", more);
    for (spec, expected) in [
        (format!("routes: [{}]", route(", middleware: [{name: auth}]")), Some(Broken::Altered)),
        (format!("routes: [{}]", route(", middlewares: [{nam: auth}]")), Some(Broken::Altered)),
        (
            format!("tls: {{option: {{name: own}}}}, routes: [{}]", route("")),
            Some(Broken::Restricted),
        ),
        (format!("routes: [{}]", route(", something: else")), None),
    ] {
        let (model, said) = run(&mk_routes(&spec));
        assert_eq!(broken(&model), [expected], "{spec}");
        assert!(!said.is_empty(), "{spec}");
    }
}
