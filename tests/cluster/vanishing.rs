//! The CustomResourceDefinitions of Traefik are deleted under load, as k3s does with the Helm release `traefik-crd`: every
//! object of their kinds goes with them.

use crate::crds;
use crate::edge::{Edge, Pod, QUICK, Setup, account, all_rules, class};
use crate::eventually;
use crate::plane::Plane;
use crate::served::{Served, host};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const NAMESPACE: &str = "vanishing";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const PLURALS: [(&str, &str); 2] =
    [("Middleware", "middlewares"), ("IngressRoute", "ingressroutes")];

fn put(plane: &Plane, kind: &str, name: &str, spec: &Value) {
    let object = json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
    plane.apply(&object.to_string());
}

/// The Middleware that lets these come, and two routes, one of which names it.
fn put_all(plane: &Plane, from: &str) {
    put(plane, "Middleware", "guard", &json!({"ipAllowList": {"sourceRange": [from]}}));
    let route = |name: &str| {
        json!({"match": format!("Host(`{}`)", host(name)), "kind": "Rule",
        "services": [{"name": "first", "port": 80}]})
    };
    let mut guarded = route("guarded");
    guarded["middlewares"] = json!([{"name": "guard"}]);
    put(plane, "IngressRoute", "app", &json!({"routes": [route("open"), guarded]}));
}

#[test]
fn objects_whose_definition_is_deleted_are_served_on_and_nothing_opens() {
    let Some(plane) = Plane::start() else { return };
    crds::install(&plane);
    let kubeconfig = account(&plane, NAMESPACE);
    class(&plane, NAMESPACE);
    let keys = format!("ingress_classes = [\"traefik\"]\n{QUICK}");
    let setup = Setup { kubeconfig: &kubeconfig, class: NAMESPACE, keys: &keys };
    let served = Served::start_with(&plane, NAMESPACE, &setup);
    put_all(&plane, "192.0.2.0/24");
    served.await_status("open", 200);
    served.await_status("guarded", 403);
    let state = tempfile::tempdir().expect("a temporary folder");
    let account = account_of_teller(&plane);
    let first = teller(&plane, &account, state.path());
    first.await_status(&host("guarded"), "/", 403);
    eventually("the last-good state", || {
        let text = std::fs::read_to_string(state.path().join("last-good.jsonl")).ok()?;
        (text.contains("ipAllowList") && text.contains("\"IngressRoute\"")).then_some(())
    });
    for (_, plural) in PLURALS {
        let path = format!("{CRDS}/{plural}.traefik.io");
        assert_eq!(plane.request("DELETE", &path, None).status, 200);
    }
    for (kind, plural) in PLURALS {
        eventually(&format!("{plural} are gone"), || {
            let path = format!("/apis/traefik.io/v1alpha1/{plural}");
            (plane.get(&path).status == 404).then_some(())
        });
        served.edge.await_failure(kind, "vanishing");
    }
    let statuses = ["open", "guarded"].map(|name| served.edge.get(&host(name), "/").0);
    assert_eq!(statuses, [200, 403]);
    served.is_served();
    eventually("Events", || (events(&plane) == ["Vanishing"; 2]).then_some(()));
    // A process that starts now knows them from the last one.
    first.end();
    let again = teller(&plane, &account, state.path());
    let statuses = ["open", "guarded"].map(|name| again.get(&host(name), "/").0);
    assert_eq!(statuses, [200, 403]);
    // They come back, with another content.
    crds::install_again(&plane, &PLURALS.map(|(kind, _)| kind));
    put_all(&plane, "127.0.0.0/8");
    served.await_status("guarded", 200);
    [&served.edge, &again].into_iter().for_each(await_followed);
    plane.request(
        "DELETE",
        &format!("/apis/traefik.io/v1alpha1/namespaces/{NAMESPACE}/ingressroutes/app"),
        None,
    );
    served.await_status("open", 404);
    again.await_status(&host("open"), "/", 404);
    eventually("Events say so", || {
        (events(&plane) == ["Resolved", "Resolved", "Vanishing", "Vanishing"]).then_some(())
    });
    served.is_served();
}

/// An account with all rights of `deploy/base`.
fn account_of_teller(plane: &Plane) -> PathBuf {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "vanishing-teller"}, "rules": all_rules()});
    plane.service_account(NAMESPACE, "teller", &role.to_string())
}

/// Waits until objects of a process are no longer served without their definitions: each kind is followed again once an
/// object of it is seen.
fn await_followed(edge: &Edge) {
    eventually("both kinds are followed again", || {
        let held = [("kind", "IngressClass"), ("reason", "vanishing")];
        (edge.metrics().sum("ravelin_rejected_objects", &held) < 0.5).then_some(())
    });
}

/// Another process, which keeps its state and writes Events.
fn teller(plane: &Plane, kubeconfig: &Path, state: &Path) -> Edge {
    let keys = format!(
        "ingress_classes = [\"traefik\"]\nstatus_addresses = [\"192.0.2.9\"]\n{QUICK}\n[state]\ndirectory = {state:?}\ncluster = true"
    );
    let setup = Setup { kubeconfig, class: NAMESPACE, keys: &keys };
    let edge = Edge::start_as(plane, &setup, Pod { namespace: NAMESPACE, name: "teller" });
    edge.await_ready();
    edge
}

/// The reasons of the Events on the IngressClass, sorted.
fn events(plane: &Plane) -> Vec<String> {
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let list: Value = serde_json::from_str(&plane.get(path).body).expect("JSON");
    let items = list["items"].as_array().expect("a list").iter();
    let ours = items.filter(|event| event["regarding"]["kind"] == "IngressClass");
    let mut reasons: Vec<String> =
        ours.map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect();
    reasons.sort();
    reasons
}
