//! The switch of break-glass in a ConfigMap of a real API server, turned by the commands of `deploy/break-glass.md`.

use crate::PATIENCE;
use crate::edge::{Backend, Edge, Pod, QUICK, Site, all_rules, class, lacking};
use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

const NAMESPACE: &str = "ravelin";
const HOST: &str = "a.glass";
const STRANGER: &str = "203.0.113.9";
const LISTED: &str = "104.16.0.1";

fn of_deploy(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    fs::read_to_string(file).expect("a file of ours")
}

/// The command of the page that writes a word to the switch.
fn command(word: &str) -> String {
    let page = of_deploy("break-glass.md");
    let wanted = format!("{{\"switch\":\"{word}\"}}");
    let mut lines = page.lines().filter(|line| line.contains(&wanted));
    lines.next().expect("the page has it").to_owned()
}

fn turn(plane: &Plane, word: &str) {
    let said = plane.shell(Path::new("/"), &command(word));
    assert!(said.contains("configmap/ravelin-break-glass patched"), "{said}");
}

/// A connection that a balancer brings from `source`.
fn connect(edge: &Edge, source: &str) -> TcpStream {
    let mut socket = TcpStream::connect(edge.addr()).expect("a balancer may connect");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let header = format!("PROXY TCP4 {source} 127.0.0.1 4711 80\r\n");
    socket.write_all(header.as_bytes()).expect("the kernel takes it");
    socket
}

/// Whether a request from `source`, on a connection of its own, is served.
fn is_served(edge: &Edge, source: &str) -> bool {
    let mut socket = connect(edge, source);
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    socket.write_all(request.as_bytes()).is_ok()
        && socket.read_to_end(&mut answer).is_ok()
        && answer.starts_with(b"HTTP/1.1 200 ")
}

#[expect(clippy::print_stdout, reason = "a figure, for who asks for the output of tests")]
fn await_served(edge: &Edge, expected: bool, since: Instant) {
    eventually("the switch counts", || (is_served(edge, STRANGER) == expected).then_some(()));
    println!("break-glass: {expected} after {:.2} s", since.elapsed().as_secs_f64());
    assert!(is_served(edge, LISTED), "Cloudflare's visitors");
    eventually("the metric", || {
        let is_on = edge.metrics().sum("ravelin_break_glass", &[]) > 0.5;
        (is_on == expected).then_some(())
    });
}

/// A ravelin that admits Cloudflare, and reads no ConfigMap but that of the component.
fn start(plane: &Plane) -> Edge {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "glass"}, "rules": lacking(&all_rules(), "configmaps", "*")});
    let kubeconfig = plane.service_account(NAMESPACE, "ravelin", &role.to_string());
    for file in ["configmap.yaml", "rbac.yaml"] {
        plane.apply(&of_deploy(&format!("components/break-glass/{file}")));
    }
    let text = format!(
        "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nadmit = [\"cloudflare\"]\n\
         proxy_protocol_from = [\"127.0.0.0/8\"]\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [cloudflare]\nrefresh = \"off\"\n[log]\naccess = \"off\"\n\
         [break_glass]\nconfig_map = \"ravelin/ravelin-break-glass/switch\"\nrequests = 100000\n\
         [source]\nkind = \"kubernetes\"\ningress_class = \"glass\"\nkubeconfig = {kubeconfig:?}\n\
         write_back = true\nstatus_addresses = [\"203.0.113.7\"]\n{QUICK}\n"
    );
    let edge =
        Edge::configured(plane, &text, Some(Pod { namespace: NAMESPACE, name: "ravelin-a" }));
    edge.await_ready();
    edge
}

/// The notes of Events on the ConfigMap.
fn notes(plane: &Plane) -> Vec<String> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
    let list = plane.get(&path).json();
    let all = list["items"].as_array().cloned().unwrap_or_default();
    let is_ours = |event: &&Value| event["regarding"]["name"] == "ravelin-break-glass";
    let ours = all.iter().filter(is_ours);
    ours.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_patch_of_the_config_map_opens_the_port_and_another_one_shuts_it_again() {
    let Some(plane) = Plane::start() else { return };
    plane.namespace(NAMESPACE);
    class(&plane, "glass");
    let backend = Backend::start("glass");
    Site { namespace: NAMESPACE, name: "a", class: "glass", host: HOST }.create(&plane, &backend);
    let edge = start(&plane);
    eventually("it is served", || is_served(&edge, LISTED).then_some(()));
    assert!(!is_served(&edge, STRANGER), "the component begins with off");

    turn(&plane, "on");
    await_served(&edge, true, Instant::now());
    let is_loud =
        |line: &Value| line["level"] == "ERROR" && line.to_string().contains("BREAK-GLASS IS ON");
    assert!(edge.has_said(is_loud));
    eventually("the Event", || {
        notes(&plane).iter().any(|note| note.contains("every address is admitted")).then_some(())
    });

    // What was read last counts while nobody tells otherwise.
    plane.stop_api_server();
    eventually("the age tells the absence", || (edge.metrics().age() > 3.0).then_some(()));
    assert!(is_served(&edge, STRANGER) && is_served(&edge, LISTED));
    plane.continue_api_server();
    eventually("it is back", || (edge.metrics().age() < 3.0).then_some(()));

    // A connection that is open is told to close, and the port is shut.
    let mut kept = connect(&edge, STRANGER);
    turn(&plane, "off");
    await_served(&edge, false, Instant::now());
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).expect("an orderly end");
    assert_eq!(rest, b"");

    // Without the ConfigMap it is off, and that is told.
    turn(&plane, "on");
    await_served(&edge, true, Instant::now());
    let deleted = plane.kubectl(&["-n", NAMESPACE, "delete", "configmap", "ravelin-break-glass"]);
    assert!(deleted.status.success(), "{deleted:?}");
    await_served(&edge, false, Instant::now());
    eventually("the switch is missed", || {
        (edge.metrics().sum("ravelin_break_glass_unreadable", &[]) > 0.5).then_some(())
    });
}
