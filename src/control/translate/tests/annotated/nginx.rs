//! ingress-nginx's, with those of our own that do the same.

use super::{NGINX, OWN, mk_annotated, of, of_first, refused, step, steps};
use crate::config::MiddlewarePolicy;
use crate::control::translate::Options;
use crate::control::translate::tests::{at_path, lines, options, run, run_with};
use crate::model::middleware::{
    AuthFlavour, ClientSelector, PathRewrite, RedirectStatus, RedirectTarget, SourceList, Step,
};
use crate::model::{Broken, Model, PathKind};
use crate::routing::compile;

#[test]
fn steps_of_nginx_are_in_the_order_of_its_phases() {
    let all = "
        x-forwarded-prefix: /app
        auth-url: http://auth.default.svc.cluster.local:4180/oauth2/auth
        auth-type: basic
        auth-secret: users
        limit-rps: 5
        limit-connections: 2
        whitelist-source-range: 10.0.0.0/8, 192.0.2.7
        denylist-source-range: 10.9.0.0/16
        enable-cors: true
        app-root: /app";
    let kinds: Vec<_> = steps(NGINX, all).iter().map(Step::kind).collect();
    assert_eq!(
        kinds,
        [
            "redirectRegex",
            "headers",
            "ipAllowList",
            "ipAllowList",
            "inFlightReq",
            "rateLimit",
            "basicAuth",
            "forwardAuth",
            "headers"
        ]
    );
}

#[test]
fn lists_of_addresses_are_compared_with_the_visitor() {
    let visitor = ClientSelector::Visitor { ipv6_bits: 128 };
    let shown = |list: &SourceList| match list {
        SourceList::Allow(all) => format!("allow {all:?}"),
        SourceList::Deny(all) => format!("deny {all:?}"),
    };
    for (prefix, annotation, expected) in [
        (NGINX, "whitelist-source-range: 10.0.0.0/8,192.0.2.7", "allow [10.0.0.0/8, 192.0.2.7/32]"),
        (NGINX, "allowlist-source-range: 10.0.0.0/8", "allow [10.0.0.0/8]"),
        (NGINX, "denylist-source-range: 2001:db8::/32", "deny [2001:db8::/32]"),
        (OWN, "allow: 10.0.0.0/8", "allow [10.0.0.0/8]"),
        (OWN, "deny: 192.0.2.7", "deny [192.0.2.7/32]"),
    ] {
        let Step::Source(rule) = step(prefix, annotation) else { panic!("{annotation}") };
        assert_eq!((shown(&rule.list).as_str(), &rule.client), (expected, &visitor));
    }
    assert_eq!(steps(NGINX, "whitelist-source-range: 0.0.0.0/0,::/0"), []);
    assert_eq!(
        refused(NGINX, "whitelist-source-range: lan"),
        format!(
            "error: Ingress default/x: metadata.annotations[{NGINX}/whitelist-source-range]: \"lan\" is not an \
             address or a network such as 192.0.2.0/24: the routes of this Ingress answer 503 (fix: write addresses \
             and networks in CIDR notation, with commas)"
        )
    );
}

#[test]
fn limits_of_nginx_count_visitors_and_answer_503() {
    let Step::RateLimit(limit) = step(NGINX, "limit-rps: 5") else { panic!("a limit") };
    assert_eq!((limit.average.get(), limit.burst.get(), limit.period.as_secs()), (5, 26, 1));
    assert_eq!(limit.status.as_u16(), 503);
    let steps = steps(NGINX, "limit-rpm: 30\nlimit-burst-multiplier: 2");
    let [Step::RateLimit(limit)] = &steps[..] else { panic!("a limit") };
    assert_eq!((limit.average.get(), limit.burst.get(), limit.period.as_secs()), (30, 61, 60));
    let Step::InFlight(limit) = step(NGINX, "limit-connections: 2") else { panic!("a limit") };
    assert_eq!((limit.amount.get(), limit.status.as_u16()), (2, 503));
    assert_eq!(step_count("limit-rps: 0"), 0);
    assert!(refused(NGINX, "limit-rps: many").contains("\"many\" is not a whole number"));
}

