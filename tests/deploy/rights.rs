//! Who may do what: nothing that is not used.

use crate::deploy;
use crate::objects::{all, one, parse};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A right: API group, resource, verb.
type Right = (String, String, String);

/// What the sources read and write, all over the cluster.
const CLUSTER: [(&str, &str, &[&str]); 19] = [
    ("networking.k8s.io", "ingresses", READ),
    ("networking.k8s.io", "ingressclasses", READ),
    ("", "services", READ),
    ("discovery.k8s.io", "endpointslices", READ),
    ("", "nodes", READ),
    ("", "secrets", READ),
    ("", "configmaps", READ),
    ("traefik.io", "middlewares", READ),
    ("traefik.io", "ingressroutes", READ),
    ("traefik.io", "ingressroutetcps", READ),
    ("traefik.io", "middlewaretcps", READ),
    ("traefik.io", "traefikservices", READ),
    ("traefik.io", "serverstransports", READ),
    ("traefik.io", "serverstransporttcps", READ),
    ("traefik.io", "tlsoptions", READ),
    ("traefik.io", "tlsstores", READ),
    ("apiextensions.k8s.io", "customresourcedefinitions", &["get"]),
    ("networking.k8s.io", "ingresses/status", &["patch"]),
    ("events.k8s.io", "events", &["get", "list", "create", "patch"]),
];
/// What it takes to elect the one who writes, and to know which nodes serve.
const OWN: [(&str, &str, &[&str]); 2] = [
    ("coordination.k8s.io", "leases", &["get", "create", "update"]),
    ("", "pods", &["list", "watch"]),
];
const READ: &[&str] = &["list", "watch"];

fn words(value: &Value) -> Vec<String> {
    let words = value.as_array().expect("a list").iter();
    words.map(|word| word.as_str().expect("text").to_owned()).collect()
}

/// The rights of a role, each once.
fn rights(role: &Value) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        assert!(rule.get("nonResourceURLs").is_none(), "{rule}");
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    let right = (group.clone(), resource.clone(), verb);
                    assert!(rights.insert(right.clone()), "{right:?} twice");
                }
            }
        }
    }
    rights
}

fn expected(table: &[(&str, &str, &[&str])]) -> BTreeSet<Right> {
    let each = table.iter().flat_map(|(group, resource, verbs)| {
        verbs.iter().map(|verb| ((*group).to_owned(), (*resource).to_owned(), (*verb).to_owned()))
    });
    each.collect()
}

#[test]
fn the_roles_grant_what_is_used_and_nothing_else() {
    for (name, objects) in all() {
        assert_eq!(rights(one(&objects, "ClusterRole")), expected(&CLUSTER), "{name}");
        assert_eq!(rights(one(&objects, "Role")), expected(&OWN), "{name}");
    }
}

#[test]
fn the_roles_are_bound_to_the_account_of_the_pod_alone() {
    for (name, objects) in all() {
        let account = &one(&objects, "ServiceAccount")["metadata"];
        let subject = json!([{
            "kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"],
        }]);
        for (binding, role) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
            let binding = one(&objects, binding);
            assert_eq!(binding["subjects"], subject, "{name}");
            assert_eq!(binding["roleRef"]["kind"], role, "{name}");
            assert_eq!(binding["roleRef"]["name"], one(&objects, role)["metadata"]["name"]);
        }
        let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], account["name"], "{name}");
        assert_eq!(pod["automountServiceAccountToken"], true, "{name}");
    }
}

#[test]
fn the_component_for_namespaces_grants_the_same_in_two_parts() {
    let read = |file: &str| {
        let path = deploy(&format!("components/namespaced/{file}"));
        parse(&std::fs::read_to_string(path).expect("a readable file"))
    };
    let everywhere = rights(one(&read("cluster-role.yaml"), "ClusterRole"));
    let own = read("rbac.yaml");
    let within = rights(one(&own, "ClusterRole"));
    assert!(everywhere.is_disjoint(&within), "what is granted everywhere needs no namespace");
    assert_eq!(everywhere.union(&within).cloned().collect::<BTreeSet<_>>(), expected(&CLUSTER));
    assert!(!everywhere.iter().any(|(_, resource, _)| resource == "secrets"));
    // Of objects without a namespace.
    let events = one(&own, "Role");
    assert_eq!(events["metadata"]["namespace"], "default");
    assert_eq!(rights(events), expected(&[("events.k8s.io", "events", CLUSTER[18].2)]));
}

#[test]
fn config_maps_are_read_one_by_name_and_only_on_request() {
    for (component, name) in
        [("cloudflare-config-map", "cloudflare-ips"), ("break-glass", "ravelin-break-glass")]
    {
        let path = deploy(&format!("components/{component}/rbac.yaml"));
        let objects = parse(&std::fs::read_to_string(path).expect("a readable file"));
        let role = one(&objects, "Role");
        let verbs = READ.iter().map(|verb| (String::new(), "configmaps".into(), (*verb).into()));
        assert_eq!(rights(role), verbs.collect());
        assert_eq!(role["rules"][0]["resourceNames"], json!([name]));
    }
    let path = deploy("components/break-glass/configmap.yaml");
    let switch = parse(&std::fs::read_to_string(path).expect("a readable file"));
    assert_eq!(one(&switch, "ConfigMap")["data"], json!({"switch": "off"}));
}
