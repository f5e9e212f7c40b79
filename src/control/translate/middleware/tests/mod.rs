//! The fields of each kind, and what is said of mistakes in them.

mod asking;

use super::{Content, Context, OwnBackend, content};
use crate::config::MiddlewarePolicy;
use crate::control::manifest;
use crate::control::objects::Objects;
use crate::control::translate::report::Report;
use crate::control::yaml;
use crate::model::middleware::{
    ClientSelector, PathRewrite, RedirectStatus, RedirectTarget, SourceList, Step,
};
use crate::model::{Kind, ObjectRef};
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// The content of `spec`, in flow style, and the findings about it.
fn read(spec: &str) -> (Content, Vec<String>) {
    let (content, said, _) = read_with("", spec);
    (content, said)
}

/// The same among other objects, and the backend of its own.
fn read_with(others: &str, spec: &str) -> (Content, Vec<String>, Option<OwnBackend>) {
    let mut value = Value::Null;
    yaml::read(spec, |document| {
        value = document.value.expect("the test's own YAML");
        ControlFlow::Break(())
    });
    let mut objects = Objects::default();
    for object in manifest::parse("others.yaml", others).objects {
        objects.insert(object);
    }
    let (namespace, name): (Arc<str>, Arc<str>) = ("default".into(), "m".into());
    let policy = MiddlewarePolicy::AnyNamespace;
    let mut context = Context::new(Some(&objects), policy, &namespace, &name);
    let object = ObjectRef::new(Kind::Middleware, "default", "m");
    let mut findings = Vec::new();
    let read = content(&value, &mut context, &mut Report::new(&object, &mut findings));
    let said = findings.iter().map(ToString::to_string);
    (read, said.collect(), context.backend)
}

/// The step of a specification without a mistake.
fn step(spec: &str) -> Step {
    match read(spec) {
        (Content::Step(step), said) if said.is_empty() => step,
        other => panic!("{spec}: {other:?}"),
    }
}

/// What is wrong with a specification that cannot be used.
fn refused(spec: &str) -> String {
    match read(spec) {
        (Content::Unusable, said) => said.join("\n"),
        other => panic!("{spec}: {other:?}"),
    }
}

#[test]
fn a_specification_has_one_kind_that_is_known() {
    let fix = "; until then routes that name this Middleware answer 503)";
    for (spec, said) in [
        ("{}", "spec: has no kind (fix: add one, such as `headers`"),
        ("null", "spec: has no kind (fix: add one, such as `headers`"),
        (
            "{headers: {frameDeny: true}, addPrefix: {prefix: /a}}",
            "spec: has several kinds: \"addPrefix\", \"headers\" \
             (fix: write a Middleware for each, and name them in their order",
        ),
        (
            "{basicauth: {}}",
            "spec.basicauth: is not a kind of Middleware (fix: did you mean `basicAuth`?",
        ),
        ("{addPrefix: [/a]}", "spec.addPrefix: is not a mapping (fix: write its fields below it"),
    ] {
        let all = refused(spec);
        let first = all.lines().next().unwrap_or_default();
        assert_eq!(first, format!("error: Middleware default/m: {said}{fix}"), "{spec}");
    }
}

#[test]
fn plugins_are_told_with_what_to_use_instead() {
    for (plugin, instead) in [
        ("geoblock", "WAF by country"),
        ("crowdsec-bouncer-traefik-plugin", "AppSec"),
        ("rewrite-body", "Snippets"),
        ("traefik-robots-txt", "robots.txt"),
        ("my-own", "forwardAuth"),
    ] {
        let said = refused(&format!("{{plugin: {{{plugin}: {{a: b}}}}}}"));
        assert!(said.contains(instead) && said.contains("plugins are not run"), "{said}");
    }
}

