//! The objects of a case, and of all cases.

use crate::cases::Case;
use crate::certificates::Certificates;
use crate::pods;
use crate::random_rules;
use crate::routes::{self, ingress_path, middleware_object};
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// The namespace of the cases.
pub(crate) const NAMESPACE: &str = "cases";
/// Another namespace, which cases refer to.
pub(crate) const ELSEWHERE: &str = "elsewhere";
/// What hosts of cases end with: one certificate covers all of them.
pub(crate) const DOMAIN: &str = "traefik.test";
/// Of Traefik's annotations.
pub(crate) const PREFIX: &str = "traefik.ingress.kubernetes.io/";
/// The Secret with the certificate.
pub(crate) const CERTIFICATE: &str = "certificate";

/// The Secret with the authority of clients' certificates, and the TLSOption that asks for them.
pub(crate) const CLIENTS: &str = "clients";

/// The Secret with the certificate of a client, and its key.
pub(crate) const CLIENT: &str = "client";

/// The Secret with the authority of the pods' certificates, and the ConfigMap.
pub(crate) const AUTHORITY: &str = "authority";

/// Namespaces, Services with their pods, certificates, the middleware of the entry point `guarded`: what every case may refer to.
pub(crate) fn common(certificates: &Certificates) -> Vec<Value> {
    let [certificate, key] = certificates.of_hosts();
    let namespace =
        |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mut objects = vec![namespace(NAMESPACE), namespace(ELSEWHERE)];
    for place in [NAMESPACE, ELSEWHERE] {
        for name in pods::NAMES {
            objects.extend(service(place, name, &Map::new(), &[pods::ip(name)]));
        }
        objects.extend(service(place, "dead", &Map::new(), &[pods::NOBODY]));
        objects.extend(service(place, "empty", &Map::new(), &[]));
        objects.push(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": CERTIFICATE, "namespace": place},
            "stringData": {"tls.crt": certificate, "tls.key": key}}));
    }
    objects.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"name": "guard", "namespace": NAMESPACE},
        "spec": {"addPrefix": {"prefix": "/guarded"}}}));
    for at in 0..random_rules::MOST_ROUTES {
        let spec = json!({"addPrefix": {"prefix": format!("/route-{at}")}});
        let mut object = middleware_object(&format!("{}-{at}", random_rules::KIND), &spec);
        object["metadata"]["namespace"] = NAMESPACE.into();
        objects.push(object);
    }
    objects.push(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": CLIENTS, "namespace": NAMESPACE},
        "stringData": {"ca.crt": certificates.authority()}}));
    objects.push(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": AUTHORITY, "namespace": NAMESPACE},
        "stringData": {"tls.ca": certificates.authority()}}));
    objects.push(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": AUTHORITY, "namespace": NAMESPACE},
        "data": {"ca.crt": certificates.authority()}}));
    let [certificate, key] = certificates.of_client();
    objects.push(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": CLIENT, "namespace": NAMESPACE},
        "stringData": {"tls.crt": certificate, "tls.key": key}}));
    objects.extend(of_tls(certificates));
    objects.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "TLSOption",
        "metadata": {"name": CLIENTS, "namespace": NAMESPACE},
        "spec": {"clientAuth": {"secretNames": [CLIENTS],
            "clientAuthType": "RequireAndVerifyClientCert"}}}));
    objects
}

/// The further certificates, the default TLSStore, and the default TLSOption.
fn of_tls(certificates: &Certificates) -> Vec<Value> {
    let of_traefik = |kind: &str, spec: Value| {
        json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
            "metadata": {"name": "default", "namespace": NAMESPACE}, "spec": spec})
    };
    let secrets = certificates.named().map(|(label, [certificate, key])| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": format!("certificate-{label}"), "namespace": NAMESPACE},
            "stringData": {"tls.crt": certificate, "tls.key": key}})
    });
    let store = json!({"defaultCertificate": {"secretName": "certificate-default"}});
    let of_default = [
        of_traefik("TLSStore", store),
        of_traefik("TLSOption", json!({"minVersion": "VersionTLS13"})),
    ];
    secrets.chain(of_default).collect()
}

