//! An older etcd, an empty one, and a compacted one, as a client of the API server sees them.

use crate::plane::Plane;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// The status of an object's read.
fn status(plane: &Plane, name: &str) -> u16 {
    plane.get(&format!("{MAPS}/{name}")).status
}

/// The version of the list of all.
fn version(plane: &Plane) -> u64 {
    let list = plane.get(MAPS).json();
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
    version.parse().expect("a number in practice")
}

#[test]
fn an_older_state_shows_after_a_restart_of_the_api_server_with_smaller_versions() {
    let Some(plane) = Plane::start() else { return };
    plane.create(MAPS, &config_map("old"));
    let snapshot = plane.etcd_snapshot();
    for number in 0..20 {
        plane.create(MAPS, &config_map(&format!("new-{number}")));
    }
    let before = version(&plane);
    plane.etcd_restore(&snapshot);
    plane.restart_api_server();
    assert_eq!(status(&plane, "old"), 200);
    assert_eq!(status(&plane, "new-0"), 404);
    assert!(version(&plane) < before);

    plane.etcd_empty();
    plane.restart_api_server();
    assert_eq!(status(&plane, "old"), 404);
}

#[test]
fn a_continue_token_from_before_a_compaction_is_too_old_after_a_restart() {
    let Some(plane) = Plane::start() else { return };
    for number in 0..3 {
        plane.create(MAPS, &config_map(&format!("map-{number}")));
    }
    let page = plane.get(&format!("{MAPS}?limit=1")).json();
    let token = page["metadata"]["continue"].as_str().expect("more pages").to_owned();
    plane.create(MAPS, &config_map("later"));
    assert!(plane.compact() > 0);
    plane.restart_api_server();
    let next = plane.get(&format!("{MAPS}?limit=1&continue={token}"));
    assert_eq!(next.status, 410, "{}", next.body);
}