#[test]
fn networks_that_are_not_limited_are_read_for_every_limit() {
    let limits = "limit-rps: 5\nlimit-rpm: 30\nlimit-connections: 2";
    let except = |steps: Vec<Step>| -> Vec<String> {
        let shown = steps.iter().map(|step| match step {
            Step::RateLimit(limit) => format!("{:?}", limit.except),
            Step::InFlight(limit) => format!("{:?}", limit.except),
            other => panic!("{other:?}"),
        });
        shown.collect()
    };
    assert_eq!(except(steps(NGINX, limits)), ["[]"; 3]);
    for name in ["limit-whitelist", "limit-allowlist"] {
        let steps = steps(NGINX, &format!("{limits}\n{name}: 10.0.0.0/8, 2001:db8::1"));
        assert_eq!(except(steps), ["[10.0.0.0/8, 2001:db8::1/128]"; 3]);
    }
    let broken = of(NGINX, "limit-rps: 5\nlimit-whitelist: lan,10.0.0.0/8");
    assert_eq!(except(of_first(&broken.0)), ["[10.0.0.0/8]"], "limited rather than not");
    assert_eq!(
        lines(&broken.1),
        [format!(
            "warning: Ingress default/x: metadata.annotations[{NGINX}/limit-whitelist]: \"lan\" is not an address or \
             a network such as 192.0.2.0/24, and exempts nobody (fix: write addresses and networks in CIDR notation, \
             with commas)"
        )]
    );
}

fn step_count(annotations: &str) -> usize {
    steps(NGINX, annotations).len()
}

#[test]
fn users_of_nginx_are_in_either_layout_and_what_is_missing_is_503() {
    let users = |annotations: &str| {
        let Step::BasicAuth(auth) = step(NGINX, annotations) else { panic!("{annotations}") };
        let users: Vec<_> = auth.users.iter().map(|user| user.user.to_string()).collect();
        (users.join(","), auth.challenge.to_str().expect("text").to_owned())
    };
    assert_eq!(
        users("auth-type: basic\nauth-secret: users"),
        ("ann".to_owned(), "Basic realm=\"Authentication Required\"".to_owned())
    );
    let map = "auth-type: basic\nauth-secret: other/by-user\nauth-secret-type: auth-map\nauth-realm: Login";
    assert_eq!(users(map), ("ann,bob".to_owned(), "Basic realm=\"Login\"".to_owned()));
    let missing = refused(NGINX, "auth-type: basic\nauth-secret: absent");
    assert_eq!(
        missing,
        format!(
            "error: Ingress default/x: metadata.annotations[{NGINX}/auth-secret]: there is no Secret \"absent\" in \
             namespace default (fix: create it; until then the routes of this Ingress answer 503)"
        )
    );
    for annotations in [
        "auth-type: basic",
        "auth-secret: users",
        "auth-type: digest\nauth-secret: users",
        "auth-type: basic\nauth-secret: users\nauth-secret-type: other",
        "auth-type: basic\nauth-secret: other/by-user",
    ] {
        refused(NGINX, annotations);
    }
    let yaml = mk_annotated(NGINX, map, &[("Prefix", "/")]);
    let own = Options { middlewares: MiddlewarePolicy::OwnNamespace, ..options() };
    let (model, found) = run_with(&own, &yaml);
    assert!(model.rules[0].middlewares.is_none());
    assert!(lines(&found)[0].contains("another namespace, which is forbidden"));
}

