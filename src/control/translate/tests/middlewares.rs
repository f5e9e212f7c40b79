//! Lists of Middlewares: what they come to on the routes of an Ingress, and what is said of those that cannot be used.

use super::{lines, mk_backend, objects, options, run, run_with};
use crate::config::MiddlewarePolicy;
use crate::control::objects::Change;
use crate::control::source::Changes;
use crate::control::translate::{Options, Translator};
use crate::model::{BackendState, Kind, Model, ObjectRef};

const ROUTER: &str = "traefik.ingress.kubernetes.io/router.middlewares";
const OWN: &str = "ravelin.dev/middlewares";

/// An Ingress with one route to `web`, with this annotation.
fn mk_asking(annotation: &str, value: &str) -> String {
    let spec = mk_backend("{service: {name: web, port: {number: 80}}}");
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: x, annotations: {{{annotation}: '{value}'}}}}
spec: {{ingressClassName: ravelin, {spec}}}
---"
    )
}

fn mk_middleware(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{namespace: {namespace}, name: {name}}}
spec: {spec}
---"
    )
}

/// One that adds a path of its own name.
fn mk_adding(namespace: &str, name: &str) -> String {
    mk_middleware(namespace, name, &format!("{{addPrefix: {{prefix: /{name}}}}}"))
}

/// The names of the steps of the one route, or why it has none.
fn steps(model: &Model) -> Vec<String> {
    let rule = &model.rules[0];
    let backend = &model.backends[&rule.backend];
    if let BackendState::Broken(broken) = backend.state {
        return vec![format!("{broken:?}")];
    }
    rule.middlewares.iter().flat_map(|chain| chain.iter()).map(|one| one.name.to_string()).collect()
}

#[test]
fn a_list_is_resolved_in_its_order_by_ids_that_are_built() {
    let two = format!("{}{}", mk_adding("default", "a"), mk_adding("other-ns", "b.c"));
    let value = " other-ns-b-c@kubernetescrd,, default-a@kubernetescrd";
    let (model, found) = run(&format!("{two}{}", mk_asking(ROUTER, value)));
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(steps(&model), ["other-ns/b.c", "default/a"]);
    let (model, found) = run(&format!("{two}{}", mk_asking(OWN, "a, other-ns/b.c")));
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(steps(&model), ["default/a", "other-ns/b.c"]);
    let (model, found) = run(&mk_asking(ROUTER, " "));
    assert_eq!((lines(&found), steps(&model)), (vec![], vec![]));
}

#[test]
fn a_list_with_something_that_is_missing_is_served_by_nobody() {
    let there = mk_adding("default", "auth");
    let ingress = "Ingress default/x: metadata.annotations";
    for (annotation, value, said) in [
        (
            ROUTER,
            "default-auth@kubernetescrd,default-oauth@kubernetescrd",
            "\"default-oauth@kubernetescrd\" names no Middleware: the routes of this Ingress answer 503 \
             (fix: did you mean \"default-auth@kubernetescrd\"?)",
        ),
        (
            ROUTER,
            "auth",
            "\"auth\" has no provider: Traefik finds no Middleware either: the routes of this Ingress answer 503 \
             (fix: write NAMESPACE-NAME@kubernetescrd)",
        ),
        (
            ROUTER,
            "auth@file",
            "\"auth@file\" is in a file of Traefik's, which is not read: the routes of this Ingress answer 503 \
             (fix: write it as a Middleware object, and name it NAMESPACE-NAME@kubernetescrd)",
        ),
        (
            OWN,
            "web/auth",
            "there is no Middleware web/auth: the routes of this Ingress answer 503 \
             (fix: did you mean \"default/auth\"?)",
        ),
        (
            OWN,
            "aut",
            "there is no Middleware default/aut: the routes of this Ingress answer 503 \
             (fix: did you mean \"default/auth\"?)",
        ),
    ] {
        let (model, found) = run(&format!("{there}{}", mk_asking(annotation, value)));
        assert_eq!(lines(&found), [format!("error: {ingress}[{annotation}]: {said}")]);
        assert_eq!(steps(&model), ["MiddlewareUnusable"], "{value}");
    }
}

