//! Tokens that rotate, and rights that are taken and given back.

use crate::edge::{QUICK, Setup, account, class};
use crate::eventually;
use crate::plane::Plane;
use crate::served::Served;
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn a_binding_that_is_removed_costs_nothing_that_is_served_and_is_named() {
    let Some(plane) = Plane::shared() else { return };
    let served = Served::start(&plane, "unbound");
    let binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/unbound-ravelin";
    assert_eq!(plane.request("DELETE", binding, None).status, 200);
    for (kind, resource) in [("Ingress", "ingresses"), ("Secret", "secrets"), ("Node", "nodes")] {
        served.edge.await_failure(kind, "forbidden");
        assert!(served.has_logged(resource, "forbidden"), "{resource}");
    }
    served.is_served_in_absence();
    plane.bind_role("unbound", "ravelin", "ravelin-unbound");
    served.recovers("after-binding", Instant::now());
}

/// A kubelet replaces a token long before its end, so that one which has ended was taken away. The file
/// is read again as soon as it is another one.
#[test]
fn a_token_that_has_ended_costs_nothing_and_the_next_one_is_taken_from_its_file() {
    let Some(plane) = Plane::shared() else { return };
    let kubeconfig = account(&plane, "rotated");
    class(&plane, "rotated");
    // A token that ends when we say so: what it is bound to is removed.
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "holds"}});
    plane.create("/api/v1/namespaces/rotated/secrets", &secret);
    let file = plane.renew_token_while("rotated", "ravelin", Some("holds"));
    let old = plane.api_with_token(&fs::read_to_string(file).expect("a token"));
    let setup = Setup { kubeconfig: &kubeconfig, class: "rotated", keys: QUICK };
    let served = Served::start_with(&plane, "rotated", &setup);

    let holds = "/api/v1/namespaces/rotated/secrets/holds";
    assert_eq!(plane.request("DELETE", holds, None).status, 200);
    eventually("the old token has ended", || {
        (old.request("GET", "/api/v1/nodes", None).status == 401).then_some(())
    });
    served.edge.await_failure("Ingress", "unauthorized");
    served.is_served_in_absence();
    assert!(served.has_logged("ingresses", "unauthorized"));
    plane.renew_token("rotated", "ravelin");
    served.recovers("after-rotation", Instant::now());
}

/// Whoever renews it replaces the file, and the kubeconfig that names it stays as it is.
#[test]
fn a_certificate_that_has_ended_costs_nothing_and_the_next_one_is_taken_from_its_file() {
    let Some(plane) = Plane::shared() else { return };
    account(&plane, "expired");
    class(&plane, "expired");
    // Longer than a start takes on a busy machine.
    let kubeconfig = plane.certified("expired", "ravelin", Duration::from_secs(20));
    let setup = Setup { kubeconfig: &kubeconfig, class: "expired", keys: QUICK };
    let served = Served::start_with(&plane, "expired", &setup);
    served.edge.await_failure("Ingress", "unauthorized");
    served.is_served_in_absence();
    assert!(served.has_logged("ingresses", "unauthorized"));
    plane.certified("expired", "ravelin", Duration::from_secs(3600));
    served.recovers("after-renewal", Instant::now());
}
