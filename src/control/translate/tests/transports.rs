//! ServersTransports.

use super::ingress_routes::{broken, mk_routes, run};
use super::tls::mk_pair;
use crate::model::{Broken, Protocol, Timeouts};
use crate::pki::endpoint_tls::{Alpn, PeerName, TlsSettings, TlsVersions, Trust};
use std::sync::Arc;
use std::time::Duration;

/// What the only backend has with this transport.
struct Made {
    tls: Option<Arc<TlsSettings>>,
    timeouts: Option<Timeouts>,
    broken: Option<Broken>,
    said: Vec<String>,
}

fn made(transport: &str, objects: &str) -> Made {
    let transport = format!(
        "
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {{name: inner}}
spec: {{{transport}}}
---"
    );
    let route = "routes: [{match: 'Host(`a.example`)', \
                 services: [{name: web, port: 80, scheme: https, serversTransport: inner}]}]";
    let (model, said) = run(&format!("{transport}{objects}{}", mk_routes(route)));
    let backend = &model.backends[&model.rules[0].backend];
    let tls = match &backend.protocol {
        Protocol::Https(settings) => Some(Arc::clone(settings)),
        _ => None,
    };
    let timeouts = backend.treatment.timeouts;
    Made { tls, timeouts, broken: broken(&model)[0], said }
}

fn object(kind: &str, name: &str, key: &str, values: &[(&str, &str)]) -> String {
    let values: Vec<String> =
        values.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    let values = values.join(", ");
    format!("\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{key}: {{{values}}}\n---")
}

#[test]
fn cas_are_of_secrets_and_config_maps_together() {
    let [(one, _), (other, _)] = [mk_pair(), mk_pair()];
    let objects = object("Secret", "s", "stringData", &[("tls.ca", &one)])
        + &object("ConfigMap", "m", "data", &[("ca.crt", &other)]);
    let both = made("rootCAs: [{secret: s}, {configMap: m}]", &objects);
    assert_eq!((both.broken, both.said), (None, vec![]));
    let Trust::Secret { name, authorities: Some(all) } = &both.tls.expect("TLS").trust else {
        panic!("no authorities")
    };
    assert_eq!((&**name, all.certificates().len()), ("s, m", 2));
    for (written, objects, expected) in [
        ("{configMap: m}", String::new(), "there is no ConfigMap \"m\" in namespace default"),
        (
            "{configMap: m}",
            object("ConfigMap", "m", "data", &[("x", "y")]),
            "ConfigMap \"m\" has neither tls.ca nor ca.crt",
        ),
        ("{configMap: m}", object("ConfigMap", "m", "data", &[("ca.crt", "y")]), "in \"m\": "),
        ("{configMap: m, secret: s}", String::new(), "names both a Secret and a ConfigMap"),
        ("{}", String::new(), "names neither a Secret nor a ConfigMap"),
    ] {
        let made = made(&format!("rootCAs: [{written}]"), &objects);
        assert_eq!(made.broken, Some(Broken::ProtocolUnusable), "{written}");
        assert!(made.said.iter().any(|line| line.contains(expected)), "{:?}", made.said);
    }
}

#[test]
fn certificates_for_pods_have_to_be_there() {
    let (certificate, key) = mk_pair();
    let pair =
        object("Secret", "own", "stringData", &[("tls.crt", &certificate), ("tls.key", &key)]);
    let good = made("serverName: a.b, certificatesSecrets: [own]", &pair);
    assert_eq!((good.broken, good.said), (None, vec![]));
    let details = good.tls.expect("TLS").details.clone();
    assert_eq!(details.identity.map(|identity| identity.count()), Some(1));
    for (objects, expected) in [
        (String::new(), "there is no Secret \"own\" in namespace default"),
        (
            object("Secret", "own", "stringData", &[("tls.crt", &certificate)]),
            "data[tls.key] of Secret \"own\" is missing",
        ),
    ] {
        let made = made("serverName: a.b, certificatesSecrets: [own]", &objects);
        assert_eq!(made.broken, Some(Broken::ProtocolUnusable), "{objects}");
        assert!(made.said.iter().any(|line| line.contains(expected)), "{:?}", made.said);
        assert!(!format!("{:?}", made.said).contains("BEGIN"), "no secret is told");
    }
}

#[test]
fn versions_and_protocols_are_those_that_are_asked_for() {
    for (written, versions, alpn) in [
        ("", TlsVersions::Both, Alpn::Either),
        ("minVersion: VersionTLS10", TlsVersions::Both, Alpn::Either),
        ("minVersion: VersionTLS13", TlsVersions::Tls13, Alpn::Either),
        ("maxVersion: VersionTLS12", TlsVersions::Tls12, Alpn::Either),
        ("minVersion: VersionTLS12, maxVersion: VersionTLS13", TlsVersions::Both, Alpn::Either),
        ("disableHTTP2: true", TlsVersions::Both, Alpn::Http1),
    ] {
        let made = made(written, "");
        assert_eq!(made.broken, None, "{written}");
        let tls = made.tls.expect("TLS");
        assert_eq!((tls.details.versions, tls.alpn), (versions, alpn), "{written}");
    }
    for (written, field) in [
        ("maxVersion: VersionTLS11", "maxVersion"),
        ("minVersion: VersionTLS13, maxVersion: VersionTLS12", "maxVersion"),
        ("minVersion: TLS13", "minVersion"),
        ("spiffe: {ids: [a]}", "spiffe"),
    ] {
        let made = made(written, "");
        assert_eq!(made.broken, Some(Broken::ProtocolUnusable), "{written}");
        assert!(
            made.said.iter().any(|line| line.contains(&format!("spec.{field}: "))),
            "{:?}",
            made.said
        );
    }
}

#[test]
fn names_of_pods_are_asked_for_even_where_that_of_the_server_is_not() {
    let made_with = |written: &str| made(written, "");
    let named = made_with(
        "insecureSkipVerify: true, peerCertURI: 'spiffe://a/b', \
         peerCertSANs: [{type: DNSName, value: pod.example}, {type: URI, value: 'x:y'}]",
    );
    assert_eq!(named.broken, None);
    let tls = named.tls.expect("TLS");
    assert_eq!((&tls.trust, tls.details.skips_server_name), (&Trust::Public, true));
    let uri = |text: &str| PeerName::Uri(text.into());
    let host = PeerName::Host("pod.example".try_into().expect("a name"));
    assert_eq!(*tls.details.peer_names, [uri("spiffe://a/b"), host, uri("x:y")]);
    for written in [
        "peerCertSANs: [{type: IP, value: a}]",
        "peerCertSANs: [{type: URI}]",
        "peerCertSANs: [{type: DNSName, value: 'a b'}]",
        "peerCertSANs: pod.example",
    ] {
        assert_eq!(made_with(written).broken, Some(Broken::ProtocolUnusable), "{written}");
    }
}

#[test]
fn timeouts_are_obeyed_and_nothing_is_as_good_as_none() {
    let of = |written: &str| made(&format!("forwardingTimeouts: {{{written}}}"), "").timeouts;
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        of("dialTimeout: 3s, responseHeaderTimeout: 5"),
        Some(Timeouts { connect: seconds(3), response_head: seconds(5), ..Timeouts::default() })
    );
    assert_eq!(of("dialTimeout: 0, idleConnTimeout: 5s"), None);
    assert_eq!(
        made("forwardingTimeouts: {dialTimeout: soon}", "").broken,
        Some(Broken::ProtocolUnusable)
    );
}
