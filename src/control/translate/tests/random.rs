//! Order does not matter, and nothing panics.

use super::{BASE, objects, options};
use crate::control::manifest;
use crate::control::objects::Objects;
use crate::control::translate::{translate, validate};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Documents with ties, duplicates of endpoints, foreign classes and broken references.
static DOCUMENTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut documents: Vec<String> = BASE.split("---").map(str::to_owned).collect();
    let spec =
        super::mk_paths(&[("Prefix", "/"), ("Prefix", "/a/"), ("Prefix", "/a"), ("Exact", "/")]);
    let broken = super::mk_backend("{service: {name: nope, port: {number: 1}}}");
    for name in ["a", "b", "c"] {
        documents.push(super::mk_named(name, &spec));
        documents.push(super::mk_named(&format!("{name}2"), &broken));
    }
    documents
        .push(super::mk_named("d", "defaultBackend: {service: {name: api, port: {number: 9000}}}"));
    documents
        .push(super::mk_named("e", "defaultBackend: {service: {name: web, port: {name: http}}}"));
    documents.push(super::mk_named("f", &spec).replace("ravelin", "traefik"));
    for (number, conditions) in ["", ", conditions: {ready: false}"].into_iter().enumerate() {
        documents.push(format!(
            "\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-x{number}, \
             labels: {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\n\
             ports: [{{name: http, port: 8080}}]\n\
             endpoints: [{{addresses: [10.0.0.{number}]}}, {{addresses: [10.0.0.9], nodeName: n{number}\
             {conditions}}}]\n"
        ));
    }
    documents.retain(|document| !document.trim().is_empty());
    for document in &mut documents {
        *document = document.trim_end_matches('-').to_owned();
    }
    documents
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_order_of_documents_changes_nothing(shuffled in Just(DOCUMENTS.clone()).prop_shuffle()) {
        let expected = translate(&objects(&DOCUMENTS.join("\n---")), &options());
        prop_assert!(expected.0.rules.len() > 12 && expected.1.len() > 6);
        prop_assert_eq!(translate(&objects(&shuffled.join("\n---")), &options()), expected);
    }

    #[test]
    fn a_mutated_manifest_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40), 0..3),
    ) {
        let mut bytes = DOCUMENTS.join("\n---").into_bytes();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        for (index, len) in cuts {
            let start = index.index(bytes.len());
            bytes.drain(start..(start + len).min(bytes.len()));
        }
        let parsed = manifest::parse("fuzz.yaml", &String::from_utf8_lossy(&bytes));
        let mut objects = Objects::default();
        for object in parsed.objects {
            validate(&object);
            objects.insert(object);
        }
        let (model, _) = translate(&objects, &options());
        for rule in model.rules.iter() {
            prop_assert!(model.backends.get(&rule.backend).is_some());
            prop_assert!(model.ingresses.iter().any(|own| *own == rule.ingress));
        }
    }

    #[test]
    fn arbitrary_values_in_the_fields_never_panic(
        host in "\\PC{0,12}", path in "\\PC{0,12}", kind in "Exact|Prefix|ImplementationSpecific|\\PC{0,4}",
        number in any::<i32>(), name in "\\PC{0,8}", address in "[0-9a-f:.]{0,20}",
    ) {
        let quoted = |text: &str| serde_json::to_string(text).expect("a string is JSON");
        let yaml = format!(
            "{BASE}{}\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: z, \
             labels: {{kubernetes.io/service-name: web}}}}, addressType: IPv6, ports: [{{name: http, \
             port: {number}}}], endpoints: [{{addresses: [{}]}}]}}",
            super::mk_ingress(&format!(
                "rules: [{{host: {}, http: {{paths: [{{path: {}, pathType: {}, backend: {{service: \
                 {{name: {}, port: {{number: {number}}}}}}}}}]}}}}]",
                quoted(&host), quoted(&path), quoted(&kind), quoted(&name),
            )),
            quoted(&address),
        );
        let (model, findings) = translate(&objects(&yaml), &options());
        prop_assert!(model.rules.len() <= 1);
        prop_assert!(findings.is_sorted());
    }
}
