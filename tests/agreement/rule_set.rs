//! Random rule sets, as the manifests that a user would write them in.

use crate::backends::{Backends, SERVICES};
use crate::proxy::marker;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What one directory holds.
#[derive(Clone, Debug)]
pub(crate) struct RuleSet {
    ingresses: Vec<Ingress>,
    services: Vec<Service>,
}

#[derive(Clone, Debug)]
struct Ingress {
    namespace: &'static str,
    /// In which file it stands.
    file: usize,
    created: Option<&'static str>,
    class: Class,
    rules: Vec<Rule>,
    default: Option<Backend>,
}

#[derive(Clone, Copy, Debug)]
enum Class {
    Field,
    Annotation,
    Foreign,
}

#[derive(Clone, Debug)]
struct Rule {
    host: Option<&'static str>,
    paths: Vec<(&'static str, String, Backend)>,
}

/// A Service of the same namespace and a port of it, in JSON.
#[derive(Clone, Debug)]
struct Backend {
    service: &'static str,
    port: Port,
}

#[derive(Clone, Copy, Debug)]
enum Port {
    Name,
    Number,
    /// Of the Service, but of none of its slices.
    Unserved,
    Missing,
    /// Not a Service at all.
    Resource,
}

/// What there is of each of `SERVICES`.
#[derive(Clone, Copy, Debug)]
enum Service {
    Ready,
    NotReady,
    WithoutSlice,
    External,
    Missing,
}

const HOSTS: [Option<&str>; 9] = [
    Some("a.example"),
    Some("b.example"),
    Some("c.b.example"),
    Some("a.b.example"),
    Some("*.example"),
    Some("*.b.example"),
    Some("example"),
    Some("10.0.0.1"),
    None,
];

const KINDS: [&str; 4] = ["Exact", "Prefix", "Prefix", "ImplementationSpecific"];

/// Two that a rule set may lack, and ties for the others.
const CREATED: [Option<&str>; 3] =
    [None, Some("2024-01-01T00:00:00Z"), Some("2023-01-01T00:00:00Z")];

/// Some are refused, so that the rest of their Ingress has to be served without them.
fn paths() -> impl Strategy<Value = String> {
    let elements = prop::sample::select(vec!["/a", "/b", "/ab", "/a-b", "/a.b", "/A", "/a%2Fb"]);
    let written =
        (prop::collection::vec(elements, 0..4), any::<bool>()).prop_map(|(all, slash)| {
            let path = all.concat();
            if slash || path.is_empty() { path + "/" } else { path }
        });
    let odd = prop::sample::select(vec!["/caf\u{e9}", "/%61", "no-slash", "/a//b", "/a/../b"]);
    prop_oneof![12 => written, 1 => odd.prop_map(str::to_owned)]
}

fn backends() -> impl Strategy<Value = Backend> {
    let port = prop_oneof![
        6 => Just(Port::Name),
        6 => Just(Port::Number),
        1 => Just(Port::Unserved),
        1 => Just(Port::Missing),
        1 => Just(Port::Resource),
    ];
    (prop::sample::select(vec!["s0", "s1", "s2"]), port)
        .prop_map(|(service, port)| Backend { service, port })
}

fn ingresses() -> impl Strategy<Value = Ingress> {
    let path = (prop::sample::select(&KINDS[..]), paths(), backends());
    let host = prop::sample::select(&HOSTS[..]);
    let rule =
        (host, prop::collection::vec(path, 0..5)).prop_map(|(host, paths)| Rule { host, paths });
    let class = prop_oneof![6 => Just(Class::Field), 2 => Just(Class::Annotation), 1 => Just(Class::Foreign)];
    let place = (prop::sample::select(vec!["one", "two"]), 0..3usize);
    let created = prop::sample::select(&CREATED[..]);
    let default = prop::option::weighted(0.2, backends());
    (place, created, class, prop::collection::vec(rule, 0..4), default).prop_map(
        |((namespace, file), created, class, rules, default)| Ingress {
            namespace,
            file,
            created,
            class,
            rules,
            default,
        },
    )
}

/// Up to six Ingresses, in two namespaces and three files.
pub(crate) fn rule_sets() -> impl Strategy<Value = RuleSet> {
    let service = prop_oneof![
        8 => Just(Service::Ready),
        1 => Just(Service::NotReady),
        1 => Just(Service::WithoutSlice),
        1 => Just(Service::External),
        1 => Just(Service::Missing),
    ];
    let services = prop::collection::vec(service, SERVICES.len());
    (prop::collection::vec(ingresses(), 1..7), services)
        .prop_map(|(ingresses, services)| RuleSet { ingresses, services })
}

impl RuleSet {
    /// The files: a stream of documents, a List, and a stream that begins with the Services.
    pub(crate) fn files(&self, case: u32, backends: &Backends) -> Vec<(String, String)> {
        let mut files: [Vec<Value>; 3] = Default::default();
        for (service, (namespace, name)) in self.services.iter().zip(SERVICES) {
            files[2].extend(service.objects(namespace, name, backends));
        }
        for (number, ingress) in self.ingresses.iter().enumerate() {
            files[ingress.file].push(ingress.object(number));
        }
        files[0].push(marking(case));
        let [stream, list, services] = files;
        let list = json!({"apiVersion": "v1", "kind": "List", "items": list});
        vec![
            ("b-stream.yaml".to_owned(), documents(&stream)),
            ("a-list.json".to_owned(), list.to_string()),
            ("c-services.yml".to_owned(), documents(&services)),
        ]
    }
}

/// JSON is YAML.
fn documents(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("---\n{object:#}\n")).collect()
}

