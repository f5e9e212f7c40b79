//! Which certificate `explain` says that a host gets, from where, and why.

use crate::program::{Ran, config, manifests, ravelin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A Secret of namespace `shop` with a certificate for these names.
fn secret(name: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let [certificate, key] = [certificate, key].map(|text| STANDARD.encode(text));
    format!(
        "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{tls.crt: \
         {certificate}, tls.key: {key}}}\n"
    )
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {ports: [{port: 80}]}\n";

/// An IngressRoute for a host, with this `tls`.
fn route(name: &str, tls: &str) -> String {
    format!(
        "---\napiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  tls: \
         {tls}\n  routes: [{{match: 'Host(`{name}.example`)', services: [{{name: s, port: 80}}]}}]\n"
    )
}

/// An Ingress for a host, with these entries of `tls`.
fn ingress(name: &str, tls: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         ingressClassName: traefik\n  tls: {tls}\n  rules:\n  - host: {name}.example\n    http: {{paths: [{{path: /, pathType: \
         Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}\n"
    )
}

fn explain(file: &str, more: &[&str], host: &str) -> Ran {
    let url = format!("https://{host}/");
    let line = ["explain", "--ingress-class", "traefik", "--manifests", file, &url];
    ravelin(&[&line[..], more].concat())
}

/// What is said of the certificate of each host: from where, and the beginning of why.
fn assert_says(text: &str, more: &[&str], expected: &[(&str, &str, &str)]) {
    let (_folder, file) = manifests(text);
    for (host, from, why) in expected {
        let ran = explain(&file, &[more, &["--output", "json"]].concat(), host);
        let page: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let said = page["certificate_why"].as_str().unwrap_or_default();
        assert_eq!(page["certificate_from"].as_str().unwrap_or_default(), *from, "{host}: {said}");
        assert!(said.contains(why), "{host}: {said}");
        let ran = explain(&file, more, host);
        assert!(ran.out.contains(&format!("cert why   {said}\n")), "{}", ran.out);
    }
}

#[test]
fn a_certificate_is_told_with_its_source_and_the_reason() {
    let text = [
        SERVICE,
        &secret("own", &["own.example", "www.own.example"]),
        &secret("wild", &["*.example"]),
        &route("own", "{secretName: own}"),
        &ingress("carrier", "[{hosts: [carrier.example], secretName: wild}]"),
        &route("covered", "{}"),
        &route("resolved", "{certResolver: letsencrypt}"),
        &ingress("broken", "[{hosts: [broken.example], secretName: lost}]"),
        &route("deep.none", "{}"),
    ]
    .concat();
    assert_says(
        &text,
        &[],
        &[
            ("own.example", "Secret shop/own", "its routes name this Secret in tls"),
            ("carrier.example", "Secret shop/wild", "its routes name this Secret in tls"),
            (
                "covered.example",
                "Secret shop/wild",
                "this one of the namespace shop is named by other routes, and covers it (*.example)",
            ),
            (
                "resolved.example",
                "Secret shop/wild",
                "; its certResolver orders none: ravelin requests no certificates",
            ),
            ("deep.none.example", "", "no route names a Secret for it, no certificate covers it"),
            ("deep.none.example", "", "Cloudflare answers its visitors 525"),
        ],
    );
}

#[test]
fn a_secret_that_is_missing_and_the_defaults_are_told() {
    let store = "---\napiVersion: traefik.io/v1alpha1\nkind: TLSStore\nmetadata: {name: default, namespace: \
                 shop}\nspec: {defaultCertificate: {secretName: fallback}}\n";
    let text = [
        SERVICE,
        &secret("fallback", &["fallback.test"]),
        store,
        &ingress("broken", "[{hosts: [broken.example], secretName: lost}]"),
        &route("plain", "{}"),
    ]
    .concat();
    assert_says(
        &text,
        &[],
        &[
            (
                "plain.example",
                "Secret shop/fallback",
                "nothing else is for this name: the default TLSStore has the default",
            ),
            (
                "broken.example",
                "Secret shop/fallback",
                "Secret shop/lost is named for it, and is not in the input or cannot be used: the default",
            ),
        ],
    );
}

#[test]
fn a_certificate_of_the_configuration_comes_first() {
    let text = [
        SERVICE,
        &secret("wild", &["*.example"]),
        &secret("own", &["own.example"]),
        &ingress("own", "[{hosts: [own.example], secretName: own}]"),
        &route("other", "{}"),
    ]
    .concat();
    let configured = |names: &str| {
        format!(
            "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:443\"\nprotocol = \"https\"\nadmit = [\"loopback\"]\n[source]\nkind \
             = \"directory\"\ndirectory = \"/nowhere\"\ningress_classes = [\"traefik\"]\n[[certificate]]\nsecret = \
             \"shop/wild\"\n{names}[admin]\naddress = \"127.0.0.1:0\"\n"
        )
    };
    let file = config(&configured("default = true\n"));
    let more = ["--config", file.path().to_str().expect("UTF-8")];
    let (_folder, manifests) = manifests(&text);
    let say = |host: &str| {
        let url = format!("https://{host}/");
        let line = ["explain", "--manifests", &manifests, &url];
        ravelin(&[&line[..], &more].concat()).out
    };
    let first =
        "a [[certificate]] of the configuration names this Secret, which covers it (*.example)";
    for (host, from, why) in [
        ("other.example", "Secret shop/wild", first),
        ("own.example", "Secret shop/own", "its routes name this Secret in tls"),
        ("elsewhere.test", "Secret shop/wild", "it is the default of [[certificate]]"),
    ] {
        let page = say(host);
        assert!(page.contains(&format!("cert from  {from}\n")), "{host}: {page}");
        assert!(page.contains(why), "{host}: {page}");
    }
}
