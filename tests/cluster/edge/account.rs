//! Who ravelin is for the API server: the ClusterRole of `deploy/base`, or a part of it.

use crate::plane::Plane;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The ClusterRole of `deploy/base/rbac.yaml`.
pub(crate) fn cluster_role() -> Value {
    of_base("ClusterRole")
}

/// The rules of that ClusterRole, and of the Role for the namespace of the pods.
pub(crate) fn all_rules() -> Vec<Value> {
    let roles = ["ClusterRole", "Role"].map(of_base);
    roles.iter().flat_map(|role| role["rules"].as_array().expect("rules")).cloned().collect()
}

fn of_base(kind: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base/rbac.yaml");
    let text = fs::read_to_string(file).expect("a file of ours");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let mut roles = objects.into_iter().filter(|object| object["kind"] == kind);
    roles.next().expect("there is one")
}

/// That role without a verb on a resource, or without the resource (`*`), under another name.
pub(crate) fn without(name: &str, resource: &str, verb: &str) -> Value {
    let mut role = cluster_role();
    role["metadata"] = json!({"name": name});
    role["rules"] = lacking(role["rules"].as_array().expect("rules"), resource, verb).into();
    role
}

/// These rules without a verb on a resource, or without the resource (`*`).
pub(crate) fn lacking(all: &[Value], resource: &str, verb: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    for rule in all {
        let list = |field: &str| rule[field].as_array().expect("a list").clone();
        for of in list("resources") {
            let mut verbs = list("verbs");
            verbs.retain(|own| of != resource || (verb != "*" && own != verb));
            if !verbs.is_empty() {
                let groups = &rule["apiGroups"];
                rules.push(json!({"apiGroups": groups, "resources": [of], "verbs": verbs}));
            }
        }
    }
    rules
}

/// Makes a service account `ravelin` in a namespace of that name, which is made, with the rights of
/// `deploy/base` under a role of its own, and returns its kubeconfig.
pub(crate) fn account(plane: &Plane, namespace: &str) -> PathBuf {
    plane.namespace(namespace);
    let role = without(&format!("ravelin-{namespace}"), "", "");
    plane.service_account(namespace, "ravelin", &role.to_string())
}
