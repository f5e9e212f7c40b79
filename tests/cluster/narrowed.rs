//! Rights in named namespaces only, as `deploy/components/namespaced` gives them: what is elsewhere cannot be read, and
//! everything of these namespaces is served. And what keeps the pod from a stricter level of pod security.

use crate::edge::{Backend, Edge, Pod, SECURED, Setup, Site};
use crate::eventually;
use crate::plane::{Connection, Plane};
use crate::secured::{Authority, put_certificate};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const POD: Pod<'_> = Pod { namespace: "ravelin", name: "ravelin-a" };

fn deploy(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(relative)
}

/// Applies the base with the component.
fn apply(plane: &Plane) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = folder.path().canonicalize().expect("it is there");
    // kustomize wants relative paths.
    let up = "../".repeat(own.components().count() - 1);
    let at = |relative| format!("{up}{}", &deploy(relative).display().to_string()[1..]);
    let text =
        format!("resources: [{:?}]\ncomponents: [{:?}]\n", at("base"), at("components/namespaced"));
    fs::write(own.join("kustomization.yaml"), text).expect("a folder of ours");
    let applied = plane.kubectl(&["apply", "-k", &own.display().to_string()]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
}

/// A site of a namespace, with a certificate in a Secret of it.
fn site(
    plane: &Plane,
    namespace: &'static str,
    authority: &Authority,
    backend: &Backend,
) -> String {
    let host = format!("{namespace}.example");
    let site = Site { namespace, name: "web", class: "ravelin", host: &host };
    plane.create(&site.services(), &site.service());
    plane.create(&site.slices(), &site.slice(&[backend.addr]));
    let mut ingress = site.ingress();
    ingress["spec"]["tls"] = serde_json::json!([{"hosts": [host], "secretName": "web"}]);
    plane.create(&site.ingresses(), &ingress);
    put_certificate(plane, namespace, "web", &authority.issue(&[&host]));
    host
}

fn start(plane: &Plane, kubeconfig: &Path, namespaces: &str) -> Edge {
    let keys =
        format!("namespaces = [{namespaces}]\nstatus_addresses = [\"203.0.113.7\"]\n{SECURED}");
    Edge::start_as(plane, &Setup { kubeconfig, class: "ravelin", keys: &keys }, POD)
}

/// The status that a host answers with over TLS.
fn over_tls(edge: &Edge, authority: &Authority, host: &str) -> Option<u16> {
    let client = authority.client(None);
    let mut connection = Connection::secured(edge.secured_addr(), host, &client).ok()?;
    Some(connection.get(host, "/").ok()?.status)
}

