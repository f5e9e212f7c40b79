//! Rules, paths, hosts, default backends, ties.

use super::{endpoints, lines, mk_backend, mk_ingress, mk_named, mk_paths, model};
use super::{routes, run};
use crate::model::{DefaultBackend, EntryPoints, HostPattern, PathKind, Severity, Why};
use std::sync::Arc;

#[test]
fn each_path_becomes_a_rule_of_its_type() {
    let paths = mk_paths(&[
        ("Exact", "/foo"),
        ("Exact", "/foo/"),
        ("Prefix", "/foo/bar"),
        ("ImplementationSpecific", "/spec"),
        ("ImplementationSpecific", ""),
    ]);
    assert_eq!(
        routes(&model(&mk_ingress(&paths))),
        [
            "a.example Exact /foo -> default/web:http",
            "a.example Exact /foo/ -> default/web:http",
            "a.example Prefix /foo/bar -> default/web:http",
            "a.example Prefix /spec -> default/web:http",
            "a.example Prefix / -> default/web:http",
        ]
    );
}

#[test]
fn exact_is_the_whole_path_and_prefix_its_elements() {
    let paths = mk_paths(&[("Exact", "/foo"), ("Prefix", "/bar/")]);
    let model = model(&mk_ingress(&paths));
    let [exact, prefix] = [&model.rules[0].path, &model.rules[1].path];
    for (pattern, path, expected) in [
        (exact, "/foo", true),
        (exact, "/foo/", false),
        (exact, "/Foo", false),
        (prefix, "/bar", true),
        (prefix, "/bar/", true),
        (prefix, "/bar/baz", true),
        (prefix, "/barbaz", false),
        (prefix, "/Bar", false),
    ] {
        assert_eq!(pattern.matches(path), expected, "{pattern} {path}");
    }
}

#[test]
fn paths_that_the_api_server_refuses_are_dropped_alone() {
    for bad in
        ["foo", "", "/a//b", "/a/./b", "/a/../b", "/a%2fb", "/a%2Fb", "/a/.", "/a/..", "/%zz"]
    {
        let (model, findings) = run(&mk_ingress(&mk_paths(&[("Prefix", bad), ("Exact", "/ok")])));
        assert_eq!(routes(&model), ["a.example Exact /ok -> default/web:http"], "{bad}");
        assert_eq!(model.rules[0].position, 1, "{bad}");
        assert_eq!(findings.len(), 1, "{bad}");
        assert_eq!(findings[0].field, "spec.rules[0].http.paths[0].path", "{bad}");
        assert_eq!((findings[0].severity, findings[0].why), (Severity::Error, Why::Invalid));
    }
}

#[test]
fn a_missing_or_unknown_path_type_drops_that_path_alone() {
    for bad in ["''", "prefix", "Regex"] {
        let (model, findings) = run(&mk_ingress(&mk_paths(&[(bad, "/x"), ("Exact", "/ok")])));
        assert_eq!(routes(&model), ["a.example Exact /ok -> default/web:http"], "{bad}");
        assert_eq!(findings.len(), 1, "{bad}");
        assert_eq!(findings[0].field, "spec.rules[0].http.paths[0].pathType", "{bad}");
    }
}

#[test]
fn hosts_are_exact_wildcard_or_absent() {
    let paths = "http: {paths: [{pathType: Prefix, path: /, backend: \
                 {service: {name: api, port: {number: 9000}}}}]}";
    let rules = format!(
        "rules: [{{host: A.Example, {paths}}}, {{host: '*.b.example', {paths}}}, {{{paths}}}]"
    );
    let model = model(&mk_ingress(&rules));
    let hosts: Vec<_> = model.rules.iter().map(|rule| rule.host.clone()).collect();
    let expected = [
        HostPattern::Exact("a.example".into()),
        HostPattern::Wildcard("b.example".into()),
        HostPattern::Any,
    ];
    assert_eq!(hosts, expected);
}

#[test]
fn a_refused_host_drops_its_rule_alone() {
    for bad in ["10.0.0.1", "a.example:80", "*", "a.*.example", "*a.example", "a_b.example"] {
        let backend = "http: {paths: [{pathType: Prefix, path: /, backend: \
                       {service: {name: web, port: {name: http}}}}]}";
        let rules =
            format!("rules: [{{host: '{bad}', {backend}}}, {{host: ok.example, {backend}}}]");
        let (model, findings) = run(&mk_ingress(&rules));
        assert_eq!(routes(&model), ["ok.example Prefix / -> default/web:http"], "{bad}");
        assert_eq!(model.rules[0].rule, 1, "{bad}");
        assert_eq!(findings.len(), 1, "{bad}");
        assert_eq!(findings[0].field, "spec.rules[0].host", "{bad}");
    }
}

