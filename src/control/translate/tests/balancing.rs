//! How requests are spread: annotations of Services and Ingresses, and which endpoints come first.

use super::{BASE, lines, mk_ingress, mk_paths, objects, options, run_with};
use crate::control::objects::Objects;
use crate::control::source::Changes;
use crate::control::translate::{Options, Translator, translate};
use crate::model::{
    Algorithm, BackendSpec, BackendState, CookieSettings, HashKey, Model, Prefer, SameSite,
};
use http::HeaderName;
use std::sync::Arc;

/// The base, with these annotations on the Service `web`, and this Ingress.
fn mk_service(annotations: &str, ingress: &str) -> Objects {
    let base =
        BASE.replacen("{name: web}", &format!("{{name: web, annotations: {{{annotations}}}}}"), 1);
    objects(&format!("{base}{ingress}"))
}

fn mk_plain() -> String {
    mk_ingress(&mk_paths(&[("Prefix", "/")]))
}

/// What Service `web` says with these annotations, and what is said about it.
fn of_service(annotations: &str) -> (Algorithm, Vec<String>) {
    let (model, findings) = translate(&mk_service(annotations, &mk_plain()), &options());
    (model.backends[0].treatment.balancing.algorithm.clone(), lines(&findings))
}

/// What an Ingress says with these.
fn of_ingress(annotations: &str) -> (Option<Algorithm>, Vec<String>) {
    let ingress =
        mk_plain().replace("name: x", &format!("name: x, annotations: {{{annotations}}}"));
    let (model, findings) = run_with(&options(), &ingress);
    (model.ingresses[0].balance.clone(), lines(&findings))
}

fn mk_header(name: &'static str) -> Algorithm {
    Algorithm::Hash(HashKey::Header(Arc::new(HeaderName::from_static(name))))
}

fn mk_cookie(settings: CookieSettings) -> Algorithm {
    Algorithm::Cookie(Arc::new(settings))
}

fn mk_named_cookie(name: &str) -> Algorithm {
    mk_cookie(CookieSettings { name: name.into(), ..CookieSettings::default() })
}

/// Objects that change who comes first, and how requests are spread.
pub(super) fn pool() -> Vec<String> {
    let mut pool = Vec::new();
    for name in ["web", "api"] {
        let notes =
            ["prefer: same-node", "balance: round-robin", "balance: rr, ravelin.dev/prefer: none"];
        pool.extend(notes.map(|notes| {
            format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, annotations: \
                 {{ravelin.dev/{notes}}}}}, spec: {{ports: [{{name: http, port: 80}}]}}}}"
            )
        }));
        for endpoints in [
            "{addresses: [10.0.0.4], nodeName: n1, zone: z1}, {addresses: [10.0.0.5], zone: z2}",
            "{addresses: [10.0.0.4], nodeName: n1, zone: z2}",
            "{addresses: [10.0.0.6], zone: z1, hints: {forZones: [{name: z1}]}}",
        ] {
            pool.extend(["s1", "s2"].map(|slice| {
                format!(
                    "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: \
                     {slice}, labels: {{kubernetes.io/service-name: {name}}}}}, addressType: IPv4, \
                     ports: [{{name: http, port: 8080}}], endpoints: [{endpoints}]}}"
                )
            }));
        }
    }
    pool.extend(["z1", "z2"].map(|zone| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: n1, labels: \
             {{topology.kubernetes.io/zone: {zone}}}}}}}"
        )
    }));
    pool
}

#[test]
fn services_and_ingresses_say_how_requests_are_spread() {
    for (annotations, expected) in [
        ("ravelin.dev/balance: least-load", Algorithm::LeastLoad),
        ("ravelin.dev/balance: round-robin", Algorithm::RoundRobin),
        ("ravelin.dev/balance: hash-client", Algorithm::Hash(HashKey::Client)),
        ("ravelin.dev/balance: hash-header, ravelin.dev/hash-header: X-User", mk_header("x-user")),
        ("ravelin.dev/balance: sticky-cookie", mk_named_cookie("ravelin")),
        (
            "ravelin.dev/balance: sticky-cookie, ravelin.dev/cookie-name: __Host-pod",
            mk_named_cookie("__Host-pod"),
        ),
    ] {
        assert_eq!(of_service(annotations), (expected.clone(), vec![]), "{annotations}");
        assert_eq!(of_ingress(annotations), (Some(expected), vec![]), "{annotations}");
    }
    assert_eq!(of_service(""), (Algorithm::LeastLoad, vec![]));
    assert_eq!(of_ingress(""), (None, vec![]));
}

