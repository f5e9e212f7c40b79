//! `from-to-www-redirect`: the other name of a host, which yields to a host of its own.

use super::ownership::{first, mk_path, mk_spec, run, translated};
use super::{at_host, options};

const FIELD: &str = "metadata.annotations[nginx.ingress.kubernetes.io/from-to-www-redirect]";

const ALIAS: &str = "nginx.ingress.kubernetes.io/server-alias: www.a.example";

/// An old Ingress with a host, and this annotation.
fn mk_www(host: &str, value: &str) -> String {
    with_www(&mk_path("b", "old", 2020, host, "/app"), value)
}

fn with_www(ingress: &str, value: &str) -> String {
    let annotation =
        format!("annotations: {{nginx.ingress.kubernetes.io/from-to-www-redirect: '{value}'}}");
    ingress.replacen("metadata: {", &format!("metadata: {{{annotation}, "), 1)
}

#[test]
fn the_other_name_leads_to_the_host_of_the_rule() {
    for (host, other) in [("a.example", "www.a.example"), ("www.a.example", "a.example")] {
        for options in [options(), first()] {
            let (routes, lines) = run(&options, &[mk_www(host, "True")]);
            assert_eq!(lines, [""; 0]);
            let of_rule = format!("{host} Prefix /app -> b/web:80");
            let redirect = format!("{other} Prefix / -> b/web:80");
            assert_eq!(routes.len(), 2);
            assert!(routes.contains(&of_rule) && routes.contains(&redirect), "{routes:?}");
        }
    }
}

#[test]
fn its_only_step_is_the_redirect_and_tls_is_not_asked_for_before() {
    let annotated = with_www(&mk_path("b", "old", 2020, "a.example", "/"), "true").replacen(
        "annotations: {",
        "annotations: {ravelin.dev/https-redirect: 'true', ravelin.dev/deny: 192.0.2.0/24, ",
        1,
    );
    let (model, findings) = translated(&options(), &[annotated]);
    assert_eq!(findings, []);
    let steps = |host: &str| {
        at_host(&model, host, "/x", |table, id| {
            let chain = table.chain(id).expect("steps");
            let names: Vec<String> = chain.iter().map(|step| step.name.to_string()).collect();
            (names, table.redirects(id))
        })
    };
    let redirect = (vec!["b/old: from-to-www-redirect".to_owned()], false);
    assert_eq!(steps("www.a.example"), Some(redirect));
    assert_eq!(steps("a.example"), Some((vec!["b/old: deny".to_owned()], true)));
}

#[test]
fn a_host_of_an_ingress_of_its_own_is_not_redirected() {
    let own = mk_path("a", "own", 2024, "www.a.example", "/own");
    for options in [options(), first()] {
        let (routes, lines) = run(&options, &[mk_www("a.example", "true"), own.clone()]);
        let expected =
            ["a.example Prefix /app -> b/web:80", "www.a.example Prefix /own -> a/web:80"];
        assert_eq!(routes, expected);
        assert_eq!(
            lines,
            [format!(
                "warning: Ingress b/old: {FIELD}: does not redirect www.a.example, which is a host of Ingress a/own \
                 (fix: remove it, or that host)"
            )]
        );
    }
}

#[test]
fn a_host_without_paths_has_the_backend_of_all_others() {
    let spec =
        "rules: [{host: a.example}], defaultBackend: {service: {name: web, port: {number: 80}}}";
    let (routes, lines) = run(&options(), &[with_www(&mk_spec("b", "old", 2020, spec), "true")]);
    assert_eq!((routes, lines), (vec!["www.a.example Prefix / -> b/web:80".to_owned()], vec![]));
}

#[test]
fn what_has_no_effect_is_told() {
    let path = "http: {paths: [{pathType: Prefix, path: /, backend: {service: {name: web, port: {number: 80}}}}]}";
    let both = format!("rules: [{{host: a.example, {path}}}, {{host: www.a.example, {path}}}]");
    let aliased = with_www(&mk_path("b", "old", 2020, "a.example", "/"), "true");
    let aliased = aliased.replacen("annotations: {", &format!("annotations: {{{ALIAS}, "), 1);
    let none = "has no effect: no rule has a host whose other name is not served";
    for (ingress, routes_are, said) in [
        (mk_www("*.a.example", "true"), 1, none),
        (mk_www("", "true"), 1, none),
        (with_www(&mk_spec("b", "old", 2020, &both), "true"), 2, none),
        (aliased, 2, none),
        (mk_www("a.example", "yes"), 1, "\"yes\" is neither \"true\" nor \"false\": no redirect"),
    ] {
        let (routes, lines) = run(&options(), std::slice::from_ref(&ingress));
        assert_eq!(routes.len(), routes_are, "{routes:?}");
        let told = |line: &String| line.contains(FIELD) && line.contains(said);
        assert!(lines.iter().any(told), "{ingress}: {lines:?}");
    }
    for value in ["false", ""] {
        let (routes, lines) = run(&options(), &[mk_www("a.example", value)]);
        assert_eq!((routes.len(), lines), (1, vec![]), "{value}");
    }
}
