//! A Deployment whose Pods are real processes, under requests that never pause: it rolls out, hears
//! of it late, has a Pod killed without a word and another one stopped, as kube-controller-manager
//! writes its slices.

mod faults;
mod node;
mod pod;
mod relay;
mod updates;

use crate::edge::{Edge, Load, Method, Site, account, class};
use crate::plane::Plane;
use node::Node;
use pod::Life;
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const REPLICAS: usize = 3;
/// Between two requests of one visitor.
const PAUSE: Duration = Duration::from_millis(2);
/// How pods live, if nothing else is said: one that is asked to end goes on for as long as the news
/// of it takes, many times over.
const LIFE: Life = Life {
    start: Duration::from_millis(200),
    work: Duration::from_millis(2),
    linger: Duration::from_secs(2),
};

/// What is rolled out, and under which conditions. Namespace, class and account are called alike.
struct Setting<'s> {
    namespace: &'s str,
    life: Life,
    /// How long a Pod has to be ready before the next one is replaced, in seconds.
    min_ready_seconds: u32,
    /// Where ravelin finds the API server, if not at its own address.
    api_server: Option<SocketAddr>,
    /// Lines of `[timeouts]`.
    timeouts: &'s str,
}

impl<'s> Setting<'s> {
    fn usual(namespace: &'s str) -> Self {
        let timeouts = "";
        Self { namespace, life: LIFE, min_ready_seconds: 0, api_server: None, timeouts }
    }

    fn host(&self) -> String {
        format!("shop.{}", self.namespace)
    }

    /// Makes all objects, starts the Pods and ravelin, and waits until it serves them.
    fn start<'t>(&'t self, plane: &'t Plane) -> (Node<'t>, Edge) {
        let kubeconfig = account(plane, self.namespace);
        class(plane, self.namespace);
        plane.apply(&self.manifests());
        let (name, host) = ("shop", self.host());
        let site = Site { namespace: self.namespace, name, class: self.namespace, host: &host };
        plane.create(&site.ingresses(), &site.ingress());
        let mut node = Node::of(plane, self.namespace, self.life);
        node.until("the Pods are ready", |node| node.runs("shop:1", REPLICAS).then_some(()));
        let kubeconfig = self.kubeconfig(plane, kubeconfig);
        let edge = Edge::configured(plane, &self.configuration(&kubeconfig), None);
        edge.await_ready();
        node.until("all Pods are endpoints", |_| has_endpoints(&edge, REPLICAS).then_some(()));
        edge.await_status(&host, "/", 200);
        (node, edge)
    }

    /// Has the Deployment roll out another image, and waits for the end of that.
    fn roll_out(&self, plane: &Plane, node: &mut Node<'_>, version: usize) {
        let image = format!("shop:{version}");
        let containers = json!([{"name": "shop", "image": image}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/shop", self.namespace);
        let answer = plane.request("PATCH", &path, Some(&patch));
        assert_eq!(answer.status, 200, "{}", answer.body);
        node.until(&image, |node| node.runs(&image, REPLICAS).then_some(()));
    }

    fn manifests(&self) -> String {
        let Self { namespace, min_ready_seconds, .. } = self;
        format!(
            "
apiVersion: v1
kind: Node
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: {namespace}}}
spec: {{selector: {{app: shop}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop, namespace: {namespace}}}
spec:
  replicas: {REPLICAS}
  minReadySeconds: {min_ready_seconds}
  selector: {{matchLabels: {{app: shop}}}}
  strategy: {{rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  template:
    metadata: {{labels: {{app: shop}}}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
      - name: shop
        image: shop:1
        readinessProbe: {{httpGet: {{port: 8080}}}}
"
        )
    }

    /// The kubeconfig that ravelin gets.
    fn kubeconfig(&self, plane: &Plane, own: PathBuf) -> PathBuf {
        let Some(addr) = self.api_server else { return own };
        let text = fs::read_to_string(&own).expect("a file of ours");
        let other = own.with_extension("relayed");
        let text = text.replace(&plane.addr().to_string(), &addr.to_string());
        fs::write(&other, text).expect("a folder of ours");
        other
    }

    fn configuration(&self, kubeconfig: &Path) -> String {
        let Self { namespace, timeouts, .. } = self;
        format!(
            "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
             admit = [\"loopback\"]\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [cloudflare]\nrefresh = \"off\"\n[log]\naccess = \"off\"\n[timeouts]\n{timeouts}\n\
             [source]\nkind = \"kubernetes\"\ningress_class = {namespace:?}\n\
             namespaces = [{namespace:?}]\nwrite_back = false\nkubeconfig = {kubeconfig:?}\n"
        )
    }
}

/// Whether ravelin has so many endpoints that are ready.
fn has_endpoints(edge: &Edge, count: usize) -> bool {
    let found = edge.metrics().sum("ravelin_endpoints", &[("state", "ready")]);
    (found - count as f64).abs() < 0.5
}

/// How often ravelin has sent a request again, for any reason or for one.
fn retries(edge: &Edge, labels: &[(&str, &str)]) -> f64 {
    edge.metrics().sum("ravelin_upstream_retries_total", labels)
}

/// Prints what a load has come to, for who asks for the output of tests.
#[expect(clippy::print_stdout, reason = "figures, for who asks for the output of tests")]
fn report(what: &str, load: &Load, edge: &Edge) {
    let of = |method| {
        let failed = load.failures().iter().filter(|failure| failure.method == method).count();
        format!("{} requests {failed} failed", load.requests(method))
    };
    println!(
        "{what}: GET {}, POST {}, slowest {:.0} ms, {} sent again",
        of(Method::Get),
        of(Method::Post),
        load.slowest().as_secs_f64() * 1e3,
        retries(edge, &[]),
    );
}