#[test]
fn the_words_of_traefik_count_where_there_are_none_of_ours() {
    const T: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie";
    let all = format!(
        "{T}: 'true', {T}.name: pod, {T}.secure: 'true', {T}.httponly: 'false', {T}.samesite: none, \
         {T}.maxage: '60', {T}.path: /shop, {T}.domain: .a.example"
    );
    let settings = CookieSettings {
        name: "pod".into(),
        secure: Some(true),
        http_only: false,
        same_site: SameSite::None,
        max_age: Some(60),
        path: "/shop".into(),
        domain: Some("a.example".into()),
    };
    for (annotations, expected) in [
        (format!("{T}: 'true'"), mk_named_cookie("ravelin")),
        (format!("{T}.name: pod"), mk_named_cookie("pod")),
        (format!("{T}: 'false', {T}.name: pod"), Algorithm::LeastLoad),
        (format!("{T}: 'true', {T}.maxage: '0'"), mk_named_cookie("ravelin")),
        (all, mk_cookie(settings)),
        (format!("{T}: 'true', ravelin.dev/balance: round-robin"), Algorithm::RoundRobin),
    ] {
        assert_eq!(of_service(&annotations), (expected, vec![]), "{annotations}");
    }
    let (algorithm, said) = of_service(&format!("{T}: 'true', {T}.domain: a b"));
    assert_eq!(algorithm, Algorithm::LeastLoad);
    assert!(said[0].contains("\"a b\" is not a domain"), "{said:?}");
}

#[test]
fn a_mistake_is_named_and_requests_go_by_load() {
    let at = |name: &str, said: &str| {
        vec![format!("error: Service default/web: metadata.annotations[{name}]: {said}")]
    };
    const T: &str = "traefik.ingress.kubernetes.io/service.sticky.cookie";
    for (annotations, name, said) in [
        (
            "ravelin.dev/balance: round-robbin".to_owned(),
            "ravelin.dev/balance".to_owned(),
            "\"round-robbin\" is not one of \"least-load\", \"round-robin\", \"hash-client\", \
                \"hash-header\", \"sticky-cookie\" (fix: did you mean \"round-robin\"?; until then \
                requests are balanced by load)",
        ),
        (
            "ravelin.dev/balance: hash-header".into(),
            "ravelin.dev/hash-header".into(),
            "is missing; ravelin.dev/balance: hash-header requires it (fix: name a request header, such \
                as X-User; until then requests are balanced by load)",
        ),
        (
            "ravelin.dev/balance: hash-header, ravelin.dev/hash-header: 'X User'".into(),
            "ravelin.dev/hash-header".into(),
            "\"X User\" is not a header name (fix: name a request header, such as \
                X-User; until then requests are balanced by load)",
        ),
        (
            "ravelin.dev/balance: sticky-cookie, ravelin.dev/cookie-name: a=b".into(),
            "ravelin.dev/cookie-name".into(),
            "\"a=b\" is not a valid cookie name (fix: use letters, digits, - and _; until then \
                requests are balanced by load)",
        ),
        (
            format!("{T}: 'yes'"),
            T.into(),
            "\"yes\" is not one of \"true\", \"false\" (fix: write one of them; until then requests are balanced by load)",
        ),
        (
            format!("{T}: 'true', {T}.maxage: 1h"),
            format!("{T}.maxage"),
            "\"1h\" is not a number of seconds (fix: write 3600 for an hour, 0 for a session \
                cookie; until then requests are balanced by load)",
        ),
        (
            format!("{T}: 'true', {T}.path: shop"),
            format!("{T}.path"),
            "\"shop\" is not a valid cookie path (fix: write a path that begins with /; until then \
                requests are balanced by load)",
        ),
    ] {
        assert_eq!(of_service(&annotations), (Algorithm::LeastLoad, at(&name, said)));
    }
    let (word, said) = of_ingress("ravelin.dev/balance: sticky");
    assert_eq!((word, said.len()), (None, 1));
}

