//! A first evening with ravelin: the mistakes that are usual then, on a real API server. Each is told with object,
//! field and fix, and the commands in the messages are run as they are. Mistakes in files, ports and Cloudflare's zone
//! are in `tests/cli`.

use crate::edge::{Backend, Edge, Pod, QUICK, Setup, Site, all_rules, lacking};
use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const NAMESPACE: &str = "ravelin";
const POD: Pod<'_> = Pod { namespace: NAMESPACE, name: "ravelin-a" };
/// Where servicelb would have to lead packets from.
const PORT: u16 = 8081;

/// What is missing, as the log says it with these words: the fix.
fn missing(edge: &Edge, message: &str, words: &str) -> String {
    eventually(&format!("{words:?} is in the log"), || {
        edge.find_said(|line| {
            let is_it = line["message"] == message && line["missing"].as_str()?.contains(words);
            is_it.then(|| line["fix"].as_str().expect("a fix").to_owned())
        })
    })
}

/// The same of the block that says why nothing is served.
fn obstacle(edge: &Edge, words: &str) -> String {
    missing(edge, "no route is served: missing", words)
}

/// The commands in a fix, which stand in backquotes.
fn commands(fix: &str) -> Vec<&str> {
    fix.split('`').skip(1).step_by(2).collect()
}

/// Runs a command as it is pasted.
fn paste(plane: &Plane, command: &str) {
    plane.shell(Path::new("/"), command);
}

/// The rows of findings that the admin port lists.
fn findings(edge: &Edge) -> Vec<Value> {
    let (status, page) = edge.admin_page("/api/v1/findings");
    assert_eq!(status, 200, "{page}");
    let page: Value = serde_json::from_str(&page).expect("JSON");
    page["items"].as_array().expect("a list").clone()
}

/// The Events in a namespace about an object, as `(reason, note)`.
fn events(plane: &Plane, namespace: &str, kind: &str, name: &str) -> Vec<(String, String)> {
    let list = plane.get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).json();
    let all = list["items"].as_array().expect("a list").iter();
    let ours = all
        .filter(|event| event["regarding"]["kind"] == kind && event["regarding"]["name"] == name);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ours.map(|event| (text(&event["reason"]), text(&event["note"]))).collect()
}

fn role(name: &str, rules: &[Value]) -> String {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": rules})
    .to_string()
}

fn patch(plane: &Plane, path: &str, patch: &Value) {
    let patched = plane.request("PATCH", path, Some(patch));
    assert_eq!(patched.status, 200, "{}", patched.body);
}

/// From no right to read Secrets to a process that is ready.
fn rights_are_granted(plane: &Plane, kubeconfig: &PathBuf) -> Edge {
    let setup = Setup { kubeconfig, class: "ravelin", keys: QUICK };
    let edge = Edge::start_as(plane, &setup, POD);
    let words = "cannot list resource \"secrets\" in API group \"\" at the cluster scope";
    let fix = missing(&edge, "no route is served: right missing", words);
    let [all, alone] = commands(&fix)[..] else { panic!("{fix}") };
    assert_eq!(all, "kubectl apply -f deploy/k3s/ravelin.yaml");
    let (status, body) = edge.readyz();
    assert!(status == 503 && body.contains(words), "{body}");
    paste(plane, alone);
    edge.await_ready();
    edge
}

