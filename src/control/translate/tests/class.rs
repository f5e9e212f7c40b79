//! Which Ingresses are ours.

use super::{lines, mk_ingress, mk_paths, objects, options};
use crate::control::objects::{Change, Objects};
use crate::control::source::Changes;
use crate::control::translate::{
    CarriedTraffic, Effect, EntryPointTable, NamedEntryPoint, Options, Translator, translate,
};
use crate::model::{BackendState, Kind, ObjectRef, Severity, Why};
use std::time::Duration;

const TRAEFIK: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik}
spec: {controller: traefik.io/ingress-controller}
---";

/// How many Ingresses are served, and what is said about those that are not.
fn claim(options: &Options, yaml: &str) -> (usize, Vec<String>) {
    let (model, findings) = translate(&objects(&format!("{yaml}{SERVICE}")), options);
    (model.ingresses.len(), lines(&findings))
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---";

fn mk_class(name: &str, annotations: &str) -> String {
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec: {{controller: ravelin.dev/ingress-controller}}
---"
    )
}

/// An Ingress with this class, or none, and these annotations.
fn mk_claim(class: Option<&str>, annotations: &str) -> String {
    let class = class.map_or(String::new(), |class| format!("ingressClassName: {class}, "));
    mk_ingress(&mk_paths(&[("Prefix", "/")]))
        .replace("ingressClassName: ravelin, ", &class)
        .replace("{name: x}", &format!("{{name: x, annotations: {{{annotations}}}}}"))
}

fn any_class() -> Options {
    Options { ingress_class: String::new(), ..options() }
}

#[test]
fn the_class_of_the_field_has_to_be_of_our_controller() {
    let ours = [mk_class("ravelin", ""), mk_claim(Some("ravelin"), "")].concat();
    assert_eq!(claim(&options(), &ours), (1, vec![]));
    assert_eq!(claim(&any_class(), &ours), (1, vec![]));
    let foreign = [TRAEFIK, &mk_claim(Some("traefik"), "")].concat();
    let line = "info: Ingress default/x: spec.ingressClassName: is \"traefik\", a class of \
        \"traefik.io/ingress-controller\"";
    assert_eq!(claim(&options(), &foreign), (0, vec![line.to_owned()]));
    assert_eq!(claim(&any_class(), &foreign).0, 0);
}

#[test]
fn another_class_of_our_controller_is_ours_only_if_none_is_configured() {
    let yaml = [mk_class("internal", ""), mk_claim(Some("internal"), "")].concat();
    assert_eq!(claim(&any_class(), &yaml), (1, vec![]));
    let (served, findings) = claim(&options(), &yaml);
    assert_eq!(served, 0);
    assert!(findings[0].contains("this ravelin serves only \"ravelin\""), "{findings:?}");
}

#[test]
fn our_class_name_with_a_foreign_controller_is_not_ours_and_says_how_to_make_it() {
    let yaml =
        [&TRAEFIK.replace("name: traefik", "name: ravelin"), &*mk_claim(Some("ravelin"), "")];
    let (served, findings) = claim(&options(), &yaml.concat());
    assert_eq!(served, 0);
    assert_eq!(
        findings,
        ["info: Ingress default/x: spec.ingressClassName: is \"ravelin\", whose controller is \
            \"traefik.io/ingress-controller\" (fix: delete IngressClass ravelin and create it with \
            spec.controller \"ravelin.dev/ingress-controller\": the field cannot be changed)"]
    );
}

#[test]
fn a_missing_ingress_class_is_accepted_from_a_directory_and_not_in_a_cluster() {
    let yaml = mk_claim(Some("ravelin"), "");
    let directory = Options { strict_class: false, ..options() };
    assert_eq!(claim(&directory, &yaml), (1, vec![]));
    let (model, findings) = translate(&objects(&format!("{yaml}{SERVICE}")), &options());
    assert_eq!(model.ingresses.len(), 0);
    assert_eq!(findings[0].severity, Severity::Error);
    assert_eq!(findings[0].why, Why::ForeignClass);
    let other = mk_claim(Some("other"), "");
    assert_eq!(claim(&directory, &other).0, 0);
}