#[test]
fn annotations_that_go_with_another_word_are_warned_of() {
    for (annotations, expected) in [
        ("ravelin.dev/hash-header: X-User", "hash-header"),
        ("ravelin.dev/balance: hash-client, ravelin.dev/hash-header: X-User", "hash-header"),
        ("ravelin.dev/balance: round-robin, ravelin.dev/cookie-name: pod", "sticky-cookie"),
    ] {
        let (_, said) = of_service(annotations);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("warning: "), "{said:?}");
        let reason = format!("has no effect without ravelin.dev/balance: {expected}");
        assert!(said[0].contains(&reason), "{said:?}");
    }
    // Ingresses have no say in which endpoints come first.
    let (_, said) = of_ingress("ravelin.dev/prefer: same-node");
    assert!(said[0].contains("is unknown, and has no effect"), "{said:?}");
}

/// Four endpoints: on our node, in our zone, elsewhere, and of an unknown place.
const PLACES: &str = "{addresses: [10.0.0.1], nodeName: n1, zone: z1}, {addresses: [10.0.0.2], \
    nodeName: n2, zone: z1}, {addresses: [10.0.0.3], nodeName: n3, zone: z3}, {addresses: [10.0.0.4]}";

/// The last numbers of the near endpoints, for us on node `n1`. `service` is the rest of its spec.
fn near(service: &str, notes: &str, endpoints: &str, default: Prefer) -> Vec<u8> {
    let (backend, _) = backend_of(service, notes, endpoints, default);
    near_of(&backend)
}

fn near_of(backend: &BackendSpec) -> Vec<u8> {
    let BackendState::Resolved(endpoints) = &backend.state else { panic!("{backend:?}") };
    let near = endpoints.iter().filter(|endpoint| endpoint.near);
    near.map(|endpoint| match endpoint.addr.ip() {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(ip) => ip.octets()[15],
    })
    .collect()
}

fn here(default: Prefer) -> Options {
    Options { node: Some("n1".into()), prefer: default, ..options() }
}

fn mk_placed(service: &str, notes: &str, endpoints: &str) -> Objects {
    let base = BASE
        .replacen("{name: web}", &format!("{{name: web, annotations: {{{notes}}}}}"), 1)
        .replacen(
            "spec: {ports: [{name: http,",
            &format!("spec: {{{service}ports: [{{name: http,"),
            1,
        )
        .replace("endpoints: [{addresses: [10.0.0.1]}]", &format!("endpoints: [{endpoints}]"));
    objects(&format!("{base}{}", mk_plain()))
}

fn backend_of(
    service: &str,
    notes: &str,
    endpoints: &str,
    default: Prefer,
) -> (BackendSpec, Vec<String>) {
    let (model, findings) = translate(&mk_placed(service, notes, endpoints), &here(default));
    (model.backends[0].clone(), lines(&findings))
}

#[test]
fn the_first_word_about_what_comes_first_counts() {
    let prefer = |word: &str| format!("ravelin.dev/prefer: {word}");
    for (service, notes, default, expected) in [
        ("", String::new(), Prefer::None, vec![]),
        ("", String::new(), Prefer::SameNode, vec![1]),
        ("", String::new(), Prefer::SameZone, vec![1, 2]),
        ("", prefer("same-node"), Prefer::None, vec![1]),
        ("", prefer("none"), Prefer::SameNode, vec![]),
        ("trafficDistribution: PreferSameNode, ", String::new(), Prefer::None, vec![1]),
        ("trafficDistribution: PreferSameZone, ", String::new(), Prefer::SameNode, vec![1, 2]),
        ("trafficDistribution: PreferClose, ", String::new(), Prefer::None, vec![1, 2]),
        ("trafficDistribution: Other, ", String::new(), Prefer::SameNode, vec![1]),
        ("trafficDistribution: PreferSameNode, ", prefer("same-zone"), Prefer::None, vec![1, 2]),
        ("trafficDistribution: PreferSameNode, ", prefer("none"), Prefer::None, vec![]),
    ] {
        assert_eq!(near(service, &notes, PLACES, default), expected, "{service} {notes}");
    }
    let (backend, said) = backend_of("", "ravelin.dev/prefer: same_node", PLACES, Prefer::SameZone);
    assert_eq!(
        (near_of(&backend), backend.treatment.balancing.prefer),
        (vec![1, 2], Prefer::SameZone)
    );
    assert!(said[0].contains("did you mean \"same-node\"?; until then it is ignored"));
}

