//! Objects for tests of changes.

use super::tls::mk_pair;
use crate::control::manifest;
use crate::control::objects::Object;
use std::sync::LazyLock;

/// Objects of every kind, several versions of each. Few names, so that they meet.
pub(super) static POOL: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let mut pool = Vec::new();
    let mut add = |text: &str| {
        // Each by itself: of two with a name, a file keeps the first.
        let parsed = manifest::parse("pool.yaml", text);
        assert_eq!((parsed.objects.len(), parsed.findings), (1, Vec::new()), "{text}");
        pool.extend(parsed.objects);
    };
    for controller in ["ravelin.dev/ingress-controller", "example.com/other"] {
        add(&format!(
            "{{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: ravelin}}, \
             spec: {{controller: {controller}}}}}"
        ));
    }
    let path = |kind: &str, path: &str, service: &str, port: &str| {
        format!(
            "{{pathType: {kind}, path: {path}, backend: {{service: {{name: {service}, port: \
             {{{port}}}}}}}}}"
        )
    };
    let rule = |host: &str, paths: &[String]| {
        format!("rules: [{{host: {host}, http: {{paths: [{}]}}}}]", paths.join(", "))
    };
    let own = "defaultBackend: {service: {name: api, port: {number: 9000}}}";
    let specs = [
        rule("a.example", &[path("Prefix", "/", "web", "name: http")]),
        rule("a.example", &[path("Prefix", "/", "api", "number: 9000")]),
        rule(
            "b.example",
            &[path("Prefix", "/", "web", "number: 80"), path("Exact", "/", "wbe", "number: 80")],
        ),
        rule(
            "'*.example'",
            &[
                path("Prefix", "/a", "wbe", "number: 80"),
                path("Prefix", "/a/", "web", "number: 81"),
            ],
        ),
        rule("a..example", &[path("Prefix", "/", "web", "number: 80")]),
        rule(
            "a.example",
            &[
                path("Prefix", "nope", "web", "number: 80, name: http"),
                path("Prefix", "/x", "web", "number: 80, name: http"),
            ],
        ),
        own.to_owned(),
        format!("{own}, {}", rule("a.example", &[path("Exact", "/e", "api", "name: none")])),
        format!(
            "{}, tls: [{{secretName: t}}]",
            rule("a.example", &[path("Prefix", "/", "web", "name: http")])
        ),
        format!("{own}, tls: [{{secretName: t}}, {{secretName: u, hosts: [c.example]}}]"),
    ];
    let route = |rule: &str, more: &str| format!("{{match: '{rule}', services: [{more}]}}");
    let to = |service: &str, more: &str| format!("{{name: {service}, port: 80{more}}}");
    let specs_of_routes = [
        format!("routes: [{}]", route("Host(`a.example`)", &to("web", ""))),
        format!(
            "routes: [{}], tls: {{secretName: t, options: {{name: o}}}}",
            route("Host(`a.example`) || Host(`b.example`)", &to("web", ""))
        ),
        format!(
            "routes: [{}]",
            route("PathPrefix(`/a`)", &to("wbe", ", scheme: https, serversTransport: s"))
        ),
        format!(
            "routes: [{}]",
            route("Host(`a.example`)", "{name: noop@internal, kind: TraefikService}")
        ),
    ];
    let several = format!(
        "routes: [{}]",
        route("Host(`a.example`)", "{name: t, kind: TraefikService}, {name: web, port: 80}")
    );
    for spec in specs_of_routes.into_iter().chain([several]) {
        for name in ["i", "r"] {
            add(&format!(
                "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
            ));
        }
    }
    for spec in [
        "{weighted: {services: [{name: web, port: 80}, {name: wbe, port: 80}]}}",
        "{failover: {service: {name: web, port: 80}, fallback: {name: api, port: 9000}}}",
    ] {
        add(&format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: TraefikService, metadata: {{name: t}}, spec: {spec}}}"
        ));
    }
    for spec in ["{insecureSkipVerify: true}", "{serverName: a.example, rootCAsSecrets: [t]}"] {
        add(&format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: ServersTransport, metadata: {{name: s}}, spec: {spec}}}"
        ));
    }
    for (name, spec) in [
        ("default", "{minVersion: VersionTLS13}"),
        ("o", "{}"),
        ("o", "{minVersion: VersionTLS13}"),
    ] {
        add(&format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: TLSOption, metadata: {{name: {name}}}, spec: {spec}}}"
        ));
    }
    for (namespace, spec) in [("default", "{defaultCertificate: {secretName: t}}"), ("other", "{}")]
    {
        add(&format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: TLSStore, metadata: {{namespace: {namespace}, name: default}}, \
             spec: {spec}}}"
        ));
    }
    for name in ["i", "j", "k"] {
        for (number, spec) in specs.iter().enumerate() {
            let created = ["", ", creationTimestamp: '2024-01-01T00:00:00Z'"][number % 2];
            let class = if number % 5 == 4 { "other" } else { "ravelin" };
            for class in [class, "ravelin"] {
                add(&format!(
                    "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}\
                     {created}}}, spec: {{ingressClassName: {class}, {spec}}}}}"
                ));
            }
        }
    }
    // Some ask for certificates of clients, one of them for every host.
    let rules = [own.to_owned(), rule("a.example", &[path("Exact", "/e", "web", "number: 80")])];
    for (name, spec) in ["i", "j", "k"].iter().flat_map(|name| rules.iter().map(move |s| (name, s)))
    {
        for notes in [
            "client-certificate: require, ravelin.dev/client-ca: t",
            "client-certificate: request, ravelin.dev/client-ca: u",
            "client-certificate: requir",
            "balance: hash-client",
            "balance: sticky-cookie",
            "balance: sticky",
        ] {
            add(&format!(
                "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, \
                 annotations: {{ravelin.dev/{notes}}}}}, spec: {{ingressClassName: ravelin, {spec}}}}}"
            ));
        }
    }
    for name in ["t", "u"] {
        let authority = include_str!("../../../pki/client_certificate/cloudflare.pem");
        add(&format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}, stringData: {{ca.crt: \
             {authority:?}}}}}"
        ));
    }
    for name in ["web", "api", "wbe2"] {
        for spec in [
            "ports: [{name: http, port: 80}]",
            "ports: [{name: http, port: 80}, {name: x, port: 81}]",
            "ports: [{port: 9000}], ipFamilies: [IPv6, IPv4]",
            "ports: [{port: 80, protocol: UDP}, {port: 9000}]",
            "type: ExternalName",
            "ports: [{name: http, port: 80}], trafficDistribution: PreferSameZone",
        ] {
            add(&format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
            ));
        }
    }
    for name in ["s1", "s2", "s3"] {
        for service in ["web", "api"] {
            for (port, endpoints) in [
                ("name: http, port: 8080", "{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}"),
                ("name: http, port: 8080", "{addresses: [10.0.0.2], conditions: {ready: false}}"),
                ("port: 9000", "{addresses: [10.0.0.1]}, {addresses: [127.0.0.1]}"),
                ("port: 9000", "{addresses: [10.0.0.3], nodeName: n1}"),
            ] {
                add(&format!(
                    "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: \
                     {name}, labels: {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4, \
                     ports: [{{{port}}}], endpoints: [{endpoints}]}}"
                ));
            }
        }
    }
    for name in ["t", "u"] {
        for kind in ["kubernetes.io/tls", "Opaque", "other"] {
            add(&format!(
                "{{apiVersion: v1, kind: Secret, type: {kind}, metadata: {{name: {name}}}, data: \
                 {{tls.crt: eA==}}}}"
            ));
        }
        for (chain, key) in [mk_pair(), mk_pair()] {
            add(&format!(
                "{{apiVersion: v1, kind: Secret, type: Opaque, metadata: {{name: {name}}}, \
                 stringData: {{tls.crt: {chain:?}, tls.key: {key:?}}}}}"
            ));
        }
    }
    for (name, address) in [("n1", "192.0.2.1"), ("n1", "192.0.2.2"), ("m", "169.254.0.1")] {
        add(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{addresses: \
             [{{type: InternalIP, address: {address}}}]}}}}"
        ));
    }
    super::balancing::pool().iter().for_each(|text| add(text));
    for data in ["k: x", "other: x"] {
        add(&format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: l}}, data: {{{data}}}}}"
        ));
    }
    pool
});
