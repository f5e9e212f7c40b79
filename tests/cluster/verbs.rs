//! `ravelin check` and `ravelin explain` against a cluster: one look, with the rights of `run`.

use crate::edge::{Backend, QUICK, Setup, Site, account, class, program, without};
use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Exit code and all that is said.
fn said(config: &Path, verb: &str, arguments: &[&str]) -> (Option<i32>, String) {
    said_of("--config", config, verb, arguments)
}

fn said_of(flag: &str, file: &Path, verb: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    let output = command.args([verb, flag]).arg(file).args(arguments).output();
    let output = output.expect("a program");
    let [out, err] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (output.status.code(), out + &err)
}

#[test]
fn check_and_explain_look_at_the_cluster_that_the_configuration_names() {
    let Some(plane) = Plane::shared() else { return };
    let kubeconfig = account(&plane, "verbs");
    class(&plane, "verbs");
    let backend = Backend::start("verbs");
    let site = Site { namespace: "verbs", name: "shop", class: "verbs", host: "shop.verbs" };
    site.create(&plane, &backend);
    let lost = Site { namespace: "verbs", name: "lost", class: "verbs", host: "lost.verbs" };
    plane.create(&lost.ingresses(), &lost.ingress());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys = format!("namespaces = [\"verbs\"]\n{QUICK}");
    let setup = Setup { kubeconfig: &kubeconfig, class: "verbs", keys: &keys };
    let config = setup.write(folder.path());

    let (code, page) = said(&config, "check", &[]);
    assert_eq!(code, Some(1), "{page}");
    assert!(page.contains("2 routes, 1 errors, 0 warnings"), "{page}");
    assert!(page.contains("verbs/lost"), "{page}");
    assert!(page.contains(&backend.addr.to_string()), "{page}");

    let (code, page) = said(&config, "explain", &["http://shop.verbs/cart"]);
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains("Ingress verbs/shop"), "{page}");
    assert!(page.contains(&backend.addr.to_string()), "{page}");
    let (code, page) = said(&config, "explain", &["http://nobody.verbs/"]);
    assert_eq!(code, Some(1), "{page}");
    assert!(page.contains("404"), "{page}");

    // The same cluster by its kubeconfig alone, as kubectl takes it.
    let class = ["--ingress-class", "verbs"];
    let (code, page) = said_of("--kubeconfig", &kubeconfig, "check", &class);
    assert_eq!(code, Some(1), "{page}");
    assert!(page.contains("2 routes") && page.contains("verbs/lost"), "{page}");
    let asked = [&class[..], &["http://shop.verbs/cart"]].concat();
    let (code, page) = said_of("--kubeconfig", &kubeconfig, "explain", &asked);
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains(&backend.addr.to_string()), "{page}");
    let nowhere = folder.path().join("nothing");
    let (code, page) = said_of("--kubeconfig", &nowhere, "check", &[]);
    assert_eq!(code, Some(1), "{page}");
    assert!(page.contains("nothing") && page.contains("name a kubeconfig file"), "{page}");
}

#[test]
fn check_names_what_it_may_not_read() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("unread");
    let role = without("unread", "secrets", "*");
    let kubeconfig = plane.service_account("unread", "ravelin", &role.to_string());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let setup = Setup { kubeconfig: &kubeconfig, class: "unread", keys: QUICK };
    let (code, page) = said(&setup.write(folder.path()), "check", &[]);
    assert_eq!(code, Some(1), "{page}");
    assert!(page.contains("secrets: forbidden: secrets is forbidden: User"), "{page}");
}

/// A kind of Traefik's, as its CRD defines it, without its schema.
fn traefiks(kind: &str, plural: &str) -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({
        "name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.traefik.io"),
            "annotations": {"meta.helm.sh/release-name": "traefik-crd"}},
        "spec": {
            "group": "traefik.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [version],
        },
    })
}

/// Makes kinds of Traefik and objects of them: one route of UDP with its Service, and a Middleware.
fn put_traefiks(plane: &Plane) {
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let at = "/apis/traefik.io/v1alpha1/namespaces/others";
    for (kind, plural) in [("IngressRouteUDP", "ingressrouteudps"), ("Middleware", "middlewares")] {
        plane.create(crds, &traefiks(kind, plural));
    }
    let made =
        [("Middleware", "middlewares", "auth"), ("IngressRouteUDP", "ingressrouteudps", "dns")];
    for (kind, plural, name) in made {
        let spec = match kind {
            "IngressRouteUDP" => json!({"routes": [{"services": [{"name": "dns", "port": 53}]}]}),
            _ => json!({"basicAuth": {"secret": "users"}}),
        };
        let object = json!({
            "apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        let path = format!("{at}/{plural}");
        eventually("the kind is served", || {
            (plane.request("POST", &path, Some(&object)).status == 201).then_some(())
        });
    }
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "others"},
        "spec": {"selector": {"app": "dns"}, "ports": [{"port": 53, "protocol": "UDP"}]}});
    plane.apply(&service.to_string());
}

#[test]
fn what_traefik_serves_is_counted_and_named_and_a_refusal_is_no_failure() {
    let Some(plane) = Plane::shared() else { return };
    let kubeconfig = account(&plane, "others");
    class(&plane, "others");
    let backend = Backend::start("others");
    let site = Site { namespace: "others", name: "shop", class: "others", host: "shop.others" };
    site.create(&plane, &backend);
    let guard = json!({"metadata": {"annotations": {
        "traefik.ingress.kubernetes.io/router.middlewares": "others-auth@kubernetescrd",
    }}});
    let ingress = format!("{}/shop", site.ingresses());
    assert_eq!(plane.request("PATCH", &ingress, Some(&guard)).status, 200);
    put_traefiks(&plane);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys = format!("namespaces = [\"others\"]\n{QUICK}");
    let setup = Setup { kubeconfig: &kubeconfig, class: "others", keys: &keys };
    let forbidden = " (traefik.io) could not be counted: forbidden: ";
    // The list of what the API server has is behind what it serves.
    let (code, page) = eventually("both kinds are discovered", || {
        let (code, page) = said(&setup.write(folder.path()), "check", &[]);
        let has = |text: &str| page.contains(text);
        (has("ingressrouteudps") && has(forbidden)).then_some((code, page))
    });
    assert_eq!(code, Some(1), "{page}");
    assert!(page.contains("1 routes, 2 errors, 1 warnings"), "{page}");

    let admin = plane.admin_kubeconfig();
    let setup = Setup { kubeconfig: &admin, class: "others", keys: &keys };
    let (code, page) = said(&setup.write(folder.path()), "check", &[]);
    assert_eq!(code, Some(1), "{page}");
    for expected in [
        "error: Middleware others/auth: spec.basicAuth",
        "Middleware others/auth cannot be used: the routes of this Ingress answer 503 (fix: ",
        "warning: Cluster: metadata.annotations: CustomResourceDefinitions of Traefik belong to the release traefik-crd, and",
        "(Middleware: 1)",
        "warning: Cluster: 1 IngressRouteUDP (traefik.io) is not served yet: others/dns (fix: apply in its place: \
         {\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"dns-udp\",\"namespace\":\"others\"},\"spec\":\
         {\"ports\":[{\"port\":53,\"protocol\":\"UDP\"}],\"selector\":{\"app\":\"dns\"},\"type\":\"LoadBalancer\"}})",
        "1 routes, 2 errors, 2 warnings",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
}