#[test]
fn the_field_wins_over_the_annotation() {
    let annotation = "kubernetes.io/ingress.class: traefik";
    let ours = [mk_class("ravelin", ""), mk_claim(Some("ravelin"), annotation)].concat();
    assert_eq!(claim(&options(), &ours), (1, vec![]));
    let annotation = "kubernetes.io/ingress.class: ravelin";
    let foreign = [TRAEFIK, &mk_claim(Some("traefik"), annotation)].concat();
    assert_eq!(claim(&options(), &foreign).0, 0);
}

#[test]
fn the_legacy_annotation_is_honoured_where_the_field_is_absent() {
    let yaml = mk_claim(None, "kubernetes.io/ingress.class: ravelin");
    assert_eq!(claim(&options(), &yaml), (1, vec![]), "by the configured name");
    assert_eq!(claim(&any_class(), &yaml).0, 0, "no class of that name is ours");
    let yaml = [mk_class("ravelin", ""), yaml].concat();
    assert_eq!(claim(&any_class(), &yaml), (1, vec![]));
    let foreign = mk_claim(None, "kubernetes.io/ingress.class: nginx");
    let without_class = Options { without_class: true, ..options() };
    let (served, findings) = claim(&without_class, &foreign);
    assert_eq!(served, 0, "it names a class");
    assert!(findings[0].starts_with("info: Ingress default/x: metadata.annotations"));
}

#[test]
fn without_class_it_is_ours_by_default_class_or_by_option() {
    let yaml = mk_claim(None, "");
    assert_eq!(claim(&options(), &yaml).0, 0);
    assert_eq!(claim(&Options { without_class: true, ..options() }, &yaml), (1, vec![]));
    let default = "ingressclass.kubernetes.io/is-default-class: 'true'";
    let yaml = [mk_class("ravelin", default), yaml].concat();
    assert_eq!(claim(&options(), &yaml), (1, vec![]));
    let other = Options { ingress_class: "other".to_owned(), ..options() };
    assert_eq!(claim(&other, &yaml).0, 0, "the default class is another's");
}

#[test]
fn a_foreign_default_class_gives_us_nothing() {
    let default = "metadata: {name: traefik, annotations: \
                   {ingressclass.kubernetes.io/is-default-class: 'true'}}";
    let yaml = [&TRAEFIK.replace("metadata: {name: traefik}", default), &*mk_claim(None, "")];
    assert_eq!(claim(&options(), &yaml.concat()).0, 0);
}

#[test]
fn a_class_that_nobody_defines_has_a_fix() {
    let line = |class: &str, fix: &str| {
        format!(
            "Ingress default/x: spec.ingressClassName: is \"{class}\", but no IngressClass has that \
                name (fix: {fix})"
        )
    };
    let told =
        |yaml: &str| claim(&options(), &[&mk_class("ravelin", ""), TRAEFIK, yaml].concat()).1;
    let typo = mk_claim(Some("ravelni"), "");
    let meant = line("ravelni", "did you mean \"ravelin\"?");
    assert_eq!(told(&typo), [format!("warning: {meant}")], "nobody else will serve it");
    let other = mk_claim(Some("traefk"), "");
    let meant = line("traefk", "did you mean \"traefik\"?");
    assert_eq!(told(&other), [format!("info: {meant}")]);
    let foreign = mk_claim(Some("nginx"), "");
    let fix = "none needed, if another controller serves it; for ravelin, write \"ravelin\"";
    assert_eq!(told(&foreign), [format!("info: {}", line("nginx", fix))]);
    let annotated = mk_claim(None, "kubernetes.io/ingress.class: ravelni");
    assert_eq!(
        told(&annotated),
        ["warning: Ingress default/x: metadata.annotations[kubernetes.io/ingress.class]: is \
            \"ravelni\", which is not a class of ravelin (fix: did you mean \"ravelin\"?)"]
    );
}

