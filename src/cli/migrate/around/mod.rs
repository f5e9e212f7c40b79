//! What hangs on a Traefik besides its routes, and trips people on the way.

mod network;
mod release;

use super::documents::{Document, Documents};
use super::installation::Front;
use super::routes::Cause;
use crate::control::manifest;
use serde::Serialize;
use serde_json::Value;

/// Something to do before or during the swap.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Matter {
    pub(super) topic: Topic,
    #[serde(flatten)]
    pub(super) cause: Cause,
}

/// Most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Topic {
    /// Objects that go with the Helm releases of Traefik.
    Vanishing,
    /// Balancers that go with Traefik's Service.
    Balancers,
    /// Hosts whose certificate Cloudflare refuses.
    Certificates,
    /// Kinds of Traefik that are not read.
    Kinds,
    Issuers,
    NetworkPolicies,
    AddressLists,
    ClasslessIngresses,
    ExternalDns,
    Monitoring,
}

impl Topic {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Vanishing => "Objects that vanish with Traefik",
            Self::Balancers => "Load balancers that vanish with Traefik's Service",
            Self::Certificates => "Certificates that Cloudflare refuses (Full, Full (strict))",
            Self::Kinds => "Objects that Traefik may serve by, and that are not read",
            Self::Issuers => "Issuers that need Traefik for their challenges",
            Self::NetworkPolicies => "NetworkPolicies that admit Traefik's pods",
            Self::AddressLists => "Lists of addresses that Traefik compared behind servicelb",
            Self::ClasslessIngresses => "Ingresses without a class",
            Self::ExternalDns => "DNS records that external-dns makes of the status",
            Self::Monitoring => "Alerts on metrics of Traefik",
        }
    }
}

/// How ravelin is going to take routes.
pub(super) struct Plan<'p> {
    pub(super) class: &'p str,
    /// Whether it serves this class as it is.
    pub(super) takes_class: bool,
    /// What had the ports of the nodes.
    pub(super) front: Front,
}

/// Everything but certificates.
pub(super) fn matters(documents: &Documents, plan: &Plan<'_>) -> Vec<Matter> {
    let mut matters = Vec::new();
    release::add(documents, &mut matters);
    if plan.front == Front::ServiceLb {
        network::add_lists(documents, &mut matters);
    }
    network::add(documents, &mut matters);
    issuers(documents, plan, &mut matters);
    classless(documents, plan, &mut matters);
    external_dns(documents, &mut matters);
    monitoring(documents, &mut matters);
    kinds(documents, &mut matters);
    matters.sort();
    matters.dedup();
    matters
}

fn add(
    matters: &mut Vec<Matter>,
    topic: Topic,
    object: String,
    field: &str,
    reason: &str,
    fix: &str,
) {
    let (field, reason, fix) = (field.to_owned(), reason.to_owned(), fix.to_owned());
    matters.push(Matter { topic, cause: Cause { object, field, reason, fix } });
}

/// Whether an Ingress names no class, neither in its field nor in the old annotation.
pub(super) fn is_classless(ingress: &Document) -> bool {
    let old = ingress.annotation("kubernetes.io/ingress.class").unwrap_or_default();
    ingress.text("/spec/ingressClassName").unwrap_or_default().is_empty() && old.is_empty()
}

fn issuers(documents: &Documents, plan: &Plan<'_>, matters: &mut Vec<Matter>) {
    let issuers = ["Issuer", "ClusterIssuer"].map(|kind| documents.of(kind, "cert-manager.io"));
    for issuer in issuers.into_iter().flatten() {
        for (at, solver) in issuer.list("/spec/acme/solvers").iter().enumerate() {
            let Some(ingress) = solver.pointer("/http01/ingress") else { continue };
            let named = ["ingressClassName", "class"];
            let named = named.iter().find_map(|key| Some((*key, ingress.get(*key)?.as_str()?)));
            let field = format!("spec.acme.solvers[{at}].http01.ingress");
            let (field, class) = match named {
                Some((key, class)) => (format!("{field}.{key}"), class),
                None if ingress.get("name").is_some() => continue,
                None => (field, ""),
            };
            if !class.is_empty() && class != plan.class {
                continue;
            }
            let what = match class {
                "" => "its challenges have Ingresses without a class".to_owned(),
                class => format!("its challenges have the class {class:?}"),
            };
            let (then, fix) = match plan.takes_class {
                true => (
                    "which ravelin serves; but the CA's requests reach it only through Cloudflare",
                    "keep its hosts proxied, or use DNS-01",
                ),
                false => (
                    "which nobody serves once Traefik is gone: renewals fail",
                    "set ingressClassName to \"ravelin\" with the swap (requests of the CA reach ravelin only through \
                     Cloudflare: keep its hosts proxied), or use DNS-01",
                ),
            };
            let reason = format!(
                "{what}, {then}; cert-manager asks its own question from a pod, which a listener admits with the set \"pods\""
            );
            add(matters, Topic::Issuers, issuer.object(), &field, &reason, fix);
        }
    }
}

