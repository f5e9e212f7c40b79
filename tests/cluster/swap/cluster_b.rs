//! Cluster B: stock k3s behind servicelb, with `cloudflare-only` and basic authentication.

use super::cloudflare::{Expected, Visit, page};
use super::helm::Helm;
use super::installed;
use super::kubelet::{Home, Kubelet};
use super::network::Namespace;
use super::objects::Backend;
use super::process::Traefik;
use super::scene::{Cluster, Controllers, Scene, act, at, play, prepare};
use super::servicelb::ServiceLb;
use super::stranger::{Met, meet};
use crate::plane::Plane;
use crate::traefik_program;
use std::net::Ipv4Addr;

const B: Cluster = Cluster {
    name: "b",
    files: &["cluster.yaml"],
    nodes: [("mill-1", "198.51.100.21"), ("mill-2", "198.51.100.22")],
    backends: &[Backend {
        namespace: "mill",
        service: "mill",
        port_name: "",
        address: "10.42.0.7:8080",
    }],
    visits: &[
        page("mill.example", "/", "mill"),
        page("mill.example", "/deep/er", "mill"),
        // miller, flour
        Visit {
            fields: "Authorization: Basic bWlsbGVyOmZsb3Vy\r\n",
            ..page("admin.mill.example", "/", "mill")
        },
        Visit { expected: Expected::Refused(&[401]), ..page("admin.mill.example", "/", "mill") },
    ],
    host: "mill.example",
};

const FLAGS_OF_B: &[&str] = &[
    "--log.level=INFO",
    "--entryPoints.web.address=:8000",
    "--entryPoints.websecure.address=:8443",
    "--entryPoints.websecure.http.tls=true",
    "--entryPoints.metrics.address=:9100",
    "--metrics.prometheus=true",
    "--providers.kubernetesIngress.ingressEndpoint.publishedService=kube-system/traefik",
];
/// Traefik's pod.
const POD_OF_B: &str = "10.42.0.8";

pub(super) fn swap() {
    staged(|plane, controllers| act(plane, &B, &records(), controllers, walk));
}

/// The way without Origin Rules, which is measured.
pub(super) fn with_labels() {
    staged(|plane, controllers| {
        let (figures, crashes) = play(plane, &B, &records(), controllers, walk_with_labels);
        figures.tell(crashes);
    });
}

fn records() -> [&'static str; 2] {
    B.nodes.map(|(_, address)| address)
}

/// Sets the scene.
fn staged(play: impl FnOnce(&Plane, Controllers<'_>)) {
    let (Some(program), Some(_)) = (traefik_program::find(), installed("jq")) else { return };
    let Some(_) = installed("iptables") else { return };
    let Some(plane) = Plane::start_for_nodes() else { return };
    let nodes = prepare(&plane, &B);
    let pod = Namespace::start(&plane);
    pod.join(None, "traefik", POD_OF_B);
    let traefik = Traefik { program, flags: FLAGS_OF_B, hosts: "" };
    let home = Home { namespace: &pod, address: POD_OF_B };
    let kubelet = Kubelet::of(&plane, &nodes, &traefik, Some(home));
    let servicelb = Some(ServiceLb::of(&plane, &nodes, POD_OF_B));
    let controllers = Controllers { kubelet, helm: Some(Helm::new()), servicelb };
    play(&plane, controllers);
}

fn walk(scene: &Scene<'_>) {
    // The masquerade of servicelb makes everybody one of its pods.
    let unlisted = || {
        let node = at(B.nodes[0].1, 80);
        meet(Ipv4Addr::new(104, 16, 0, 9), node, B.host)
    };
    assert_eq!(unlisted(), Met::Answer(200), "what the Middleware is worth behind servicelb");
    let published = status(scene);
    assert_eq!(published.len(), 2, "{published:?}");
    scene.step("Save what is there");
    scene.step("Install ravelin beside Traefik");
    scene.rolled_out();
    scene.is_silent(&[7080, 7443]);
    scene.way.in_pod("Compare both");
    scene.rule("Lead Cloudflare to ravelin", true);
    scene.step("Stop Traefik, and keep its release");
    scene.traefiks(0);
    scene.after();
    assert_eq!(unlisted(), Met::Answer(403), "the Middleware sees who connects");
    assert_eq!(status(scene), published, "the status is left as it was");

    scene.cloudflare.during("the way back");
    scene.way.act_back("Make the Origin Rules again");
    scene.cloudflare.rule(true);
    scene.way.back("kubectl -n kube-system delete helmchartconfig traefik");
    scene.traefiks(1);
    scene.traefik_answers();
    scene.back();
}

/// As deploy/swap-from-traefik.md has it for servicelb.
fn walk_with_labels(scene: &Scene<'_>) {
    let run = |script: &str| drop(scene.plane.shell(&scene.way.mine, script));
    run("kubectl apply -k .");
    scene.rolled_out();
    let last = B.nodes[1].0;
    scene.cloudflare.during("the first label");
    run(&format!("kubectl label node {last} svccontroller.k3s.cattle.io/enablelb=true"));
    scene.cloudflare.ask_on(3000);
    scene.cloudflare.during("the end of Traefik");
    run("kubectl apply -f traefik-off.yaml");
    scene.traefiks(0);
    scene.cloudflare.ask_on(3000);
}

/// The addresses in the status of an Ingress of B.
fn status(scene: &Scene<'_>) -> Vec<String> {
    let ingress =
        scene.plane.get("/apis/networking.k8s.io/v1/namespaces/mill/ingresses/public").json();
    let list = ingress["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    list.iter().map(|address| address["ip"].as_str().unwrap_or_default().to_owned()).collect()
}