/// From no class and no Ingress to an Ingress of the class.
fn an_ingress_is_of_the_class(plane: &Plane, edge: &Edge) {
    let fix = obstacle(edge, "IngressClass ravelin does not exist");
    let of_ingress = obstacle(edge, "there is no Ingress in the cluster");
    assert!(findings(edge).iter().any(|row| row["reason"] == "nothing_served"));
    let (reason, note) = eventually("the Event", || {
        events(plane, "default", "IngressClass", "ravelin").into_iter().next()
    });
    assert_eq!(reason, "NothingServed");
    assert!(note.contains("(1) IngressClass ravelin does not exist; (2) there is no"), "{note}");
    assert!(note.contains(". Fix: (1) `echo"), "{note}");
    let listed = plane.kubectl(&["get", "events", "-A"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("NothingServed"), "{listed}");
    paste(plane, commands(&fix)[0]);
    let create = commands(&of_ingress)[0].replace("NAMESPACE", "shop").replace("NAME", "web");
    let create = create.replace("HOST", "shop.example").replace("SERVICE:PORT", "wbe:http");
    assert!(create.contains("--class=ravelin "), "{create}");
    paste(plane, &create.replace("--class=ravelin", "--class=traefik"));
    let fix = obstacle(edge, "but 1 of class traefik (such as shop/web)");
    paste(plane, commands(&fix)[0]);
}

#[test]
fn from_an_empty_cluster_to_a_served_route_by_what_the_log_says() {
    let Some(plane) = Plane::start() else { return };
    plane.namespace(NAMESPACE);
    plane.namespace("shop");
    let rules = lacking(&all_rules(), "secrets", "*");
    let kubeconfig = plane.service_account(NAMESPACE, "ravelin", &role("ravelin", &rules));
    let edge = rights_are_granted(&plane, &kubeconfig);
    an_ingress_is_of_the_class(&plane, &edge);

    let fix = obstacle(&edge, "Ingress shop/web: spec.rules[0].http.paths[0].backend.service.name");
    assert!(fix.contains("`kubectl -n shop get services`"), "{fix}");
    let backend = Backend::start("web");
    let site = Site { namespace: "shop", name: "web", class: "ravelin", host: "shop.example" };
    plane.create(&site.services(), &site.service());
    let ingress = format!("{}/web", site.ingresses());
    let mut to_web = site.ingress();
    let port = json!({"name": "htttp"});
    to_web["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = port;
    patch(&plane, &ingress, &json!({"spec": to_web["spec"]}));
    let fix = obstacle(&edge, "Service \"web\" has no port \"htttp\"");
    assert!(fix.contains("80 (http)"), "{fix}");
    let note = eventually("the Event of the port", || {
        let all = events(&plane, "shop", "Ingress", "web");
        all.into_iter().find_map(|(reason, note)| (reason == "PortMissing").then_some(note))
    });
    assert!(note.contains("backend.service.port.name") && note.contains("80 (http)"), "{note}");
    patch(&plane, &ingress, &json!({"spec": site.ingress()["spec"]}));

    let fix = obstacle(&edge, "Service shop/web: spec.selector matches no pod");
    commands(&fix).into_iter().for_each(|command| paste(&plane, command));
    let mut slice = site.slice(&[backend.addr]);
    slice["endpoints"][0]["conditions"]["ready"] = false.into();
    plane.create(&site.slices(), &slice);
    let fix = obstacle(&edge, "Service shop/web: none of its pods is ready");
    commands(&fix).into_iter().for_each(|command| paste(&plane, command));
    assert!(!edge.has_said(|line| line["message"] == "a route is served now"));
    plane.put(&format!("{}/web", site.slices()), &site.slice(&[backend.addr]));
    edge.await_answer("shop.example", "/", "web");
    eventually("it says so", || {
        edge.has_said(|line| line["message"] == "a route is served now").then_some(())
    });
    eventually("no finding is left", || findings(&edge).is_empty().then_some(()));
    eventually("the Event is resolved", || {
        let all = events(&plane, "default", "IngressClass", "ravelin");
        all.iter().any(|(reason, _)| reason == "Resolved").then_some(())
    });
}

/// A mistake where something else is served: what is made, and how it is told.
struct Mistake {
    yaml: &'static str,
    object: &'static str,
    field: &'static str,
    reason: &'static str,
    fix: &'static str,
}

const MISTAKES: [Mistake; 5] = [
    Mistake {
        yaml: "metadata: {name: class, namespace: shop}\nspec: {ingressClassName: ravelinn, RULES}",
        object: "Ingress shop/class",
        field: "spec.ingressClassName",
        reason: "is \"ravelinn\", but no IngressClass has that name",
        fix: "did you mean \"ravelin\"?",
    },
    Mistake {
        yaml: "metadata: {name: service, namespace: shop}\nspec: {ingressClassName: ravelin, rules: [{http: {paths: [{path: /x, \
               pathType: Prefix, backend: {service: {name: wbe, port: {number: 80}}}}]}}]}",
        object: "Ingress shop/service",
        field: "spec.rules[0].http.paths[0].backend.service.name",
        reason: "there is no Service \"wbe\" in namespace shop",
        fix: "did you mean \"web\"?",
    },
    Mistake {
        yaml: "metadata: {name: elsewhere, namespace: shop}\nspec: {ingressClassName: ravelin, tls: [{hosts: [a.example], \
               secretName: cert}], RULES}",
        object: "Ingress shop/elsewhere",
        field: "spec.tls[0].secretName",
        reason: "there is no Secret \"cert\" in namespace shop",
        fix: "kubectl create secret tls cert -n shop --cert=tls.crt --key=tls.key; a Secret of another namespace cannot be named",
    },
    Mistake {
        yaml: "metadata: {name: half, namespace: shop}\nspec: {ingressClassName: ravelin, tls: [{hosts: [b.example], \
               secretName: half}], RULES}",
        object: "Ingress shop/half",
        field: "spec.tls[0].secretName",
        reason: "data[tls.key] of Secret \"half\" is missing",
        fix: "make it a Secret of type kubernetes.io/tls with PEM in tls.crt and tls.key",
    },
    Mistake {
        yaml: "metadata: {name: typo, namespace: shop, annotations: {ravelin.dev/max-body-sise: 1MiB}}\nspec: {ingressClassName: \
               ravelin, RULES}",
        object: "Ingress shop/typo",
        field: "metadata.annotations[ravelin.dev/max-body-sise]",
        reason: "is unknown, and has no effect",
        fix: "did you mean ravelin.dev/max-body-size?",
    },
];

const RULES: &str = "rules: [{host: other.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: \
                     {name: http}}}}]}}]";

/// Waits until a mistake is told by the admin port and by an Event, and returns the fix.
fn is_told(plane: &Plane, edge: &Edge, mistake: &Mistake) -> String {
    let Mistake { object, field, reason, fix, .. } = mistake;
    let has = |row: &Value, field: &str, words: &str| {
        row[field].as_str().is_some_and(|text| text.contains(words))
    };
    let told = eventually(&format!("{object}: {field}: {reason:?} with {fix:?}"), || {
        findings(edge).into_iter().find(|row| {
            row["object"] == *object
                && row["field"] == *field
                && has(row, "text", reason)
                && has(row, "fix", fix)
        })
    });
    let (kind, name) = object.split_once(' ').expect("kind and name");
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    eventually(&format!("the Event on {object}"), || {
        let all = events(plane, namespace, kind, name);
        all.iter().any(|(_, note)| note.starts_with(field) && note.contains(fix)).then_some(())
    });
    told["fix"].as_str().expect("a text").to_owned()
}

/// What servicelb of k3s makes of Traefik's Service.
fn servicelb(plane: &Plane) {
    plane.apply(&format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: node-a}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: traefik, \
         namespace: shop}}\nspec: {{type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{{name: web, port: {PORT}}}]}}\n"
    ));
    let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}});
    patch(plane, "/api/v1/nodes/node-a/status", &status);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    patch(plane, "/api/v1/namespaces/shop/services/traefik/status", &status);
}

