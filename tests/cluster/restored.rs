//! etcd comes back with other data, older or none. What is served follows what the API server has,
//! and not what it had.

use crate::edge::{Edge, QUICK, Setup, class};
use crate::eventually;
use crate::plane::Plane;
use crate::served::{Served, host};
use serde_json::json;
use std::time::Instant;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/ingresses";

/// The version of the list of all Ingresses.
fn version(plane: &Plane) -> u64 {
    let list = plane.get(INGRESSES).json();
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
    version.parse().expect("a number in practice")
}

/// Writes what nobody watches until the server has passed a version.
fn write_past(plane: &Plane, most: u64) {
    for number in 0_u32.. {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("map-{most}-{number}")}});
        let made = plane.create(MAPS, &map);
        let version = made["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
        if version.parse::<u64>().expect("a number in practice") > most {
            return;
        }
    }
}

#[test]
fn an_older_state_is_served_as_it_is_and_versions_that_come_again_mislead_nobody() {
    let Some(plane) = Plane::start() else { return };
    let served = Served::start(&plane, "older");
    let snapshot = plane.etcd_snapshot();
    served.add("lost");
    served.await_status("lost", 200);
    let before = version(&plane);
    write_past(&plane, before + 20);
    plane.etcd_restore(&snapshot);
    served.is_served();
    plane.restart_api_server();
    let restarted = Instant::now();
    // The same versions as before, with other content.
    write_past(&plane, before);
    served.await_status("lost", 404);
    served.recovers("after-restore", restarted);
    assert_eq!(served.edge.get(&host("lost"), "/").0, 404);
}

/// A watch that ends in time is opened again where it was. If etcd was restored just then, that is a
/// version that the API server has not reached: it answers 200, and says nothing.
#[test]
fn a_restore_between_two_watches_is_noticed() {
    let Some(plane) = Plane::start() else { return };
    let kubeconfig = crate::edge::account(&plane, "future");
    class(&plane, "future");
    // Patient enough to be asleep for the whole restore, and to find its watches ended in time.
    let keys = "watch_timeout = \"2s\"\nrequest_timeout = \"60s\"\nconsistency_check = \"3s\"";
    let setup = Setup { kubeconfig: &kubeconfig, class: "future", keys };
    let served = Served::start_with(&plane, "future", &setup);
    let snapshot = plane.etcd_snapshot();
    served.add("lost");
    served.await_status("lost", 200);
    write_past(&plane, version(&plane) + 200);
    served.edge.signal("STOP");
    eventually("the watch of Ingresses has ended", || {
        let metrics = plane.get("/metrics").body;
        let watches = |line: &&str| {
            line.starts_with("apiserver_longrunning_requests{")
                && line.contains("resource=\"ingresses\"")
                && line.contains("verb=\"WATCH\"")
        };
        let open = metrics.lines().filter(watches).all(|line| line.ends_with(" 0"));
        open.then_some(())
    });
    plane.kill_api_server();
    plane.etcd_restore(&snapshot);
    plane.restart_api_server();
    served.edge.signal("CONT");
    let continued = Instant::now();
    served.await_status("lost", 404);
    served.recovers("after-future", continued);
}

#[test]
fn an_empty_cluster_is_believed_only_by_who_may_list_it_and_objects_made_again_are_served() {
    let Some(plane) = Plane::start() else { return };
    let by_account = Served::start(&plane, "empty");
    // Its certificate is good in any cluster of this authority.
    let admin = plane.admin_kubeconfig();
    let setup = Setup { kubeconfig: &admin, class: "empty", keys: QUICK };
    let by_certificate = Edge::ready(&plane, &setup);
    by_certificate.await_answer(&host("first"), "/", "first");

    plane.etcd_empty();
    by_account.is_served();
    plane.restart_api_server();
    let restarted = Instant::now();
    by_certificate.await_status(&host("first"), "/", 404);
    assert_eq!(by_certificate.readyz().0, 200);
    // The service account is gone too, and with it the right to see that everything is.
    by_account.edge.await_failure("Ingress", "unauthorized");
    by_account.is_served_in_absence();

    eventually("the namespace can be made again", || {
        let namespace = json!({"metadata": {"name": "empty"}});
        let made = plane.request("POST", "/api/v1/namespaces", Some(&namespace));
        (made.status == 201).then_some(())
    });
    class(&plane, "empty");
    by_account.add("again");
    by_certificate.await_status(&host("again"), "/", 200);
    report(restarted);
    assert_eq!(by_certificate.get(&host("first"), "/").0, 404);
}

#[expect(clippy::print_stdout, reason = "a figure, for who asks for the output of tests")]
fn report(restarted: Instant) {
    println!("empty: made again and served {:.1} s after", restarted.elapsed().as_secs_f64());
}