#[test]
fn a_rule_without_http_gives_its_host_to_the_default_backend_of_its_ingress() {
    let default = "defaultBackend: {service: {name: web, port: {number: 80}}}";
    let model = model(&mk_ingress(&format!("{default}, rules: [{{host: a.example}}]")));
    let hosts = vec![HostPattern::Exact("a.example".into())];
    assert_eq!(
        model.defaults,
        [DefaultBackend {
            backend: Arc::clone(model.backends.entries().next().expect("one").0),
            ingress: Arc::clone(model.ingresses.iter().next().expect("one")),
            hosts,
            entry_points: EntryPoints::ALL,
            middlewares: None
        }]
    );
    assert!(model.rules.is_empty());
}

#[test]
fn a_rule_without_http_and_default_backend_serves_nothing_and_is_reported() {
    let (model, findings) = run(&mk_ingress("rules: [{host: a.example}]"));
    assert!(model.rules.is_empty());
    assert_eq!(model.defaults, []);
    assert_eq!(
        lines(&findings),
        ["warning: Ingress default/x: spec.rules[0]: has no `http` and the Ingress no \
          `defaultBackend`: nothing to serve (fix: add `http.paths`)"]
    );
}

#[test]
fn an_ingress_needs_rules_or_a_default_backend() {
    for spec in ["tls: []", "rules: []"] {
        let (model, findings) = run(&mk_ingress(spec));
        assert!(model.rules.is_empty());
        assert_eq!(model.defaults, []);
        assert_eq!(findings.len(), 1, "{spec}");
        assert_eq!(findings[0].field, "spec", "{spec}");
    }
}

#[test]
fn a_default_backend_knows_the_hosts_of_its_ingress_each_once() {
    let path = "http: {paths: [{pathType: Exact, path: /x, backend: \
                {service: {name: web, port: {number: 80}}}}]}";
    let path2 = path.replace("/x", "/y");
    let rules = format!(
        "rules: [{{host: b.example, {path}}}, {{host: a.example, {path}}}, {{host: b.example, {path2}}}]"
    );
    let default = "defaultBackend: {service: {name: api, port: {number: 9000}}}";
    let model = model(&mk_ingress(&format!("{default}, {rules}")));
    let hosts = ["a.example", "b.example"].map(|host| HostPattern::Exact(host.into())).to_vec();
    assert_eq!(
        model.defaults,
        [DefaultBackend {
            backend: Arc::clone(model.backends.entries().next().expect("one").0),
            ingress: Arc::clone(model.ingresses.iter().next().expect("one")),
            hosts,
            entry_points: EntryPoints::ALL,
            middlewares: None
        }]
    );
}

#[test]
fn broken_rules_do_not_make_a_default_backend_stronger() {
    let default = "defaultBackend: {service: {name: web, port: {number: 80}}}";
    let (model, findings) = run(&mk_ingress(&format!("{default}, rules: [{{host: 10.0.0.1}}]")));
    assert_eq!(model.defaults, []);
    let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
    assert_eq!(fields, ["spec.defaultBackend", "spec.rules[0].host"]);
}

#[test]
fn of_equal_rules_the_older_then_the_first_by_name_wins() {
    let spec = mk_paths(&[("Prefix", "/")]);
    let aged = |name: &str, stamp: &str| {
        mk_named(name, &spec).replace("}\nspec", &format!(", creationTimestamp: '{stamp}'}}\nspec"))
    };
    let (model, findings) = run(&[
        mk_named("a", &spec),
        mk_named("b", &spec),
        aged("c", "2024-05-01T00:00:00Z"),
        aged("d", "2023-05-01T00:00:00Z"),
    ]
    .concat());
    let order: Vec<_> = model.ingresses.iter().map(|ingress| &*ingress.name).collect();
    assert_eq!(order, ["d", "c", "a", "b"]);
    assert_eq!(model.ingresses[0].created, 1_682_899_200);
    assert_eq!(model.ingresses[2].created, i64::MAX);
    let losers: Vec<_> = findings.iter().map(|finding| &*finding.object.name).collect();
    assert_eq!(losers, ["a", "b", "c"]);
    assert!(findings.iter().all(|finding| finding.reason.contains("Ingress default/d")));
    assert!(findings.iter().all(|finding| finding.why == Why::Shadowed));
}

