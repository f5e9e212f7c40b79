//! Instances of the writer against an API server in memory: one leads and writes, each thing once,
//! and is succeeded when it dies or leaves.

mod instance;
mod server;
#[path = "../support/until.rs"]
mod until;

use instance::{Instance, LEASE, PODS, World, ingress_path, mk_finding, mk_ingress, with_server};
use ravelin::control::write_back::{Address, Addresses, NodeAddresses, Pods};
use ravelin::telemetry::{Suppressed, WriteKind, WriteResult};
use serde_json::{Value, json};
use server::Server;
use std::time::{Duration, Instant};
use until::until;

/// Longer than anything takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/n/events";

fn fixed(address: &str) -> Addresses {
    Addresses::Fixed(vec![Address::parse(address)])
}

/// The addresses in the status of an Ingress.
fn status(server: &Server, name: &str) -> Value {
    server.object(&ingress_path(name)).expect("it exists")["status"]["loadBalancer"]["ingress"]
        .clone()
}

/// Waits until the Lease was written three more times: long enough for whatever is to be written.
async fn renewed(server: &Server) {
    let before = server.writes(LEASE).len();
    until("the Lease is renewed", || server.writes(LEASE).len() >= before + 3).await;
}

async fn three(server: &Server, world: &World, addresses: &Addresses) -> Vec<Instance> {
    let mut instances = Vec::new();
    for identity in ["a", "b", "c"] {
        instances.push(Instance::start(server, world, identity, addresses.clone()).await);
    }
    instances
}

/// Takes the one that leads out of the others.
async fn leader(instances: &mut Vec<Instance>) -> Instance {
    until("one leads", || instances.iter().filter(|one| one.leads()).count() == 1).await;
    let at = instances.iter().position(Instance::leads).expect("it leads still");
    instances.swap_remove(at)
}

#[test]
fn one_of_three_writes_and_when_it_dies_another_does_and_nothing_is_written_twice() {
    with_server(|server| async move {
        server.put(&ingress_path("shop"), mk_ingress("shop", "ravelin", None));
        let world = World::default();
        world.findings.replace(vec![mk_finding("shop", "Service \"web\" does not exist")]);
        let mut instances = three(&server, &world, &fixed("192.0.2.1")).await;
        let first = leader(&mut instances).await;
        until("the Event is there", || server.objects(EVENTS).len() == 1).await;
        until("the status is there", || status(&server, "shop") == json!([{"ip": "192.0.2.1"}]))
            .await;
        renewed(&server).await;
        first.kill().await;
        let second = leader(&mut instances).await;
        // It has found the Event when its term began, and leaves it.
        let suppressed = || second.metrics.read().suppressed().collect::<Vec<_>>();
        until("it found the Event", || suppressed().contains(&(Suppressed::Repeated, 1))).await;
        renewed(&server).await;
        assert_eq!(server.writes("/status").len(), 1);
        assert_eq!(server.objects(EVENTS).len(), 1);
        let events: Vec<_> = server.writes(EVENTS).iter().map(|write| write.status).collect();
        assert_eq!(events, [201]);
        // What is new is said by the new one.
        world.findings.borrow_mut().push(mk_finding("shop", "another"));
        server.put(&ingress_path("other"), mk_ingress("other", "ravelin", None));
        until("the second Event is there", || server.objects(EVENTS).len() == 2).await;
        until("the status is there", || status(&server, "other") == json!([{"ip": "192.0.2.1"}]))
            .await;
        assert_eq!(second.metrics.read().elections, 1);
    });
}

#[test]
fn a_leader_that_dies_is_not_succeeded_before_its_lease_and_one_that_leaves_is_at_once() {
    with_server(|server| async move {
        let world = World::default();
        let mut instances = three(&server, &world, &fixed("192.0.2.1")).await;
        let first = leader(&mut instances).await;
        renewed(&server).await;
        let last = Instant::now();
        first.kill().await;
        let second = leader(&mut instances).await;
        assert!(last.elapsed() >= instance::TIMING.duration - instance::TIMING.renew * 2);
        second.leave().await;
        let released = server
            .writes(LEASE)
            .into_iter()
            .find(|write| write.body["spec"]["holderIdentity"].is_null());
        let released = released.expect("the Lease was let go");
        assert_eq!(
            (released.status, &released.body["spec"]["leaseDurationSeconds"]),
            (200, &json!(1))
        );
        let third = leader(&mut instances).await;
        assert_eq!(third.metrics.read().elections, 1);
        let lease = server.object(LEASE).expect("it exists");
        assert_eq!(lease["spec"]["leaseTransitions"], 2);
        third.leave().await;
    });
}

