//! The servers go away and come back, as a client sees it.

use crate::eventually;
use crate::plane::{Heard, Plane};
use serde_json::{Value, json};
use std::time::Duration;

/// How long nothing has to be heard: a running server tells of a change in 10 ms.
const SILENCE: Duration = Duration::from_secs(1);
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn is_called(name: &str) -> impl FnMut(&Value) -> bool {
    move |object| object["metadata"]["name"] == name
}

#[test]
fn a_killed_api_server_cuts_watches_and_comes_back_at_its_address_with_its_data() {
    let Some(plane) = Plane::start() else { return };
    let addr = plane.addr();
    let made = plane.create(MAPS, &config_map("kept"));
    let watch = plane.api().watch(&format!("{MAPS}?watch=true"));
    watch.until("the object", is_called("kept"));
    plane.kill_api_server();
    assert_eq!(watch.next(crate::PATIENCE), Heard::Cut);
    assert!(plane.api().try_request("GET", MAPS, None).is_err(), "it is gone");
    plane.kill_etcd();
    plane.restart_etcd();
    plane.restart_api_server();
    assert_eq!(plane.addr(), addr);
    assert_eq!(plane.get(&format!("{MAPS}/kept")).json()["metadata"], made["metadata"]);

    // Every restart makes clients list again: the new cache begins at the present revision.
    let old = made["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    plane.create(MAPS, &config_map("later"));
    plane.restart_api_server();
    let watch = plane.api().watch(&format!("{MAPS}?watch=true&resourceVersion={old}"));
    let Heard::Event(error) = watch.next(crate::PATIENCE) else { panic!("an error in an event") };
    assert_eq!(error["type"], "ERROR");
    assert_eq!(error["object"]["code"], 410);
    assert_eq!(watch.next(crate::PATIENCE), Heard::End);
}

#[test]
fn a_stopped_server_leaves_watches_open_and_silent_and_loses_nothing() {
    let Some(plane) = Plane::start() else { return };
    plane.create(MAPS, &config_map("before"));
    let watch = plane.api().watch(&format!("{MAPS}?watch=true"));
    watch.until("the object", is_called("before"));

    plane.stop_api_server();
    assert_eq!(drained(&watch), Heard::Silence);
    plane.continue_api_server();
    plane.create(MAPS, &config_map("after"));
    watch.until("the object", is_called("after"));

    plane.stop_etcd();
    let path = format!("{MAPS}?resourceVersion=0");
    assert_eq!(plane.get(&path).status, 200, "from the cache");
    assert_eq!(drained(&watch), Heard::Silence);
    plane.continue_etcd();
    eventually("writes again", || {
        let name = json!({"metadata": {"name": "last"}});
        (plane.request("POST", MAPS, Some(&name)).status == 201).then_some(())
    });
    watch.until("the object", is_called("last"));
}

/// What comes after the objects that every namespace has and that may still arrive.
fn drained(watch: &crate::plane::Watch) -> Heard {
    loop {
        match watch.next(SILENCE) {
            Heard::Event(_) => {}
            other => return other,
        }
    }
}

#[test]
fn a_renewed_certificate_is_read_by_the_running_server() {
    let Some(plane) = Plane::start() else { return };
    let before = plane.api().certificate();
    assert_eq!(plane.api().certificate(), before);
    plane.renew_certificate();
    eventually("the server shows its new certificate", || {
        (plane.api().certificate() != before).then_some(())
    });
    assert_eq!(plane.get("/readyz").status, 200);
}
