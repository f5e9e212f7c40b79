//! What is said while nothing is served, and that nothing is once something is.

use super::{BASE, mk_backend, mk_ingress, objects, options};
use crate::control::objects::Objects;
use crate::control::source::Changes;
use crate::control::translate::{Guidance, Options, Translator};
use crate::model::{Diagnostic, Why};

fn guided(ports: &[u16]) -> Options {
    let guidance = Guidance { ports: ports.to_vec(), namespaces: Vec::new() };
    Options { guidance: Some(guidance), node: Some("n1".into()), ..options() }
}

/// What is in the way, as `missing | fix`, and the findings.
fn obstacles(options: Options, yaml: &str) -> (Vec<String>, Vec<Diagnostic>) {
    let changes = objects(yaml).changes_from(&Objects::default());
    let mut translator = Translator::new(options);
    let effect = translator.apply(Changes { objects: changes, findings: None });
    let all = effect.obstacles.expect("all of it at the first time");
    let words = all.iter().map(|it| format!("{} | {}", it.missing, it.fix)).collect();
    let findings = effect.findings.expect("likewise");
    (words, findings.iter().map(|finding| Diagnostic::clone(finding)).collect())
}

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: ravelin}
spec: {controller: ravelin.dev/ingress-controller}
---";

/// The one thing that is missing.
fn the_one(yaml: &str) -> String {
    let (mut all, _) = obstacles(guided(&[]), yaml);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn in_an_empty_cluster_the_class_comes_first_and_then_an_ingress() {
    let (all, findings) = obstacles(guided(&[]), "");
    assert_eq!(
        all,
        [
            "IngressClass ravelin does not exist | `echo '{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"IngressClass\",\
             \"metadata\":{\"name\":\"ravelin\"},\"spec\":{\"controller\":\"ravelin.dev/ingress-controller\"}}' | kubectl apply \
             -f -`; deploy/base and the chart have it as well",
            "there is no Ingress in the cluster | `kubectl -n NAMESPACE create ingress NAME --class=ravelin \
             --rule='HOST/*=SERVICE:PORT'`",
        ]
    );
    let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
    let line = finding.to_string();
    assert!(
        line.starts_with(
            "warning: IngressClass ravelin: no route is served: (1) IngressClass ravelin does not exist; (2) there is no Ingress \
             in the cluster (fix: (1) `echo"
        ),
        "{line}"
    );
}

#[test]
fn a_class_of_another_controller_is_named_with_the_command_that_replaces_it() {
    let class = CLASS.replace("ravelin.dev/ingress-controller", "traefik.io/ingress-controller");
    let (all, _) = obstacles(guided(&[]), &class);
    assert!(
        all[0].starts_with(
            "IngressClass ravelin: spec.controller is \"traefik.io/ingress-controller\", and not \"ravelin.dev/ingress-controller\" | \
             `kubectl delete ingressclass ravelin && echo"
        ),
        "{all:#?}"
    );
}

#[test]
fn ingresses_of_other_classes_are_counted_and_the_first_is_named_with_its_patch() {
    let of = |name: &str, class: &str| {
        format!(
            "\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec: {{{class}}}\n---"
        )
    };
    let yaml =
        [of("a", "ingressClassName: traefik"), of("b", "ingressClassName: traefik"), of("c", "")];
    let one = the_one(&format!("{CLASS}{}", yaml.concat()));
    assert_eq!(
        one,
        "no Ingress is of class ravelin, but 2 of class traefik (such as default/a), 1 without a class (such as default/c) | \
         `kubectl -n default patch ingress a --type=merge -p '{\"spec\":{\"ingressClassName\":\"ravelin\"}}'`; or for all of \
         Traefik's at once, `ingress_classes = [\"traefik\"]` under [source] of ravelin.toml, and `kubectl -n ravelin rollout \
         restart ds/ravelin`"
    );
}

#[test]
fn a_service_that_is_missing_or_has_no_ready_pod_is_named_with_what_to_look_at() {
    let to = |service: &str, port: &str| {
        mk_ingress(&mk_backend(&format!("{{service: {{name: {service}, port: {port}}}}}")))
    };
    let one = the_one(&format!("{BASE}{}", to("wbe", "{number: 80}")));
    assert!(one.contains("there is no Service \"wbe\" in namespace default"), "{one}");
    assert!(one.contains("did you mean \"web\"?"), "{one}");
    assert!(one.ends_with("see `kubectl -n default get services`"), "{one}");
    let one = the_one(&format!("{BASE}{}", to("web", "{name: htp}")));
    assert!(one.contains("Service \"web\" has no port \"htp\""), "{one}");
    let one = the_one(&format!("{BASE}{}", to("api", "{number: 9000}")));
    assert!(one.starts_with("Service default/api: spec.selector matches no pod"), "{one}");
    assert!(one.contains("`kubectl -n default get pods --show-labels`"), "{one}");
    let unready = BASE.replace("[10.0.0.1]", "[10.0.0.1], conditions: {ready: false}");
    let one = the_one(&format!("{unready}{}", to("web", "{name: http}")));
    assert!(one.starts_with("Service default/web: none of its pods is ready"), "{one}");
    assert!(one.contains("`kubectl -n default get pods`"), "{one}");
}

#[test]
fn nothing_is_said_where_one_route_is_served_or_the_manifests_are_no_cluster() {
    let right = mk_ingress(&mk_backend("{service: {name: web, port: {name: http}}}"));
    let (all, findings) = obstacles(guided(&[80]), &format!("{BASE}{right}"));
    assert_eq!((all, findings), (vec![], vec![]));
    let (all, findings) = obstacles(options(), "");
    assert_eq!((all, findings), (vec![], vec![]));
}

/// What servicelb writes for Traefik of k3s.
fn balanced(kind: &str, address: &str) -> String {
    format!(
        "{BASE}
apiVersion: v1
kind: Node
metadata: {{name: n1}}
status: {{addresses: [{{type: InternalIP, address: 192.0.2.1}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: traefik, namespace: kube-system}}
spec: {{type: {kind}, ports: [{{name: web, port: 80}}, {{name: other, port: 8443}}]}}
status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}
---{}",
        mk_ingress(&mk_backend("{service: {name: web, port: {name: http}}}"))
    )
}

#[test]
fn a_port_that_servicelb_takes_on_our_node_is_told_although_routes_are_served() {
    let (all, findings) = obstacles(guided(&[80, 443]), &balanced("LoadBalancer", "192.0.2.1"));
    assert_eq!(all, [""; 0]);
    let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
    assert_eq!(finding.why, Why::PortTaken);
    assert_eq!(
        finding.to_string(),
        "warning: Service kube-system/traefik: spec.type: is LoadBalancer, and servicelb of k3s (pods svclb-traefik-...) leads port 80 \
         of the node to it: no packet gets to ravelin (fix: `kubectl -n kube-system patch service traefik --type=merge -p \
         '{\"spec\":{\"type\":\"ClusterIP\"}}'`; Traefik of k3s has it back after a restart of k3s, so disable it or follow \
         deploy/swap-from-traefik.md)"
    );
    // Another node, a balancer of a provider, other ports, no balancer.
    for (ports, yaml) in [
        (&[80][..], balanced("LoadBalancer", "192.0.2.2")),
        (&[443], balanced("LoadBalancer", "192.0.2.1")),
        (&[80], balanced("ClusterIP", "192.0.2.1")),
    ] {
        let (_, findings) = obstacles(guided(ports), &yaml);
        assert_eq!(findings, [], "{yaml}");
    }
}

#[test]
fn two_default_classes_are_told_with_the_command_that_leaves_one() {
    let default = "annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}";
    let class = |name: &str, controller: &str| {
        format!(
            "\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}, {default}}}\nspec: {{controller: \
             {controller}}}\n---"
        )
    };
    let own = class("ravelin", "ravelin.dev/ingress-controller");
    let (_, findings) = obstacles(
        guided(&[]),
        &format!("{own}{}", class("traefik", "traefik.io/ingress-controller")),
    );
    let found =
        findings.iter().find(|finding| finding.why == Why::Duplicate).expect("two defaults");
    assert_eq!(&*found.object.name, "ravelin");
    assert!(found.reason.contains("on IngressClass traefik as well"), "{found}");
    let command =
        "`kubectl annotate ingressclass traefik ingressclass.kubernetes.io/is-default-class-`";
    assert!(found.fix.starts_with(command), "{found}");
    let (_, findings) = obstacles(guided(&[]), &own);
    assert!(findings.iter().all(|finding| finding.why != Why::Duplicate), "{findings:?}");
}