/// The Ingress by which the test sees that a case is in force. It is the youngest in any tie.
fn marking(case: u32) -> Value {
    let backend = json!({"service": {"name": "s0", "port": {"number": 80}}});
    let paths = json!([{"path": "/marker", "pathType": "Exact", "backend": backend}]);
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "one", "name": "zz-marker"},
        "spec": {
            "ingressClassName": "ravelin",
            "rules": [{"host": marker(case), "http": {"paths": paths}}],
        },
    })
}

impl Ingress {
    fn object(&self, number: usize) -> Value {
        let mut object = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": self.namespace, "name": format!("i{number}")},
            "spec": {},
        });
        if let Some(created) = self.created {
            object["metadata"]["creationTimestamp"] = json!(created);
        }
        match self.class {
            Class::Field => object["spec"]["ingressClassName"] = json!("ravelin"),
            Class::Foreign => object["spec"]["ingressClassName"] = json!("other"),
            Class::Annotation => {
                object["metadata"]["annotations"] =
                    json!({"kubernetes.io/ingress.class": "ravelin"});
            }
        }
        if !self.rules.is_empty() {
            object["spec"]["rules"] = self.rules.iter().map(Rule::value).collect();
        }
        if let Some(default) = &self.default {
            object["spec"]["defaultBackend"] = default.value();
        }
        object
    }
}

impl Rule {
    fn value(&self) -> Value {
        let path = |(kind, path, backend): &(_, String, Backend)| json!({"pathType": kind, "path": path, "backend": backend.value()});
        let mut rule = json!({});
        if let Some(host) = self.host {
            rule["host"] = json!(host);
        }
        // One without paths stands for a rule without `http`.
        if !self.paths.is_empty() {
            rule["http"] = json!({"paths": self.paths.iter().map(path).collect::<Vec<_>>()});
        }
        rule
    }
}

impl Backend {
    fn value(&self) -> Value {
        let port = match self.port {
            Port::Name => json!({"name": "http"}),
            Port::Number => json!({"number": 80}),
            Port::Unserved => json!({"name": "other"}),
            Port::Missing => json!({"number": 81}),
            Port::Resource => return json!({"resource": {"kind": "Bucket", "name": "static"}}),
        };
        json!({"service": {"name": self.service, "port": port}})
    }
}

impl Service {
    fn objects(self, namespace: &str, name: &str, backends: &Backends) -> Vec<Value> {
        let metadata = json!({"namespace": namespace, "name": name});
        let ports = json!([{"name": "http", "port": 80}, {"name": "other", "port": 8080}]);
        let spec = match self {
            Self::External => {
                json!({"type": "ExternalName", "externalName": "a.test", "ports": ports})
            }
            _ => json!({"ports": ports}),
        };
        let service =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
        let address = backends.address(&format!("{namespace}/{name}"));
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "namespace": namespace, "name": format!("{name}-1"),
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": address.port()}],
            "endpoints": [{
                "addresses": [address.ip().to_string()],
                "conditions": {"ready": matches!(self, Self::Ready)},
            }],
        });
        match self {
            Self::Missing => Vec::new(),
            Self::WithoutSlice | Self::External => vec![service],
            Self::Ready | Self::NotReady => vec![service, slice],
        }
    }
}