#[test]
fn an_auth_server_of_nginx_is_asked_as_nginx_asks() {
    let annotations = "
        auth-url: https://$host/oauth2/auth
        auth-signin: https://$host/oauth2/start?rd=$escaped_request_uri
        auth-response-headers: X-Auth-Request-User, X-Auth-Request-Email";
    let Step::ForwardAuth(auth) = step(NGINX, annotations) else { panic!("an auth server") };
    assert_eq!(auth.service.uri, "https://a.example/oauth2/auth");
    assert_eq!((auth.flavour, auth.response_fields.len()), (AuthFlavour::Nginx, 2));
    assert_eq!(auth.sign_in.expect("where to sign in").parameter, None);
    let annotations = "
        auth-url: http://auth.default.svc.cluster.local:4180/auth
        auth-signin: https://login.example/start";
    let Step::ForwardAuth(auth) = step(NGINX, annotations) else { panic!("an auth server") };
    assert_eq!(&*auth.service.backend.service, "auth");
    assert_eq!(auth.sign_in.expect("where to sign in").parameter.as_deref(), Some("rd"));
    for annotations in
        ["auth-url: http://$foo/", "auth-url: auth", "auth-url: http://auth/\nauth-method: CONNECT"]
    {
        refused(NGINX, annotations);
    }
}

fn mk_fields(data: &str) -> String {
    format!(
        "
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: fields, namespace: other}}, data: {{{data}}}}}
---"
    )
}

#[test]
fn an_auth_server_is_told_the_fields_of_a_config_map_or_nobody_is_served() {
    const AUTH: &str = "auth-url: http://auth.default.svc.cluster.local:4180/auth
        auth-method: POST
        auth-proxy-set-headers: other/fields";
    let with = |data: &str| {
        let ingress = mk_annotated(NGINX, AUTH, &[("Prefix", "/")]);
        let config_map = if data.is_empty() { String::new() } else { mk_fields(data) };
        run_with(&options(), &format!("{config_map}{ingress}"))
    };
    let (model, found) = with("X-A: '1', X-B: b");
    assert_eq!(lines(&found), [""; 0]);
    let [Step::ForwardAuth(auth)] = &of_first(&model)[..] else { panic!("an auth server") };
    assert_eq!(auth.method, Some(http::Method::POST));
    let told: Vec<_> = auth.told_fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(told, ["x-a", "x-b"]);
    for (data, said) in [
        (
            "",
            "ConfigMap other/fields does not exist or may not be read: the routes of this Ingress answer 503",
        ),
        ("X-A: $remote_addr", "\"X-A\" is a field that is not sent"),
        ("Host: a", "\"Host\" is a field that is not sent"),
        ("Content-Length: '1'", "is a field that is not sent"),
    ] {
        let (model, found) = with(data);
        assert!(model.rules[0].middlewares.is_none(), "{data}");
        assert!(lines(&found)[0].contains(said), "{data}: {found:?}");
    }
}

#[test]
fn responses_get_the_fields_of_a_config_map_or_are_sent_without() {
    let with = |config_map: &str| {
        let ingress = mk_annotated(NGINX, "custom-headers: other/fields", &[("Prefix", "/")]);
        let (model, found) = run_with(&options(), &format!("{config_map}{ingress}"));
        (of_first(&model), lines(&found))
    };
    let (steps, found) = with(&mk_fields("X-A: '1', X-B: $host, Connection: close"));
    let [Step::Headers(rules)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((rules.response.len(), rules.request.len()), (1, 0));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|line| line.starts_with("warning: ")), "{found:?}");
    let (steps, found) = with("");
    assert_eq!(steps, []);
    assert!(found[0].contains("may not be read: responses do not get its fields"), "{found:?}");
}

