//! Cluster C: behind a TCP balancer with PROXY protocol; certificates by cert-manager's HTTP-01.

use super::balancer::{Balancer, Service, Target};
use super::client::Line;
use super::cloudflare::{Expected, OFTEN, Visit, page};
use super::helm;
use super::installed;
use super::kubelet::{Home, Kubelet, Node};
use super::network::{Namespace, hub};
use super::objects::{self, Backend};
use super::pods::{self, PASS};
use super::process::Traefik;
use super::scene::{Cluster, Controllers, Scene, act, at, prepare};
use super::stranger::{Met, meet};
use crate::plane::Plane;
use crate::{eventually, traefik_program};
use rcgen::generate_simple_self_signed;
use serde_json::json;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const C: Cluster = Cluster {
    name: "c",
    files: &["apps.yaml"],
    nodes: [("forge-1", "198.51.100.31"), ("forge-2", "198.51.100.32")],
    backends: &[
        Backend {
            namespace: "foundry",
            service: "foundry",
            port_name: "",
            address: "10.77.250.31:8080",
        },
        Backend {
            namespace: "foundry",
            service: "login",
            port_name: "",
            address: "10.77.250.32:9000",
        },
    ],
    visits: &[
        secure("foundry.example", "/", PASS),
        secure("foundry.example", "/old/iron", PASS),
        secure("foundry.example", "/status", PASS),
        secure("anvil.example", "/", ""),
        Visit { expected: Expected::Refused(&[401]), ..secure("foundry.example", "/", "") },
        // To https, from the entry point for http.
        Visit {
            expected: Expected::Refused(&[301, 308]),
            scheme: "http",
            ..page("anvil.example", "/", "foundry")
        },
    ],
    host: "foundry.example",
};

const fn secure(host: &'static str, path: &'static str, fields: &'static str) -> Visit {
    Visit { is_secure: true, fields, ..page(host, path, "foundry") }
}

const FLAGS_OF_C: &[&str] = &[
    "--log.level=ERROR",
    "--entryPoints.web.address=:8000",
    "--entryPoints.web.http.redirections.entryPoint.to=websecure",
    "--entryPoints.web.http.redirections.entryPoint.scheme=https",
    "--entryPoints.web.http.redirections.entryPoint.permanent=true",
    "--entryPoints.web.proxyProtocol.trustedIPs=10.9.0.2/32",
    "--entryPoints.web.forwardedHeaders.trustedIPs=10.9.0.2/32",
    "--entryPoints.websecure.address=:8443",
    "--entryPoints.websecure.proxyProtocol.trustedIPs=10.9.0.2/32",
    "--entryPoints.websecure.http.tls=true",
    "--entryPoints.websecure.http.tls.certResolver=letsencrypt",
    "--certificatesResolvers.letsencrypt.acme.email=smith@foundry.example",
    "--certificatesResolvers.letsencrypt.acme.storage=acme.json",
    "--certificatesResolvers.letsencrypt.acme.httpChallenge.entryPoint=web",
];
/// The balancer: where visitors connect, and where it connects from.
const BALANCER: [&str; 2] = ["198.51.100.39", "10.9.0.2"];
/// Ports of its services, and where they lead at first and afterwards.
const SERVICES: [(u16, u16); 4] = [(80, 31080), (443, 31443), (7080, 7080), (7443, 7443)];
/// What cert-manager makes for a challenge: an Ingress with the class as an annotation, and one without any.
const SOLVERS: &str = "
apiVersion: v1
kind: Service
metadata: {name: cm-acme-http-solver-x1, namespace: foundry}
spec: {ports: [{port: 8089}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: cm-acme-http-solver-x1
  namespace: foundry
  labels: {acme.cert-manager.io/http01-solver: 'true'}
  annotations: {kubernetes.io/ingress.class: traefik}
spec:
  rules:
  - host: new.example
    http:
      paths:
      - path: /.well-known/acme-challenge/token-1
        pathType: ImplementationSpecific
        backend: {service: {name: cm-acme-http-solver-x1, port: {number: 8089}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: cm-acme-http-solver-x2
  namespace: foundry
  labels: {acme.cert-manager.io/http01-solver: 'true'}
spec:
  rules:
  - host: newer.example
    http:
      paths:
      - path: /.well-known/acme-challenge/token-2
        pathType: ImplementationSpecific
        backend: {service: {name: cm-acme-http-solver-x1, port: {number: 8089}}}
";
const SOLVER: Backend = Backend {
    namespace: "foundry",
    service: "cm-acme-http-solver-x1",
    port_name: "",
    address: "10.77.250.33:8089",
};
const CHALLENGES: [Visit; 2] = [
    challenge("new.example", "/.well-known/acme-challenge/token-1"),
    challenge("newer.example", "/.well-known/acme-challenge/token-2"),
];

const fn challenge(host: &'static str, path: &'static str) -> Visit {
    Visit { scheme: "http", ..page(host, path, SOLVER.service) }
}

/// What Helm does with the release of C when the page says so.
const HELM: &str = r#"#!/bin/sh
set -e
case "$*" in
'-n traefik get values traefik') echo 'service: {spec: {externalTrafficPolicy: Local}}' ;;
'-n traefik upgrade traefik traefik/traefik --reuse-values --set deployment.replicas=0 --set service.enabled=false')
    kubectl -n traefik scale deployment traefik --replicas 0
    kubectl -n traefik get service traefik -o json |
        jq 'del(.metadata["resourceVersion", "uid"], .spec["clusterIP", "clusterIPs"])' >"$(dirname "$0")/service.json"
    kubectl -n traefik delete service traefik ;;
'-n traefik rollback traefik')
    kubectl -n traefik scale deployment traefik --replicas 1
    kubectl apply -f "$(dirname "$0")/service.json" ;;
*) echo "helm: $*" >&2; exit 1 ;;
esac
"#;

