//! IngressRouteTCPs: which connections their routes take, and what is said of those that cannot be served.

use super::{lines, mk_ingress, mk_paths, objects, options, run_with};
use crate::config::MiddlewarePolicy;
use crate::control::objects::Change;
use crate::control::source::Changes;
use crate::control::translate::entry_points::CarriedTraffic;
use crate::control::translate::{EntryPointTable, NamedEntryPoint, Options, Translator};
use crate::model::middleware::Step;
use crate::model::{
    Broken, ConnectionFacts, Kind, Model, ObjectRef, Protocol, ProxyVersion, TcpRoute, TcpTls,
};
use crate::pki::client_certificate::Mode;
use crate::routing::{AskedConnection, Table, compile};
use std::net::IpAddr;

const WEB: u32 = 1;
const WEBSECURE: u32 = 2;
/// Of a listener with `protocol = "tcp"`.
const DB: u32 = 4;

fn mk_tcp(spec: &str) -> String {
    mk_named("r", spec)
}

fn mk_named(name: &str, spec: &str) -> String {
    mk_object("IngressRouteTCP", name, spec)
}

fn mk_object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: {kind}
metadata: {{name: {name}}}
spec: {{{spec}}}
---"
    )
}

/// A route to the Service `api`.
fn mk_route(rule: &str, more: &str) -> String {
    format!("{{match: '{rule}', services: [{{name: api, port: 9000}}]{more}}}")
}

fn taking() -> Options {
    let preset = |name: &str, is_secure| NamedEntryPoint {
        name: name.into(),
        is_secure,
        carries: CarriedTraffic { plain: !is_secure, tls: is_secure, http: true },
        is_default: true,
        middlewares: Vec::new(),
    };
    let carries = CarriedTraffic { plain: true, tls: true, http: false };
    let db = NamedEntryPoint { carries, is_default: false, ..preset("db", false) };
    let points = vec![preset("web", false), preset("websecure", true), db];
    let entry_points = EntryPointTable::new(points);
    Options { taken_classes: vec!["traefik".to_owned()], entry_points, ..options() }
}

fn run(yaml: &str) -> (Model, Vec<String>) {
    let (model, findings) = run_with(&taking(), yaml);
    (model, lines(&findings))
}

/// The same without a finding.
fn model(yaml: &str) -> Model {
    let (model, said) = run(yaml);
    assert_eq!(said, [""; 0]);
    model
}

/// Who connects, and how.
#[derive(Clone, Copy)]
struct Client<'c> {
    name: &'c str,
    protocols: &'c [&'c str],
    peer: &'c str,
}

const CLIENT: Client<'_> = Client { name: "", protocols: &[], peer: "192.0.2.1" };

/// The route of a connection with TLS at a listener of these entry points.
fn secured(table: &Table, client: Client<'_>, entry_points: u32) -> Option<String> {
    let protocols: Vec<Vec<u8>> =
        client.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let peer: IpAddr = client.peer.parse().expect("an address");
    let facts = ConnectionFacts { server_name: client.name, protocols: &protocols, peer };
    let asked = AskedConnection { entry_points, facts };
    let found = table.tcp_tls(&asked, entry_points & DB == 0)?;
    Some(format!("{} {}", found.object, found.field()))
}

fn plain(table: &Table, peer: &str, entry_points: u32) -> Option<String> {
    let peer: IpAddr = peer.parse().expect("an address");
    let facts = ConnectionFacts { server_name: "", protocols: &[], peer };
    let found = table.tcp_plain(&AskedConnection { entry_points, facts })?;
    Some(format!("{} {}", found.object, found.field()))
}

fn route(position: usize) -> Option<String> {
    Some(format!("default/r spec.routes[{position}]"))
}

