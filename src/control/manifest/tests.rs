//! Streams, lists, versions, and what mistakes of form are told.

use super::*;

fn names(text: &str) -> Vec<String> {
    let parsed = parse("m.yaml", text);
    assert_eq!(parsed.findings, []);
    parsed.objects.iter().map(|object| object.identity().to_string()).collect()
}

/// Identities and findings.
fn parsed(text: &str) -> (Vec<String>, Vec<String>) {
    let ParsedManifests { objects, findings, notes: _ } = parse("m.yaml", text);
    let objects = objects.iter().map(|object| object.identity().to_string()).collect();
    (objects, findings.iter().map(ToString::to_string).collect())
}

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: a}}\n";

#[test]
fn streams_lists_and_other_kinds() {
    let text = "\
# a comment
---
---
# another
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec: {unknown: [1, .nan]}
---
- just
- a list
---
a scalar
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: a, namespace: prod}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]}
---
apiVersion: networking.k8s.io/v1
kind: IngressClassList
items: [{metadata: {name: r}}]
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {generateName: knative-}
spec: {template: {}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: e}
addressType: IPv4
endpoints: []
...
";
    let expected = [
        "Service prod/a",
        "ConfigMap default/c",
        "Secret default/s",
        "IngressClass r",
        "EndpointSlice default/e",
    ];
    assert_eq!(names(text), expected);
}

#[test]
fn json_is_read_also_when_indented_with_tabs() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {\"name\": \"a\"}\n}\n";
    assert_eq!(names(text), ["Service default/a"]);
}

#[test]
fn nothing_is_read_from_nothing() {
    for text in ["", "\n", "# comment\n", "---\n---\n", "~", "\u{feff}"] {
        assert_eq!(names(text), [""; 0], "{text:?}");
    }
}

#[test]
fn a_syntax_error_loses_its_document_and_says_where_it_is() {
    let text = format!("{SERVICE}---\na: [1\n---\n{}", SERVICE.replace("name: a", "name: b"));
    let (objects, findings) = parsed(&text);
    assert_eq!(objects, ["Service default/a", "Service default/b"]);
    assert_eq!(
        findings,
        ["error: File m.yaml: is not valid YAML at line 3, column 4: unclosed bracket '[' (fix: \
            correct it; its document is not read)"]
    );
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let text = format!("a: 1\na: 2\n---\n{}", SERVICE.replace("{name: a}", "{name: a, name: b}"));
    let (objects, findings) = parsed(&text);
    assert_eq!(objects, ["Service default/b"]);
    assert_eq!(
        findings,
        ["warning: File m.yaml: repeats the key \"name\" at line 4: the last one is used (fix: \
            remove one of the two, or put both values into one)"]
    );
}

#[test]
fn a_wrong_type_names_object_and_field() {
    let ingress = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: x, namespace: prod}
spec:
  rules:
  - http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: '80'}}}}
";
    for (text, expected) in [
        (
            ingress.to_owned(),
            "error: Ingress prod/x: spec.rules[0].http.paths[0].backend.service.port.number: invalid \
             type: string \"80\", expected i32, in m.yaml (fix: write the number without quotes)",
        ),
        (
            ingress.replace("'80'", "80").replace("name: s,", "name: 7,"),
            "error: Ingress prod/x: spec.rules[0].http.paths[0].backend.service.name: invalid type: \
                integer `7`, expected a string, in m.yaml (fix: put the value in quotes)",
        ),
        (
            ingress.replace("'80'", "80").replace("- http:", "  http:"),
            "error: Ingress prod/x: spec.rules: invalid type: map, expected a sequence, in m.yaml \
             (fix: see `kubectl explain ingress.spec.rules`)",
        ),
        (
            // YAML 1.1, and so kubectl, reads a bare `n` or `no` as a boolean.
            "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: no}}".to_owned(),
            "error: Service false/s: metadata.namespace: invalid type: boolean `false`, expected a \
                string, in m.yaml (fix: put the value in quotes)",
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: s, annotations: {a: true}}}"
                .to_owned(),
            "error: Service default/s: metadata.annotations.a: invalid type: boolean `true`, \
                expected a string, in m.yaml (fix: put the value in quotes)",
        ),
    ] {
        assert_eq!(parsed(&text), (vec![], vec![expected.to_owned()]));
    }
}

