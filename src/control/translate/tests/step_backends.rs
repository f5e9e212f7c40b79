//! What is said of a missing backend of a step: on the object, and with the field, that asks for it.

use super::{lines, mk_backend, run, run_with};
use crate::config::Config;
use crate::control::translate::{EntryPointTable, Options};

const AUTH: &str = "
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: m, namespace: default}
spec: {forwardAuth: {address: 'http://auth.sso.svc:9000/verify'}}
---
apiVersion: v1
kind: Service
metadata: {name: asking, annotations: {traefik.ingress.kubernetes.io/service.middlewares: default-m@kubernetescrd}}
spec: {ports: [{port: 80}]}
---";

fn mk_ingress(annotations: &str, service: &str) -> String {
    let spec = mk_backend(&format!("{{service: {{name: {service}, port: {{number: 80}}}}}}"));
    format!(
        "{AUTH}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: x, annotations: {{{annotations}}}}}
spec: {{ingressClassName: ravelin, {spec}}}
---"
    )
}

#[test]
fn the_field_that_asks_for_a_step_is_named() {
    let list = "names Middleware default/m, whose backend is unusable";
    let own = "names a server, whose backend is unusable";
    for (annotations, service, place, said) in [
        (
            "ravelin.dev/middlewares: m",
            "web",
            "Ingress default/x: metadata.annotations[ravelin.dev/middlewares]",
            list,
        ),
        (
            "traefik.ingress.kubernetes.io/router.middlewares: default-m@kubernetescrd",
            "web",
            "Ingress default/x: metadata.annotations[traefik.ingress.kubernetes.io/router.middlewares]",
            list,
        ),
        (
            "",
            "asking",
            "Service default/asking: metadata.annotations[traefik.ingress.kubernetes.io/service.middlewares]",
            list,
        ),
        (
            "nginx.ingress.kubernetes.io/auth-url: 'http://auth.sso.svc.cluster.local:9000/'",
            "web",
            "Ingress default/x: metadata.annotations[nginx.ingress.kubernetes.io/auth-url]",
            own,
        ),
        (
            "ravelin.dev/forward-auth: 'http://auth.sso.svc:9000/'",
            "web",
            "Ingress default/x: metadata.annotations[ravelin.dev/forward-auth]",
            own,
        ),
    ] {
        let (_, found) = run(&mk_ingress(annotations, service));
        let expected = format!("error: {place}: {said}: there is no Service \"auth\"");
        let lines = lines(&found);
        assert!(lines.len() == 1 && lines[0].starts_with(&expected), "{annotations}: {lines:?}");
    }
}

#[test]
fn so_is_that_of_an_entry_point() {
    let text = "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n[[entry_point]]\nname = \"web\"\n\
                listeners = [\"web\"]\nmiddlewares = [\"default-m@kubernetescrd\"]\n\
                [source]\nkind = \"directory\"\ndirectory = \"x\"\n";
    let config = Config::parse(text, "test").expect("a valid configuration");
    let entry_points = EntryPointTable::of(&config);
    let options = Options { entry_points, ..super::options() };
    let (_, found) = run_with(&options, &mk_ingress("", "web"));
    let lines = lines(&found);
    let place = "Ingress default/x: entry_point.web.middlewares: names Middleware default/m";
    assert!(lines.iter().any(|line| line.contains(place)), "{lines:?}");
}