#[test]
fn headers_are_read_with_their_security_fields_and_cors() {
    let Step::Headers(rules) = step(
        "{headers: {customRequestHeaders: {X-B: '2', X-A: '', Host: pod.example}, \
         customResponseHeaders: {Server: ''}, stsSeconds: 31536000, stsIncludeSubdomains: true, \
         stsPreload: true, forceSTSHeader: true, frameDeny: true, contentTypeNosniff: true, \
         browserXssFilter: true, referrerPolicy: no-referrer, allowedHosts: [A.example], \
         accessControlAllowMethods: [GET, PUT], accessControlAllowOriginList: ['https://a.example'], \
         accessControlMaxAge: 100, addVaryHeader: true}}",
    ) else {
        panic!("headers")
    };
    let shown = |change: &crate::model::middleware::FieldChange| {
        let value = change.value.as_ref().map(|value| value.to_str().unwrap_or("?"));
        format!("{}={}", change.name, value.unwrap_or("-"))
    };
    let all: Vec<String> = rules
        .request
        .iter()
        .chain(&rules.response)
        .chain(&rules.security.fields)
        .map(shown)
        .collect();
    assert_eq!(
        all,
        [
            "x-a=-",
            "x-b=2",
            "server=-",
            "x-frame-options=DENY",
            "x-xss-protection=1; mode=block",
            "x-content-type-options=nosniff",
            "referrer-policy=no-referrer",
        ]
    );
    assert_eq!(rules.host.as_ref().map(|host| host.as_bytes()), Some(&b"pod.example"[..]));
    let hsts = rules.security.hsts.as_ref().map(|value| value.as_bytes());
    assert_eq!(hsts, Some(&b"max-age=31536000; includeSubDomains; preload"[..]));
    assert!(rules.security.hsts_always);
    assert_eq!(rules.security.allowed_hosts, [Box::<str>::from("a.example")]);
    let cors = rules.cors.as_ref().expect("it is asked for");
    assert_eq!(cors.methods.as_ref().map(|value| value.as_bytes()), Some(&b"GET,PUT"[..]));
    assert_eq!(cors.max_age.as_ref().map(|value| value.as_bytes()), Some(&b"100"[..]));
    assert!(cors.vary && !cors.credentials && !cors.origins.any);
}

#[test]
fn headers_that_set_nothing_or_nothing_valid_are_refused() {
    assert!(refused("{headers: {}}").contains("spec.headers: sets nothing"));
    assert!(refused("{headers: {frameDeny: false}}").contains("spec.headers: sets nothing"));
    let said = refused("{headers: {customRequestHeaders: {'X A': b}}}");
    assert!(said.contains("\"X A\" is not the name of a field"), "{said}");
    let said = refused("{headers: {customResponseHeaders: {X-A: \"a\\nb\"}}}");
    assert!(said.contains("customResponseHeaders.X-A"), "{said}");
    let said = refused("{headers: {frameDeny: 'yes'}}");
    assert!(said.contains("spec.headers.frameDeny: is not true or false"), "{said}");
}

#[test]
fn what_traefik_3_does_not_do_is_told_and_the_rest_is_done() {
    let (content, said) = read("{headers: {sslRedirect: true, frameDeny: true, framDeny: true}}");
    assert!(matches!(content, Content::Step(_)));
    assert_eq!(
        said,
        [
            "warning: Middleware default/m: spec.headers.framDeny: is not a field of this kind, and is ignored \
             (fix: did you mean `frameDeny`?)",
            "warning: Middleware default/m: spec.headers.sslRedirect: does nothing in Traefik 3, nor here \
             (fix: use a redirectScheme, or ravelin.dev/https-redirect)",
        ]
    );
}

#[test]
fn redirects_are_read_as_traefik_reads_them() {
    let Step::Redirect(redirect) =
        step("{redirectScheme: {scheme: https, port: '443', permanent: true}}")
    else {
        panic!("a redirect")
    };
    let target = RedirectTarget::Scheme { scheme: "https".into(), port: None };
    assert_eq!((redirect.target, redirect.status), (target, RedirectStatus::Permanent));
    let Step::Redirect(redirect) = step("{redirectScheme: {scheme: https, port: '8443'}}") else {
        panic!("a redirect")
    };
    let target = RedirectTarget::Scheme { scheme: "https".into(), port: Some(8443) };
    assert_eq!((redirect.target, redirect.status), (target, RedirectStatus::Temporary));
    step("{redirectRegex: {regex: '^https?://a/(.*)', replacement: 'https://b/${1}'}}");
    for (spec, said) in [
        ("{redirectScheme: {}}", "spec.redirectScheme.scheme: is missing"),
        ("{redirectScheme: {scheme: ftp}}", "\"ftp\" is not http or https"),
        ("{redirectScheme: {scheme: https, port: x}}", "\"x\" is not a port number"),
        ("{redirectScheme: {scheme: https, port: 443}}", "port: is not a text"),
        ("{redirectRegex: {regex: 'a(', replacement: b}}", "unclosed group"),
        ("{redirectRegex: {regex: '(?=a)', replacement: b}}", "look-around"),
        ("{redirectRegex: {regex: a}}", "spec.redirectRegex.replacement: is missing"),
    ] {
        assert!(refused(spec).contains(said), "{spec}: {}", refused(spec));
    }
    let (_, said) = read("{redirectRegex: {regex: '(a)', replacement: '$1b'}}");
    assert!(said[0].contains("names the group \"1b\""), "{said:?}");
}