fn named(name: &'static str) -> Client<'static> {
    Client { name, ..CLIENT }
}

#[test]
fn the_longest_rule_has_a_connection_unless_a_priority_says_otherwise() {
    let routes = [
        mk_route("HostSNI(`a.example`)", ""),
        mk_route("HostSNI(`*.example`)", ""),
        mk_route("HostSNI(`a.example`) && ALPN(`mqtt`)", ""),
        mk_route("HostSNI(`b.example`) || HostSNI(`c.example`)", ""),
        mk_route("HostSNIRegexp(`^[a-z]+[.]test$`)", ""),
        mk_route("ClientIP(`10.0.0.0/8`)", ", priority: 1000"),
        mk_route("HostSNI(`*`)", ""),
        mk_route("!HostSNI(`x.other`) && HostSNIRegexp(`other$`)", ""),
    ];
    let spec = format!("entryPoints: [db], tls: {{}}, routes: [{}]", routes.join(", "));
    let table = compile(&model(&mk_tcp(&spec)), None);
    for (client, expected) in [
        (named("a.example"), 0),
        (named("z.example"), 1),
        (Client { protocols: &["h2", "mqtt"], ..named("a.example") }, 2),
        (named("b.example"), 3),
        (named("c.example"), 3),
        (named("abc.test"), 4),
        (Client { peer: "10.1.2.3", ..named("a.example") }, 5),
        (Client { peer: "::ffff:10.1.2.3", ..named("a.example") }, 5),
        (named("a.b.example"), 6),
        (named(""), 6),
        (named("y.other"), 7),
        (named("x.other"), 6),
    ] {
        assert_eq!(secured(&table, client, DB), route(expected), "{}", client.name);
    }
    assert_eq!(secured(&table, named("a.example"), WEBSECURE), None, "another entry point");
    assert_eq!(plain(&table, "10.1.2.3", DB), None, "TLS is asked for");
    assert!(table.has_tcp_tls(DB) && !table.has_tcp_tls(WEBSECURE) && !table.has_tcp_plain(DB));
}

#[test]
fn rules_of_version_2_take_several_values_and_templates() {
    let routes = [
        mk_route("HostSNI(`a.example`, `b.example`)", ", syntax: v2"),
        mk_route("HostSNIRegexp(`{sub:[a-z]+}.Test`, `x{rest:.*}`)", ", syntax: v2"),
        mk_route("ALPN(`mqtt`, `amqp`)", ", syntax: v2"),
    ];
    let spec = format!("entryPoints: [db], tls: {{}}, routes: [{}]", routes.join(", "));
    let table = compile(&model(&mk_tcp(&spec)), None);
    for (client, expected) in [
        (named("b.example"), route(0)),
        (named("abc.test"), route(1)),
        (named("xyz"), route(1)),
        (Client { protocols: &["amqp"], ..CLIENT }, route(2)),
        (named("abc1.test"), None),
    ] {
        assert_eq!(secured(&table, client, DB), expected, "{}", client.name);
    }
}

#[test]
fn without_tls_rules_are_for_addresses() {
    let routes =
        [mk_route("HostSNI(`*`) && ClientIP(`10.0.0.0/8`)", ""), mk_route("HostSNI(`*`)", "")];
    let spec = format!("entryPoints: [db], routes: [{}]", routes.join(", "));
    let table = compile(&model(&mk_tcp(&spec)), None);
    assert_eq!(plain(&table, "10.9.9.9", DB), route(0));
    assert_eq!(plain(&table, "192.0.2.1", DB), route(1));
    assert_eq!(plain(&table, "192.0.2.1", WEB), None);
    assert_eq!(secured(&table, named("a.example"), DB), None);
}

#[test]
fn routes_of_http_come_first_for_their_names_and_a_catch_all_last() {
    let ingress = mk_ingress(&mk_paths(&[("Prefix", "/app")]));
    let tcp = |rules: &[&str]| {
        let routes: Vec<String> = rules.iter().map(|rule| mk_route(rule, "")).collect();
        mk_tcp(&format!(
            "entryPoints: [websecure], tls: {{passthrough: true}}, routes: [{}]",
            routes.join(", ")
        ))
    };
    let both = tcp(&["HostSNI(`a.example`)", "HostSNI(`b.example`)", "HostSNI(`*`)"]);
    let (model, said) = run(&format!("{ingress}{both}"));
    assert_eq!(
        said,
        [
            "warning: IngressRouteTCP default/r: spec.routes[0].match: is for a.example, which is a host of Ingress \
          default/x as well: with TLS these connections go to HTTP, as in Traefik (fix: use a name of its own, or an \
          entry point of a listener with protocol = \"tcp\")"
        ]
    );
    let table = compile(&model, None);
    assert_eq!(secured(&table, named("a.example"), WEBSECURE), None, "HTTP has it");
    assert_eq!(secured(&table, named("b.example"), WEBSECURE), route(1));
    assert_eq!(secured(&table, named("c.example"), WEBSECURE), route(2));
    // A rule of HTTP that is for all names comes before the catch-all alone.
    let any = mk_object(
        "IngressRoute",
        "any",
        "entryPoints: [websecure], tls: {}, routes: [{match: 'PathPrefix(`/`)', kind: Rule, services: [{name: web, port: 80}]}]",
    );
    let table = compile(&run(&format!("{any}{both}")).0, None);
    assert_eq!(secured(&table, named("a.example"), WEBSECURE), route(0));
    assert_eq!(secured(&table, named("c.example"), WEBSECURE), None);
    // What HTTP has at other entry points does not count.
    let elsewhere = any.replace("websecure], tls: {}", "web]");
    let table = compile(&run(&format!("{elsewhere}{both}")).0, None);
    assert_eq!(secured(&table, named("c.example"), WEBSECURE), route(2));
}

#[test]
fn a_catch_all_without_tls_takes_http_its_connections_which_is_told() {
    let (model, said) = run(&mk_tcp(&format!("routes: [{}]", mk_route("HostSNI(`*`)", ""))));
    let [line] = &said[..] else { panic!("{said:?}") };
    assert!(line.contains("spec.routes[0].match: is \"*\", and takes every connection"), "{line}");
    let table = compile(&model, None);
    assert_eq!(plain(&table, "192.0.2.1", WEB), route(0));
    assert_eq!(plain(&table, "192.0.2.1", WEBSECURE), None);
    assert_eq!(plain(&table, "192.0.2.1", DB), None, "it is no default");
}

/// Why the connections of each route are refused, in the order of the objects and routes.
fn broken(model: &Model) -> Vec<Option<Broken>> {
    let mut routes: Vec<&TcpRoute> = model.tcp.iter().collect();
    routes.sort_by_key(|route| (route.ingress, route.rule.position));
    routes.into_iter().map(|route| route.rule.broken).collect()
}

#[test]
fn what_cannot_be_used_keeps_its_place_and_is_told() {
    let base = "entryPoints: [db], tls: {TLS}, routes: [{match: 'HostSNI(`a.example`)', services: [SERVICE]MORE}]";
    let good = "{name: api, port: 9000}";
    for (tls, service, more, why, said) in [
        (
            "",
            good,
            ", middlewares: [{name: gone}]",
            Broken::MiddlewareUnusable,
            "spec.routes[0].middlewares[0]: there is no MiddlewareTCP default/gone: connections are refused",
        ),
        (
            "",
            good,
            ", middlewares: [{name: bad}]",
            Broken::MiddlewareUnusable,
            "spec.routes[0].middlewares[0]: MiddlewareTCP default/bad cannot be used",
        ),
        (
            "",
            good,
            ", middlewares: [{name: far, namespace: other}]",
            Broken::MiddlewareUnusable,
            "spec.routes[0].middlewares[0]: names a MiddlewareTCP of another namespace, which is forbidden: connections are refused",
        ),
        (
            "",
            good,
            ", middlewars: [{name: list}]",
            Broken::Altered,
            "spec.routes[0].middlewars: is not a field, and may be meant as `middlewares`",
        ),
        (
            "options: {name: gone}",
            good,
            "",
            Broken::Restricted,
            "spec.tls.options: there is no TLSOption \"gone\" in namespace default",
        ),
        (
            "passthru: true",
            good,
            "",
            Broken::Restricted,
            "spec.tls.passthru: is not a field, and may be meant as `passthrough`",
        ),
        (
            "",
            "",
            "",
            Broken::Unsupported,
            "spec.routes[0].services: is empty: connections are refused",
        ),
        ("", "{name: api}", "", Broken::Altered, "services[0].port: is missing, or is no port"),
        (
            "",
            "{name: api, port: 9000, weight: 0}",
            "",
            Broken::Unsupported,
            "spec.routes[0].services: have no weight above 0",
        ),
        (
            "",
            "{name: api, port: 9000, serversTransport: gone}",
            "",
            Broken::ProtocolUnusable,
            "services[0].serversTransport: there is no ServersTransportTCP default/gone",
        ),
        (
            "",
            "{name: api, port: 9000, proxyProtocol: {version: 3}}",
            "",
            Broken::Altered,
            "services[0].proxyProtocol.version: 3 is not a version of the PROXY protocol",
        ),
        (
            "",
            "{name: api, namespace: other, port: 9000}",
            "",
            Broken::Restricted,
            "services[0].namespace: names a Service of another namespace, which is forbidden: connections are refused",
        ),
    ] {
        let spec = base.replace("TLS", tls).replace("SERVICE", service).replace("MORE", more);
        let others = [
            mk_object("MiddlewareTCP", "bad", "ipAllowList: {sourceRange: []}"),
            mk_object("MiddlewareTCP", "list", "ipAllowList: {sourceRange: [10.0.0.0/8]}"),
        ];
        let options = Options { middlewares: MiddlewarePolicy::OwnNamespace, ..taking() };
        let yaml = format!("{}{}", mk_tcp(&spec), others.concat());
        let (model, findings) = run_with(&options, &yaml);
        let lines = lines(&findings);
        assert_eq!(broken(&model), [Some(why)], "{spec}");
        assert!(lines.iter().any(|line| line.contains(said)), "{said}: {lines:#?}");
        assert!(model.tcp[0].backends.is_empty() && model.tcp[0].rule.steps.is_empty());
        let table = compile(&model, None);
        assert_eq!(secured(&table, named("a.example"), DB), route(0), "it keeps its place");
    }
}

#[test]
fn rules_that_nobody_can_meet_do_not_exist_as_in_traefik() {
    for (tls, rule, said) in [
        ("", "HostSNI(`a.example`)", "asks for a name, and without `tls` nobody names one"),
        (", tls: {}", "Host(`a.example`)", "has Host, which is no matcher of IngressRouteTCPs"),
        (", tls: {}", "ALPN(`acme-tls/1`)", "which Traefik keeps for itself"),
        (", tls: {}", "HostSNI(`a.example`, `b.example`)", "has HostSNI with 2 arguments"),
        (", tls: {}", "HostSNI(`a b`)", "has HostSNI with \"a b\", which is not a DNS name"),
        (", tls: {}", "", "is empty"),
    ] {
        let spec = format!("entryPoints: [db]{tls}, routes: [{}]", mk_route(rule, ""));
        let (model, lines) = run(&mk_tcp(&spec));
        assert_eq!(model.tcp, [], "{rule}");
        assert!(lines.iter().any(|line| line.contains(said)), "{said}: {lines:?}");
    }
}

#[test]
fn entry_points_have_to_carry_what_a_route_is_for() {
    for (spec, said) in [
        (
            "entryPoints: [websecure]",
            "spec.entryPoints: have connections with TLS alone, and the route has no `tls`",
        ),
        (
            "entryPoints: [web], tls: {}",
            "spec.tls: asks for TLS, and no connection of its entry points has it",
        ),
        ("entryPoints: [wbe], tls: {}", "spec.entryPoints: \"wbe\" is not an entry point"),
    ] {
        let (model, lines) =
            run(&mk_tcp(&format!("{spec}, routes: [{}]", mk_route("HostSNI(`*`)", ""))));
        assert!(lines.iter().any(|line| line.contains(said)), "{said}: {lines:?}");
        let table = compile(&model, None);
        let anywhere = WEB | WEBSECURE | DB;
        let is_refused = model.tcp.iter().all(|route| route.rule.broken.is_some());
        let found = plain(&table, "192.0.2.1", anywhere).or(secured(&table, CLIENT, anywhere));
        assert!(found.is_none() || is_refused, "{spec}");
    }
    // Routes of HTTP have none there.
    let http =
        "routes: [{match: 'Host(`a.example`)', kind: Rule, services: [{name: web, port: 80}]}]";
    let (_, lines) = run(&mk_object("IngressRoute", "h", &format!("entryPoints: [db], {http}")));
    assert!(
        lines[0].contains("spec.entryPoints: have no HTTP: its routes are not served"),
        "{lines:?}"
    );
}

#[test]
fn middlewares_services_and_tls_come_to_plain_data() {
    let spec = "entryPoints: [db], tls: {secretName: own, options: {name: strict}}, routes: [{\
         match: 'HostSNI(`a.example`)', middlewares: [{name: list}, {name: few}], services: [\
         {name: api, port: 9000, weight: 3, proxyProtocol: {version: 1}}, \
         {name: web, port: http, tls: true, serversTransport: to-pods}]}]";
    let others = [
        mk_object("MiddlewareTCP", "list", "ipAllowList: {sourceRange: [10.0.0.0/8, '::1']}"),
        mk_object("MiddlewareTCP", "few", "inFlightConn: {amount: 2}"),
        mk_object("TLSOption", "strict", "minVersion: VersionTLS13, alpnProtocols: [mqtt]"),
        mk_object(
            "ServersTransportTCP",
            "to-pods",
            "dialTimeout: 3s, dialKeepAlive: '-1', proxyProtocol: {}, tls: {serverName: pods.test, insecureSkipVerify: true}",
        ),
    ];
    let (model, said) = run(&format!("{}{}", mk_tcp(spec), others.concat()));
    assert!(
        said.iter().all(|line| line.contains("insecureSkipVerify") || line.contains("Secret")),
        "{said:?}"
    );
    let [TcpRoute { rule, backends, .. }] = &model.tcp[..] else { panic!("{:?}", model.tcp) };
    assert_eq!(rule.broken, None);
    let steps: Vec<(&str, bool)> = rule
        .steps
        .iter()
        .map(|step| (&*step.name, matches!(step.step, Step::Source(_) | Step::InFlight(_))))
        .collect();
    assert_eq!(
        steps,
        [
            ("default/list", true),
            ("default/few of IngressRouteTCP default/r, HostSNI(`a.example`)", true)
        ]
    );
    let TcpTls::Ended(end) = &rule.tls else { panic!("{:?}", rule.tls) };
    assert_eq!((end.demand.mode, end.demand.tls13_only), (Mode::Off, true));
    assert_eq!((&*end.protocols[0], end.protocols.len()), (&b"mqtt"[..], 1));
    assert_eq!(end.secret, Some(("default".into(), "own".into())));
    let [first, second] = &rule.services[..] else { panic!("{:?}", rule.services) };
    assert_eq!((first.weight, first.delivery.proxy_protocol), (3, Some(ProxyVersion::V1)));
    assert_eq!((second.weight, second.delivery.proxy_protocol), (1, Some(ProxyVersion::V2)));
    assert_eq!(second.delivery.connect, Some(std::time::Duration::from_secs(3)));
    assert_eq!(second.delivery.keep_alive, crate::model::KeepAlive::Off);
    let backend = |at: usize| &model.backends[backends[at]];
    assert_eq!(backend(0).protocol, Protocol::Http);
    assert_eq!(backend(1).protocol.to_string(), "https (pods.test, not verified)");
}

#[test]
fn a_service_that_cannot_be_used_is_passed_over_where_there_are_others() {
    let spec = "entryPoints: [db], routes: [{match: 'HostSNI(`*`)', services: [{name: api}, {name: api, port: 9000}]}]";
    let (model, said) = run(&mk_tcp(spec));
    assert!(said[0].contains("services[0].port: is missing, or is no port"), "{said:?}");
    assert_eq!((broken(&model), model.tcp[0].rule.services.len()), (vec![None], 1));
    // A Service that is missing is told with its own place.
    let spec = spec.replace("{name: api}", "{name: gone, port: 1}");
    let (_, said) = run(&mk_tcp(&spec));
    assert!(said[0].contains("spec.routes[0].services[0]"), "{said:?}");
    assert!(said[0].contains("connections are refused"), "{said:?}");
}

#[test]
fn client_certificates_are_asked_of_a_route_whatever_its_names() {
    let spec = |tls: &str| {
        format!("entryPoints: [db], tls: {{{tls}}}, routes: [{}]", mk_route("HostSNI(`*`)", ""))
    };
    let option = |name: &str| {
        let auth = "clientAuth: {secretNames: [ca], clientAuthType: RequireAndVerifyClientCert}";
        mk_object("TLSOption", name, auth)
    };
    let demand = |model: &Model| match &model.tcp[0].rule.tls {
        TcpTls::Ended(end) => end.demand.clone(),
        other => panic!("{other:?}"),
    };
    // The CA is missing: nobody is served.
    let (model, said) =
        run(&format!("{}{}", mk_tcp(&spec("options: {name: strict}")), option("strict")));
    assert!(
        said.iter().any(|line| line.contains("spec.tls.options") && line.contains("ca")),
        "{said:?}"
    );
    assert_eq!((demand(&model).mode, demand(&model).authority), (Mode::Require, None));
    // The default one is for routes that name none.
    let (model, _) = run(&format!("{}{}", mk_tcp(&spec("")), option("default")));
    assert_eq!(demand(&model).mode, Mode::Require);
    // It counts as soon as it is there.
    let mut translator = Translator::new(taking());
    let of = |yaml: &str| Changes {
        objects: objects(yaml).changes_from(&Default::default()).into_iter().collect(),
        ..Changes::default()
    };
    let model = translator.apply(of(&format!("{}{}", super::BASE, mk_tcp(&spec(""))))).model;
    assert_eq!(demand(&model.expect("the first")).mode, Mode::Off);
    let model = translator.apply(of(&option("default"))).model;
    assert_eq!(demand(&model.expect("another one")).mode, Mode::Require);
    let identity = ObjectRef::new(Kind::TlsOption, "default", "default");
    let gone = Change { identity, object: None };
    let model = translator.apply(Changes { objects: vec![gone], ..Changes::default() }).model;
    assert_eq!(demand(&model.expect("another one")).mode, Mode::Off);
}

#[test]
fn an_annotation_of_ours_closes_a_route_that_it_cannot_protect() {
    let yaml = mk_tcp(&format!("entryPoints: [db], routes: [{}]", mk_route("HostSNI(`*`)", "")));
    let yaml = yaml.replace("{name: r}", "{name: r, annotations: {ravelin.dev/middlewares: list}}");
    let (model, said) = run(&yaml);
    assert_eq!(broken(&model), [Some(Broken::Restricted)]);
    assert!(said[0].contains("is not for IngressRouteTCPs"), "{said:?}");
}

#[test]
fn two_of_one_rule_are_told_and_the_older_one_has_it() {
    let spec = format!("entryPoints: [db], routes: [{}]", mk_route("HostSNI(`*`)", ""));
    let (model, said) = run(&format!("{}{}", mk_named("a", &spec), mk_named("b", &spec)));
    assert_eq!(
        said,
        [
            "warning: IngressRouteTCP default/b: spec.routes[0].match: is also the rule of IngressRouteTCP default/a \
          (spec.routes[0]), which has all of its connections (fix: remove one of the two, or give them different entry \
          points or priorities)"
        ]
    );
    assert_eq!(
        plain(&compile(&model, None), "192.0.2.1", DB).as_deref(),
        Some("default/a spec.routes[0]")
    );
}

#[test]
fn changes_come_to_what_a_translation_from_scratch_comes_to() {
    let spec = "entryPoints: [db], routes: [{match: 'HostSNI(`*`)', middlewares: [{name: list}], services: [{name: late, port: 1}]}]";
    let whole = [
        super::BASE.to_owned(),
        mk_tcp(spec),
        mk_object("MiddlewareTCP", "list", "ipAllowList: {sourceRange: [10.0.0.0/8]}"),
        "
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {ports: [{port: 1}]}
---"
        .to_owned(),
    ];
    let options = Options { middlewares: MiddlewarePolicy::AnyNamespace, ..taking() };
    let mut translator = Translator::new(options.clone());
    for yaml in &whole {
        let changes = objects(yaml).changes_from(&Default::default()).into_iter().collect();
        translator.apply(Changes { objects: changes, ..Changes::default() });
    }
    let (model, findings) =
        crate::control::translate::translate(&objects(&whole.concat()), &options);
    assert_eq!((&*translator.model(), lines(&findings)), (&model, vec![]));
    let identity = ObjectRef::new(Kind::MiddlewareTcp, "default", "list");
    translator
        .apply(Changes { objects: vec![Change { identity, object: None }], ..Changes::default() });
    assert_eq!(broken(&translator.model()), [Some(Broken::MiddlewareUnusable)]);
    let identity = ObjectRef::new(Kind::IngressRouteTcp, "default", "r");
    translator
        .apply(Changes { objects: vec![Change { identity, object: None }], ..Changes::default() });
    assert_eq!(translator.model().tcp, []);
}