#[test]
fn a_leader_without_an_api_server_stops_and_leads_again_afterwards() {
    with_server(|server| async move {
        let world = World::default();
        let one = Instance::start(&server, &world, "a", fixed("192.0.2.1")).await;
        until("it leads", || one.leads()).await;
        server.fail("/leases/", 500, 1);
        renewed(&server).await;
        assert_eq!((one.leads(), one.metrics.read().elections), (true, 1), "one failure is borne");
        server.fail("/leases/", 503, u32::MAX);
        until("it gives up", || !one.leads()).await;
        server.put(&ingress_path("late"), mk_ingress("late", "ravelin", None));
        let before = server.writes(LEASE).len();
        until("it tries", || server.writes(LEASE).len() >= before + 3).await;
        assert_eq!(server.writes("/status").len(), 0);
        server.heal();
        until("it leads again", || one.leads()).await;
        until("the status is there", || status(&server, "late") == json!([{"ip": "192.0.2.1"}]))
            .await;
    });
}

#[test]
fn failed_writes_are_repeated_until_they_succeed() {
    with_server(|server| async move {
        for (part, statuses) in [("/status", [409, 429, 500]), ("/events", [429, 500, 503])] {
            statuses.into_iter().for_each(|status| server.fail(part, status, 1));
        }
        server.put(&ingress_path("shop"), mk_ingress("shop", "ravelin", None));
        let world = World::default();
        world.findings.replace(vec![mk_finding("shop", "broken")]);
        let one = Instance::start(&server, &world, "a", fixed("192.0.2.1")).await;
        until("the status is there", || status(&server, "shop") == json!([{"ip": "192.0.2.1"}]))
            .await;
        until("the Event is there", || server.objects(EVENTS).len() == 1).await;
        renewed(&server).await;
        let statuses = |part: &str| -> Vec<u16> {
            server.writes(part).iter().map(|write| write.status).collect()
        };
        assert_eq!(statuses("/status"), [409, 429, 500, 200]);
        assert_eq!(statuses("/events"), [429, 500, 503, 201]);
        let cells = one.metrics.read();
        for result in [WriteResult::Conflict, WriteResult::Throttled, WriteResult::ServerError] {
            assert_eq!(cells.count(WriteKind::Status, result), 1);
        }
        assert_eq!(cells.count(WriteKind::Event, WriteResult::ServerError), 2);
        assert_eq!(cells.count(WriteKind::Event, WriteResult::Ok), 1);
    });
}

#[test]
fn what_was_said_and_is_mended_gets_a_normal_event() {
    with_server(|server| async move {
        server.put(&ingress_path("shop"), mk_ingress("shop", "ravelin", None));
        let world = World::default();
        world.findings.replace(vec![mk_finding("shop", "broken")]);
        let _one = Instance::start(&server, &world, "a", fixed("192.0.2.1")).await;
        until("the Event is there", || server.objects(EVENTS).len() == 1).await;
        world.findings.replace(Vec::new());
        server.put(&ingress_path("other"), mk_ingress("other", "ravelin", None));
        until("that it is mended is there", || server.objects(EVENTS).len() == 2).await;
        renewed(&server).await;
        let events = server.objects(EVENTS);
        let said = events.iter().map(|event| (event["type"].as_str(), event["reason"].as_str()));
        let mut said: Vec<_> = said.collect();
        said.sort_unstable();
        let expected =
            [(Some("Normal"), Some("Resolved")), (Some("Warning"), Some("ServiceMissing"))];
        assert_eq!(said, expected);
    });
}