#[test]
fn allow_lists_compare_the_peer_unless_a_strategy_is_given() {
    let source = |spec: &str| match step(spec) {
        Step::Source(rule) => *rule,
        other => panic!("{other:?}"),
    };
    let rule = source("{ipAllowList: {sourceRange: [192.0.2.7, 10.1.0.0/8]}}");
    assert_eq!(rule.client, ClientSelector::Peer);
    assert_eq!(rule.status, 403);
    let SourceList::Allow(networks) = rule.list else { panic!("an allow list") };
    let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["192.0.2.7/32", "10.0.0.0/8"]);
    let rule = source(
        "{ipAllowList: {sourceRange: ['::/0'], rejectStatusCode: 404, ipStrategy: {depth: 2, ipv6Subnet: 64}}}",
    );
    assert_eq!(rule.client, ClientSelector::Depth { depth: 2, ipv6_bits: Some(64) });
    assert_eq!(rule.status, 404);
    let rule = source(
        "{ipWhiteList: {sourceRange: [10.0.0.0/8], ipStrategy: {excludedIPs: [192.0.2.1]}}}",
    );
    assert!(matches!(rule.client, ClientSelector::Excluding { .. }));
    for (spec, said) in [
        ("{ipAllowList: {}}", "spec.ipAllowList.sourceRange: is empty"),
        ("{ipAllowList: {sourceRange: [lan]}}", "\"lan\" is not an address or a network"),
        ("{ipAllowList: {sourceRange: 10.0.0.0/8}}", "sourceRange: is not a list of texts"),
        ("{ipAllowList: {sourceRange: [::/0], ipStrategy: {depth: -1}}}", "-1 is negative"),
        (
            "{ipAllowList: {sourceRange: ['::/0'], rejectStatusCode: 99}}",
            "\"99\" is not the status",
        ),
    ] {
        assert!(refused(spec).contains(said), "{spec}: {}", refused(spec));
    }
}

#[test]
fn paths_are_rewritten_as_written() {
    let rewrite = |spec: &str| match step(spec) {
        Step::Path(rewrite) => *rewrite,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        rewrite("{stripPrefix: {prefixes: [/a, /b/]}}"),
        PathRewrite::StripPrefix(vec!["/a".into(), "/b/".into()])
    );
    assert_eq!(rewrite("{addPrefix: {prefix: a}}"), PathRewrite::AddPrefix("/a".into()));
    assert_eq!(rewrite("{replacePath: {path: /a}}"), PathRewrite::Replace("/a".into()));
    let PathRewrite::StripPrefixRegex(patterns) =
        rewrite("{stripPrefixRegex: {regex: ['/v[0-9]+']}}")
    else {
        panic!("expressions")
    };
    assert_eq!((patterns[0].find("/v12/a"), patterns[0].find("/a/v1")), (Some((0, 4)), None));
    let PathRewrite::ReplaceRegex { regex, replacement } =
        rewrite("{replacePathRegex: {regex: '^/a/(.*)', replacement: '/b/$1'}}")
    else {
        panic!("an expression")
    };
    assert_eq!(regex.replace_all("/a/c", &replacement), "/b/c");
    for spec in ["{addPrefix: {}}", "{replacePath: {}}", "{replacePathRegex: {regex: a}}"] {
        refused(spec);
    }
    let (content, said) = read("{stripPrefix: {prefixes: []}}");
    assert!(content == Content::Nothing && said[0].contains("is empty"), "{said:?}");
}

