//! The CustomResourceDefinitions of Traefik are deleted under load, as k3s does with the Helm release `traefik-crd`: every
//! object of their kinds goes with them.

use crate::crds;
use crate::edge::{QUICK, Setup, account, class};
use crate::eventually;
use crate::plane::Plane;
use crate::served::{Served, host};
use serde_json::{Value, json};

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
    // They come back, with another content.
    crds::install_again(&plane, &PLURALS.map(|(kind, _)| kind));
    put_all(&plane, "127.0.0.0/8");
    served.await_status("guarded", 200);
    plane.request(
        "DELETE",
        &format!("/apis/traefik.io/v1alpha1/namespaces/{NAMESPACE}/ingressroutes/app"),
        None,
    );
    served.await_status("open", 404);
    served.is_served();
}
