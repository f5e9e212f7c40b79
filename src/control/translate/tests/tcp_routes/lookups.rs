//! Which route takes a connection.

use super::*;

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
