//! Whose paths a host has, where several namespaces name it.

use super::{lines, objects, options, routes};
use crate::config::HostPolicy;
use crate::control::objects::{Object, Objects};
use crate::control::source::Changes;
use crate::control::translate::{Options, Translator, translate};
use crate::model::{Diagnostic, HostPattern, Model};
use proptest::prelude::*;

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: ravelin}
spec: {controller: ravelin.dev/ingress-controller}
---";

pub(super) fn first() -> Options {
    Options { hosts: HostPolicy::FirstNamespace, ..options() }
}

/// An Ingress in a namespace, of the year it is as old as, with one path on a host; its Service is of the
/// namespace, and is there.
pub(super) fn mk_path(namespace: &str, name: &str, year: u32, host: &str, path: &str) -> String {
    let backend = "backend: {service: {name: web, port: {number: 80}}}";
    mk_spec(
        namespace,
        name,
        year,
        &format!(
            "rules: [{{host: '{host}', http: {{paths: [{{pathType: Prefix, path: {path}, {backend}}}]}}}}]"
        ),
    )
}

pub(super) fn mk_spec(namespace: &str, name: &str, year: u32, spec: &str) -> String {
    format!(
        "
{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, namespace: {namespace}, \
          creationTimestamp: '{year}-01-01T00:00:00Z'}}, spec: {{ingressClassName: ravelin, {spec}}}}}
---"
    )
}

/// The same Ingress with further hosts.
pub(super) fn mk_aliased(ingress: &str, hosts: &str) -> String {
    let annotation =
        format!("annotations: {{nginx.ingress.kubernetes.io/server-alias: '{hosts}'}}");
    ingress.replacen("metadata: {", &format!("metadata: {{{annotation}, "), 1)
}

fn mk_services() -> String {
    let service = |namespace: &str| {
        format!(
            "
{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {{ports: [{{port: 80}}]}}}}
---"
        )
    };
    ["a", "b", "c"].map(service).concat()
}

pub(super) fn translated(options: &Options, ingresses: &[String]) -> (Model, Vec<Diagnostic>) {
    translate(&objects(&format!("{CLASS}{}{}", mk_services(), ingresses.concat())), options)
}

pub(super) fn run(options: &Options, ingresses: &[String]) -> (Vec<String>, Vec<String>) {
    let (model, findings) = translated(options, ingresses);
    (routes(&model), lines(&findings))
}

#[test]
fn a_path_on_the_host_of_another_namespace_is_served_and_said_on_both() {
    let ingresses = [
        mk_path("a", "shop", 2020, "shop.example", "/"),
        mk_path("a", "more", 2023, "shop.example", "/more"),
        mk_path("b", "thief", 2022, "shop.example", "/login"),
        mk_path("b", "own", 2022, "own.example", "/"),
        mk_path("c", "all", 2022, "", "/c"),
        mk_path("b", "all", 2022, "", "/b"),
    ];
    let (routes, lines) = run(&options(), &ingresses);
    assert_eq!(routes.len(), 6, "{routes:?}");
    let fix = "(fix: use hosts of your own, or set source.hosts = \"first-namespace\" to keep others out)";
    let line = |ingress: &str, theirs: &str| {
        format!(
            "warning: Ingress {ingress}: spec.rules[0].host: is shop.example, on which Ingress \
                {theirs} of another namespace also has paths {fix}"
        )
    };
    let expected =
        [line("a/more", "b/thief"), line("a/shop", "b/thief"), line("b/thief", "a/shop")];
    assert_eq!(lines, expected);
}

