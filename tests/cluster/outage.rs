//! The API server or etcd goes away and comes back, and visitors do not notice.

use crate::plane::Plane;
use crate::served::Served;
use std::time::Instant;

#[test]
fn an_api_server_that_is_killed_and_comes_back_is_missed_by_nobody() {
    let Some(plane) = Plane::start() else { return };
    let served = Served::start(&plane, "killed");
    plane.kill_api_server();
    served.edge.await_failure("Ingress", "connect");
    assert!(served.has_logged("ingresses", "connect") || served.has_logged("ingresses", "broken"));
    served.is_served_in_absence();
    plane.restart_api_server();
    served.recovers("after-kill", Instant::now());
}

#[test]
fn an_api_server_that_says_nothing_is_found_out_and_missed_by_nobody() {
    let Some(plane) = Plane::start() else { return };
    let served = Served::start(&plane, "stopped");
    plane.stop_api_server();
    served.edge.await_failure("Ingress", "timeout");
    served.is_served_in_absence();
    plane.continue_api_server();
    served.recovers("after-stop", Instant::now());
}

#[test]
fn an_etcd_that_says_nothing_is_found_out_and_missed_by_nobody() {
    let Some(plane) = Plane::start() else { return };
    let served = Served::start(&plane, "stalled");
    plane.stop_etcd();
    // Watches are open and silent then, and nothing but a consistent read tells.
    served.edge.await_failure("Ingress", "timeout");
    served.is_served_in_absence();
    plane.continue_etcd();
    let continued = Instant::now();
    crate::eventually("the API server takes writes again", || {
        (plane.get("/readyz").status == 200).then_some(())
    });
    served.recovers("after-stall", continued);
}

#[test]
fn a_renewed_certificate_of_the_server_is_taken() {
    let Some(plane) = Plane::start() else { return };
    let served = Served::start(&plane, "renewed");
    let before = plane.api().certificate();
    plane.renew_certificate();
    crate::eventually("the server shows its new certificate", || {
        (plane.api().certificate() != before).then_some(())
    });
    served.is_served();
    // All connections are new ones after that.
    plane.restart_api_server();
    served.recovers("after-renewal", Instant::now());
    let none = served.edge.has_said(|line| line.to_string().contains("certificate"));
    assert!(!none, "no complaint about the certificate");
}