#[test]
fn an_unknown_field_is_a_warning_that_says_what_was_meant() {
    let text = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: x}
spec:
  ingressClass: ravelin
  rules:
  - http:
      paths:
      - {path: /, pathtype: Prefix, backend: {serviceName: s, servicePort: 80}, zzz: 1}
status: {whatever: 1}
";
    let (objects, findings) = parsed(text);
    assert_eq!(objects, ["Ingress default/x"]);
    let path = "warning: Ingress default/x: spec.rules[0].http.paths[0]";
    let ignored = "is not a field of the API and is ignored, in m.yaml";
    assert_eq!(
        findings,
        [
            format!(
                "warning: Ingress default/x: spec.ingressClass: {ignored} (fix: did you mean `ingressClassName`?)"
            ),
            format!(
                "{path}.backend.serviceName: {ignored} (fix: networking.k8s.io/v1 calls it `service.name`)"
            ),
            format!(
                "{path}.backend.servicePort: {ignored} (fix: networking.k8s.io/v1 calls it \
                     `service.port.number` or `service.port.name`)"
            ),
            format!("{path}.pathtype: {ignored} (fix: did you mean `pathType`?)"),
            format!(
                "{path}.zzz: {ignored} (fix: see `kubectl explain ingress.spec.rules.http.paths`)"
            ),
        ]
    );
}

#[test]
fn old_and_missing_versions_are_told_apart() {
    let at = |version: &str| format!("{{{version}kind: Ingress, metadata: {{name: x}}}}");
    for (version, expected) in [
        (
            "apiVersion: extensions/v1beta1, ",
            "error: Ingress default/x: apiVersion: extensions/v1beta1 is no longer served by \
             Kubernetes, in m.yaml (fix: migrate the manifest to networking.k8s.io/v1)",
        ),
        (
            "apiVersion: networking.k8s.io/v1beta1, ",
            "error: Ingress default/x: apiVersion: networking.k8s.io/v1beta1 is no longer served by \
             Kubernetes, in m.yaml (fix: migrate the manifest to networking.k8s.io/v1)",
        ),
        (
            "",
            "error: Ingress default/x: apiVersion: is missing, in m.yaml \
             (fix: add `apiVersion: networking.k8s.io/v1`)",
        ),
    ] {
        assert_eq!(parsed(&at(version)), (vec![], vec![expected.to_owned()]));
    }
    assert_eq!(names(&at("apiVersion: config.openshift.io/v1, ")), [""; 0]);
}

#[test]
fn an_object_needs_a_valid_name() {
    let fix = "(fix: lower-case letters, digits, `-` and `.` make a name)";
    for (metadata, expected) in [
        ("{}", "metadata.name: is missing (Service in document 1)"),
        ("{name: ''}", "metadata.name: is missing (Service in document 1)"),
        ("{generateName: x-}", "metadata.name: is missing (Service in document 1)"),
        (
            "{name: \"a\\nb\"}",
            "metadata.name: \"a\\nb\" is not a valid name (Service in document 1)",
        ),
        ("{name: Web}", "metadata.name: \"Web\" is not a valid name (Service in document 1)"),
        (
            "{name: a, namespace: A}",
            "metadata.namespace: \"A\" is not a valid name (Service in document 1)",
        ),
    ] {
        let text = SERVICE.replace("{name: a}", metadata);
        let expected = format!("error: File m.yaml: {expected} {fix}");
        assert_eq!(parsed(&text), (vec![], vec![expected]));
    }
}

#[test]
fn the_first_of_two_objects_with_the_same_name_is_used() {
    let (objects, findings) = parsed(&format!("{SERVICE}---\n{SERVICE}"));
    assert_eq!(objects, ["Service default/a"]);
    assert_eq!(
        findings,
        ["warning: Service default/a: appears more than once in m.yaml; the first is used \
          (fix: remove the others or rename them)"]
    );
}

