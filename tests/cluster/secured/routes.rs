//! IngressRoutes in the hands of kubectl, with what they name: Middlewares, Secrets, ServersTransports. What is missing
//! closes its route, and opens nothing.

use super::upstream::Pod;
use super::{SECURED, Secured, authority::Authority, put_authority, put_certificate};
use crate::edge::{Backend, Site};
use crate::eventually;
use crate::plane::{Connection, Plane};
use serde_json::{Value, json};

const NAMESPACE: &str = "routes";
const HOST: &str = "app.routes";
/// The host of the pod with TLS.
const INNER: &str = "inner.routes";

impl Secured<'_> {
    fn apply(&self, kind: &str, name: &str, spec: &Value) {
        let object = json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.plane.apply(&object.to_string());
    }

    /// Has the IngressRoute `app` have these routes alone.
    fn route(&self, routes: &Value) {
        self.apply("IngressRoute", "app", &json!({"routes": routes}));
    }

    fn delete(&self, kind: &str, name: &str) {
        self.kubectl(&["delete", kind, name]);
    }

    /// Waits for an answer; until then there is only the one before, if that is said.
    fn turns(&self, host: &str, before: Option<u16>, after: u16, words: &str) {
        eventually(&format!("{host} answers {after} {words}"), || {
            let (status, body) = self.edge.get(host, "/");
            assert!(
                before.is_none_or(|before| [before, after].contains(&status)),
                "{host}: {status}"
            );
            (status == after && body.contains(words)).then_some(())
        });
    }
}

fn to(service: &str) -> Value {
    json!([{"name": service, "port": 80}])
}

/// A Service of this name, with its pods.
fn site<'s>(name: &'s str, host: &'s str) -> Site<'s> {
    Site { namespace: NAMESPACE, name, class: NAMESPACE, host }
}

#[test]
fn an_ingress_route_is_followed_with_everything_that_it_names() {
    let Some(plane) = Plane::start() else { return };
    crate::crds::install(&plane);
    let keys = format!("ingress_classes = [\"traefik\"]\n{SECURED}");
    let secured = Secured::keyed(&plane, NAMESPACE, &keys);
    let backends = ["one", "two"].map(|name| {
        let (site, backend) = (site(name, HOST), Backend::start(name));
        plane.create(&site.services(), &site.service());
        plane.create(&site.slices(), &site.slice(&[backend.addr]));
        backend
    });
    its_routes_are_followed(&secured);
    its_middleware_closes_it(&secured);
    its_certificate_is_shown(&secured);
    its_transport_is_followed(&secured);
    secured.delete("ingressroute", "app");
    secured.turns(HOST, Some(200), 404, "no_route");
    drop(backends);
}

fn its_routes_are_followed(secured: &Secured<'_>) {
    assert_eq!(secured.edge.get(HOST, "/").0, 404);
    let rule = format!("Host(`{HOST}`)");
    secured.route(&json!([{"match": rule, "kind": "Rule", "services": to("one")}]));
    secured.turns(HOST, Some(404), 200, "one");
    let path = format!("Host(`{HOST}`) && PathPrefix(`/`)");
    secured.route(&json!([
        {"match": rule, "kind": "Rule", "services": to("one")},
        {"match": path, "kind": "Rule", "services": to("two")},
    ]));
    secured.turns(HOST, Some(200), 200, "two");
    // What is broken keeps its place.
    secured.route(&json!([
        {"match": rule, "kind": "Rule", "services": to("one")},
        {"match": path, "kind": "Rule", "services": to("gone")},
    ]));
    secured.turns(HOST, Some(200), 503, "service_missing");
    secured.route(&json!([{"match": rule, "kind": "Rule", "services": to("one")}]));
    secured.turns(HOST, Some(503), 200, "one");
}