/// Waits until a fix has worked.
fn is_mended(edge: &Edge, object: &str) {
    eventually(&format!("nothing is told of {object}"), || {
        findings(edge).iter().all(|row| row["object"] != object).then_some(())
    });
}

/// One of Traefik beside ours, until the command in the message has been run.
fn two_default_classes(plane: &Plane, edge: &Edge) {
    plane.apply(
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: traefik, annotations: \
         {ingressclass.kubernetes.io/is-default-class: 'true'}}\nspec: {controller: traefik.io/ingress-controller}\n",
    );
    paste(
        plane,
        "kubectl annotate ingressclass ravelin ingressclass.kubernetes.io/is-default-class=true",
    );
    let two = Mistake {
        yaml: "",
        object: "IngressClass ravelin",
        field: "metadata.annotations[ingressclass.kubernetes.io/is-default-class]",
        reason: "on IngressClass traefik as well",
        fix: "`kubectl annotate ingressclass traefik",
    };
    paste(plane, commands(&is_told(plane, edge, &two))[0]);
    is_mended(edge, two.object);
}

#[test]
fn each_mistake_beside_a_served_route_is_told_with_object_field_and_fix() {
    let Some(plane) = Plane::start() else { return };
    plane.namespace(NAMESPACE);
    plane.namespace("shop");
    let role = role("ravelin", &all_rules());
    let kubeconfig = plane.service_account(NAMESPACE, "ravelin", &role);
    crate::edge::class(&plane, "ravelin");
    let backend = Backend::start("web");
    let site = Site { namespace: "shop", name: "web", class: "ravelin", host: "shop.example" };
    site.create(&plane, &backend);
    for (namespace, name) in [("ravelin", "cert"), ("shop", "half")] {
        plane.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData: {{tls.crt: x}}\n"
        ));
    }
    let keys = format!(
        "node_name = \"node-a\"\n{QUICK}\n[[listener]]\nname = \"other\"\naddress = \"127.0.0.1:{PORT}\"\nadmit = [\"loopback\"]"
    );
    let edge = Edge::start_as(
        &plane,
        &Setup { kubeconfig: &kubeconfig, class: "ravelin", keys: &keys },
        POD,
    );
    edge.await_ready();
    edge.await_answer("shop.example", "/", "web");
    for mistake in &MISTAKES {
        let yaml = mistake.yaml.replace("RULES", RULES);
        plane.apply(&format!("apiVersion: networking.k8s.io/v1\nkind: Ingress\n{yaml}\n"));
        is_told(&plane, &edge, mistake);
    }

    servicelb(&plane);
    let taken = Mistake {
        yaml: "",
        object: "Service shop/traefik",
        field: "spec.type",
        reason: "servicelb of k3s (pods svclb-traefik-...) leads port 8081 of the node to it",
        fix: "`kubectl -n shop patch service traefik",
    };
    paste(&plane, commands(&is_told(&plane, &edge, &taken))[0]);
    is_mended(&edge, taken.object);

    two_default_classes(&plane, &edge);
    assert!(!edge.has_said(|line| line["message"] == "no route is served: missing"));
    assert_eq!(edge.get("shop.example", "/").0, 200);
}