#[test]
fn an_id_of_two_middlewares_is_nobody_s() {
    let two = format!("{}{}", mk_adding("a-b", "c"), mk_adding("a", "b-c"));
    let (model, found) = run(&format!("{two}{}", mk_asking(ROUTER, "a-b-c@kubernetescrd")));
    assert_eq!(
        lines(&found),
        [format!(
            "error: Ingress default/x: metadata.annotations[{ROUTER}]: \"a-b-c@kubernetescrd\" names both Middleware \
             a/b-c and Middleware a-b/c: the routes of this Ingress answer 503 (fix: rename one of them, or name it in \
             {OWN}: NAMESPACE/NAME instead)"
        )]
    );
    assert_eq!(steps(&model), ["MiddlewareUnusable"]);
    let (model, _) = run(&format!("{two}{}", mk_asking(OWN, "a-b/c")));
    assert_eq!(steps(&model), ["a-b/c"]);
}

#[test]
fn other_namespaces_can_be_forbidden() {
    let own = Options { middlewares: MiddlewarePolicy::OwnNamespace, ..options() };
    let two = format!("{}{}", mk_adding("default", "a"), mk_adding("other", "b"));
    let (model, found) =
        run_with(&own, &format!("{two}{}", mk_asking(ROUTER, "default-a@kubernetescrd")));
    assert_eq!((lines(&found), steps(&model)), (vec![], vec!["default/a".to_owned()]));
    let (model, found) =
        run_with(&own, &format!("{two}{}", mk_asking(ROUTER, "other-b@kubernetescrd")));
    assert_eq!(steps(&model), ["MiddlewareUnusable"]);
    let said = lines(&found).join("\n");
    assert!(
        said.contains("Middleware other/b is in another namespace, which is forbidden"),
        "{said}"
    );
    assert!(said.contains("source.middlewares = \"any-namespace\""), "{said}");
}

#[test]
fn chains_are_flattened_and_their_members_are_near_them() {
    let members = "{chain: {middlewares: [{name: a}, {name: c, namespace: third}]}}";
    let all = [
        mk_middleware("other", "all", members),
        mk_adding("other", "a"),
        mk_adding("third", "c"),
        mk_adding("default", "a"),
    ];
    let value = "default-a@kubernetescrd,other-all@kubernetescrd";
    let (model, found) = run(&format!("{}{}", all.concat(), mk_asking(ROUTER, value)));
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(steps(&model), ["default/a", "other/a", "third/c"]);
    for (spec, said) in [
        (
            "{chain: {middlewares: [{name: all}]}}",
            "Middleware default/all is a chain that contains itself",
        ),
        (
            "{chain: {middlewares: [{name: b}]}}",
            "in chain default/all, there is no Middleware default/b",
        ),
        ("{chain: {middlewares: []}}", "Middleware default/all cannot be used"),
    ] {
        let chain = mk_middleware("default", "all", spec);
        let (model, found) = run(&format!("{chain}{}", mk_asking(OWN, "all")));
        assert_eq!(steps(&model), ["MiddlewareUnusable"], "{spec}");
        let said_all = lines(&found).join("\n");
        assert!(said_all.contains(said), "{said_all}");
    }
}

#[test]
fn chains_that_multiply_end() {
    let mut all = String::new();
    for level in 0..20 {
        let next = format!("{{name: m{}}}", level + 1);
        let spec = format!("{{chain: {{middlewares: [{next}, {next}]}}}}");
        all.push_str(&mk_middleware("default", &format!("m{level}"), &spec));
    }
    all.push_str(&mk_adding("default", "m20"));
    let (model, _) = run(&format!("{all}{}", mk_asking(OWN, "m0")));
    assert_eq!(steps(&model), ["MiddlewareUnusable"]);
    let (model, _) = run(&format!("{all}{}", mk_asking(OWN, "m17")));
    assert_eq!(steps(&model).len(), 8);
    let (model, _) = run(&format!("{all}{}", mk_asking(OWN, "m8")));
    assert_eq!(steps(&model), ["MiddlewareUnusable"], "4096 steps");
}