pub(super) fn swap() {
    let (Some(program), Some(_)) = (traefik_program::find(), installed("jq")) else { return };
    let (Some(_), Some(haproxy)) = (installed("iptables"), installed("haproxy")) else { return };
    let Some(plane) = Plane::start_for_nodes() else { return };
    let nodes = prepare(&plane, &C);
    pods::start(SOLVER.service, SOLVER.address.parse().expect("an address"));
    let certificate = certificate(&plane);
    plane.namespace("traefik");
    helm::install(&plane, "traefik", &json!({}));
    let (balancer, _place) = balancer(&plane, &haproxy, &nodes[0]);
    let hosts = "10.77.250.32 login.foundry.svc.cluster.local\n";
    let traefik = Traefik { program, flags: FLAGS_OF_C, hosts };
    let home = Home { namespace: &nodes[0].namespace, address: nodes[0].address };
    let kubelet = Kubelet::of(&plane, &nodes, &traefik, Some(home));
    let controllers = Controllers { kubelet, helm: None, servicelb: None };
    act(&plane, &C, &BALANCER[..1], controllers, |scene| {
        install_helm(&scene.way.mine);
        scene.step("Save what is there");
        scene.step("Install ravelin beside Traefik");
        scene.rolled_out();
        scene.is_silent(&[80, 443, 7080, 7443]);
        scene.way.in_pod("Compare both");
        scene.rule("Lead Cloudflare to ravelin", true);
        challenged(scene);
        scene.step("Stop Traefik, and keep its release");
        scene.traefiks(0);
        challenged(scene);
        scene.step("Give ravelin ports 80 and 443");
        lead(&balancer, true);
        scene.after();
        challenged(scene);
        let by_balancer = meet(Ipv4Addr::new(203, 0, 113, 7), at(BALANCER[0], 80), C.host);
        assert_eq!(by_balancer, Met::Ended, "PROXY protocol tells who it is");
        let shown = Line::open(
            Ipv4Addr::new(173, 245, 48, 9),
            at(BALANCER[0], 443),
            Some(C.host),
            OFTEN * 100,
        );
        assert_eq!(shown.expect("a handshake").certificate(), Some(certificate));

        scene.cloudflare.during("the way back");
        scene.way.act_back("Make the Origin Rules again");
        scene.cloudflare.rule(true);
        scene.way.back("helm -n traefik rollback traefik");
        scene.traefiks(1);
        traefik_answers();
        scene.way.act_back("let the services for 80 and 443 lead to Traefik's Service");
        lead(&balancer, false);
        scene.back();
    });
}