#[test]
fn what_becomes_of_responses_has_the_defaults_of_traefik() {
    let Step::Compress(compress) = step("{compress: {}}") else { panic!("compress") };
    assert_eq!((compress.min_bytes, &compress.encodings[..]), (1024, &["br", "gzip"][..]));
    let Step::Compress(compress) =
        step("{compress: {encodings: [gzip], excludedContentTypes: ['Text/X; a=b']}}")
    else {
        panic!("compress")
    };
    assert_eq!((&compress.encodings[..], &*compress.excluded[0]), (&["gzip"][..], "text/x"));
    refused("{compress: {encodings: [deflate]}}");
    refused("{compress: {includedContentTypes: [text/a], excludedContentTypes: [text/b]}}");
    assert_eq!(step("{contentType: {}}"), Step::ContentType(true));
    assert_eq!(step("{contentType: {autoDetect: false}}"), Step::ContentType(false));
    let Step::Retry(retry) = step("{retry: {attempts: 3, initialInterval: 100ms}}") else {
        panic!("retry")
    };
    assert_eq!((retry.attempts.get(), retry.interval.as_millis()), (3, 100));
    assert!(
        matches!(step("{retry: {attempts: 3}}"), Step::Retry(retry) if retry.interval.is_zero())
    );
    let Step::Retry(retry) = step(
        "{retry: {attempts: 2, timeout: 1s, status: ['429', '500-503'], maxRequestBodyBytes: 9,
          disableRetryOnNetworkError: true, retryNonIdempotentMethod: true}}",
    ) else {
        panic!("retry")
    };
    assert_eq!((retry.timeout, retry.max_body), (Some(Duration::from_secs(1)), Some(9)));
    assert_eq!(retry.statuses.len(), 2);
    assert!(retry.any_method && !retry.network);
    let unbounded = step("{retry: {attempts: 2, maxRequestBodyBytes: -1}}");
    assert!(matches!(unbounded, Step::Retry(retry) if retry.max_body.is_none() && retry.network));
    refused("{retry: {}}");
    refused("{retry: {attempts: 2, status: ['5xx']}}");
    refused("{retry: {attempts: 2, disableRetryOnNetworkError: true}}");
    assert!(matches!(
        step("{buffering: {maxRequestBodyBytes: 2000000}}"),
        Step::BodySize(most) if most.get() == 2_000_000
    ));
    let (content, said) = read("{buffering: {memRequestBodyBytes: 1}}");
    assert!(content == Content::Nothing && said[0].starts_with("info: "), "{said:?}");
    refused("{buffering: {maxRequestBodyBytes: -1}}");
}

#[test]
fn what_traefik_takes_is_taken_in_its_spelling() {
    let Step::Path(rewrite) = step("{stripPrefix: {prefixes: ['/a b', '/é', '/a%20c']}}") else {
        panic!("a path")
    };
    let prefixes = ["/a%20b", "/%C3%A9", "/a%20c"].map(Into::into).to_vec();
    assert_eq!(*rewrite, PathRewrite::StripPrefix(prefixes));
    let Step::Redirect(redirect) = step("{redirectScheme: {scheme: HTTPS, port: '443'}}") else {
        panic!("a redirect")
    };
    let https = RedirectTarget::Scheme { scheme: "https".into(), port: None };
    assert_eq!(redirect.target, https);
    step("{redirectRegex: {regex: '[?].*$', replacement: ''}}");
    step("{replacePath: {path: fixed}}");
}

#[test]
fn a_preflight_tells_an_age_that_is_written_alone() {
    let age = |options: &str| {
        let spec = format!("{{headers: {{accessControlAllowMethods: [GET]{options}}}}}");
        let Step::Headers(rules) = step(&spec) else { panic!("headers") };
        let age = rules.cors.and_then(|cors| cors.max_age);
        age.map(|age| age.to_str().unwrap_or("?").to_owned())
    };
    assert_eq!(age(""), None);
    assert_eq!(age(", accessControlMaxAge: 0"), Some("0".to_owned()));
    assert_eq!(age(", accessControlMaxAge: 7"), Some("7".to_owned()));
}