/// The objects of one case.
pub(crate) fn of(case: &Case) -> Vec<Value> {
    let name = case.object_name();
    let mut objects = Vec::new();
    let mut references = Vec::new();
    for (at, spec) in case.middlewares.iter().enumerate() {
        if let Some(reference) = spec.as_str() {
            references.push(reference.replace("$NAME", &name));
            continue;
        }
        let middleware = format!("{name}-{at}");
        references.push(format!("{NAMESPACE}-{middleware}@kubernetescrd"));
        objects.push(middleware_object(&middleware, spec));
    }
    let mut app = "app";
    if let Some(annotations) = &case.service {
        app = &name;
        objects.extend(service(NAMESPACE, &name, annotations, &[pods::ip("app")]));
    }
    objects.extend(case.objects.iter().cloned());
    let mut spec = json!({});
    if !case.entry_points.is_empty() {
        spec["entryPoints"] = json!(case.entry_points);
    }
    if let Some(tls) = &case.tls {
        spec["tls"] = tls.clone();
    }
    objects.extend(routes::of(&case.routes, spec, &name));
    if case.routes.is_empty() || !case.paths.is_empty() {
        objects.push(ingress(case, &name, app, &references));
    }
    let written = serde_json::to_string(&objects).expect("JSON");
    let written = written.replace("$NAME", &name).replace("$HOST", &case.host());
    let mut objects: Vec<Value> = serde_json::from_str(&written).expect("JSON");
    for object in &mut objects {
        if object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = NAMESPACE.into();
        }
    }
    objects
}

/// The Ingress of a case.
fn ingress(case: &Case, name: &str, app: &str, references: &[String]) -> Value {
    let mut annotations = case.annotations.clone();
    // Both take an Ingress by it. An IngressClass has one controller.
    annotations.insert("kubernetes.io/ingress.class".to_owned(), json!("traefik"));
    if !references.is_empty() {
        annotations.insert(format!("{PREFIX}router.middlewares"), references.join(",").into());
    }
    let paths =
        if case.paths.is_empty() { vec!["Prefix /".to_owned()] } else { case.paths.clone() };
    let paths: Vec<Value> = paths.iter().map(|path| ingress_path(path, app)).collect();
    let hosts = if case.hosts.is_empty() { vec![case.host()] } else { case.hosts.clone() };
    let rules: Vec<Value> =
        hosts.iter().map(|host| json!({"host": host, "http": {"paths": paths}})).collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"rules": rules, "tls": [{"hosts": hosts, "secretName": CERTIFICATE}]}})
}

/// A Service without controller, and its slice.
fn service(
    namespace: &str,
    name: &str,
    annotations: &Map<String, Value>,
    pods: &[Ipv4Addr],
) -> Vec<Value> {
    let endpoints: Vec<Value> = pods.iter().map(|ip| json!({"addresses": [ip]})).collect();
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": pods::PORT},
            {"name": "https", "port": 443, "targetPort": pods::TLS_PORT},
            {"name": "tls", "port": 8443, "targetPort": pods::TLS_PORT},
            {"name": "asking", "port": 9443, "targetPort": pods::ASKING_PORT}]}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{name}-1"), "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "http", "port": pods::PORT}, {"name": "https", "port": pods::TLS_PORT},
            {"name": "tls", "port": pods::TLS_PORT},
            {"name": "asking", "port": pods::ASKING_PORT}]});
    vec![service, slice]
}

/// Where the API server takes an object of this kind.
pub(crate) fn collection(object: &Value) -> String {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let below = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    let plural = match kind.to_ascii_lowercase() {
        kind if kind.ends_with("ss") => format!("{kind}es"),
        kind => format!("{kind}s"),
    };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{below}/namespaces/{namespace}/{plural}"),
        None => format!("{below}/{plural}"),
    }
}