#[test]
fn without_class_it_is_told_who_would_serve_it() {
    let default = "metadata: {name: traefik, annotations: \
                   {ingressclass.kubernetes.io/is-default-class: 'true'}}";
    let class = TRAEFIK.replace("metadata: {name: traefik}", default);
    let (_, findings) = claim(&options(), &[class, mk_claim(None, "")].concat());
    let begin = "info: Ingress default/x: spec.ingressClassName: is not set, and IngressClass traefik of \
                 \"traefik.io/ingress-controller\" is the default (fix: set it to \"ravelin\" if";
    assert!(findings[0].starts_with(begin), "{findings:?}");
}

/// Removes the class, and all that is left is what the grace leaves.
fn change(translator: &mut Translator, class: &str, to: Option<&str>) -> (usize, Vec<String>) {
    let identity = ObjectRef::new(Kind::IngressClass, "", class);
    let object = to.map(|yaml| objects(yaml).get(&identity).expect("the class"));
    let changes = Changes { objects: vec![Change { identity, object }], findings: None };
    summary(translator.apply(changes))
}

fn summary(effect: Effect) -> (usize, Vec<String>) {
    let ingresses = effect.model.map_or(usize::MAX, |model| model.ingresses.len());
    let findings = effect.findings.unwrap_or_default();
    (ingresses, findings.iter().map(|finding| finding.to_string()).collect())
}

fn started(options: Options, yaml: &str) -> Translator {
    let mut translator = Translator::new(options);
    let all = objects(&format!("{yaml}{SERVICE}"));
    let changes = all.changes_from(&Objects::default());
    let effect = translator.apply(Changes { objects: changes, findings: None });
    assert_eq!(effect.model.map(|model| model.ingresses.len()), Some(1));
    translator
}

#[test]
fn a_class_that_is_deleted_serves_on_until_it_is_given_up_created_again_or_handed_over() {
    let grace = Options { class_grace: Duration::from_secs(3600), ..any_class() };
    let kept = |finding: &str| {
        assert!(finding.contains("class \"ravelin\", whose IngressClass was deleted"), "{finding}");
        assert!(finding.contains("for at most 1h more"), "{finding}");
        assert!(finding.contains("create IngressClass ravelin"), "{finding}");
    };
    let by_default = mk_class("ravelin", "ingressclass.kubernetes.io/is-default-class: 'true'");
    let cases = [
        (mk_class("ravelin", ""), mk_claim(Some("ravelin"), "")),
        (mk_class("ravelin", ""), mk_claim(None, "kubernetes.io/ingress.class: ravelin")),
        (by_default, mk_claim(None, "")),
    ];
    for (class, claim) in cases {
        let start = || started(grace.clone(), &format!("{class}{claim}"));
        let mut translator = start();
        let (model, findings) = change(&mut translator, "ravelin", None);
        assert_eq!((model, findings.len()), (usize::MAX, 1), "nothing is served otherwise");
        kept(&findings[0]);
        assert_eq!(translator.classes_gone().len(), 1);

        // Created again.
        assert_eq!(change(&mut translator, "ravelin", Some(&class)), (usize::MAX, vec![]));
        assert!(translator.classes_gone().is_empty());

        // Given up.
        change(&mut translator, "ravelin", None);
        let (model, _) = summary(translator.give_up(&["ravelin".into()]));
        assert_eq!((model, translator.classes_gone().len()), (0, 0));
        assert_eq!(change(&mut translator, "ravelin", Some(&class)).0, 1);

        // Handed over, at once or after it was gone.
        let theirs = class.replace("ravelin.dev/ingress-controller", "example.com/other");
        assert_eq!(change(&mut start(), "ravelin", Some(&theirs)).0, 0);
        change(&mut translator, "ravelin", None);
        assert_eq!(change(&mut translator, "ravelin", Some(&theirs)).0, 0);
        assert!(translator.classes_gone().is_empty());
    }
}

