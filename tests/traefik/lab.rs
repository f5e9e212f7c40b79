//! The control plane with all objects, Traefik and ravelin beside it, and the exchanges.

use crate::cases::Case;
use crate::certificates::Certificates;
use crate::client::{Response, Way};
use crate::edge::Edge;
use crate::manifests::{self, DOMAIN};
use crate::plane::Plane;
use crate::pods::{Pods, Received};
use crate::request::Request;
use crate::tls_client::AnyCertificate;
use crate::traefik::{self, Traefik};
use crate::{crds, eventually, tcp, traefik_program};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// Clients whose forwarding fields both proxies trust.
pub(crate) const PROXIES: &str = "10.77.1.0/24";

/// Which proxy an exchange is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Traefik,
    Ravelin,
}

/// Both.
pub(crate) const SIDES: [Side; 2] = [Side::Traefik, Side::Ravelin];

/// Everything that runs. It ends when this is dropped, the API server last.
pub(crate) struct Lab {
    traefik: Traefik,
    edge: Edge,
    plane: Plane,
    pods: Pods,
    certificates: Certificates,
    /// Without a certificate of the client's own, and with it.
    tls: [Arc<ClientConfig>; 2],
}

/// An exchange that is going on while others take place.
pub(crate) struct Held(std::thread::JoinHandle<()>, String);

impl Lab {
    /// Starts it. `None`: it cannot be had here, and the reason has been said.
    pub(crate) fn start(cases: &[Case], connections: &[tcp::Case]) -> Option<Self> {
        let program = traefik_program::find()?;
        let plane = Plane::start()?;
        let certificates = Certificates::make();
        let pods = Pods::start(certificates.of_pods());
        tcp::start(certificates.of_pods()[0]);
        crds::install(&plane);
        create(&plane, cases, connections, &certificates);
        let traefik = Traefik::start(&program, &plane);
        let edge = Edge::configured(&plane, &configuration(&plane), None);
        edge.await_ready();
        let tls = [false, true].map(|own| certificates.client(own));
        let lab = Self { traefik, edge, plane, pods, certificates, tls };
        lab.await_marker();
        Some(lab)
    }

    /// Has one side answer a request of a case.
    pub(crate) fn exchange(
        &self,
        side: Side,
        case: &Case,
        request: &Request,
        name: &str,
        before: &Response,
    ) -> (Response, Vec<Received>) {
        let exchange = format!("{side:?}:{name}");
        let login = request.login.as_ref().and_then(|login| login.answer(before));
        self.pods.expect(&exchange, &request.answers, false);
        let message = request.message(&case.host(), &exchange, login.as_deref());
        let host = case.host();
        let response = match &request.handshake {
            Some(handshake) => {
                let (to, from) = (address(side, request.at()), request.from);
                handshake.exchange(to, from, &host, &message, &self.certificates)
            }
            None => self.way(side, request, &host).exchange(&message, request.method == "HEAD"),
        };
        self.pods.await_arrivals(&exchange, request.arrivals);
        let mut received = self.pods.take(&exchange);
        if request.arrivals > 0 {
            // Those that nobody waits for come in any order.
            received.sort_by_key(|received| received.pod);
        }
        (response, received)
    }

    /// Begins an exchange that the pod does not end before [`Lab::release`].
    pub(crate) fn hold(&self, side: Side, case: &Case, request: &Request, name: &str) -> Held {
        let exchange = format!("{side:?}:{name}");
        self.pods.expect(&exchange, &request.answers, true);
        let message = request.message(&case.host(), &exchange, None);
        let (host, tls) = (case.host(), Arc::clone(&self.tls[0]));
        let (to, from) = (address(side, request.at()), request.from);
        let secure = request.secure;
        let thread = std::thread::spawn(move || {
            let tls = secure.then_some((host.as_str(), &tls));
            Way { to, from, tls }.exchange(&message, false);
        });
        self.pods.await_request(&exchange);
        Held(thread, exchange)
    }

    /// Ends a held exchange.
    pub(crate) fn release(&self, held: Held) {
        self.pods.release(&held.1);
        held.0.join().expect("it does not panic");
        self.pods.take(&held.1);
    }

    /// Where an entry point of one side is.
    pub(crate) fn at(&self, side: Side, entry_point: &str) -> SocketAddr {
        address(side, entry_point)
    }