#[test]
fn a_service_adds_its_own_behind_those_of_the_ingress() {
    let service = "
apiVersion: v1
kind: Service
metadata:
  name: asking
  annotations: {traefik.ingress.kubernetes.io/service.middlewares: default-b@kubernetescrd}
spec: {ports: [{port: 80}]}
---";
    let both = format!("{service}{}{}", mk_adding("default", "a"), mk_adding("default", "b"));
    let asking = mk_asking(OWN, "a").replace("name: web", "name: asking");
    let (model, found) = run(&format!("{both}{asking}"));
    assert_eq!(
        (lines(&found), steps(&model)),
        (vec![], vec!["default/a".into(), "default/b".into()])
    );
    let (model, found) = run(&format!("{service}{}{asking}", mk_adding("default", "a")));
    assert_eq!(steps(&model), ["MiddlewareUnusable"]);
    let said = lines(&found).join("\n");
    assert!(
        said.contains("error: Service default/asking") && said.contains("routes to this Service"),
        "{said}"
    );
}

#[test]
fn a_list_that_is_to_be_ignored_is() {
    let asking = mk_asking(ROUTER, "default-a@kubernetescrd").replace(
        "annotations: {",
        &format!("annotations: {{ravelin.dev/ignore-annotations: {ROUTER}, "),
    );
    let (model, found) = run(&asking);
    assert_eq!(steps(&model), [""; 0]);
    let said = lines(&found).join("\n");
    assert!(said.starts_with("warning: ") && said.contains("is ignored because of"), "{said}");
}

#[test]
fn an_ingress_is_read_again_when_what_it_names_changes() {
    let mut translator = Translator::new(options());
    let base = objects(&format!("{}{}", super::BASE, mk_asking(OWN, "all")));
    let mut known = crate::control::objects::Objects::default();
    let mut tell = |now: &crate::control::objects::Objects| {
        let changes = Changes { objects: now.changes_from(&known), findings: None };
        known = now.clone();
        translator.apply(changes);
        (steps(&translator.model()), translator.model())
    };
    let mut now = base;
    assert_eq!(tell(&now).0, ["MiddlewareUnusable"]);
    let put = |now: &mut crate::control::objects::Objects, yaml: &str| {
        for object in crate::control::manifest::parse("t.yaml", yaml).objects {
            let identity = object.identity();
            now.apply(Change { identity, object: Some(object) });
        }
    };
    put(&mut now, &mk_middleware("default", "all", "{chain: {middlewares: [{name: a}]}}"));
    assert_eq!(tell(&now).0, ["MiddlewareUnusable"], "its member is missing");
    put(&mut now, &mk_adding("default", "a"));
    let (served, before) = tell(&now);
    assert_eq!(served, ["default/a"]);
    put(&mut now, &mk_adding("default", "unrelated"));
    let (_, after) = tell(&now);
    let step = |model: &Model| {
        model.rules[0].middlewares.as_ref().map(|chain| std::sync::Arc::clone(&chain[0]))
    };
    let (before, after) = (step(&before).expect("one"), step(&after).expect("one"));
    assert!(std::sync::Arc::ptr_eq(&before, &after), "a step that is the same stays what it is");
    put(&mut now, &mk_middleware("default", "a", "{addPrefix: {}}"));
    assert_eq!(tell(&now).0, ["MiddlewareUnusable"]);
    put(&mut now, &mk_adding("default", "a"));
    assert_eq!(tell(&now).0, ["default/a"]);
    now.remove(&ObjectRef::new(Kind::Middleware, "default", "a"));
    assert_eq!(tell(&now).0, ["MiddlewareUnusable"]);
}

#[test]
fn what_a_middleware_names_is_followed() {
    let lines = |user: &str| {
        format!(
            "
apiVersion: v1
kind: Secret
metadata: {{name: users}}
stringData: {{users: '{user}:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g='}}
---"
        )
    };
    let mut translator = Translator::new(options());
    let basic = mk_middleware("default", "m", "{basicAuth: {secret: users}}");
    let mut known = crate::control::objects::Objects::default();
    let mut tell = |yaml: &str| {
        let now = objects(&format!("{}{}{basic}{yaml}", super::BASE, mk_asking(OWN, "m")));
        translator.apply(Changes { objects: now.changes_from(&known), findings: None });
        known = now;
        translator.model()
    };
    assert_eq!(steps(&tell("")), ["MiddlewareUnusable"]);
    let user = |model: &Model| {
        let chain = model.rules[0].middlewares.as_ref().expect("it has a step");
        format!("{:?}", chain[0].step).contains("ann:sha1")
    };
    assert!(user(&tell(&lines("ann"))));
    assert!(!user(&tell(&lines("zoe"))));
    assert_eq!(steps(&tell("")), ["MiddlewareUnusable"]);
}

