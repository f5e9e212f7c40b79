//! Annotations that ask for steps by themselves: ingress-nginx's, and the short forms of our own.

mod access;
mod nginx;
mod pages;
mod zone;

use super::{lines, mk_ingress, mk_paths, run};
use crate::control::objects::Objects;
use crate::control::source::Changes;
use crate::control::translate::Translator;
use crate::model::middleware::Step;
use crate::model::{BackendState, Diagnostic, Model};

const NGINX: &str = "nginx.ingress.kubernetes.io";
const OWN: &str = "ravelin.dev";

const USERS: &str = "
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: 'ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M='}
---
apiVersion: v1
kind: Secret
metadata: {name: by-user, namespace: other}
stringData: {ann: '{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=', bob: '{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M='}
---
apiVersion: v1
kind: Service
metadata: {name: auth}
spec: {ports: [{port: 4180}]}
---";

/// An Ingress with these annotations below a prefix, one a line.
fn mk_annotated(prefix: &str, annotations: &str, paths: &[(&str, &str)]) -> String {
    let lines = annotations.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs: Vec<String> = lines
        .map(|line| {
            let (key, value) = line.split_once(": ").expect("a key and a value");
            format!("{prefix}/{key}: {value:?}")
        })
        .collect();
    let ingress = mk_ingress(&mk_paths(paths));
    let annotated = format!("name: x, annotations: {{{}}}", pairs.join(", "));
    format!("{USERS}{}", ingress.replace("name: x", &annotated))
}

fn of(prefix: &str, annotations: &str) -> (Model, Vec<Diagnostic>) {
    run(&mk_annotated(prefix, annotations, &[("Prefix", "/")]))
}

/// The steps of the first rule.
fn of_first(model: &Model) -> Vec<Step> {
    let chain = model.rules[0].middlewares.iter().flat_map(|chain| chain.iter());
    chain.map(|named| named.step.clone()).collect()
}

/// The steps of annotations that nothing is wrong with.
fn steps(prefix: &str, annotations: &str) -> Vec<Step> {
    let (model, found) = of(prefix, annotations);
    assert_eq!(lines(&found), [""; 0], "{annotations}");
    of_first(&model)
}

fn step(prefix: &str, annotations: &str) -> Step {
    let [step] = &steps(prefix, annotations)[..] else { panic!("one step: {annotations}") };
    step.clone()
}

/// What is said of annotations that leave the routes unserved.
fn refused(prefix: &str, annotations: &str) -> String {
    let (model, found) = of(prefix, annotations);
    let broken = model.backends.iter().map(|backend| &backend.state);
    let broken: Vec<_> = broken.collect();
    let unserved = |state: &&BackendState| matches!(state, BackendState::Broken(_));
    assert!(broken.iter().any(unserved), "{annotations}: {broken:?}");
    assert!(model.rules[0].middlewares.is_none());
    lines(&found).join("\n")
}

#[test]
fn short_forms_are_read_as_their_kinds() {
    let all = "
        response-headers: X-Frame-Options: DENY
        request-headers: X-A: 1
        add-prefix: /v1
        rewrite: ^/old/(.*) /new/$1
        strip-prefix: /app
        forward-auth: http://auth.default.svc.cluster.local:4180/auth
        basic-auth-secret: users
        rate-limit: 100/s
        deny: 192.0.2.7
        allow: 192.0.2.0/24";
    let kinds: Vec<_> = steps(OWN, all).iter().map(Step::kind).collect();
    assert_eq!(
        kinds,
        [
            "ipAllowList",
            "ipAllowList",
            "rateLimit",
            "basicAuth",
            "forwardAuth",
            "stripPrefix",
            "replacePathRegex",
            "addPrefix",
            "headers",
            "headers"
        ]
    );
    for (text, average, seconds, burst) in [
        ("rate-limit: 100/s", 100, 1, 100),
        ("rate-limit: 30/m\nrate-limit-burst: 5", 30, 60, 5),
        ("rate-limit: 7 / 10s", 7, 10, 7),
    ] {
        let Step::RateLimit(limit) = step(OWN, text) else { panic!("{text}") };
        let read = (limit.average.get(), limit.period.as_secs(), limit.burst.get());
        assert_eq!(read, (average, seconds, burst), "{text}");
        assert_eq!(limit.status.as_u16(), 429);
    }
    for annotation in [
        "rate-limit: fast",
        "rate-limit: 0/s",
        "allow: lan",
        "basic-auth-secret: absent",
        "forward-auth: auth",
        "rewrite: /a",
        "request-headers: nothing",
    ] {
        refused(OWN, annotation);
    }
}

#[test]
fn a_misspelt_short_form_that_protects_is_refused() {
    for (annotation, near) in [
        ("basic-auth-secrets: users", "basic-auth-secret"),
        ("alow: 10.0.0.0/8", "allow"),
        ("acess: example/0a", "access"),
        ("acces-groups: ops", "access-groups"),
        ("rate-limits: 1/s", "rate-limit"),
    ] {
        let said = refused(OWN, annotation);
        assert!(said.contains(&format!("write {OWN}/{near}")), "{said}");
    }
    let (model, found) = of(OWN, "strip-prefx: /app");
    assert!(lines(&found)[0].contains("did you mean ravelin.dev/strip-prefix?"), "{found:?}");
    assert!(model.rules[0].middlewares.is_none());
}

#[test]
fn what_is_listed_to_be_ignored_asks_for_nothing() {
    let (model, found) = run(&mk_annotated(
        NGINX,
        "auth-type: basic\nauth-secret: users",
        &[("Prefix", "/")],
    )
    .replace(
        "annotations: {",
        &format!(
            "annotations: {{{OWN}/ignore-annotations: '{NGINX}/auth-type,{NGINX}/auth-secret', "
        ),
    ));
    assert!(model.rules[0].middlewares.is_none());
    let said = lines(&found);
    assert!(said.len() == 2 && said.iter().all(|line| line.starts_with("warning: ")), "{said:?}");
    assert!(matches!(model.backends[0].state, BackendState::Resolved(_)));
}

#[test]
fn an_ingress_is_read_again_when_the_secret_that_it_names_comes_and_goes() {
    let users = "
apiVersion: v1
kind: Secret
metadata: {name: late}
stringData: {auth: 'ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M='}
---";
    let ingress = mk_annotated(NGINX, "auth-type: basic\nauth-secret: late", &[("Prefix", "/")]);
    let mut translator = Translator::new(super::options());
    let mut known = Objects::default();
    let mut tell = |more: &str| {
        let now = super::objects(&format!("{}{ingress}{more}", super::BASE));
        translator.apply(Changes { objects: now.changes_from(&known), findings: None });
        known = now;
        of_first(&translator.model()).len()
    };
    assert_eq!((tell(""), tell(users), tell("")), (0, 1, 0));
}