/// What several objects are called of which the same is said, if there are any.
fn together(all: &[&Document]) -> Option<String> {
    let first = all.first()?.object();
    Some(match all.len() {
        1 => first,
        number => format!("{first} and {} more", number - 1),
    })
}

fn classless(documents: &Documents, plan: &Plan<'_>, matters: &mut Vec<Matter>) {
    let all: Vec<&Document> =
        documents.of("Ingress", "networking.k8s.io").filter(|it| is_classless(it)).collect();
    let Some(object) = together(&all) else { return };
    let reason =
        "names no class: Traefik takes it; once Traefik and its IngressClass are gone, nobody does";
    let now = match plan.takes_class {
        true => "the written ravelin.toml has source.ingress_without_class = true",
        false => "their copies have the class ravelin (COMMANDS.md)",
    };
    let fix = format!(
        "{now}; for new ones, annotate IngressClass ravelin with ingressclass.kubernetes.io/is-default-class: \"true\", and remove \
         that from Traefik's"
    );
    add(matters, Topic::ClasslessIngresses, object, "spec.ingressClassName", reason, &fix);
}

fn external_dns(documents: &Documents, matters: &mut Vec<Matter>) {
    let is_image =
        |document: &&Document| document.images().any(|image| image.contains("external-dns"));
    let workload = documents.of("Deployment", "apps").find(is_image);
    let begin = "external-dns.alpha.kubernetes.io/";
    let has_hostname =
        |ingress: &Document| ingress.annotation(&format!("{begin}hostname")).is_some();
    let is_asked = |ingress: &&Document| {
        (workload.is_some() || has_hostname(ingress))
            && ingress.annotation(&format!("{begin}target")).is_none()
    };
    let all: Vec<&Document> =
        documents.of("Ingress", "networking.k8s.io").filter(is_asked).collect();
    if let Some(object) = together(&all) {
        let reason = "external-dns makes records of the status: ravelin writes the addresses of its nodes there, which may be \
                      private (InternalIP), where Traefik wrote that of its Service";
        let fix = format!("set source.status_addresses, or the annotation {begin}target");
        add(matters, Topic::ExternalDns, object, "status.loadBalancer", reason, &fix);
    }
    let Some(workload) = workload else { return };
    for container in workload.list("/spec/template/spec/containers") {
        let args = container.get("args").and_then(Value::as_array).into_iter().flatten();
        if args.filter_map(Value::as_str).any(|arg| arg == "--source=traefik-proxy") {
            let reason = "makes records of Traefik's own objects, which vanish with their CRDs";
            let fix = "keep the CRDs, or use the source ingress";
            add(matters, Topic::ExternalDns, workload.object(), "args", reason, fix);
        }
    }
}

fn monitoring(documents: &Documents, matters: &mut Vec<Matter>) {
    for (kind, group) in
        [("PrometheusRule", "monitoring.coreos.com"), ("VMRule", "operator.victoriametrics.com")]
    {
        for rule in documents.of(kind, group) {
            let names = rule
                .value
                .pointer("/spec")
                .is_some_and(|spec| spec.to_string().contains("traefik_"));
            if names {
                let reason = "asks for metrics of Traefik, which end with it";
                let fix = "rewrite it for ravelin_* (config/README.md, Metrics): otherwise it never fires";
                add(matters, Topic::Monitoring, rule.object(), "spec.groups", reason, fix);
            }
        }
    }
}

/// Objects of Traefik that change routes and are not read, and routes of the Gateway API, which it may serve.
fn kinds(documents: &Documents, matters: &mut Vec<Matter>) {
    let is_route =
        |it: &&Document| it.group == "gateway.networking.k8s.io" && it.kind.ends_with("Route");
    for route in documents.all.iter().filter(is_route) {
        let reason = "objects of the Gateway API are not served";
        let fix = "if Traefik serves it, write an Ingress for its routes";
        add(matters, Topic::Kinds, route.object(), "", reason, fix);
    }
    for document in documents.all.iter().filter(|document| document.group.starts_with("traefik.")) {
        let version = format!("{}/v1alpha1", document.group);
        if manifest::is_read(&document.kind, &version) || document.kind.starts_with("IngressRoute")
        {
            continue;
        }
        let (reason, fix) = match (document.group.as_str(), document.kind.as_str()) {
            ("traefik.containo.us", _) => (
                "Traefik 3 ignores this group as well",
                "change the group to traefik.io, or remove the object",
            ),
            _ => ("is not read", "find out what it is for before you swap"),
        };
        add(matters, Topic::Kinds, document.object(), "", reason, fix);
    }
}
