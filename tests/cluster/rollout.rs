//! A Deployment rolls out a new version under requests that never pause: Pods get ready, terminate
//! and go, and no visitor notices.

use crate::edge::{Backend, Edge, QUICK, Setup, Site, Visitor, account, class};
use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAMESPACE: &str = "rollout";
const REPLICAS: usize = 3;
const PODS: &str = "/api/v1/namespaces/rollout/pods";
const MANIFESTS: &str = "
apiVersion: v1
kind: Node
metadata: {name: rollout-node}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: rollout}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: rollout}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
      - name: shop
        image: shop:1
        readinessProbe: {httpGet: {port: 8080}}
";

/// The node of all Pods: what runs there, by the Pod's name.
struct Node<'t> {
    plane: &'t Plane,
    edge: &'t Edge,
    running: BTreeMap<String, Backend>,
}

impl Node<'_> {
    /// Does what is to be done for each Pod now, and returns the images of those that live, if there
    /// are no others.
    fn tend(&mut self) -> Option<Vec<String>> {
        let list = self.plane.get(PODS).json();
        let mut images = Vec::new();
        let mut settled = true;
        for pod in list["items"].as_array().expect("a list") {
            let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
            if !pod["metadata"]["deletionTimestamp"].is_null() {
                settled = false;
                self.end(&name);
            } else if self.running.contains_key(&name) {
                let image = &pod["spec"]["containers"][0]["image"];
                images.push(image.as_str().expect("an image").to_owned());
            } else {
                settled = false;
                self.begin(name);
            }
        }
        settled.then_some(images)
    }

    fn begin(&mut self, name: String) {
        let backend = Backend::start("shop");
        self.plane.bind(NAMESPACE, &name, "rollout-node");
        self.plane.ready(NAMESPACE, &name, &backend.addr.ip().to_string());
        self.running.insert(name, backend);
    }

    /// Ends a Pod as it ends that has heard of it no earlier than the proxy.
    fn end(&mut self, name: &str) {
        let addr = self.running[name].addr.ip();
        let slices = "/apis/discovery.k8s.io/v1/namespaces/rollout/endpointslices";
        let terminating = |endpoint: &Value| {
            endpoint["addresses"][0] == addr.to_string()
                && endpoint["conditions"]["terminating"] == true
        };
        eventually("the Pod is known to terminate", || {
            let list = self.plane.get(slices).json();
            let slices = list["items"].as_array().expect("a list").iter();
            let mut all = slices.filter_map(|slice| slice["endpoints"].as_array()).flatten();
            let told = all.any(terminating);
            let labels = [("namespace", NAMESPACE), ("state", "terminating")];
            let seen = self.edge.metrics().sum("ravelin_endpoints", &labels) > 0.5;
            (told && seen).then_some(())
        });
        self.running.remove(name);
        self.plane.delete(NAMESPACE, name);
    }
}

#[test]
fn a_rolling_replacement_under_constant_requests_loses_none() {
    let Some(plane) = Plane::shared() else { return };
    let kubeconfig = account(&plane, NAMESPACE);
    class(&plane, NAMESPACE);
    let setup = Setup { kubeconfig: &kubeconfig, class: NAMESPACE, keys: QUICK };
    let edge = Edge::ready(&plane, &setup);
    plane.apply(MANIFESTS);
    let host = "shop.rollout";
    let site = Site { namespace: NAMESPACE, name: "shop", class: NAMESPACE, host };
    plane.create(&site.ingresses(), &site.ingress());
    let mut node = Node { plane: &plane, edge: &edge, running: BTreeMap::new() };
    let mut runs = |image: &str| {
        eventually(image, || {
            let images = node.tend()?;
            (images.len() == REPLICAS && images.iter().all(|own| own == image)).then_some(())
        });
    };
    runs("shop:1");
    edge.await_answer(host, "/", "shop");

    let visitors = [0, 1].map(|_| Visitor::of(edge.addr(), host, "/"));
    for round in 2..4 {
        let image = format!("shop:{round}");
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "shop", "image": image}]}}}});
        let path = "/apis/apps/v1/namespaces/rollout/deployments/shop";
        let answer = plane.request("PATCH", path, Some(&patch));
        assert_eq!(answer.status, 200, "{}", answer.body);
        runs(&image);
        for visitor in &visitors {
            visitor.is_content();
        }
    }
}