#[test]
fn one_of_addresses_and_authentication_is_enough_where_that_is_asked_for() {
    const LIST: &str = "whitelist-source-range: 192.0.2.0/24";
    const USERS_OF: &str = "auth-type: basic\nauth-secret: users";
    let Step::Exempt(exemption) = step(NGINX, &format!("satisfy: any\n{LIST}\n{USERS_OF}")) else {
        panic!("an exemption")
    };
    assert!(matches!(exemption.step.step, Step::BasicAuth(_)), "{exemption:?}");
    assert_eq!(exemption.networks, ["192.0.2.0/24".parse().expect("a network")]);
    for annotations in [format!("satisfy: all\n{LIST}\n{USERS_OF}"), format!("{LIST}\n{USERS_OF}")]
    {
        let all = steps(NGINX, &annotations);
        assert!(matches!(all[..], [Step::Source(_), Step::BasicAuth(_)]), "{all:?}");
    }
    let alone = steps(NGINX, &format!("satisfy: any\n{LIST}"));
    assert!(matches!(alone[..], [Step::Source(_)]), "{alone:?}");
    let alone = steps(NGINX, &format!("satisfy: any\n{USERS_OF}"));
    assert!(matches!(alone[..], [Step::BasicAuth(_)]), "{alone:?}");
    // Nobody is let in by a mistake.
    refused(NGINX, &format!("satisfy: any\nwhitelist-source-range: x\n{USERS_OF}"));
    refused(NGINX, &format!("satisfy: any\n{LIST}\nauth-type: basic\nauth-secret: absent"));
    let both = format!("satisfy: any\n{LIST}\n{USERS_OF}\nauth-url: https://auth.example/");
    let (model, found) = of(NGINX, &both);
    let all = of_first(&model);
    assert!(matches!(all[..], [Step::Exempt(_), Step::Exempt(_)]), "{all:?}");
    assert!(lines(&found)[0].contains("is obeyed for addresses alone"), "{found:?}");
    let (model, found) = of(NGINX, &format!("satisfy: some\n{LIST}\n{USERS_OF}"));
    assert!(matches!(of_first(&model)[..], [Step::Source(_), Step::BasicAuth(_)]));
    assert!(lines(&found)[0].contains("neither \"any\" nor \"all\": both apply"), "{found:?}");
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    for (prefix, key) in [(NGINX, "auth-url"), (OWN, "forward-auth")] {
        let said = refused(prefix, &format!("{key}: https://user:hunter2@auth.example/"));
        assert!(!said.contains("hunter2") && said.contains("has a user"), "{said}");
    }
}

#[test]
fn a_snippet_that_only_sets_fields_is_a_step() {
    let text = "configuration-snippet: proxy_set_header X-A 1; more_set_headers 'X-B: 2';";
    let Step::Headers(rules) = step(NGINX, text) else { panic!("headers") };
    assert_eq!((rules.request.len(), rules.response.len()), (1, 1));
    assert!(refused(NGINX, &format!("{text} deny all;")).contains("may restrict access"));
}

#[test]
fn redirects_have_their_status_and_few_variables() {
    for (prefix, annotations, location, status) in [
        (NGINX, "permanent-redirect: https://b.example", "https://b.example", 301),
        (
            NGINX,
            "permanent-redirect: https://b.example\npermanent-redirect-code: 308",
            "https://b.example",
            308,
        ),
        (NGINX, "temporal-redirect: https://b.example", "https://b.example", 302),
        (OWN, "redirect: https://b.example\nredirect-status: 307", "https://b.example", 307),
        (NGINX, "permanent-redirect: https://b.example$request_uri", "https://b.example${3}", 301),
        (NGINX, "permanent-redirect: $scheme://b.$host/", "${1}://b.${2}/", 301),
    ] {
        let all = steps(prefix, annotations);
        let [Step::Redirect(redirect)] = &all[..] else { panic!("{annotations}: {all:?}") };
        let to = match &redirect.target {
            RedirectTarget::Fixed(to) => to,
            RedirectTarget::Regex { replacement, .. } => replacement.as_str(),
            other => panic!("{other:?}"),
        };
        assert_eq!(to, location, "{annotations}");
        let RedirectStatus::Exactly(code) = redirect.status else { panic!("{annotations}") };
        assert_eq!(code.as_u16(), status, "{annotations}");
    }
    refused(NGINX, "permanent-redirect: https://b.example$uri");
    let Step::Redirect(root) = step(NGINX, "app-root: /app") else { panic!("a redirect") };
    assert_eq!(root.target, RedirectTarget::Root("/app".into()));
}

