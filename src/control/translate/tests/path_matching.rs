//! `router.priority` and `router.pathmatcher`, from annotations to the route of a request.

use super::{at_path, lines, mk_ingress, mk_named, mk_paths, run};
use crate::model::{Broken, Model};

const PRIORITY: &str = "traefik.ingress.kubernetes.io/router.priority";
const MATCHER: &str = "traefik.ingress.kubernetes.io/router.pathmatcher";
const SPECIFIC: &str = "ImplementationSpecific";

fn annotated(manifest: &str, name: &str, annotations: &str) -> String {
    let name = format!("name: {name}");
    manifest.replace(&name, &format!("{name}, annotations: {{{annotations}}}"))
}

/// The Ingress that has a path, and why it does not serve it.
fn owner(model: &Model, path: &str) -> Option<(String, Option<Broken>)> {
    at_path(model, path, |table, id| (table.route(id).ingress.to_owned(), table.backend(id).broken))
}

#[test]
fn the_highest_priority_has_a_request_and_without_one_the_longest_rule() {
    let long = mk_named("z", &mk_paths(&[("Prefix", "/a/longer/path")]));
    for (priority, expected) in [("1000", "x"), ("0", "z"), ("1", "z"), ("-5", "z")] {
        let short = mk_ingress(&mk_paths(&[("Prefix", "/")]));
        let short = annotated(&short, "x", &format!("{PRIORITY}: '{priority}'"));
        let (model, found) = run(&format!("{short}{long}"));
        assert_eq!(lines(&found), [""; 0]);
        let owner = |path| owner(&model, path).map(|(name, _)| name);
        assert_eq!(owner("/a/longer/path/x").as_deref(), Some(expected), "{priority}");
        assert_eq!(owner("/b").as_deref(), Some("x"), "{priority}");
    }
    let exact =
        annotated(&mk_ingress(&mk_paths(&[("Exact", "/a")])), "x", &format!("{PRIORITY}: '9'"));
    let (model, _) = run(&exact);
    assert!(owner(&model, "/a").is_some() && owner(&model, "/a/b").is_none());
}

#[test]
fn a_path_matcher_is_for_paths_of_implementation_specific_type() {
    let paths = [(SPECIFIC, "/v[0-9]+"), ("Prefix", "/p")];
    let yaml = annotated(&mk_ingress(&mk_paths(&paths)), "x", &format!("{MATCHER}: PathRegexp"));
    let (model, found) = run(&yaml);
    assert_eq!(lines(&found), [""; 0]);
    for (path, expected) in [("/v22", true), ("/a/v22", true), ("/v", false), ("/p/x", true)] {
        assert_eq!(owner(&model, path).is_some(), expected, "{path}");
    }
    let yaml =
        annotated(&mk_ingress(&mk_paths(&[(SPECIFIC, "/a")])), "x", &format!("{MATCHER}: Path"));
    let (model, found) = run(&yaml);
    assert_eq!(lines(&found), [""; 0]);
    assert!(owner(&model, "/a").is_some() && owner(&model, "/a/b").is_none());
}

#[test]
fn what_traefik_does_not_understand_keeps_its_place_unserved() {
    for (annotation, said) in [
        (
            format!("{PRIORITY}: high"),
            format!(
                "metadata.annotations[{PRIORITY}]: \"high\" is not a whole number, and Traefik rejects the \
                 Ingress: its routes answer 503 (fix: write one such as \"10\")"
            ),
        ),
        (
            format!("{MATCHER}: PathRegex"),
            format!(
                "metadata.annotations[{MATCHER}]: \"PathRegex\" is not a matcher of paths, and Traefik rejects the \
                 Ingress: its routes answer 503 (fix: did you mean \"PathRegexp\"?)"
            ),
        ),
    ] {
        let yaml = annotated(&mk_ingress(&mk_paths(&[("Prefix", "/a")])), "x", &annotation);
        let (model, found) = run(&yaml);
        assert_eq!(lines(&found), [format!("error: Ingress default/x: {said}")]);
        assert_eq!(owner(&model, "/a"), Some(("x".to_owned(), Some(Broken::Altered))));
    }
    let yaml = mk_ingress(&mk_paths(&[(SPECIFIC, "/a/(b")]));
    let (model, found) = run(&annotated(&yaml, "x", &format!("{MATCHER}: PathRegexp")));
    assert_eq!(
        lines(&found),
        [
            "error: Ingress default/x: spec.rules[0].http.paths[0].path: \"/a/(b\" is not a regular expression that \
          is used: unclosed group: requests get 503 (fix: correct it)"
        ]
    );
    assert_eq!(owner(&model, "/a/x"), Some(("x".to_owned(), Some(Broken::Altered))));
}
