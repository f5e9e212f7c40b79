//! Kinds that look at other objects, or that limit.

use super::{read, read_with, refused, step};
use crate::control::translate::middleware::Content;
use crate::model::middleware::{
    AuthFlavour, ClientSelector, ForwardAuth, LimitKey, PasswordHash, StatusRange, Step,
};
use crate::model::{BackendState, PortKey, Protocol};
use std::sync::Arc;
use std::time::Duration;

const SHA: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
const BCRYPT: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";

/// A Secret `users` of a type, with these keys.
fn mk_secret(kind: &str, keys: &[(&str, &str)]) -> String {
    let keys: Vec<String> = keys.iter().map(|(key, text)| format!("{key}: {text:?}")).collect();
    let keys = keys.join(", ");
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: users}}
type: {kind}
stringData: {{{keys}}}
---"
    )
}

fn refused_with(others: &str, spec: &str) -> String {
    match read_with(others, spec) {
        (Content::Unusable, said, _) => said.join("\n"),
        other => panic!("{spec}: {other:?}"),
    }
}

#[test]
fn users_are_the_lines_of_the_one_key_of_a_secret() {
    let lines = format!("zoe:{BCRYPT}\nann:{SHA}\n\nann:{BCRYPT}\n");
    let secret = mk_secret("Opaque", &[("any-name", &lines)]);
    let (content, said, _) = read_with(&secret, "{basicAuth: {secret: users, removeHeader: true}}");
    assert_eq!(said, [""; 0]);
    let Content::Step(Step::BasicAuth(auth)) = content else { panic!("{content:?}") };
    let users: Vec<String> = auth.users.iter().map(|user| format!("{user:?}")).collect();
    assert_eq!(users, ["ann:bcrypt", "zoe:bcrypt"], "the later line of a user counts");
    assert_eq!(auth.challenge, "Basic realm=\"traefik\"");
    assert!(auth.remove_header && auth.user_field.is_none());
    let clear = mk_secret("kubernetes.io/basic-auth", &[("username", "u"), ("password", "p")]);
    let (content, _, _) =
        read_with(&clear, "{basicAuth: {secret: users, realm: r, headerField: X-User}}");
    let Content::Step(Step::BasicAuth(auth)) = content else { panic!("{content:?}") };
    assert_eq!(auth.users[0].hash, PasswordHash::Clear("p".into()));
    assert_eq!(auth.user_field.as_ref().map(|name| name.as_str()), Some("x-user"));
    assert_eq!(auth.challenge, "Basic realm=\"r\"");
}

#[test]
fn a_secret_that_has_no_users_is_refused_without_a_word_of_it() {
    let basic = "{basicAuth: {secret: users}}";
    for (secret, said) in [
        (String::new(), "there is no Secret \"users\" in namespace default"),
        (mk_secret("Opaque", &[("a", "x:y"), ("b", "x:y")]), "has 2 keys, and not one"),
        (mk_secret("Opaque", &[]), "has 0 keys, and not one"),
        (mk_secret("Opaque", &[("a", "\n")]), "has no users"),
        (mk_secret("Opaque", &[("a", "hunter2")]), "has no user and hash in line 1"),
        (mk_secret("Opaque", &[("a", "u:hunter2:x")]), "has no user and hash in line 1"),
        (mk_secret("Opaque", &[("a", "u:hunter2")]), "line 1 of Secret \"users\" has no hash"),
        (
            mk_secret("kubernetes.io/basic-auth", &[("username", "u")]),
            "has type kubernetes.io/basic-auth and not both",
        ),
    ] {
        let all = refused_with(&secret, basic);
        assert!(all.contains(said) && !all.contains("hunter2"), "{all}");
    }
    assert!(refused("{basicAuth: {}}").contains("spec.basicAuth.secret: is missing"));
}

