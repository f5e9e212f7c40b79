//! The objects of `deploy/`: as they are written, and as kustomize renders them.

use crate::{deploy, program, skipped};
use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, networking::v1 as net, rbac::v1 as rbac,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What users apply.
pub(crate) const KUSTOMIZATIONS: [&str; 4] =
    ["base", "overlays/flexible", "overlays/servicelb", "overlays/balancer"];

/// The documents of a YAML text.
pub(crate) fn parse(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Every file below a folder of `deploy/` with this extension.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut pending = vec![deploy(folder)];
    let mut found = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|is| is == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The objects of `deploy/base`, as they are written.
pub(crate) fn written() -> Vec<Value> {
    let files = files("base", "yaml");
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("a readable file"));
    let objects = texts.flat_map(|text| parse(&text));
    objects.filter(|object| object["kind"] != "Kustomization").collect()
}

/// What a folder with a kustomization renders to. `None`: there is no kubectl, which is said.
pub(crate) fn rendered(folder: &Path) -> Option<Vec<Value>> {
    let Some(kubectl) = program("kubectl") else {
        skipped("kubectl is not installed, and nothing is rendered");
        return None;
    };
    let output = Command::new(kubectl).arg("kustomize").arg(folder).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", folder.display());
    assert_eq!(said, "", "{}: nothing is deprecated", folder.display());
    Some(parse(&String::from_utf8(output.stdout).expect("UTF-8")))
}

/// Every set of objects that can be looked at here, with its name: the base as it is written, the one
/// file, and whatever is rendered.
pub(crate) fn all() -> Vec<(&'static str, Vec<Value>)> {
    let one_file = fs::read_to_string(deploy("k3s/ravelin.yaml")).expect("a readable file");
    let mut all = vec![("base as written", written()), ("k3s/ravelin.yaml", parse(&one_file))];
    for name in KUSTOMIZATIONS {
        all.extend(rendered(&deploy(name)).map(|objects| (name, objects)));
    }
    all
}

/// The one object of a kind.
pub(crate) fn one<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    object
}

/// An object as its type, with no field that the type does not have.
fn exactly<T: DeserializeOwned>(object: &Value) {
    let mut unknown = Vec::new();
    let read: Result<T, _> =
        serde_ignored::deserialize(object.clone(), |path| unknown.push(path.to_string()));
    read.unwrap_or_else(|error| panic!("{error}: {object}"));
    assert_eq!(unknown, Vec::<String>::new(), "{object}");
}

#[test]
fn every_file_is_yaml() {
    // helm renders those of its chart (`chart`).
    let templates = deploy("chart/templates");
    let mut files = files("", "yaml");
    files.retain(|file| !file.starts_with(&templates));
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable file");
        assert!(!parse(&text).is_empty(), "{}", file.display());
    }
}

#[test]
fn every_object_has_the_fields_of_its_type_and_no_others() {
    for (name, objects) in all() {
        assert!(objects.len() >= 8, "{name}: {}", objects.len());
        for object in &objects {
            match object["kind"].as_str().expect("a kind") {
                "Namespace" => exactly::<core::Namespace>(object),
                "ServiceAccount" => exactly::<core::ServiceAccount>(object),
                "ConfigMap" => exactly::<core::ConfigMap>(object),
                "ClusterRole" => exactly::<rbac::ClusterRole>(object),
                "ClusterRoleBinding" => exactly::<rbac::ClusterRoleBinding>(object),
                "Role" => exactly::<rbac::Role>(object),
                "RoleBinding" => exactly::<rbac::RoleBinding>(object),
                "IngressClass" => exactly::<net::IngressClass>(object),
                "DaemonSet" => exactly::<apps::DaemonSet>(object),
                other => panic!("{name}: nobody expects a {other}"),
            }
        }
    }
}

#[test]
fn everything_is_in_one_namespace_and_the_class_is_ours() {
    for (name, objects) in all() {
        let namespace = &one(&objects, "Namespace")["metadata"]["name"];
        for object in &objects {
            let kind = object["kind"].as_str().expect("a kind");
            if ["ServiceAccount", "ConfigMap", "Role", "RoleBinding", "DaemonSet"].contains(&kind) {
                assert_eq!(&object["metadata"]["namespace"], namespace, "{name}: {kind}");
            }
        }
        let class = one(&objects, "IngressClass");
        assert_eq!(class["metadata"]["name"], ravelin::config::defaults::INGRESS_CLASS);
        assert_eq!(class["spec"]["controller"], "ravelin.dev/ingress-controller");
        // Ingresses without a class stay with whoever serves them today.
        assert!(class["metadata"].get("annotations").is_none(), "{class}");
    }
}

#[test]
fn components_can_be_added_to_an_overlay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = folder.path().canonicalize().expect("it is there");
    // kustomize wants relative paths.
    let up = "../".repeat(own.components().count() - 1);
    let at = |relative| {
        format!("{up}{}", deploy(relative).display().to_string().trim_start_matches('/'))
    };
    let text = format!(
        "resources: [{:?}]\ncomponents: [{:?}, {:?}, {:?}, {:?}, {:?}]\nimages: [{{name: ravelin, newTag: test}}]\n",
        at("overlays/balancer"),
        at("components/podmonitor"),
        at("components/cloudflare-config-map"),
        at("components/rules"),
        at("components/vmrule"),
        at("components/dashboards"),
    );
    fs::write(own.join("kustomization.yaml"), text).expect("a new file");
    let Some(objects) = rendered(&own) else { return };
    for kind in ["PodMonitor", "PrometheusRule", "VMRule"] {
        one(&objects, kind);
    }
    let dashboard = |object: &&Value| object["metadata"]["labels"]["grafana_dashboard"] == "1";
    assert_eq!(objects.iter().filter(dashboard).count(), 4);
    let named = |object: &&Value| object["metadata"]["name"] == "ravelin-cloudflare-config-map";
    assert_eq!(objects.iter().filter(named).count(), 2);
    let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "ravelin:test");
}

#[test]
fn the_pages_name_only_files_that_are_there() {
    let pages = files("", "md");
    let pages: String =
        pages.iter().map(|page| fs::read_to_string(page).expect("a page")).collect();
    let words = pages.split(|c: char| !(c.is_ascii_alphanumeric() || "/._-@".contains(c)));
    let mut seen = 0;
    for word in words.filter_map(|word| word.trim_end_matches(['.', '/']).strip_prefix("deploy/")) {
        // What `ravelin migrate` writes.
        if word == "overlays/mine" {
            continue;
        }
        assert!(deploy(word).exists(), "deploy/{word}");
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} files are named");
}
