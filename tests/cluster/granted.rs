//! What ravelin may: each right that the ClusterRole of `deploy/base` gives is needed, and one that
//! is missing is named until it is given.

use crate::edge::{Backend, Edge, QUICK, Setup, Site, class, cluster_role, without};
use crate::eventually;
use crate::plane::Plane;
use crate::served::says;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What is watched: resource, and kind as ravelin names it. Without one of these it serves nothing.
const WATCHED: [(&str, &str); 6] = [
    ("ingresses", "Ingress"),
    ("ingressclasses", "IngressClass"),
    ("services", "Service"),
    ("endpointslices", "EndpointSlice"),
    ("nodes", "Node"),
    ("secrets", "Secret"),
];
/// What is watched where there is such a kind.
const OPTIONAL: [(&str, &str); 9] = [
    ("middlewares", "Middleware"),
    ("ingressroutes", "IngressRoute"),
    ("ingressroutetcps", "IngressRouteTCP"),
    ("middlewaretcps", "MiddlewareTCP"),
    ("traefikservices", "TraefikService"),
    ("serverstransports", "ServersTransport"),
    ("serverstransporttcps", "ServersTransportTCP"),
    ("tlsoptions", "TLSOption"),
    ("tlsstores", "TLSStore"),
];
/// What is watched by name where it is named.
const NAMED: (&str, &str) = ("configmaps", "ConfigMap");
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

/// One ravelin whose role lacks something.
struct Lacking {
    resource: &'static str,
    kind: &'static str,
    role: String,
    edge: Edge,
}

/// Starts one whose role lacks a verb on a resource. Its class is named as its namespace.
fn lacking(
    plane: &Plane,
    namespace: &'static str,
    of: (&'static str, &'static str),
    verb: &str,
) -> Lacking {
    let (resource, kind) = of;
    let account = format!("without-{resource}-{}", if verb == "*" { "all" } else { verb });
    let role = without(&account, resource, verb);
    let kubeconfig: PathBuf = plane.service_account(namespace, &account, &role.to_string());
    let setup = Setup { kubeconfig: &kubeconfig, class: namespace, keys: QUICK };
    Lacking { resource, kind, role: account, edge: Edge::start(plane, &setup) }
}

/// Waits until the one kind that is forbidden, and no other, is named everywhere.
fn is_named(lacking: &Lacking) {
    let Lacking { resource, kind, role, edge } = lacking;
    let start = format!("{kind}: forbidden: {resource}");
    let rest = format!(
        "User \"system:serviceaccount:granted:{role}\" cannot list resource \"{resource}\""
    );
    eventually(&start, || {
        let (status, body) = edge.readyz();
        assert_eq!(status, 503, "{role}: {body}");
        (body.starts_with(&start) && body.contains(&rest) && body.lines().count() == 1)
            .then_some(())
    });
    let page = edge.metrics();
    for (_, other) in WATCHED {
        let synced = page.sum("ravelin_watch_synced", &[("kind", other)]) > 0.5;
        assert_eq!(synced, other != *kind, "{role}: {other}");
        let labels = [("kind", other), ("reason", "forbidden")];
        let failing = page.sum("ravelin_watch_failing", &labels) > 0.5;
        assert_eq!(failing, other == *kind, "{role}: {other}");
    }
    assert!(edge.has_said(|line| says(line, resource, "forbidden")), "{role}: in the log");
}

#[test]
fn everything_that_the_role_lets_be_watched_is_tried_here() {
    let role = cluster_role();
    let rules = role["rules"].as_array().expect("rules").iter();
    let watched =
        rules.filter(|rule| rule["verbs"].as_array().expect("verbs").contains(&"watch".into()));
    let resources = watched.flat_map(|rule| rule["resources"].as_array().expect("resources"));
    let mut named: Vec<&str> = resources.filter_map(Value::as_str).collect();
    let mut tried: Vec<&str> =
        WATCHED.iter().chain(&OPTIONAL).chain([&NAMED]).map(|(resource, _)| *resource).collect();
    named.sort_unstable();
    tried.sort_unstable();
    assert_eq!(named, tried);
}