#[test]
fn cors_of_nginx_has_its_defaults() {
    let Step::Headers(rules) = step(NGINX, "enable-cors: true") else { panic!("headers") };
    let cors = rules.cors.expect("CORS");
    assert!(cors.origins.any && !cors.credentials);
    assert_eq!((cors.preflight.as_u16(), cors.max_age.expect("an age")), (204, 1_728_000.into()));
    let own = "
        enable-cors: true
        cors-allow-origin: https://a.example, https://*.b.example
        cors-allow-methods: GET
        cors-max-age: 60";
    let Step::Headers(rules) = step(NGINX, own) else { panic!("headers") };
    let cors = rules.cors.expect("CORS");
    assert_eq!(
        (cors.origins.list.len(), cors.methods.expect("methods")),
        (1, "GET".parse().expect("text"))
    );
    let pattern = &cors.origins.patterns[0];
    assert!(cors.credentials && pattern.is_match("https://x.b.example"));
    assert!(!pattern.is_match("https://b.example") && !pattern.is_match("https://x.b.example.c"));
    assert_eq!(step_count("enable-cors: false\ncors-allow-origin: https://a.example"), 0);
}

fn owner(model: &Model, path: &str) -> Option<(PathKind, String)> {
    at_path(model, path, |table, id| {
        let steps = table.chain(id).map(|chain| format!("{} steps", chain.len()));
        (table.route(id).kind, steps.unwrap_or_default())
    })
}

#[test]
fn a_rewrite_is_of_its_path_alone_and_a_usual_expression_is_a_prefix() {
    let annotations = "use-regex: true\nrewrite-target: /$2";
    let specific = "ImplementationSpecific";
    let paths = [(specific, "/api(/|$)(.*)"), (specific, "/v([0-9]+)/(.*)"), (specific, "/plain")];
    let (model, found) = run(&mk_annotated(NGINX, annotations, &paths));
    assert_eq!(lines(&found), [""; 0]);
    for (path, is_there) in [
        ("/api", true),
        ("/api/x", true),
        ("/apix", false),
        ("/v12/x", true),
        ("/V12/x", true),
        ("/a/v12/x", false),
        ("/v/x", false),
        ("/plain/x", true),
    ] {
        assert_eq!(owner(&model, path).is_some(), is_there, "{path}");
    }
    for (at, path, expected) in [
        ("/api", "/api/x/y", "/x/y"),
        ("/api", "/api", "/"),
        ("/v", "/v1/x", "/x"),
        ("/plain", "/plain/x", "/"),
    ] {
        let rule = model.rules.iter().find(|rule| rule.path.text.starts_with(at));
        let rule = rule.or(model.rules.iter().find(|rule| rule.matching.ordered.is_some()));
        let chain = rule.expect("a rule").middlewares.clone().expect("a step");
        let [named] = &chain[..] else { panic!("{chain:?}") };
        let Step::Path(rewrite) = &named.step else { panic!("{named:?}") };
        let PathRewrite::RewriteTarget { regex, replacement } = &**rewrite else { panic!("{at}") };
        assert_eq!(regex.replace_all(path, replacement), expected, "{at} {path}");
    }
}

#[test]
fn a_rewrite_that_is_not_understood_keeps_its_place_unserved() {
    for (annotations, path, said) in [
        ("rewrite-target: /$host", "/a", "has a variable that is not known"),
        ("rewrite-target: https://b.example/", "/a", "is not a path"),
        ("use-regex: true", "/a/(b", "is not a regular expression that is used"),
    ] {
        let yaml = mk_annotated(NGINX, annotations, &[("ImplementationSpecific", path)]);
        let (model, found) = run(&yaml);
        assert!(lines(&found)[0].contains(said), "{:?}", lines(&found));
        let table = compile(&model, None);
        let id = table.lookup("a.example", "/a/x").expect("its place");
        assert_eq!(table.backend(id).broken, Some(Broken::Altered), "{annotations}");
    }
}