#[test]
fn of_a_node_status_only_the_addresses_have_to_be_right() {
    let node = |status: &str| {
        format!("{{apiVersion: v1, kind: Node, metadata: {{name: edge}}, status: {{{status}}}}}")
    };
    let text = node(
        "capacity: {cpu: 4}, inventedLater: [1], addresses: [{type: Hostname, address: edge}]",
    );
    assert_eq!(names(&text), ["Node edge"]);
    assert_eq!(
        parsed(&node("addresses: [{type: InternalIP, address: 7}]")),
        (
            vec![],
            vec![
                "error: Node edge: status.addresses[0].address: invalid type: integer `7`, expected \
                    a string, in m.yaml (fix: put the value in quotes)"
                    .to_owned()
            ]
        )
    );
    let typo = node("").replace("status", "spec").replace("{}}", "{podCidrs: [10.42.0.0/24]}}");
    assert_eq!(
        parsed(&typo).1,
        ["warning: Node edge: spec.podCidrs: is not a field of the API and is ignored, in m.yaml \
          (fix: did you mean `podCIDRs`?)"]
    );
}

#[test]
fn a_broken_config_map_is_a_warning_without_its_content() {
    for (rest, expected) in [
        (
            "data: {list: [hunter2]}",
            "data.list: has the wrong type, or is not base64, in m.yaml (fix: put text in quotes \
             under `data`, or base64 under `binaryData`)",
        ),
        (
            "binaryData: {list: hunter2!}",
            "binaryData.list: has the wrong type, or is not base64, in m.yaml (fix: put text in \
             quotes under `data`, or base64 under `binaryData`)",
        ),
        (
            "date: hunter2",
            "date: is not a field of the API and is ignored, in m.yaml (fix: did you mean `data`?)",
        ),
    ] {
        let text = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}, {rest}}}");
        assert_eq!(parsed(&text).1, [format!("warning: ConfigMap default/c: {expected}")]);
    }
    let unversioned = "{kind: ConfigMap, metadata: {name: c}}";
    assert!(parsed(unversioned).1[0].starts_with("warning: ConfigMap default/c: apiVersion"));
    let unnamed = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}";
    assert_eq!(names(unnamed), [""; 0], "nobody can have named it");
}

#[test]
fn no_bytes_of_a_secret_get_into_a_message() {
    for data in ["{k: hunter2!}", "hunter2", "{k: [hunter2]}", "{k: {hunter2: 1}}"] {
        let text = format!("{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {data}}}");
        let (objects, findings) = parsed(&text);
        assert_eq!((objects.len(), findings.len()), (0, 1), "{data}");
        assert!(!findings[0].contains("hunter2"), "{findings:?}");
    }
    for broken in ["'hunter2", "\"\\q hunter2\"", "*hunter2", "!!int hunter2", "|1\n hunter2\n- x"]
    {
        let text = format!("kind: Secret\ndata:\n  k: {broken}\n");
        let (_, findings) = parsed(&text);
        assert!(findings.iter().all(|finding| !finding.contains("hunter2")), "{findings:?}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        aliases.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    for bomb in [aliases, "[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        let (objects, findings) = parsed(&format!("{SERVICE}---\n{bomb}"));
        assert_eq!(objects, ["Service default/a"]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("is too large or too deep at line"), "{findings:?}");
    }
}

#[test]
fn a_file_full_of_broken_documents_is_given_up() {
    let (_, findings) = parsed(&"kind: [\napiVersion: b\n---\n".repeat(1000));
    assert_eq!(findings.len(), MAX_UNREADABLE_DOCUMENTS);
}

#[test]
fn a_large_list_in_one_document_is_read() {
    let item = "- {apiVersion: v1, kind: Service, metadata: {name: s#, labels: {a: b, c: d}}}\n";
    let items: String = (0..20_000).map(|n| item.replace('#', &n.to_string())).collect();
    assert_eq!(names(&format!("apiVersion: v1\nkind: List\nitems:\n{items}")).len(), 20_000);
}
