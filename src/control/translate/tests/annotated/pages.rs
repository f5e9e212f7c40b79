//! `ravelin.dev/error-pages`.

use super::{OWN, lines, mk_annotated, of_first, run};
use crate::config::MiddlewarePolicy;
use crate::control::objects::Objects;
use crate::control::source::Changes;
use crate::control::translate::tests::{BASE, objects, options, run_with};
use crate::control::translate::{Options, Translator};
use crate::model::middleware::Step;
use crate::model::{BackendState, Model};
use http::StatusCode;

const FIELD: &str = "metadata.annotations[ravelin.dev/error-pages]";

fn mk_config_map(namespace: &str, data: &str) -> String {
    format!(
        "
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: pages, namespace: {namespace}}}, {data}}}
---"
    )
}

/// An Ingress with pages of this name, and a ConfigMap.
fn with(name: &str, config_map: &str) -> (Model, Vec<String>) {
    let text = mk_annotated(OWN, &format!("error-pages: {name}"), &[("Prefix", "/")]);
    let (model, found) = run(&format!("{config_map}{text}"));
    (model, lines(&found))
}

fn body(model: &Model, code: u16) -> Option<(String, &'static str)> {
    let steps = of_first(model);
    let Some(Step::ErrorPages(pages)) = steps.first() else { return None };
    let page = pages.find(StatusCode::from_u16(code).expect("a status"))?;
    Some((String::from_utf8_lossy(&page.body).into_owned(), page.content_type))
}

#[test]
fn the_keys_of_a_config_map_are_pages() {
    let data =
        "data: {'404.html': gone, 5xx: '<p>sorry', README: x}, binaryData: {'503.json': e30=}";
    for (name, namespace) in [("pages", "default"), ("other/pages", "other")] {
        let (model, lines) = with(name, &mk_config_map(namespace, data));
        let html = "text/html; charset=utf-8";
        assert_eq!(body(&model, 404), Some(("gone".to_owned(), html)));
        assert_eq!(body(&model, 502), Some(("<p>sorry".to_owned(), html)));
        assert_eq!(body(&model, 503), Some(("{}".to_owned(), "application/json")));
        assert_eq!(body(&model, 403), None);
        assert_eq!(
            lines,
            [format!(
                "warning: Ingress default/x: {FIELD}: names a ConfigMap with keys that are no pages: \"README\" (fix: \
                 name the keys by statuses and classes: 404, 503.html, 4xx.html, 5xx.json)"
            )]
        );
    }
}

#[test]
fn pages_come_before_all_steps_whatever_is_written_first() {
    let (model, _) = {
        let annotations = "deny: 192.0.2.0/24\nerror-pages: pages";
        let text = mk_annotated(OWN, annotations, &[("Prefix", "/")]);
        run(&format!("{}{text}", mk_config_map("default", "data: {'403': nope}")))
    };
    let steps = of_first(&model);
    assert!(matches!(steps[..], [Step::ErrorPages(_), Step::Source(_)]), "{steps:?}");
}

#[test]
fn what_cannot_be_used_is_told_and_the_routes_are_served_without() {
    let large = format!("data: {{'404': '{}'}}", "x".repeat(1024 * 1024 + 1));
    for (data, said) in [
        (None, "ConfigMap default/pages does not exist or may not be read"),
        (Some("data: {index.html: x}"), "names a ConfigMap without pages"),
        (Some(&*large), "names a ConfigMap of 1048577 bytes, which is too large"),
    ] {
        let config_map = data.map(|data| mk_config_map("default", data)).unwrap_or_default();
        let (model, lines) = with("pages", &config_map);
        assert!(
            lines[0].starts_with(&format!("warning: Ingress default/x: {FIELD}: {said}")),
            "{lines:?}"
        );
        assert!(lines[0].contains("responses are sent without pages"), "{lines:?}");
        assert_eq!(of_first(&model), []);
        assert!(
            !matches!(model.backends[0].state, BackendState::Broken(_)),
            "{:?}",
            model.backends
        );
    }
    let text = mk_annotated(OWN, "error-pages: other/pages", &[("Prefix", "/")]);
    let strict = Options { middlewares: MiddlewarePolicy::OwnNamespace, ..options() };
    let config_map = mk_config_map("other", "data: {'404': x}");
    let (model, found) = run_with(&strict, &format!("{config_map}{text}"));
    assert!(lines(&found)[0].contains("of another namespace, which is forbidden"), "{found:?}");
    assert_eq!(of_first(&model), []);
}

#[test]
fn a_config_map_that_comes_changes_and_goes_is_in_force_at_once() {
    let base = mk_annotated(OWN, "error-pages: pages", &[("Prefix", "/")]);
    let of = |data: &str| {
        let config_map =
            if data.is_empty() { String::new() } else { mk_config_map("default", data) };
        objects(&format!("{BASE}{config_map}{base}"))
    };
    let mut translator = Translator::new(options());
    let mut before = Objects::default();
    for (data, expected) in
        [("", None), ("data: {'404': a}", Some("a")), ("data: {'404': b}", Some("b")), ("", None)]
    {
        let now = of(data);
        let changes = Changes { objects: now.changes_from(&before), findings: None };
        let effect = translator.apply(changes);
        let model = effect.model.expect("another model");
        assert_eq!(body(&model, 404).map(|(text, _)| text).as_deref(), expected, "{data}");
        before = now;
    }
}
