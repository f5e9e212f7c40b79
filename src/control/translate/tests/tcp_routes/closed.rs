//! Routes that cannot be served, and what is said of them.

use super::*;

const GOOD: &str = "{name: api, port: 9000}";

/// What is below `tls`, in `services`, and behind them; why connections are refused, and what is said.
const UNUSABLE: [(&str, &str, &str, Broken, &str); 12] = [
    (
        "",
        GOOD,
        ", middlewares: [{name: gone}]",
        Broken::MiddlewareUnusable,
        "spec.routes[0].middlewares[0]: there is no MiddlewareTCP default/gone: connections are refused",
    ),
    (
        "",
        GOOD,
        ", middlewares: [{name: bad}]",
        Broken::MiddlewareUnusable,
        "spec.routes[0].middlewares[0]: MiddlewareTCP default/bad cannot be used",
    ),
    (
        "",
        GOOD,
        ", middlewares: [{name: far, namespace: other}]",
        Broken::MiddlewareUnusable,
        "spec.routes[0].middlewares[0]: names a MiddlewareTCP of another namespace, which is forbidden: connections are refused",
    ),
    (
        "",
        GOOD,
        ", middlewars: [{name: list}]",
        Broken::Altered,
        "spec.routes[0].middlewars: is not a field, and may be meant as `middlewares`",
    ),
    (
        "options: {name: gone}",
        GOOD,
        "",
        Broken::Restricted,
        "spec.tls.options: there is no TLSOption \"gone\" in namespace default: connections are refused",
    ),
    (
        "passthru: true",
        GOOD,
        "",
        Broken::Restricted,
        "spec.tls.passthru: is not a field, and may be meant as `passthrough`",
    ),
    ("", "", "", Broken::Unsupported, "spec.routes[0].services: is empty: connections are refused"),
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
];

#[test]
fn what_cannot_be_used_keeps_its_place_and_is_told() {
    let base = "entryPoints: [db], tls: {TLS}, routes: [{match: 'HostSNI(`a.example`)', services: [SERVICE]MORE}]";
    for (tls, service, more, why, said) in UNUSABLE {
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
        (
            "entryPoints: [wbe], tls: {}",
            "spec.entryPoints: \"wbe\" is not an entry point: its connections are refused",
        ),
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
fn a_route_behind_cloudflare_is_told_that_only_http_comes_through() {
    let options = |listener: &str| {
        let text = format!(
            "[[listener]]\nname = \"db\"\n{listener}\n[[entry_point]]\nname = \"db\"\nlisteners = [\"db\"]\n\
             [source]\nkind = \"directory\"\ndirectory = \"/m\"\n"
        );
        let config = Config::parse(&text, "test").expect("it is valid");
        Options { entry_points: EntryPointTable::of(&config), ..taking() }
    };
    let told = |listener: &str, tls: &str| {
        let spec = format!("entryPoints: [db], {tls} routes: [{}]", mk_route("HostSNI(`*`)", ""));
        let yaml = format!("{}{}", BASE, mk_tcp(&spec));
        let (_, findings) =
            crate::control::translate::translate(&objects(&yaml), &options(listener));
        lines(&findings).iter().any(|line| line.contains("Cloudflare alone may connect"))
    };
    let (tcp, open) = ("protocol = \"tcp\"", "admit = [\"any\"]");
    for (listener, tls, expected) in [
        (format!("address = \"[::]:3306\"\n{tcp}"), "", true),
        (format!("address = \"[::]:3306\"\n{tcp}\n{open}"), "", false),
        (format!("address = \"[::]:3306\"\n{tcp}"), "tls: {},", true),
        // A pod that speaks HTTPS.
        (format!("address = \"[::]:8443\"\n{tcp}"), "tls: {},", false),
        (format!("address = \"[::]:8443\"\n{tcp}"), "", true),
    ] {
        assert_eq!(told(&listener, tls), expected, "{listener} {tls}");
    }
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