#[test]
fn a_kind_that_may_not_be_read_is_named_and_all_is_served_once_it_may() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("granted");
    class(&plane, "granted");
    let backend = Backend::start("granted");
    let site = Site { namespace: "granted", name: "a", class: "granted", host: "a.granted" };
    site.create(&plane, &backend);
    let all: Vec<Lacking> = WATCHED.map(|of| lacking(&plane, "granted", of, "*")).into();
    for lacking in &all {
        is_named(lacking);
    }
    for Lacking { role, .. } in &all {
        let whole = without(role, "", "");
        plane.put(&format!("{ROLES}/{role}"), &whole);
    }
    for Lacking { edge, .. } in &all {
        edge.await_ready();
        edge.await_answer("a.granted", "/", "granted");
    }

    // The list alone is enough to serve by, and says nothing of later changes.
    let lacking = lacking(&plane, "granted", WATCHED[3], "watch");
    lacking.edge.await_ready();
    lacking.edge.await_answer("a.granted", "/", "granted");
    lacking.edge.await_failure(lacking.kind, "forbidden");
    assert!(lacking.edge.has_said(|line| {
        says(line, lacking.resource, "forbidden")
            && line["words"].as_str().is_some_and(|words| words.contains("cannot watch"))
    }));
}

#[test]
fn without_the_right_to_read_a_kind_of_traefik_it_is_named_and_all_else_is_served() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("granted-else");
    class(&plane, "granted-else");
    let backend = Backend::start("granted-else");
    let site = Site {
        namespace: "granted-else",
        name: "c",
        class: "granted-else",
        host: "c.granted-else",
    };
    site.create(&plane, &backend);
    let all = OPTIONAL.map(|of| lacking(&plane, "granted-else", of, "*"));
    for Lacking { resource, kind, edge, .. } in all {
        edge.await_ready();
        edge.await_answer("c.granted-else", "/", "granted-else");
        edge.await_failure(kind, "forbidden");
        let words = format!("cannot list resource \"{resource}\"");
        assert!(
            edge.has_said(|line| {
                line["words"].as_str().is_some_and(|said| said.contains(&words))
            })
        );
    }
}

#[test]
fn pages_of_a_config_map_are_served_once_it_may_be_read_and_follow_its_edits() {
    const CONFIG_MAPS: &str = "/api/v1/namespaces/granted-pages/configmaps";
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("granted-pages");
    class(&plane, "granted-pages");
    let site = Site {
        namespace: "granted-pages",
        name: "p",
        class: "granted-pages",
        host: "p.granted-pages",
    };
    plane.create(&site.services(), &site.service());
    let mut ingress = site.ingress();
    ingress["metadata"]["annotations"] = json!({"ravelin.dev/error-pages": "pages"});
    plane.create(&site.ingresses(), &ingress);
    let config_map = |page: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pages"},
            "data": {"503.html": page}})
    };
    plane.create(CONFIG_MAPS, &config_map("first"));
    let Lacking { kind, role, edge, .. } = lacking(&plane, "granted-pages", NAMED, "*");
    edge.await_ready();
    edge.await_failure(kind, "forbidden");
    let (status, body) = edge.get("p.granted-pages", "/");
    assert!(status == 503 && body.contains("no_endpoint"), "{status} {body}");
    plane.put(&format!("{ROLES}/{role}"), &without(&role, "", ""));
    let shows = |page: &str| {
        eventually(page, || {
            (edge.get("p.granted-pages", "/") == (503, page.to_owned())).then_some(())
        });
    };
    shows("first");
    plane.put(&format!("{CONFIG_MAPS}/pages"), &config_map("second"));
    shows("second");
}