#[test]
fn users_of_digests_are_those_of_the_realm() {
    let hash = "939E7578ED9E3C518A452ACEE763BCE9";
    let lines = format!("u:traefik:{hash}\nv:other:{hash}");
    let secret = mk_secret("Opaque", &[("users", &lines)]);
    let (content, said, _) = read_with(&secret, "{digestAuth: {secret: users}}");
    let Content::Step(Step::DigestAuth(auth)) = content else { panic!("{content:?}") };
    assert_eq!((auth.users.len(), &*auth.users[0].user, &*auth.realm), (1, "u", "traefik"));
    assert_eq!(&*auth.users[0].hash, hash.to_lowercase());
    assert!(said[0].contains("has 1 users of other realms"), "{said:?}");
    let short = mk_secret("Opaque", &[("users", "u:traefik:abc")]);
    assert!(refused_with(&short, "{digestAuth: {secret: users}}").contains("in line 1"));
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: auth, namespace: sso}
spec: {ports: [{port: 9000}]}
---";

fn forward(content: Content) -> ForwardAuth {
    match content {
        Content::Step(Step::ForwardAuth(auth)) => *auth,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_auth_server_in_the_cluster_is_a_service_and_another_one_a_backend_of_its_own() {
    for (address, service) in [
        ("http://auth.sso.svc.cluster.local:9000/verify?a=b", "sso/auth:9000"),
        ("http://auth.sso.svc:9000/verify", "sso/auth:9000"),
        ("http://auth.sso:9000/verify", "sso/auth:9000"),
        ("http://local/verify", "default/local:80"),
        ("http://gone.other.svc/verify", "other/gone:80"),
    ] {
        let (content, said, own) =
            read_with(SERVICE, &format!("{{forwardAuth: {{address: '{address}'}}}}"));
        assert_eq!((said, own), (vec![], None), "{address}");
        let auth = forward(content);
        assert_eq!(auth.service.backend.to_string(), service);
        assert_eq!(auth.service.uri.to_string(), address);
    }
    for (address, state, is_secure) in [
        ("http://auth.example/verify", "auth.example:80", false),
        ("https://auth.example/verify", "auth.example:443", true),
        ("https://auth.sso.svc:9000/verify", "auth.sso.svc:9000", true),
    ] {
        let (content, _, own) =
            read_with(SERVICE, &format!("{{forwardAuth: {{address: '{address}'}}}}"));
        let own = own.expect("a backend of its own");
        assert_eq!(forward(content).service.backend, own.key);
        assert_eq!(&*own.key.service, "Middleware/m");
        let BackendState::Named(name) = own.state else { panic!("{:?}", own.state) };
        assert_eq!(name.to_string(), state);
        assert_eq!(matches!(own.protocol, Protocol::Https(_)), is_secure, "{address}");
    }
    let (_, _, own) = read_with("", "{forwardAuth: {address: 'http://192.0.2.1:8080/a'}}");
    let own = own.expect("a backend of its own");
    assert!(
        matches!(own.state, BackendState::Resolved(_)) && own.key.port == PortKey::Number(8080)
    );
    for (spec, said) in [
        ("{forwardAuth: {}}", "spec.forwardAuth.address: is missing"),
        ("{forwardAuth: {address: auth:9000}}", "does not begin with http"),
        ("{forwardAuth: {address: 'ftp://a/'}}", "does not begin with http"),
        ("{forwardAuth: {address: 'http://u:p@a/'}}", "has a user in it"),
        ("{forwardAuth: {address: 'http://a:0/'}}", "is not an address"),
        (
            "{forwardAuth: {address: 'https://a.example/', tls: {caSecret: ca}}}",
            "there is no Secret \"ca\"",
        ),
        (
            "{forwardAuth: {address: 'https://a.example/', tls: {certSecret: c}}}",
            "is not supported",
        ),
    ] {
        assert!(refused(spec).contains(said), "{spec}: {}", refused(spec));
    }
}

#[test]
fn what_is_asked_and_passed_on_is_read_whole() {
    let auth = match step(
        "{forwardAuth: {address: 'http://auth.example/', authResponseHeaders: [X-User, X-Groups], \
         authResponseHeadersRegex: '^X-', authRequestHeaders: [Cookie], addAuthCookiesToResponse: [s], \
         forwardBody: true, maxBodySize: 100, preserveRequestMethod: true, preserveLocationHeader: true, \
         authSigninURL: 'https://login.example/'}}",
    ) {
        Step::ForwardAuth(auth) => auth,
        other => panic!("{other:?}"),
    };
    assert_eq!(auth.response_fields, ["x-user", "x-groups"]);
    assert_eq!(auth.request_fields, ["cookie"]);
    assert!(auth.response_pattern.is_some_and(|pattern| pattern.is_match("x-a")));
    assert_eq!(auth.body.map(|body| body.max), Some(100));
    assert!(auth.keep_method && auth.keep_location && auth.flavour == AuthFlavour::Traefik);
    assert_eq!(auth.cookies, [Box::<str>::from("s")]);
    assert!(auth.sign_in.is_some_and(|sign_in| sign_in.parameter.is_none()));
}

#[test]
fn limits_count_the_visitor_unless_something_else_is_named() {
    let limit = |spec: &str| match step(spec) {
        Step::RateLimit(limit) => *limit,
        other => panic!("{other:?}"),
    };
    let default = limit("{rateLimit: {average: 100}}");
    assert_eq!((default.average.get(), default.burst.get()), (100, 1));
    assert_eq!((default.period, default.status.as_u16()), (Duration::from_secs(1), 429));
    let visitor = LimitKey::Client(ClientSelector::Visitor { ipv6_bits: 64 });
    assert_eq!(default.key, visitor);
    let other = limit(
        "{rateLimit: {average: 6, period: 1m, burst: 12, sourceCriterion: {requestHeaderName: X-Key}}}",
    );
    assert_eq!((other.period, other.burst.get()), (Duration::from_secs(60), 12));
    assert!(matches!(other.key, LimitKey::Field(name) if name == "x-key"));
    assert_eq!(limit("{rateLimit: {average: 1, period: 10}}").period, Duration::from_secs(10));
    let depth = limit("{rateLimit: {average: 1, sourceCriterion: {ipStrategy: {depth: 1}}}}");
    assert!(matches!(depth.key, LimitKey::Client(ClientSelector::Depth { depth: 1, .. })));
    assert_eq!(limit("{rateLimit: {average: 1, sourceCriterion: {ipStrategy: {}}}}").key, visitor);
    let (content, said) = read("{rateLimit: {burst: 1}}");
    assert!(content == Content::Nothing && said[0].contains("nothing is limited"), "{said:?}");
    refused("{rateLimit: {average: -1}}");
    refused("{rateLimit: {average: 1, period: soon}}");
    refused(
        "{rateLimit: {average: 1, sourceCriterion: {requestHost: true, requestHeaderName: A}}}",
    );
    let Step::InFlight(in_flight) = step("{inFlightReq: {amount: 10}}") else { panic!("a limit") };
    assert_eq!((in_flight.amount.get(), in_flight.key), (10, LimitKey::Host));
    refused("{inFlightReq: {}}");
}

#[test]
fn a_limit_of_the_whole_cluster_names_a_store() {
    let secret = mk_secret("Opaque", &[("username", "u"), ("password", "hunter2")]);
    let (content, said, _) = read_with(
        &format!("{secret}{}", SERVICE.replace("9000", "6379")),
        "{rateLimit: {average: 1, redis: {endpoints: ['auth.sso:6379', '[2001:db8::1]:7000'], secret: users, db: 2}}}",
    );
    assert_eq!(said, [""; 0]);
    let Content::Step(Step::RateLimit(limit)) = content else { panic!("{content:?}") };
    assert!(!format!("{limit:?}").contains("hunter2"));
    let store = limit.shared.expect("a store");
    assert_eq!(store.endpoints, [Arc::<str>::from("auth.sso:6379"), "[2001:db8::1]:7000".into()]);
    assert_eq!(store.service.map(|key| key.to_string()), Some("sso/auth:6379".to_owned()));
    assert_eq!((store.database, store.username.as_deref(), store.tls), (2, Some("u"), None));
    assert_eq!(store.budget, Duration::from_millis(5));
    for (redis, said) in [
        ("{}", "endpoints: is empty"),
        ("{endpoints: ['a:b']}", "is not a host and a port"),
        ("{endpoints: [a], secret: gone}", "there is no Secret \"gone\""),
    ] {
        let spec = format!("{{rateLimit: {{average: 1, redis: {redis}}}}}");
        assert!(refused(&spec).contains(said), "{}", refused(&spec));
    }
}

#[test]
fn error_pages_are_of_a_service_that_may_be_elsewhere() {
    let pages = |spec: &str| match step(spec) {
        Step::Errors(pages) => *pages,
        other => panic!("{other:?}"),
    };
    let here = pages(
        "{errors: {status: ['404', '500-599'], query: '/{status}.html', service: {name: pages, port: 80}}}",
    );
    let ranges = [StatusRange { first: 404, last: 404 }, StatusRange { first: 500, last: 599 }];
    assert_eq!((&here.status[..], &*here.query), (&ranges[..], "/{status}.html"));
    assert_eq!(here.backend.to_string(), "default/pages:80");
    let there = pages(
        "{errors: {status: ['500'], statusRewrites: {'500-503': 200}, service: {name: p, namespace: o, port: http}}}",
    );
    assert_eq!((there.backend.to_string().as_str(), there.rewrites.len()), ("o/p:http", 1));
    assert_eq!((here.request_fields, there.request_fields), (None, None));
    let few = pages(
        "{errors: {status: ['500'], service: {name: p, port: 80}, errorRequestHeaders: [Accept]}}",
    );
    assert_eq!(few.request_fields, Some(vec![http::header::ACCEPT]));
    for spec in [
        "{errors: {service: {name: p, port: 80}}}",
        "{errors: {status: ['5xx'], service: {name: p, port: 80}}}",
        "{errors: {status: ['599-500'], service: {name: p, port: 80}}}",
        "{errors: {status: ['500']}}",
        "{errors: {status: ['500'], service: {name: p}}}",
        "{errors: {status: ['500'], service: {name: p, port: 80}, query: '/a b'}}",
        "{errors: {status: ['500'], service: {name: p, port: 80}, errorRequestHeaders: ['a b']}}",
        "{errors: {status: ['500'], service: {name: p, port: 80, kind: TraefikService}}}",
    ] {
        refused(spec);
    }
}

#[test]
fn breakers_certificates_and_grpc_web_are_read() {
    let Step::CircuitBreaker(breaker) =
        step("{circuitBreaker: {expression: 'NetworkErrorRatio() > 0.30', fallbackDuration: 30s}}")
    else {
        panic!("a breaker")
    };
    assert_eq!(breaker.check_period, Duration::from_millis(100));
    assert_eq!((breaker.fallback, breaker.status.as_u16()), (Duration::from_secs(30), 503));
    assert!(refused("{circuitBreaker: {expression: 'Nothing() > 1'}}").contains("has no signal"));
    let Step::ClientCertificate(fields) = step(
        "{passTLSClientCert: {pem: true, info: {notAfter: true, subject: {commonName: true}}}}",
    ) else {
        panic!("a certificate")
    };
    assert!(fields.pem);
    assert_eq!(fields.info, ["subject.commonName", "notAfter"]);
    let (content, _) = read("{passTLSClientCert: {}}");
    assert_eq!(content, Content::Nothing);
    let Step::GrpcWeb(origins) = step("{grpcWeb: {allowOrigins: ['*']}}") else {
        panic!("grpcWeb")
    };
    assert_eq!(origins, [Arc::<str>::from("*")]);
}