/// What is written by one whose rights are narrow: the status, and an Event on what is wrong.
fn is_written(plane: &Plane) {
    let ingress = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web";
    eventually("the status", || {
        let ingress: Value = plane.get(ingress).json();
        (ingress["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.7").then_some(())
    });
    let lost = Site { namespace: "shop", name: "lost", class: "ravelin", host: "lost.example" };
    plane.create(&lost.ingresses(), &lost.ingress());
    eventually("the Event", || {
        let list = plane.get("/apis/events.k8s.io/v1/namespaces/shop/events").json();
        let mut all = list["items"].as_array().expect("a list").iter();
        all.any(|event| event["reason"] == "ServiceMissing").then_some(())
    });
}

/// What the account may ask the API server for: Secrets of the one namespace, by list, and nothing of others.
fn may_read_the_shop_alone(plane: &Plane) {
    let token = fs::read_to_string(plane.renew_token("ravelin", "ravelin")).expect("a token");
    let api = plane.api_with_token(&token);
    let status = |path: &str| api.request("GET", path, None).status;
    eventually("the binding is in force", || {
        (status("/api/v1/namespaces/shop/secrets") == 200).then_some(())
    });
    for path in [
        "/api/v1/secrets",
        "/api/v1/namespaces/other/secrets",
        "/api/v1/namespaces/other/secrets/web",
        "/api/v1/namespaces/ravelin/secrets",
        "/api/v1/namespaces/shop/secrets/web",
        "/api/v1/namespaces/other/services",
        "/apis/networking.k8s.io/v1/ingresses",
    ] {
        assert_eq!(status(path), 403, "{path}");
    }
}

#[test]
fn secrets_of_other_namespaces_cannot_be_read_and_those_of_ours_are_served() {
    let Some(plane) = Plane::start() else { return };
    apply(&plane);
    plane.namespace("shop");
    plane.namespace("other");
    let authority = Authority::new("Tests");
    let backend = Backend::start("narrowed");
    let [shop, other] = ["shop", "other"].map(|it| site(&plane, it, &authority, &backend));
    let bind = "kubectl -n shop create rolebinding ravelin-namespace --clusterrole=ravelin-namespace \
                --serviceaccount=ravelin:ravelin";
    let page = fs::read_to_string(deploy("install.md")).expect("a file of ours");
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&page.replace("\\\n", " ")).contains(&flat(bind)), "it is documented");
    plane.shell(Path::new("/"), bind);

    let kubeconfig = plane.kubeconfig_of("ravelin", "ravelin");
    may_read_the_shop_alone(&plane);

    let edge = start(&plane, &kubeconfig, "\"shop\"");
    edge.await_ready();
    eventually("TLS is served", || (over_tls(&edge, &authority, &shop) == Some(200)).then_some(()));
    assert_eq!(edge.get(&other, "/").0, 404);
    assert_eq!(over_tls(&edge, &authority, &other), None, "its certificate is not presented");
    is_written(&plane);
    let is_refused = |line: &Value| line.to_string().contains("forbidden");
    assert!(!edge.has_said(is_refused), "nothing is asked for that is not granted");
    drop(edge);

    // A namespace that is listed, and was not granted: it says so, and the command in the message grants it.
    let edge = start(&plane, &kubeconfig, "\"shop\", \"other\"");
    let fix = eventually("the log names the namespace", || {
        edge.find_said(|line| {
            let missing = line["missing"].as_str()?;
            let is_it =
                missing.contains("secrets") && missing.ends_with("in the namespace \"other\"");
            is_it.then(|| line["fix"].as_str().expect("a fix").to_owned())
        })
    });
    let (status, body) = edge.readyz();
    assert!(status == 503 && body.contains("Secret: forbidden: "), "{body}");
    assert!(body.contains("in the namespace \"other\""), "{body}");
    plane.shell(Path::new("/"), fix.split('`').nth(1).expect("a command"));
    edge.await_ready();
    eventually("TLS is served", || {
        (over_tls(&edge, &authority, &other) == Some(200)).then_some(())
    });
}

#[test]
fn only_the_host_network_keeps_the_pod_from_the_restricted_level_of_pod_security() {
    let Some(plane) = Plane::shared() else { return };
    plane.apply(
        "{apiVersion: v1, kind: Namespace, metadata: {name: judged, labels: {pod-security.kubernetes.io/warn: restricted}}}",
    );
    let set = fs::read_to_string(deploy("base/daemonset.yaml")).expect("a file of ours");
    assert!(set.contains("namespace: ravelin\n"), "{set}");
    let set = set.replace("namespace: ravelin\n", "namespace: judged\n");
    let judged = plane.kubectl_given(&["apply", "--dry-run=server", "-f", "-"], &set);
    let said = String::from_utf8_lossy(&judged.stderr).into_owned();
    let (_, violations) = said.split_once("\"restricted:latest\": ").expect("a warning");
    assert_eq!(violations.trim(), "host namespaces (hostNetwork=true)", "{said}");
}

#[test]
fn what_is_granted_everywhere_is_in_no_namespace() {
    let Some(plane) = Plane::shared() else { return };
    let text = fs::read_to_string(deploy("components/namespaced/cluster-role.yaml"));
    let role: Value = serde_saphyr::from_str(&text.expect("a file of ours")).expect("YAML");
    let resources = role["rules"].as_array().expect("rules").iter();
    let resources = resources.flat_map(|rule| rule["resources"].as_array().expect("resources"));
    let listed = plane.kubectl(&["api-resources", "--namespaced=true", "-o", "name"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for resource in resources {
        let name = resource.as_str().expect("text");
        let is_it = |line: &str| line.split('.').next() == Some(name);
        assert!(
            !listed.lines().any(is_it),
            "{name} is in namespaces: it belongs to the other role"
        );
    }
}
