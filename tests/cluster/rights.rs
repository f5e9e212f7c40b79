//! Rights: what a service account may is what its ClusterRole says, and not more.

use crate::eventually;
use crate::plane::{Heard, Plane};
use serde_json::json;
use std::fs;

const SERVICES: &str = "/api/v1/services";
const SECRETS: &str = "/api/v1/secrets";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// A role that grants Services and nothing else.
fn role(name: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n\
         metadata: {{name: {name}}}\n\
         rules: [{{apiGroups: [''], resources: [services], verbs: [list, watch]}}]\n"
    )
}

#[test]
fn a_bound_token_is_granted_what_its_role_grants_and_told_what_not() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("rights");
    let kubeconfig = plane.service_account("rights", "reader", &role("rights"));
    let flag = format!("--kubeconfig={}", kubeconfig.display());
    let output = plane.kubectl(&[&flag, "get", "services", "-A"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let token = fs::read_to_string(plane.renew_token("rights", "reader")).expect("a token");
    let api = plane.api_with_token(&token);
    assert_eq!(api.request("GET", SERVICES, None).status, 200);
    let forbidden = api.request("GET", SECRETS, None);
    assert_eq!(forbidden.status, 403);
    assert_eq!(
        forbidden.json()["message"],
        "secrets is forbidden: User \"system:serviceaccount:rights:reader\" cannot list resource \
         \"secrets\" in API group \"\" at the cluster scope"
    );
    assert_eq!(plane.api_with_token("no token").request("GET", SERVICES, None).status, 401);
}

#[test]
fn an_open_watch_survives_the_loss_of_its_right_and_the_next_one_is_refused() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("loss");
    plane.service_account("loss", "reader", &role("loss"));
    let token = fs::read_to_string(plane.renew_token("loss", "reader")).expect("a token");
    let api = plane.api_with_token(&token);
    let path = "/api/v1/namespaces/loss/services?watch=true";
    let watch = api.watch(path);
    let service = |name: &str| {
        let object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"port": 80}]}});
        plane.create("/api/v1/namespaces/loss/services", &object);
        watch.until(name, |seen| seen["metadata"]["name"] == name);
    };
    service("before");
    let binding = format!("{BINDINGS}/loss-reader");
    assert_eq!(plane.request("DELETE", &binding, None).status, 200);
    eventually("the right is lost", || {
        (api.request("GET", SERVICES, None).status == 403).then_some(())
    });
    service("after");
    assert!(matches!(api.watch(path).next(crate::PATIENCE), Heard::Refused(403, _)));
    plane.bind_role("loss", "reader", "loss");
    eventually("the right is back", || {
        (api.request("GET", SERVICES, None).status == 200).then_some(())
    });
}