/// The balancer in a namespace of its own, and the NodePorts of Traefik's Service on the node of its pod.
fn balancer(plane: &Plane, haproxy: &Path, home: &Node) -> (Balancer, Namespace) {
    for (own, port) in [(8000, 31080), (8443, 31443)] {
        let to = format!("--dport {port} -j REDIRECT --to-ports {own}");
        home.namespace.run(&format!("iptables -t nat -A PREROUTING -p tcp {to}"));
    }
    let place = Namespace::start(plane);
    place.join(None, "balancer", BALANCER[0]);
    place.run(&format!("ip address add {}/32 dev edge", BALANCER[1]));
    hub(&format!("ip route add {}/32 dev balancer", BALANCER[1]));
    (Balancer::start(plane, haproxy, &place, BALANCER[1], &services()), place)
}

/// Waits until Traefik has read its routes: it is ready before.
fn traefik_answers() {
    eventually("Traefik answers", || {
        let from = Ipv4Addr::new(203, 0, 113, 8);
        let line = Line::open(from, at(C.nodes[0].1, 31443), Some(C.host), OFTEN * 100);
        let asked = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", C.host);
        let answer = line.ok()?.exchange(&asked).ok()?;
        (answer.status == 401).then_some(())
    });
}

/// Whether challenges are answered as a CA asks for them: by HTTP, at hosts that have no certificate yet.
fn challenged(scene: &Scene<'_>) {
    scene.plane.apply(SOLVERS);
    objects::apply(scene.plane, &[objects::slice(&SOLVER)]);
    for visit in &CHALLENGES {
        eventually(&format!("the challenge of {}", visit.host), || {
            let answer = scene.cloudflare.once(visit).ok()?;
            (answer.status == 200 && answer.body == SOLVER.service).then_some(())
        });
    }
    let told = scene.plane.kubectl(&[
        "-n",
        "foundry",
        "delete",
        "ingress",
        "-l",
        "acme.cert-manager.io/http01-solver",
    ]);
    assert!(told.status.success());
}

/// Lets ports 80 and 443 of the balancer lead to ravelin, or to Traefik.
fn lead(balancer: &Balancer, to_ravelin: bool) {
    for port in [80, 443] {
        for target in ["node-0", "node-1"] {
            balancer.set(&format!("{port}/{target}"), to_ravelin);
        }
        balancer.set(&format!("{port}/traefik"), !to_ravelin);
    }
}

fn services() -> Vec<Service> {
    let service = |(port, first): (u16, u16)| {
        let address = |at: usize| C.nodes[at].1;
        let is_beside = port == first;
        let mut targets: Vec<Target> = (0..2)
            .map(|at| Target {
                name: format!("node-{at}"),
                to: format!("{}:{port}", address(at)),
                is_in: is_beside,
            })
            .collect();
        if !is_beside {
            let to = format!("{}:{first}", address(0));
            targets.push(Target { name: "traefik".to_owned(), to, is_in: true });
        }
        Service { port, targets }
    };
    SERVICES.into_iter().map(service).collect()
}

/// The Secret that the fixture names, for all its hosts, as the report wants it. Returns the certificate.
fn certificate(plane: &Plane) -> Vec<u8> {
    let names = ["foundry.example", "anvil.example"].map(str::to_owned);
    let made = generate_simple_self_signed(names).expect("names");
    let data = json!({"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "foundry-tls", "namespace": "foundry"}, "stringData": data});
    plane.create("/api/v1/namespaces/foundry/secrets", &secret);
    made.cert.der().to_vec()
}

fn install_helm(mine: &Path) {
    let file = mine.join("bin/helm");
    fs::create_dir(mine.join("bin")).expect("a folder of ours");
    fs::write(&file, HELM).expect("a folder of ours");
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("a file of ours");
}
