//! From a Deployment to its EndpointSlice, with the calls of scheduler and kubelet as ours.

use crate::plane::Plane;
use serde_json::Value;

const MANIFESTS: &str = "
apiVersion: v1
kind: Node
metadata: {name: deployed-node}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: deployed}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: deployed}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: shop
        image: shop
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {port: http}}
";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/deployed/endpointslices";
const ADDRESS: &str = "10.77.1.1";

/// The conditions `ready`, `serving` and `terminating` of the Pod's endpoint, if it has one.
fn conditions(slice: &Value) -> Option<[bool; 3]> {
    let endpoint = slice["endpoints"].as_array()?.iter().find(|e| e["addresses"][0] == ADDRESS)?;
    Some(["ready", "serving", "terminating"].map(|name| endpoint["conditions"][name] == true))
}

#[test]
fn a_deployment_becomes_an_endpoint_that_gets_ready_terminates_and_goes() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("deployed");
    plane.apply(MANIFESTS);
    let pod = plane.pods("deployed", 1).remove(0);
    let watch = plane.api().watch(&format!("{SLICES}?watch=true"));
    let says = |expected: Option<[bool; 3]>| {
        watch.until(&format!("{expected:?}"), |slice| conditions(slice) == expected)
    };

    plane.bind("deployed", &pod, "deployed-node");
    plane.ready("deployed", &pod, ADDRESS);
    let slice = says(Some([true, true, false]));
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "shop");
    assert_eq!(slice["ports"][0]["port"], 8080);
    assert_eq!(slice["endpoints"][0]["nodeName"], "deployed-node");

    plane.unready("deployed", &pod);
    says(Some([false, false, false]));
    plane.ready("deployed", &pod, ADDRESS);
    says(Some([true, true, false]));

    plane.terminate("deployed", &pod, 5);
    says(Some([false, true, true]));
    let other = plane.pods("deployed", 1).remove(0);
    assert_ne!(other, pod, "its replacement");
    plane.unready("deployed", &pod);
    says(Some([false, false, true]));
    plane.delete("deployed", &pod);
    says(None);
}
