//! Cluster A: Traefik has the network of its nodes, told by a HelmChartConfig; the zone is on Flexible.

use super::cloudflare::{Expected, Visit, page};
use super::helm::Helm;
use super::installed;
use super::kubelet::Kubelet;
use super::objects::Backend;
use super::process::Traefik;
use super::scene::{Cluster, Controllers, Scene, act, play, prepare};
use crate::plane::Plane;
use crate::traefik_program;
use std::fs;
use std::time::Duration;

const A: Cluster = Cluster {
    name: "a",
    files: &["apps.yaml", "traefik.yaml"],
    nodes: [("harbour-1", "198.51.100.11"), ("harbour-2", "198.51.100.12")],
    backends: &[
        Backend { namespace: "quay", service: "site", port_name: "", address: "10.77.250.1:8080" },
        Backend {
            namespace: "quay",
            service: "api",
            port_name: "http",
            address: "10.77.250.2:8080",
        },
    ],
    visits: &[
        page("quay.example", "/", "site"),
        page("quay.example", "/api", "api"),
        // Twenty a second are allowed.
        Visit { pause: Duration::from_millis(400), ..page("tides.quay.example", "/", "api") },
        // Its plugin is not there: no visitor may pass by it.
        Visit { expected: Expected::Refused(&[404, 503]), ..page("lost.quay.example", "/", "api") },
    ],
    host: "quay.example",
};

/// What the values of the fixture's HelmChartConfig are as flags.
const FLAGS_OF_A: &[&str] = &[
    "--log.level=WARN",
    "--accessLog=true",
    "--accessLog.filePath=access",
    "--accessLog.format=json",
    "--entryPoints.web.address=:80",
    "--entryPoints.web.forwardedHeaders.trustedIPs=173.245.48.0/20,103.21.244.0/22,2400:cb00::/32",
    "--entryPoints.web.transport.respondingTimeouts.readTimeout=0s",
    "--entryPoints.web.transport.respondingTimeouts.idleTimeout=180s",
    "--entryPoints.web.transport.lifeCycle.graceTimeOut=60s",
    "--entryPoints.web.http.middlewares=kube-system-headers@kubernetescrd",
    "--entryPoints.websecure.address=:443",
    "--entryPoints.websecure.forwardedHeaders.trustedIPs=173.245.48.0/20,103.21.244.0/22,2400:cb00::/32",
    "--entryPoints.websecure.http.tls=true",
    "--entryPoints.metrics.address=:9100",
    "--metrics.prometheus=true",
    "--metrics.prometheus.buckets=0.1,0.3,1.2,5.0",
    "--metrics.prometheus.addRoutersLabels=true",
    "--providers.kubernetesIngress.allowExternalNameServices=true",
];

pub(super) fn swap() {
    staged(|plane, controllers| act(plane, &A, &records(), controllers, walk));
}

/// The way without Origin Rules, which is measured.
pub(super) fn with_labels() {
    staged(|plane, controllers| {
        let (figures, crashes) = play(plane, &A, &records(), controllers, walk_with_labels);
        figures.tell(crashes);
    });
}

fn records() -> [&'static str; 2] {
    A.nodes.map(|(_, address)| address)
}

/// Sets the scene.
fn staged(play: impl FnOnce(&Plane, Controllers<'_>)) {
    let (Some(program), Some(_)) = (traefik_program::find(), installed("jq")) else { return };
    let Some(plane) = Plane::start_for_nodes() else { return };
    let nodes = prepare(&plane, &A);
    let traefik = Traefik { program, flags: FLAGS_OF_A, hosts: "" };
    let kubelet = Kubelet::of(&plane, &nodes, &traefik, None);
    let controllers = Controllers { kubelet, helm: Some(Helm::new()), servicelb: None };
    play(&plane, controllers);
}

fn walk(scene: &Scene<'_>) {
    scene.step("Save what is there");
    scene.step("Install ravelin beside Traefik");
    scene.rolled_out();
    scene.is_silent(&[7080, 7443]);
    scene.way.in_pod("Compare both");
    scene.rule("Lead Cloudflare to ravelin", true);
    scene.step("Stop Traefik, and keep its release");
    scene.traefiks(0);
    scene.step("Give ravelin ports 80 and 443");
    scene.rolled_out();
    scene.after();

    scene.cloudflare.during("the way back");
    scene.way.act_back("Make the Origin Rules again");
    scene.cloudflare.rule(true);
    scene.way.back("kubectl apply -k beside");
    scene.rolled_out();
    scene.way.back("kubectl apply -f traefik-on.yaml");
    scene.traefiks(2);
    scene.traefik_answers();
    scene.back();
}

/// As deploy/swap-from-traefik.md has it for a Traefik with hostNetwork.
fn walk_with_labels(scene: &Scene<'_>) {
    const OVERLAY: &str = "resources: [../flexible]\nconfigMapGenerator:\n- name: ravelin\n  namespace: ravelin\n  \
                           behavior: replace\n  files: [ravelin.toml]\n";
    const KEEP_OFF: &str = r#"kubectl -n kube-system patch ds traefik --type merge -p '{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null},
  "template":{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":
  [{"matchExpressions":[{"key":"ravelin.dev/edge","operator":"DoesNotExist"}]}]}}}}}}}'"#;
    let labels = scene.way.mine.with_file_name("labels");
    fs::create_dir(&labels).expect("a folder of ours");
    fs::write(labels.join("kustomization.yaml"), OVERLAY).expect("a folder of ours");
    fs::copy(scene.way.mine.join("ravelin.toml"), labels.join("ravelin.toml")).expect("ours");
    let run = |script: &str| drop(scene.plane.shell(&labels, script));
    run(KEEP_OFF);
    run("kubectl apply -k .");
    for (moved, (node, _)) in A.nodes.iter().enumerate() {
        scene.cloudflare.during(node);
        run(&format!("kubectl label node {node} ravelin.dev/edge=true"));
        scene.traefiks(A.nodes.len() - moved - 1);
        scene.rolled_out();
        scene.cloudflare.ask_on(200);
    }
}