#[test]
fn the_backends_of_steps_are_in_the_model_for_as_long_as_a_route_has_them() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: auth, namespace: sso}
spec: {ports: [{port: 9000}]}
---";
    let asking = mk_asking(OWN, "m");
    let keys = |yaml: &str| {
        let (model, found) = run(&format!("{yaml}{asking}"));
        let keys: Vec<String> =
            model.backends.iter().map(|backend| backend.key.to_string()).collect();
        (keys, lines(&found))
    };
    let at = |address: &str| {
        mk_middleware("default", "m", &format!("{{forwardAuth: {{address: '{address}'}}}}"))
    };
    let (all, found) = keys(&format!("{service}{}", at("http://auth.sso.svc:9000/verify")));
    assert_eq!((all, found), (vec!["default/web:80".into(), "sso/auth:9000".into()], vec![]));
    let (all, found) = keys(&at("https://auth.example/verify"));
    assert_eq!(
        (all, found),
        (vec!["default/Middleware/m:443".into(), "default/web:80".into()], vec![])
    );
    let (all, found) = keys(&at("http://auth.sso.svc:9000/verify"));
    assert_eq!(all, ["default/web:80", "sso/auth:9000"]);
    assert!(found[0].contains("there is no Service \"auth\" in namespace sso"), "{found:?}");

    let mut translator = Translator::new(options());
    let mut known = crate::control::objects::Objects::default();
    let mut tell = |yaml: &str| {
        let now = objects(&format!("{}{asking}{yaml}", super::BASE));
        translator.apply(Changes { objects: now.changes_from(&known), findings: None });
        known = now;
        let model = translator.model();
        model.backends.iter().map(|b| format!("{} {:?}", b.key, b.state)).collect::<Vec<_>>()
    };
    let before = tell(&at("http://one.example/a"));
    assert!(before[0].contains("one.example"), "{before:?}");
    let after = tell(&at("http://two.example/a"));
    assert!(after[0].contains("two.example") && after.len() == 2, "{after:?}");
    assert_eq!(tell(&mk_adding("default", "m")).len(), 1);
    assert_eq!(
        tell(&at("http://auth.sso/a")).len(),
        2,
        "a name of DNS, while there is no such Service"
    );
    let with = tell(&format!("{}{}", service.replace("9000", "80"), at("http://auth.sso/a")));
    assert!(with.iter().any(|backend| backend.starts_with("sso/auth:80 Resolved")), "{with:?}");
}

#[test]
fn a_step_whose_service_is_missing_says_what_happens_without_it() {
    let asking = mk_asking(OWN, "m");
    let said = |spec: &str| {
        let (_, found) = run(&format!("{}{asking}", mk_middleware("default", "m", spec)));
        let [line] = &lines(&found)[..] else { panic!("one line: {found:?}") };
        let (_, fix) = line.rsplit_once("(fix: ").expect("a fix");
        let severity = line.split(':').next().unwrap_or_default();
        format!("{severity}: {}", fix.trim_end_matches(')'))
    };
    for (spec, expected) in [
        (
            "{errors: {status: ['500'], service: {name: pages, port: 80}}}",
            "warning: create it; until then responses of the pod are passed on unchanged",
        ),
        (
            "{errors: {status: ['500'], service: {name: wbe, port: 80}}}",
            "warning: did you mean \"web\"? Until then responses of the pod are passed on unchanged",
        ),
        (
            "{errors: {status: ['500'], service: {name: web, port: 8080}}}",
            "warning: it has 80 (http); until then responses of the pod are passed on unchanged",
        ),
        (
            "{forwardAuth: {address: 'http://auth.default.svc.cluster.local/a'}}",
            "error: create it; until then requests get 502",
        ),
        (
            "{rateLimit: {average: 1, redis: {endpoints: ['redis.default.svc.cluster.local:6379']}}}",
            "warning: create it; until then each node counts by itself",
        ),
    ] {
        assert_eq!(said(spec), expected, "{spec}");
    }
}