fn its_middleware_closes_it(secured: &Secured<'_>) {
    let rule = format!("Host(`{HOST}`)");
    secured.route(&json!([{"match": rule, "kind": "Rule", "services": to("one"),
        "middlewares": [{"name": "list"}]}]));
    secured.turns(HOST, Some(200), 503, "middleware_unusable");
    let list = |source: &str| json!({"ipAllowList": {"sourceRange": [source]}});
    secured.apply("Middleware", "list", &list("192.0.2.0/24"));
    secured.turns(HOST, Some(503), 403, "");
    secured.apply("Middleware", "list", &list("127.0.0.0/8"));
    secured.turns(HOST, Some(403), 200, "one");
    secured.apply("Middleware", "list", &list("192.0.2.0/24"));
    secured.turns(HOST, Some(200), 403, "");
    secured.delete("middleware", "list");
    secured.turns(HOST, Some(403), 503, "middleware_unusable");
    secured.route(&json!([{"match": rule, "kind": "Rule", "services": to("one")}]));
    secured.turns(HOST, Some(503), 200, "one");
}

fn its_certificate_is_shown(secured: &Secured<'_>) {
    let shown = || {
        let config = secured.authority.client(None);
        let connection = Connection::secured(secured.edge.secured_addr(), HOST, &config).ok()?;
        connection.certificate().map(<[u8]>::to_vec)
    };
    assert_eq!(shown(), None, "there is none yet");
    let issued = [(); 2].map(|()| secured.authority.issue(&[HOST]));
    let routes =
        json!([{"match": format!("Host(`{HOST}`)"), "kind": "Rule", "services": to("one")}]);
    let spec = json!({"tls": {"secretName": "app"}, "routes": routes});
    secured.apply("IngressRoute", "app", &spec);
    for issued in &issued {
        put_certificate(secured.plane, NAMESPACE, "app", issued);
        let der = issued.der();
        eventually("the certificate", || (shown().as_deref() == Some(&*der)).then_some(()));
    }
    // Without TLS it is where there is TLS.
    secured.turns(HOST, None, 308, "");
    secured.delete("secret", "app");
    let labels = [("shown", "last_good")];
    secured.await_metric("ravelin_tls_secret_failing", &labels, 1.0);
    assert_eq!(shown().as_deref(), Some(&*issued[1].der()), "the last good one");
    secured.route(&routes);
    secured.turns(HOST, Some(308), 200, "one");
}

fn its_transport_is_followed(secured: &Secured<'_>) {
    let [right, wrong] = ["Right", "Wrong"].map(Authority::new);
    let Some(pod) = Pod::start(secured.plane, &right, "pods.example", 2) else { return };
    let site = site("inner", INNER);
    secured.plane.create(&site.services(), &site.service());
    secured.plane.create(&site.slices(), &site.slice(&[pod.addr]));
    let service =
        json!({"name": "inner", "port": 80, "scheme": "https", "serversTransport": "pods"});
    let routes =
        json!([{"match": format!("Host(`{INNER}`)"), "kind": "Rule", "services": [service]}]);
    secured.apply("IngressRoute", "inner", &json!({"routes": routes}));
    secured.turns(INNER, None, 503, "protocol_unusable");
    let transport = json!({"serverName": "pods.example", "rootCAs": [{"secret": "pods"}]});
    secured.apply("ServersTransport", "pods", &transport);
    put_authority(secured.plane, NAMESPACE, "pods", &wrong.pem());
    secured.turns(INNER, Some(503), 502, "upstream_untrusted");
    put_authority(secured.plane, NAMESPACE, "pods", &right.pem());
    secured.turns(INNER, Some(502), 200, "TLS");
    let other = json!({"serverName": "other.example", "rootCAs": [{"secret": "pods"}]});
    secured.apply("ServersTransport", "pods", &other);
    secured.turns(INNER, Some(200), 502, "upstream_untrusted");
    secured.apply("ServersTransport", "pods", &transport);
    secured.turns(INNER, Some(502), 200, "TLS");
    // Nothing is sent to pods that nobody says how to trust.
    secured.delete("serverstransport", "pods");
    secured.turns(INNER, Some(200), 503, "protocol_unusable");
    secured.delete("ingressroute", "inner");
    secured.turns(INNER, Some(503), 404, "no_route");
}
