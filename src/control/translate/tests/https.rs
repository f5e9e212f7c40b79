//! How visitors are brought to TLS: annotations, and what is for Ingresses without.

use super::{lines, mk_ingress, mk_paths, options, run_with};
use crate::control::translate::Options;
use crate::model::{Hsts, Https};

/// An Ingress with these annotations, in flow style.
fn mk_annotated(annotations: &str) -> String {
    let ingress = mk_ingress(&mk_paths(&[("Prefix", "/")]));
    ingress.replace("name: x", &format!("name: x, annotations: {{{annotations}}}"))
}

fn mk_https(redirect: bool, hsts: Option<&str>) -> Https {
    Https { redirect, hsts: hsts.map(|text| Hsts::parse(text).expect("a value")) }
}

/// What is asked for, where the configuration has this, and what is said about it.
fn https(default: Https, annotations: &str) -> (Https, Vec<String>) {
    let options = Options { https: default, ..options() };
    let (model, findings) = run_with(&options, &mk_annotated(annotations));
    (model.ingresses[0].https.clone(), lines(&findings))
}

#[test]
fn an_ingress_that_does_not_say_has_what_is_configured_and_one_that_does_has_its_own() {
    let on = || mk_https(true, Some("max-age=60"));
    let off = || mk_https(false, None);
    for (default, annotations, expected) in [
        (off(), "", off()),
        (on(), "", on()),
        (on(), "ravelin.dev/https-redirect: 'false', ravelin.dev/hsts: 'off'", off()),
        (
            off(),
            "ravelin.dev/https-redirect: 'true', ravelin.dev/hsts: 'max-age=5;preload'",
            mk_https(true, Some("max-age=5; preload")),
        ),
    ] {
        assert_eq!(https(default, annotations), (expected, vec![]), "{annotations}");
    }
}

#[test]
fn paths_are_sent_as_they_came_where_an_ingress_says_so_and_only_there() {
    for (annotations, expected, findings) in [
        ("", false, vec![]),
        ("ravelin.dev/raw-path: 'true'", true, vec![]),
        ("ravelin.dev/raw-path: 'false'", false, vec![]),
        (
            "ravelin.dev/raw-path: 'on'",
            false,
            vec![
                "error: Ingress default/x: metadata.annotations[ravelin.dev/raw-path]: \"on\" is \
                    not one of \"true\", \"false\" (fix: write one of them)"
                    .to_owned(),
            ],
        ),
    ] {
        let (model, found) = run_with(&options(), &mk_annotated(annotations));
        assert_eq!((model.ingresses[0].raw_path, lines(&found)), (expected, findings));
    }
}

#[test]
fn a_mistake_is_named_and_what_is_configured_stays() {
    let on = || mk_https(true, Some("max-age=60"));
    for (annotations, expected) in [
        (
            "ravelin.dev/https-redirect: 'no'",
            "error: Ingress default/x: metadata.annotations[ravelin.dev/https-redirect]: \"no\" is \
                not one of \"true\", \"false\" (fix: write one of them)",
        ),
        (
            "ravelin.dev/hsts: 31536000s",
            "error: Ingress default/x: metadata.annotations[ravelin.dev/hsts]: has no max-age in \
             whole seconds (fix: write \"max-age=31536000\" for a year, or \"off\")",
        ),
        (
            "ravelin.dev/https-redirct: 'true'",
            "warning: Ingress default/x: metadata.annotations[ravelin.dev/https-redirct]: is \
                unknown, and has no effect (fix: did you mean ravelin.dev/https-redirect?)",
        ),
    ] {
        assert_eq!(https(on(), annotations), (on(), vec![expected.to_owned()]));
    }
}