#[test]
fn of_a_prefix_with_and_without_slash_the_longer_wins() {
    let (model, findings) = run(&mk_ingress(&mk_paths(&[("Prefix", "/foo"), ("Prefix", "/foo/")])));
    assert_eq!(model.rules.len(), 2);
    assert_eq!(
        lines(&findings),
        ["warning: Ingress default/x: spec.rules[0].http.paths[0].path: Prefix /foo of host \
            a.example is already used by Ingress default/x (spec.rules[0].http.paths[1].path) (fix: \
            remove one of the two, or give them different paths)"]
    );
}

#[test]
fn an_exact_path_does_not_shadow_a_prefix() {
    let (_, findings) = run(&mk_ingress(&mk_paths(&[("Exact", "/foo"), ("Prefix", "/foo")])));
    assert_eq!(findings, []);
}

#[test]
fn a_default_backend_that_is_never_used_is_reported() {
    let default = "defaultBackend: {service: {name: web, port: {number: 80}}}";
    let (model, findings) = run(&[mk_named("a", default), mk_named("b", default)].concat());
    assert_eq!(model.defaults.len(), 2);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "warning: Ingress default/b: spec.defaultBackend: is never used, because the one of Ingress \
            default/a comes first (fix: keep one default backend)"
    );
}

#[test]
fn backends_are_in_the_model_once_and_never_cross_a_namespace() {
    let web = "{service: {name: web, port: {name: http}}}";
    let other = mk_ingress(&mk_backend(web).replace("a.example", "b.example"))
        .replace("{name: x}", "{name: x, namespace: other}");
    let yaml = [mk_named("a", &mk_paths(&[("Exact", "/1"), ("Exact", "/2")])), other].concat();
    let (model, findings) = run(&yaml);
    let keys: Vec<_> = model.backends.iter().map(|backend| backend.key.to_string()).collect();
    assert_eq!(keys, ["default/web:http", "other/web:http"]);
    assert_eq!(endpoints(&model.backends[1]), ["ServiceMissing"]);
    assert_eq!(findings.len(), 1);
}

#[test]
fn what_is_broken_keeps_its_place() {
    for (backend, expected) in [
        ("{service: {name: nope, port: {number: 80}}}", "ServiceMissing"),
        ("{service: {name: web, port: {number: 81}}}", "PortMissing"),
        ("{service: {name: web, port: {name: htp}}}", "PortMissing"),
        ("{service: {name: web, port: {}}}", "PortMissing"),
        ("{service: {name: web}}", "PortMissing"),
        ("{service: {name: web, port: {number: 80, name: http}}}", "PortMissing"),
        ("{service: {name: web, port: {number: 65536}}}", "PortMissing"),
        ("{resource: {apiGroup: x.example, kind: Bucket, name: static}}", "Unsupported"),
        ("{}", "ServiceMissing"),
        ("{service: {name: web, port: {number: 80}}, resource: {kind: B, name: s}}", "Unsupported"),
    ] {
        let (model, findings) = run(&mk_ingress(&mk_backend(backend)));
        assert_eq!(model.rules.len(), 1, "{backend}");
        assert_eq!(model.rules[0].path.kind, PathKind::Prefix);
        assert_eq!(endpoints(&model.backends[&model.rules[0].backend]), [expected], "{backend}");
        assert_eq!(findings.len(), 1, "{backend}");
        assert_eq!(findings[0].severity, Severity::Error, "{backend}");
    }
}

#[test]
fn each_rule_with_a_broken_backend_is_reported_at_its_own_field() {
    let paths = mk_paths(&[("Exact", "/1"), ("Exact", "/2")]).replace("name: web", "name: nope");
    let (model, findings) = run(&mk_ingress(&paths));
    assert_eq!(model.backends.len(), 1);
    let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
    let expected = [
        "spec.rules[0].http.paths[0].backend.service.name",
        "spec.rules[0].http.paths[1].backend.service.name",
    ];
    assert_eq!(fields, expected);
}