    /// A client that trusts everybody, with a certificate of its own or without.
    pub(crate) fn anybody(&self, with_certificate: bool) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.tls[usize::from(with_certificate)]);
        config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate::default()));
        config
    }

    /// Whose certificate it is.
    pub(crate) fn whose(&self, certificate: &CertificateDer<'_>) -> &'static str {
        self.certificates.label(certificate)
    }

    /// The metrics of Traefik, and those of its that ravelin has as well.
    pub(crate) fn metrics(&self) -> [String; 2] {
        let message = b"GET /metrics HTTP/1.1\r\nHost: traefik\r\nConnection: close\r\n\r\n";
        let way = Way { to: traefik::metrics(), from: None, tls: None };
        let theirs = way.exchange(message, false).body;
        [String::from_utf8_lossy(&theirs).into_owned(), self.edge.metrics().0]
    }

    /// The credentials of an administrator.
    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.plane.admin_kubeconfig()
    }

    /// What Traefik and ravelin logged, for a failure.
    pub(crate) fn last_words(&self) -> String {
        format!("--- Traefik:\n{}", self.traefik.last_words())
    }

    fn way<'w>(&'w self, side: Side, request: &Request, host: &'w str) -> Way<'w> {
        let tls = &self.tls[usize::from(request.certificate)];
        let tls = request.secure.then_some((host, tls));
        Way { to: address(side, request.at()), from: request.from, tls }
    }

    /// Both have read everything once they have the route of the last object, and its certificate: all was there
    /// before them.
    fn await_marker(&self) {
        let host = format!("marker.{DOMAIN}");
        for secure in [false, true] {
            let (method, target) = ("GET".to_owned(), "/".to_owned());
            let request = Request { method, target, secure, ..Request::default() };
            for side in [Side::Traefik, Side::Ravelin] {
                eventually(&format!("{side:?} serves the marker"), || {
                    let message = request.message(&host, "marker", None);
                    let way = self.way(side, &request, &host);
                    let response = way.exchange(&message, false);
                    (![0, 404].contains(&response.status)).then_some(())
                });
            }
        }
    }
}

/// Makes all objects; at last the route that [`Lab::await_marker`] asks for.
fn create(plane: &Plane, cases: &[Case], connections: &[tcp::Case], certificates: &Certificates) {
    let mut objects = manifests::common(certificates);
    objects.extend(cases.iter().flat_map(manifests::of));
    objects.extend(tcp::objects(connections));
    let marker: Vec<Value> = serde_saphyr::from_multiple(MARKER).expect("YAML");
    objects.extend(marker);
    for object in objects {
        plane.create(&manifests::collection(&object), &object);
    }
}

/// A route that needs both of Traefik's providers.
const MARKER: &str = "
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: marker, namespace: cases}
spec: {addPrefix: {prefix: /marker}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: marker
  namespace: cases
  annotations:
    kubernetes.io/ingress.class: traefik
    traefik.ingress.kubernetes.io/router.middlewares: cases-marker@kubernetescrd
spec:
  tls:
  - {hosts: [marker.traefik.test], secretName: certificate}
  rules:
  - host: marker.traefik.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}
";

/// Our listeners, of the names of entry points, with protocol and port: pods are told of the port, which is that
/// of the scheme, as it is where Traefik runs.
const LISTENERS: [(&str, &str, u16); 6] = [
    ("web", "http", 80),
    ("websecure", "https", 443),
    ("redirecting", "http", 81),
    ("guarded", "http", 82),
    ("tcp", "tcp", 83),
    ("first", "tcp", 84),
];

/// Where a request goes.
fn address(side: Side, at: &str) -> SocketAddr {
    if side == Side::Traefik {
        return traefik::address(at);
    }
    let found = LISTENERS.iter().find(|(name, _, _)| *name == at);
    SocketAddr::from(([127, 0, 0, 1], found.expect("an entry point of both").2))
}

fn configuration(plane: &Plane) -> String {
    let listener = |(name, protocol, port): (&str, &str, u16)| {
        format!(
            "[[listener]]\nname = {name:?}\naddress = \"127.0.0.1:{port}\"\nprotocol = {protocol:?}\n\
             admit = [\"loopback\", \"lab\"]\ntrusted_proxies = [{PROXIES:?}]\n\
             [[entry_point]]\nname = {name:?}\nlisteners = [{name:?}]\n{}",
            match name {
                "redirecting" => "default = false\nredirect = \"https\"\n",
                "guarded" => "default = false\nmiddlewares = [\"cases-guard@kubernetescrd\"]\n",
                "tcp" | "first" => "default = false\n",
                _ => "",
            }
        )
    };
    format!(
        "workers = 1\n{}[admit]\nlab = [\"10.77.0.0/16\"]\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [cloudflare]\nrefresh = \"off\"\n[log]\naccess = \"off\"\n\
         [metrics]\ntraefik = [\"entrypoints\", \"routers\", \"services\"]\n\
         [source]\nkind = \"kubernetes\"\ningress_classes = [\"traefik\"]\nwrite_back = false\n\
         kubeconfig = {:?}\n",
        LISTENERS.map(listener).concat(),
        plane.admin_kubeconfig()
    )
}
