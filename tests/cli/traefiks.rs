//! What `check` says of Traefik's objects that ravelin does not serve, or that others take away.

use crate::program::{manifests, ravelin};

const SERVED: &str = "
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: lan, namespace: shop}
spec: {ipAllowList: {sourceRange: [10.0.0.0/8]}}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec:
  selector: {app: dns}
  ports: [{name: udp, port: 53, targetPort: 5353, protocol: UDP}]
";

const DEFINITION: &str = "---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: middlewares.traefik.io, annotations: {OWNER: traefik-crd}}
spec: {group: traefik.io, names: {kind: Middleware, plural: middlewares}}
";

fn check(text: &str) -> String {
    let (_folder, file) = manifests(text);
    ravelin(&["check", "--ingress-class", "traefik", &file]).out
}

#[test]
fn definitions_that_a_release_takes_away_are_warned_of_where_their_objects_are_served() {
    let warning = "CustomResourceDefinitions of Traefik belong to the release traefik-crd, and all objects of these \
                   kinds, from which ravelin serves, are deleted with it (Middleware: 1)";
    for owner in ["meta.helm.sh/release-name", "objectset.rio.cattle.io/owner-name"] {
        let page = check(&format!("{SERVED}{}", DEFINITION.replace("OWNER", owner)));
        assert!(
            page.contains(&format!("warning: Cluster: metadata.annotations: {warning}")),
            "{page}"
        );
        assert!(page.contains("(fix: stop Traefik with a HelmChartConfig without pods"), "{page}");
    }
    let own = check(&format!("{SERVED}{}", DEFINITION.replace("OWNER", "example.com/owner")));
    assert!(!own.contains("CustomResourceDefinitions"), "{own}");
    let unused = DEFINITION.replace("OWNER", "meta.helm.sh/release-name");
    assert!(!check(&unused).contains("CustomResourceDefinitions"), "nothing is served from it");
}

#[test]
fn an_ingress_route_of_udp_is_refused_with_the_service_to_apply() {
    let route = "---\napiVersion: traefik.io/v1alpha1\nkind: IngressRouteUDP\nmetadata: {name: dns, namespace: shop}\nspec: \
                 {entryPoints: [dns], routes: [{services: [{name: dns, port: udp}]}]}\n";
    let page = check(&format!("{SERVED}{route}"));
    let service = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"dns-udp","namespace":"shop"},"spec":{"ports":[{"port":53,"protocol":"UDP","targetPort":5353}],"selector":{"app":"dns"},"type":"LoadBalancer"}}"#;
    assert!(page.contains("1 IngressRouteUDP (traefik.io) is not served yet: shop/dns"), "{page}");
    assert!(page.contains(&format!("(fix: apply in its place: {service})")), "{page}");
    let (_folder, file) = manifests(&format!("{SERVED}{route}"));
    let report = ravelin(&["migrate", &file]);
    assert_eq!(report.code, 2, "{}", report.out);
    assert!(
        report.out.contains(&format!("UDP is not served (fix: apply in its place: {service})")),
        "{}",
        report.out
    );
    let page = check(&format!("{SERVED}{}", route.replace("name: dns, port", "name: lost, port")));
    assert!(
        page.contains(
            "the selector and the port udp of the Service \"lost\", which is not in the input"
        ),
        "{page}"
    );
}