#[test]
fn without_a_grace_and_for_a_class_that_needs_no_object_nothing_is_kept() {
    let yaml = format!("{}{}", mk_class("ravelin", ""), mk_claim(Some("ravelin"), ""));
    assert_eq!(change(&mut started(any_class(), &yaml), "ravelin", None).0, 0);
    let grace = Duration::from_secs(1);
    let directory = Options { class_grace: grace, strict_class: false, ..options() };
    let mut translator = started(directory, &yaml);
    assert_eq!(change(&mut translator, "ravelin", None).0, usize::MAX);
    assert!(translator.classes_gone().is_empty());
}

#[test]
fn the_class_of_another_controller_is_taken_where_that_is_asked_for() {
    let taking = Options { taken_classes: vec!["traefik".to_owned()], ..options() };
    let default = TRAEFIK.replace(
        "{name: traefik}",
        "{name: traefik, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}",
    );
    for (classes, class, expected) in [
        (TRAEFIK, Some("traefik"), 1),
        ("", Some("traefik"), 1),
        (&*default, None, 1),
        ("", None, 1),
        (&*mk_class("other", "").replace("ravelin.dev/", "other.example/"), Some("other"), 0),
        (
            &*mk_class("other", "ingressclass.kubernetes.io/is-default-class: 'true'")
                .replace("ravelin.dev/", "other.example/"),
            None,
            0,
        ),
    ] {
        let yaml = [classes, &mk_claim(class, "")].concat();
        assert_eq!(claim(&taking, &yaml).0, expected, "{yaml}");
        let (model, _) = translate(&objects(&format!("{yaml}{SERVICE}")), &taking);
        assert!(model.ingresses.iter().all(|own| !own.has_status), "Traefik writes its status");
    }
    let writing = Options { taken_status: true, ..taking };
    let yaml = [TRAEFIK, &mk_claim(Some("traefik"), ""), SERVICE].concat();
    assert!(translate(&objects(&yaml), &writing).0.ingresses[0].has_status);
}

#[test]
fn an_ingress_of_a_solver_needs_no_class() {
    let label = "labels: {acme.cert-manager.io/http01-solver: 'true'}";
    let mk_solver = |path: &str| {
        let ingress = mk_ingress(&mk_paths(&[("ImplementationSpecific", path)]));
        let ingress = ingress.replace("ingressClassName: ravelin, ", "");
        ingress.replace("{name: x}", &format!("{{name: x, {label}}}"))
    };
    let solver = mk_solver("/.well-known/acme-challenge/token");
    let (model, findings) = translate(&objects(&format!("{solver}{SERVICE}")), &options());
    assert_eq!((model.ingresses.len(), lines(&findings)), (1, vec![]));
    assert!(!model.ingresses[0].has_status);
    // The Middleware of the entry point is missing, and closes all routes but this one.
    let point = NamedEntryPoint {
        name: "web".into(),
        is_secure: false,
        carries: CarriedTraffic { plain: true, tls: false, http: true, cloudflare_alone: false },
        ports: Vec::new(),
        is_default: true,
        middlewares: vec!["default-gone@kubernetescrd".into()],
    };
    let guarded = Options { entry_points: EntryPointTable::new(vec![point]), ..options() };
    let is_closed = |yaml: &str| {
        let (model, _) = translate(&objects(&format!("{yaml}{SERVICE}")), &guarded);
        matches!(model.backends[0].state, BackendState::Broken(_))
    };
    assert!(!is_closed(&solver));
    assert!(is_closed(&[mk_class("ravelin", ""), mk_claim(Some("ravelin"), "")].concat()));
    // The label is not enough.
    for path in ["/", "/.well-known/acme-challenge/../../admin", "/.well-known/acme-challenge/%2e"]
    {
        assert_eq!(claim(&options(), &mk_solver(path)).0, 0, "{path}");
    }
}