#[test]
fn without_one_on_our_node_those_of_our_zone_come_first() {
    for (endpoints, expected) in [
        (PLACES.replace("nodeName: n1, ", ""), vec![]),
        (format!("{PLACES}, {{addresses: [10.0.0.9], nodeName: n1, zone: z3}}"), vec![1, 9]),
        // What is not ready is not there.
        (
            PLACES.replace(
                "zone: z1}, {addresses: [10.0.0.2]",
                "zone: z1, conditions: {ready: false}}, {addresses: [10.0.0.2]",
            ),
            vec![2],
        ),
        (
            "{addresses: [10.0.0.1], nodeName: n1, conditions: {ready: false, serving: true, \
             terminating: true}}, {addresses: [10.0.0.2], nodeName: n2, conditions: {ready: false, \
             serving: true, terminating: true}}"
                .to_owned(),
            vec![1],
        ),
    ] {
        assert_eq!(near("", "", &endpoints, Prefer::SameNode), expected, "{endpoints}");
    }
}

#[test]
fn hints_come_before_all_but_the_annotation_where_every_endpoint_has_one() {
    let hinted = "{addresses: [10.0.0.1], nodeName: n1, zone: z1, hints: {forZones: [{name: z1}]}}, \
        {addresses: [10.0.0.2], nodeName: n2, zone: z2, hints: {forZones: [{name: z1}, {name: z2}]}}, \
        {addresses: [10.0.0.3], nodeName: n3, zone: z3, hints: {forZones: [{name: z3}]}}";
    assert_eq!(near("", "", hinted, Prefer::None), [1, 2]);
    assert_eq!(near("", "", hinted, Prefer::SameNode), [1, 2]);
    assert_eq!(near("", "ravelin.dev/prefer: none", hinted, Prefer::None), [0u8; 0]);
    assert_eq!(near("", "ravelin.dev/prefer: same-node", hinted, Prefer::None), [1]);
    let of_nodes = hinted.replace("hints: {", "hints: {forNodes: [{name: n2}], ");
    assert_eq!(near("", "", &of_nodes, Prefer::None), [1, 2], "none is for our node");
    let of_ours = of_nodes.replacen("forNodes: [{name: n2}]", "forNodes: [{name: n1}]", 1);
    assert_eq!(near("", "", &of_ours, Prefer::None), [1]);
    let one_without = format!("{hinted}, {{addresses: [10.0.0.4]}}");
    assert_eq!(near("", "", &one_without, Prefer::None), [0u8; 0]);
    assert_eq!(near("", "", &one_without, Prefer::SameNode), [1]);
}

/// The same with a Node of ours in this zone.
fn with_node(zone: &str) -> Objects {
    let mut all = mk_placed("", "", PLACES);
    let parsed = crate::control::manifest::parse(
        "node.yaml",
        &format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: n1, labels: \
             {{topology.kubernetes.io/zone: {zone}, other: x}}}}}}"
        ),
    );
    for object in parsed.objects {
        all.insert(object);
    }
    all
}

#[test]
fn our_zone_is_what_our_node_says_and_a_change_of_it_moves_what_is_near() {
    let options = here(Prefer::SameZone);
    let mut translator = Translator::new(options.clone());
    let mut before = Objects::default();
    let mut model = Model::default();
    for (objects, expected) in [
        (mk_placed("", "", PLACES), vec![1, 2]),
        (with_node("z3"), vec![3]),
        (with_node("z1"), vec![1, 2]),
        (with_node("nowhere"), vec![]),
        (mk_placed("", "", PLACES), vec![1, 2]),
        (mk_placed("", "", &PLACES.replace("zone: z1", "zone: z2")), vec![1, 2]),
    ] {
        let changes = objects.changes_from(&before);
        let effect = translator.apply(Changes { objects: changes, findings: None });
        if let Some(new) = effect.model {
            model = Model::clone(&new);
        }
        for (id, backend) in effect.endpoints {
            model.backends.insert(id, backend);
        }
        assert_eq!(near_of(&model.backends[0]), expected);
        assert_eq!(model, translate(&objects, &options).0);
        before = objects;
    }
}
