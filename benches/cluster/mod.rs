//! A cluster of 10 000 Ingresses, 5 000 Services and 10 000 EndpointSlices of three endpoints, as an
//! API server sends it, with all that nobody reads.

use ravelin::control::objects::{Object, Objects};
use ravelin::control::watch::kept_of_page;
use ravelin::control::write_back::IngressRef;
use ravelin::model::Kind;
use serde_json::{Value, json};

pub(crate) const INGRESSES: usize = 10_000;
pub(crate) const SERVICES: usize = 5_000;
pub(crate) const SLICES: usize = 10_000;

/// Objects in a page of a list, as the watch asks for them.
const PAGE: usize = 500;

fn metadata(name: &str, labels: &Value) -> Value {
    let manifest = "{\"apiVersion\":\"v1\",\"metadata\":{\"annotations\":{},\"name\":\"x\"}}";
    json!({
        "namespace": "shops",
        "name": name,
        "uid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "resourceVersion": "123456789",
        "generation": 3,
        "creationTimestamp": "2024-05-01T12:00:00Z",
        "labels": labels,
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": manifest,
            "example.com/owner": "team-shops",
        },
        "managedFields": [{
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "manager": "kubectl-client-side-apply",
            "operation": "Update",
            "time": "2024-05-01T12:00:00Z",
            "fieldsV1": {"f:metadata": {"f:annotations": {}, "f:labels": {}}, "f:spec": {}},
        }],
    })
}

/// The Ingress of one host, to the Service of a number.
pub(crate) fn ingress(name: &str, host: &str, service: usize) -> Value {
    let mut metadata = metadata(name, &json!({"app.kubernetes.io/name": name}));
    metadata["annotations"]["traefik.ingress.kubernetes.io/router.entrypoints"] = json!("web");
    let backend = json!({"service": {"name": format!("s-{service}"), "port": {"name": "http"}}});
    json!({
        "metadata": metadata,
        "spec": {
            "ingressClassName": "ravelin",
            "rules": [{
                "host": host,
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
            }],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]}},
    })
}

/// The Ingress of a number, to the Service of another.
pub(crate) fn shop(number: usize, service: usize) -> Value {
    ingress(&format!("shop-{number}"), &format!("shop-{number}.customers.example.com"), service)
}

/// The IngressRoute of a number: five kinds of rules in turn, each for a host of its own.
pub(crate) fn route(number: usize) -> Value {
    let name = format!("shop-{number}");
    let host = format!("Host(`{name}.customers.example.com`)");
    let rule = match number % 5 {
        0 => host,
        1 => format!("{host} && PathPrefix(`/api`)"),
        2 => format!("{host} && Header(`X-Tenant`, `t{number}`)"),
        3 => format!("{host} && PathRegexp(`^/v[0-9]+/`)"),
        _ => format!("{host} && (Method(`GET`) || Method(`HEAD`)) && Query(`page`, `1`)"),
    };
    let service = json!({"name": format!("s-{}", number % SERVICES), "port": 80});
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": metadata(&name, &json!({"app.kubernetes.io/name": name})),
        "spec": {
            "entryPoints": ["web"],
            "routes": [{"match": rule, "kind": "Rule", "services": [service]}],
        },
    })
}

/// The Service of a number, with a port of this name.
pub(crate) fn service(number: usize, port: &str) -> Value {
    let name = format!("s-{number}");
    json!({
        "metadata": metadata(&name, &json!({"app.kubernetes.io/name": name})),
        "spec": {
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10"],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": port, "port": 80, "protocol": "TCP", "targetPort": 8080}],
            "selector": {"app.kubernetes.io/name": name},
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    })
}

/// The slice of a number. Two of three endpoints are the same in each version of it.
pub(crate) fn slice(number: usize, version: usize) -> Value {
    let service = format!("s-{}", number % SERVICES);
    let (high, low) = (number / 250, number % 250);
    let endpoint = |last: usize| {
        json!({
            "addresses": [format!("10.{last}.{high}.{low}")],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": format!("node-{last}"),
            "targetRef": {"kind": "Pod", "name": format!("{service}-{last}"), "uid": "u"},
            "zone": "zone-1",
        })
    };
    let labels = json!({
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": service,
    });
    json!({
        "metadata": metadata(&format!("{service}-{number}"), &labels),
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [endpoint(0), endpoint(1), endpoint(1 + version)],
    })
}

/// What the watch keeps of objects that are sent in one page.
pub(crate) fn kept(kind: Kind, items: &[Value]) -> (Vec<Object>, Vec<IngressRef>) {
    let page = json!({"metadata": {"resourceVersion": "7"}, "items": items}).to_string();
    kept_of_page(kind, page.as_bytes()).expect("a page as the API server sends it")
}

/// Calls `take` with what is kept of each page of a list.
fn each_page(
    kind: Kind,
    count: usize,
    item: impl Fn(usize) -> Value,
    mut take: impl FnMut(Vec<Object>, Vec<IngressRef>),
) {
    for first in (0..count).step_by(PAGE) {
        let items: Vec<Value> = (first..count.min(first + PAGE)).map(&item).collect();
        let (objects, standings) = kept(kind, &items);
        take(objects, standings);
    }
}

/// Adds the objects of one kind. Returns what their statuses say.
pub(crate) fn add(objects: &mut Objects, kind: Kind) -> Vec<IngressRef> {
    let mut all = Vec::new();
    let take = |kept: Vec<Object>, standings| {
        kept.into_iter().for_each(|object| {
            objects.insert(object);
        });
        all.extend(standings);
    };
    match kind {
        Kind::Ingress => {
            each_page(kind, INGRESSES, |number| shop(number, number % SERVICES), take);
        }
        Kind::IngressRoute => each_page(kind, INGRESSES, route, take),
        Kind::Service => each_page(kind, SERVICES, |number| service(number, "http"), take),
        _ => each_page(kind, SLICES, |number| slice(number, 1), take),
    }
    all
}