#[test]
fn what_is_mended_between_two_leaders_gets_its_normal_event_from_the_second_once() {
    with_server(|server| async move {
        server.put(&ingress_path("shop"), mk_ingress("shop", "ravelin", None));
        let world = World::default();
        world.findings.replace(vec![mk_finding("shop", "broken"), mk_finding("shop", "worse")]);
        let first = Instance::start(&server, &world, "a", fixed("192.0.2.1")).await;
        until("the Events are there", || server.objects(EVENTS).len() == 2).await;
        first.leave().await;
        world.findings.borrow_mut().pop();
        let second = Instance::start(&server, &world, "b", fixed("192.0.2.1")).await;
        until("that one is mended is there", || server.objects(EVENTS).len() == 3).await;
        renewed(&server).await;
        second.leave().await;
        // The third finds it said.
        let third = Instance::start(&server, &world, "c", fixed("192.0.2.1")).await;
        until("it leads", || third.leads()).await;
        renewed(&server).await;
        let events = server.objects(EVENTS);
        let resolved: Vec<_> =
            events.iter().filter(|event| event["reason"] == "Resolved").collect();
        assert_eq!((events.len(), resolved.len()), (3, 1));
        let note = resolved[0]["note"].as_str().unwrap_or_default();
        assert!(note.contains("resolved") && note.contains("worse"), "{note}");
        assert_eq!(server.writes(EVENTS).len(), 3, "nothing is written twice");
    });
}

#[test]
fn an_ingress_that_leaves_our_class_is_cleared_and_others_are_never_touched() {
    with_server(|server| async move {
        let theirs = mk_ingress("theirs", "traefik", Some("192.0.2.1"));
        server.put(&ingress_path("theirs"), theirs);
        server.put(&ingress_path("shop"), mk_ingress("shop", "ravelin", Some("198.51.100.7")));
        let world = World::default();
        let _one = Instance::start(&server, &world, "a", fixed("192.0.2.1")).await;
        until("the status is there", || status(&server, "shop") == json!([{"ip": "192.0.2.1"}]))
            .await;
        let mut shop = server.object(&ingress_path("shop")).expect("it exists");
        shop["spec"]["ingressClassName"] = json!("traefik");
        server.put(&ingress_path("shop"), shop);
        until("the status is cleared", || status(&server, "shop").is_null()).await;
        renewed(&server).await;
        assert_eq!(status(&server, "theirs"), json!([{"ip": "192.0.2.1"}]));
        assert_eq!(server.writes("/status").len(), 2);
    });
}

#[test]
fn the_addresses_follow_the_nodes_with_a_ready_pod() {
    with_server(|server| async move {
        let pod = |name: &str, node: &str, ready: &str| {
            let condition = json!({"type": "Ready", "status": ready});
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "edge", "name": name},
                "spec": {"nodeName": node, "containers": []},
                "status": {"conditions": [condition]},
            });
            server.put(&format!("{PODS}/{name}"), pod);
        };
        pod("x", "one", "True");
        pod("y", "two", "False");
        server.put(&ingress_path("shop"), mk_ingress("shop", "ravelin", None));
        let world = World::default();
        let mk_node = |name: &str, address: &str| NodeAddresses {
            name: name.into(),
            external: vec![address.parse().expect("an address")],
            internal: vec![],
        };
        world.nodes.replace(vec![mk_node("one", "192.0.2.1"), mk_node("two", "192.0.2.2")]);
        let pods = Pods { namespace: "edge".to_owned(), selector: "app=ravelin".to_owned() };
        let one = Instance::start(&server, &world, "a", Addresses::ReadyNodes(pods)).await;
        until("one is there", || status(&server, "shop") == json!([{"ip": "192.0.2.1"}])).await;
        pod("y", "two", "True");
        let both = json!([{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]);
        until("both are there", || status(&server, "shop") == both).await;
        pod("x", "one", "False");
        until("the other is there", || status(&server, "shop") == json!([{"ip": "192.0.2.2"}]))
            .await;
        assert_eq!(one.metrics.read().addresses, 1);
        pod("y", "two", "False");
        until("nobody is ready", || one.metrics.read().addresses == 0).await;
        renewed(&server).await;
        assert_eq!(status(&server, "shop"), json!([{"ip": "192.0.2.2"}]), "the last ones stay");
    });
}
