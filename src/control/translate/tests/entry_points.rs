//! Entry points that Ingresses name, and those that have Middlewares of their own.

use super::{lines, mk_ingress, mk_paths, options, run_with};
use crate::control::translate::{CarriedTraffic, EntryPointTable, NamedEntryPoint, Options};
use crate::model::{Broken, Model};
use crate::routing::{Asked, Table, compile};

const NAME: &str = "traefik.ingress.kubernetes.io/router.entrypoints";
const IGNORE: &str = "ravelin.dev/ignore-annotations";
const WEB: u32 = 1;
const WEBSECURE: u32 = 2;
const INTERNAL: u32 = 4;

fn point(name: &str, is_secure: bool, is_default: bool, own: &[&str]) -> NamedEntryPoint {
    let middlewares = own.iter().map(|&name| name.into()).collect();
    let carries =
        CarriedTraffic { plain: !is_secure, tls: is_secure, http: true, cloudflare_alone: false };
    NamedEntryPoint {
        name: name.into(),
        is_secure,
        carries,
        ports: Vec::new(),
        is_default,
        middlewares,
    }
}

/// With an entry point `internal`, which is no default.
fn three() -> Options {
    let all = [
        point("web", false, true, &[]),
        point("websecure", true, true, &[]),
        point("internal", false, false, &[]),
    ];
    Options { entry_points: EntryPointTable::new(all.into()), ..options() }
}

/// An Ingress `x` with this annotation, with a rule and a default backend.
fn mk_named(value: &str) -> String {
    let default = "defaultBackend: {service: {name: web, port: {number: 80}}}";
    let spec = format!("{default}, {}", mk_paths(&[("Prefix", "/app")]));
    mk_ingress(&spec).replace("name: x", &format!("name: x, annotations: {{{value}}}"))
}

fn named(list: &str) -> String {
    mk_named(&format!("{NAME}: '{list}'"))
}

fn find(table: &Table, path: &str, entry_points: u32) -> Option<Option<Broken>> {
    let asked = Asked { entry_points, request: None };
    table.find("a.example", path, &asked).map(|id| table.backend(id).broken)
}

/// The entry points on which a path is found.
fn served(model: &Model, path: &str) -> u32 {
    let table = compile(model, None);
    [WEB, WEBSECURE, INTERNAL]
        .into_iter()
        .filter(|&bit| find(&table, path, bit).is_some())
        .fold(0, |all, bit| all | bit)
}

#[test]
fn routes_and_default_backend_are_served_where_the_ingress_says() {
    for (list, expected) in [
        ("", WEB | WEBSECURE),
        ("web", WEB),
        ("Web", WEB),
        ("internal", INTERNAL),
        ("web, internal", WEB | INTERNAL),
        ("web,websecure,internal", WEB | WEBSECURE | INTERNAL),
        // On `web` visitors are sent to TLS.
        ("websecure", WEB | WEBSECURE),
        ("https", WEB | WEBSECURE),
    ] {
        let (model, found) = run_with(&three(), &named(list));
        assert_eq!(lines(&found), [""; 0], "{list}");
        for path in ["/app", "/other"] {
            assert_eq!(served(&model, path), expected, "{list} {path}");
        }
        let is_secure = matches!(list, "websecure" | "https");
        assert_eq!(model.ingresses[0].https.redirect, is_secure, "{list}");
    }
}

#[test]
fn a_route_that_names_an_entry_point_comes_before_one_that_is_only_redirected_there() {
    let secure = named("websecure");
    let plain = super::mk_named("z", &mk_paths(&[("Prefix", "/app")]));
    let plain = plain.replace("name: z", &format!("name: z, annotations: {{{NAME}: web}}"));
    let (model, found) = run_with(&three(), &format!("{secure}{plain}"));
    assert_eq!(lines(&found), [""; 0]);
    let table = compile(&model, None);
    let of = |entry_points| {
        let asked = Asked { entry_points, request: None };
        let id = table.find("a.example", "/app", &asked).expect("a route");
        table.route(id).ingress.to_owned()
    };
    assert_eq!((of(WEB), of(WEBSECURE)), ("z".to_owned(), "x".to_owned()));
}

#[test]
fn a_name_that_is_none_is_told_and_serves_nothing_alone() {
    let (model, found) = run_with(&three(), &named("webb"));
    assert_eq!(
        lines(&found),
        [format!(
            "error: Ingress default/x: metadata.annotations[{NAME}]: \"webb\" is not an entry point: its \
             routes answer 503 (fix: did you mean \"web\"?)"
        )]
    );
    let table = compile(&model, None);
    for path in ["/app", "/other"] {
        assert_eq!(find(&table, path, WEB), Some(Some(Broken::Restricted)), "{path}");
    }
    let (model, found) = run_with(&three(), &named("internal,lan"));
    assert_eq!(
        lines(&found),
        [format!(
            "warning: Ingress default/x: metadata.annotations[{NAME}]: \"lan\" is not an entry point: routes are \
             served on the others that it names (fix: add an [[entry_point]] of this name, or use web, websecure, \
             internal)"
        )]
    );
    assert_eq!(served(&model, "/app"), INTERNAL);
    let ignored = format!("{NAME}: lan, {IGNORE}: {NAME}");
    let (model, found) = run_with(&three(), &mk_named(&ignored));
    assert_eq!((served(&model, "/app"), found.len()), (WEB | WEBSECURE, 1));
}

/// With Middlewares before the routes of `websecure`.
fn guarded(names: &[&str]) -> Options {
    let all = [point("web", false, true, &[]), point("websecure", true, true, names)];
    Options { entry_points: EntryPointTable::new(all.into()), ..options() }
}

fn mk_adding(name: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{name: {name}}}
spec: {{addPrefix: {{prefix: /{name}}}}}
---"
    )
}

#[test]
fn middlewares_of_an_entry_point_come_before_those_of_the_route() {
    let objects = format!(
        "{}{}{}",
        mk_adding("edge"),
        mk_adding("own"),
        mk_named("ravelin.dev/middlewares: own")
    );
    let (model, found) = run_with(&guarded(&["default-edge@kubernetescrd"]), &objects);
    assert_eq!(lines(&found), [""; 0]);
    let table = compile(&model, None);
    let steps = |path, entry_points| {
        let asked = Asked { entry_points, request: None };
        let id = table.find("a.example", path, &asked).expect("a route");
        let chain = table.chain(id).expect("steps");
        chain.iter().map(|step| step.name.to_string()).collect::<Vec<_>>()
    };
    for path in ["/app", "/other"] {
        assert_eq!(steps(path, WEB), ["default/own"]);
        assert_eq!(steps(path, WEBSECURE), ["default/edge", "default/own"]);
    }
}

#[test]
fn an_entry_point_whose_middleware_is_missing_serves_nothing() {
    let (model, found) = run_with(&guarded(&["default-edge@kubernetescrd"]), &named(""));
    assert_eq!(
        lines(&found),
        [
            "error: Ingress default/x: entry_point.websecure.middlewares: \"default-edge@kubernetescrd\" names no \
          Middleware: its routes there answer 503 (fix: create it: NAMESPACE-NAME of an object of \
          traefik.io/v1alpha1)"
        ]
    );
    let table = compile(&model, None);
    for path in ["/app", "/other"] {
        assert_eq!(find(&table, path, WEB), Some(None));
        assert_eq!(find(&table, path, WEBSECURE), Some(Some(Broken::MiddlewareUnusable)));
    }
}
