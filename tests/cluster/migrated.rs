//! `ravelin migrate` against a real API server, and the commands that it writes, as their reader runs them: what they
//! save can be applied again after Traefik's CRDs are gone.

use crate::edge::program;
use crate::plane::Plane;
use crate::{crds, eventually, skipped};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Kinds of k3s and cert-manager, without their schemas.
const OTHERS: [(&str, &str, &str, &str); 3] = [
    ("helm.cattle.io", "v1", "HelmChart", "Namespaced"),
    ("helm.cattle.io", "v1", "HelmChartConfig", "Namespaced"),
    ("cert-manager.io", "v1", "ClusterIssuer", "Cluster"),
];

const OBJECTS: &str = "
apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata: {name: traefik, namespace: kube-system}
spec:
  valuesContent: |-
    # As its owner wrote it.
    ports: {web: {redirectTo: websecure}}
    deployment: {replicas: 3}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik, annotations: {meta.helm.sh/release-name: traefik}}
spec: {controller: traefik.io/ingress-controller}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec: {acme: {solvers: [{http01: {ingress: {ingressClassName: traefik}}}]}}
---
apiVersion: v1
kind: Service
metadata: {name: traefik, namespace: kube-system}
spec:
  type: LoadBalancer
  selector: {app.kubernetes.io/name: traefik}
  ports: [{name: web, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: inside, namespace: default}
spec: {ipAllowList: {sourceRange: [10.0.0.0/8]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  namespace: default
  annotations:
    traefik.ingress.kubernetes.io/router.middlewares: default-inside@kubernetescrd
    cert-manager.io/cluster-issuer: letsencrypt
spec:
  ingressClassName: traefik
  rules: [{host: shop.example, http: {paths: [{path: /cart, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]
";

fn install(plane: &Plane) {
    let crd = |group: &str, version: &str, kind: &str, scope: &str| {
        let plural = kind.to_lowercase() + "s";
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": scope, "names": {"kind": kind, "plural": plural},
                "versions": [{"name": version, "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": anything}}]}})
    };
    for (group, version, kind, scope) in OTHERS {
        plane.create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            &crd(group, version, kind, scope),
        );
    }
    crds::install(plane);
    let release =
        json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "traefik-crd"}}});
    let of_middlewares =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/middlewares.traefik.io";
    assert_eq!(plane.request("PATCH", of_middlewares, Some(&release)).status, 200);
    eventually("all kinds take objects", || {
        plane.kubectl_given(&["apply", "-f", "-"], OBJECTS).status.success().then_some(())
    });
}

fn migrate(plane: &Plane, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.args(["migrate", "--output", "json", "--kubeconfig"]).arg(plane.admin_kubeconfig());
    let output = command.args(arguments).output().expect("the program runs");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some_and(|code| code <= 2), "{err}");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// The commands of the step whose title begins so.
fn step<'c>(commands: &'c str, title: &str) -> &'c str {
    let steps = commands.split("\n## ").find(|step| step.contains(&format!(". {title}")));
    let step = steps.unwrap_or_else(|| panic!("no step {title:?}:\n{commands}"));
    let (_, script) = step.split_once("```sh\n").expect("commands");
    script.split_once("\n```").expect("an end").0
}

/// A copy of `deploy/`, to which an overlay is added.
fn deploy(folder: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let copied = Command::new("cp").arg("-r").arg(from).arg(folder.join("deploy")).status();
    assert!(copied.expect("cp runs").success());
}

#[test]
fn a_cluster_is_judged_and_what_the_commands_save_comes_back_after_the_crds_are_gone() {
    let Some(plane) = Plane::start() else { return };
    if Command::new("jq").arg("--version").output().is_err() {
        return skipped("jq is not installed, which the commands need");
    }
    install(&plane);
    let folder = tempfile::tempdir().expect("a temporary folder");
    deploy(folder.path());
    let mine = folder.path().join("deploy/overlays/mine");
    let (code, page) = migrate(&plane, &["--write", mine.to_str().expect("UTF-8")]);
    let report: Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!((report["judged_as"].as_str(), code), (Some("cluster"), Some(1)), "{page}");
    assert_eq!(report["routes"][0]["object"], "Ingress default/shop");
    let matters = report["matters"].as_array().expect("a list");
    for (topic, object) in [
        ("vanishing", "CustomResourceDefinition middlewares.traefik.io"),
        ("vanishing", "IngressClass traefik"),
        ("issuers", "ClusterIssuer letsencrypt"),
        ("balancers", "Service kube-system/traefik"),
        ("address_lists", "Middleware default/inside"),
    ] {
        let is_it = |matter: &&Value| matter["topic"] == topic && matter["object"] == object;
        assert!(matters.iter().any(|matter| is_it(&matter)), "{topic} {object}: {page}");
    }
    let text = report["configuration"]["text"].as_str().expect("a text");
    assert!(
        text.contains(
            "# HelmChartConfig kube-system/traefik: spec.valuesContent: ports.web.redirectTo"
        ),
        "{text}"
    );

    plane.shell(&mine, "kubectl kustomize . > rendered.yaml");
    let rendered = fs::read_to_string(mine.join("rendered.yaml")).expect("it was rendered");
    assert!(
        rendered.contains("redirect = \"https\"") && rendered.contains("hostNetwork: true"),
        "{rendered}"
    );
    let commands = fs::read_to_string(mine.join("COMMANDS.md")).expect("it was written");
    walk(&plane, &mine, &commands);
}

/// The steps that are kubectl's alone, and the loss of the CRDs.
fn walk(plane: &Plane, mine: &Path, commands: &str) {
    let get = |path: &str| plane.get(path);
    let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    let middleware = "/apis/traefik.io/v1alpha1/namespaces/default/middlewares/inside";
    plane.shell(mine, step(commands, "Save"));
    let chart = "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs/traefik";
    let replicas = || {
        let chart = get(chart).json();
        let values = chart["spec"]["valuesContent"].as_str().expect("values").to_owned();
        let values: Value = serde_json::from_str(&values).expect("JSON");
        values["deployment"]["replicas"].clone()
    };
    plane.shell(mine, step(commands, "Stop Traefik"));
    assert_eq!(replicas(), 0);
    plane.shell(mine, "kubectl apply -f traefik-on.yaml");
    assert_eq!(replicas(), 3);

    plane.shell(mine, "kubectl delete crd middlewares.traefik.io --wait");
    assert_eq!(get(middleware).status, 404);
    plane.shell(mine, "kubectl apply -f saved-crds.json");
    eventually("the Middleware is back", || {
        let script = ["apply", "-f", "saved-middlewares.traefik.io.json"];
        let saved = mine.join(script[2]).display().to_string();
        plane.kubectl(&[script[0], script[1], &saved]).status.success().then_some(())
    });
    assert_eq!(get(middleware).json()["spec"]["ipAllowList"]["sourceRange"][0], "10.0.0.0/8");

    let ingress = format!("{ingresses}/shop");
    assert_eq!(plane.request("DELETE", &ingress, None).status, 200);
    plane.shell(mine, "kubectl apply -f saved-ingresses.json");
    assert_eq!(get(&ingress).json()["spec"]["ingressClassName"], "traefik");
    assert!(!commands.contains("copies.json"), "ravelin takes the class as it is");
}