#[test]
fn the_namespace_of_the_oldest_ingress_of_a_host_keeps_others_out() {
    let ingresses = [
        mk_path("a", "shop", 2020, "shop.example", "/"),
        mk_path("b", "thief", 2022, "shop.example", "/login"),
        mk_path("b", "wild", 2019, "*.example", "/"),
        mk_path("a", "more", 2023, "shop.example", "/more"),
    ];
    let (routes, lines) = run(&first(), &ingresses);
    let served = [
        "*.example Prefix / -> b/web:80",
        "shop.example Prefix / -> a/web:80",
        "shop.example Prefix /more -> a/web:80",
    ];
    assert_eq!(routes, served, "a wildcard is another host");
    let line = "error: Ingress b/thief: spec.rules[0].http.paths[0].path: Prefix /login is not served on \
                host shop.example, which belongs to namespace a: its Ingress a/shop is the oldest there \
                (fix: use a host of your own, or ask for source.hosts = \"shared\")";
    assert_eq!(lines, [line]);
}

#[test]
fn default_backends_take_nothing_of_the_hosts_of_others() {
    let own = "defaultBackend: {service: {name: web, port: {number: 80}}}";
    let thief = format!("{own}, rules: [{{host: shop.example}}]");
    let both = format!("{own}, rules: [{{host: shop.example}}, {{host: own.example}}]");
    let ingresses = [
        mk_path("a", "shop", 2020, "shop.example", "/x"),
        mk_spec("b", "thief", 2022, &thief),
        mk_spec("c", "both", 2022, &both),
    ];
    let text = format!("{CLASS}{}{}", mk_services(), ingresses.concat());
    let (model, findings) = translate(&objects(&text), &first());
    let hosts: Vec<_> = model.defaults.iter().map(|default| default.hosts.clone()).collect();
    assert_eq!(hosts, [[HostPattern::Exact("own.example".into())]]);
    let lines = lines(&findings);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("spec.defaultBackend: is not served on host")));
}

/// Ingresses of few names, hosts and ages, so that they meet.
fn pool() -> Vec<Object> {
    let own = "defaultBackend: {service: {name: web, port: {number: 80}}}";
    let mut text = Vec::new();
    for namespace in ["a", "b", "c"] {
        for (name, year) in [("i", 2020), ("j", 2021)] {
            for host in ["x.example", "*.example", "y.example"] {
                for year in [year, 2025 - year % 10] {
                    text.push(mk_path(namespace, name, year, host, &format!("/{namespace}")));
                }
            }
            let aliased = mk_path(namespace, name, year, "z.example", "/z");
            text.push(mk_aliased(&aliased, "x.example, y.example"));
            text.push(mk_spec(namespace, name, year, own));
            text.push(mk_spec(
                namespace,
                name,
                year,
                &format!("{own}, rules: [{{host: x.example}}]"),
            ));
        }
    }
    let one = |text: &String| {
        let all = objects(text).changes_from(&Objects::default());
        all.into_iter().find_map(|change| change.object).expect("one object")
    };
    text.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn change_by_change_the_same_is_refused_as_at_once(
        steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..40),
    ) {
        let pool = pool();
        let mut all = objects(&format!("{CLASS}{}", mk_services()));
        for options in [first(), options()] {
            let mut translator = Translator::new(options.clone());
            let (mut last, mut findings) = (Model::default(), Vec::new());
            let mut before = Objects::default();
            for step in std::iter::once(None).chain(steps.iter().map(Some)) {
                if let Some((index, is_removed)) = step {
                    let object = &pool[index.index(pool.len())];
                    if *is_removed {
                        all.remove(&object.identity());
                    } else {
                        all.insert_as(&object.identity(), object.clone());
                    }
                }
                let objects = all.changes_from(&before);
                before = all.clone();
                let effect = translator.apply(Changes { objects, findings: None });
                if let Some(model) = effect.model {
                    last = Model::clone(&model);
                }
                if let Some(now) = effect.findings {
                    findings = now.iter().map(|finding| finding.to_string()).collect();
                }
            }
            let (model, expected) = translate(&all, &options);
            prop_assert_eq!(last, model);
            prop_assert_eq!(findings, lines(&expected));
        }
    }
}
