//! The tables, and whether they agree with those who read annotations.

use super::*;
use crate::model::{Diagnostic, Kind, ObjectRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;
use std::path::Path;

/// What comes of annotations of an Ingress or a Service.
fn judged(subject: Subject<'_>, annotations: &[(&str, &str)]) -> (Consequences, Vec<String>) {
    let annotations =
        annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let metadata = ObjectMeta { annotations: Some(annotations.collect()), ..ObjectMeta::default() };
    let object = ObjectRef::new(Kind::Ingress, "ns", "i");
    let mut findings: Vec<Diagnostic> = Vec::new();
    let mut report = Report::new(&object, &mut findings);
    let consequences = judge(Annotations::of(&metadata), subject, &mut report);
    let line = |finding: &Diagnostic| {
        let line = finding.to_string();
        line.replace("Ingress ns/i: metadata.annotations", "")
    };
    (consequences, findings.iter().map(line).collect())
}

fn on_ingress(annotations: &[(&str, &str)]) -> (Option<Broken>, Vec<String>) {
    let (consequences, lines) = judged(Subject::Ingress(None), annotations);
    (consequences.broken, lines)
}

#[test]
fn no_key_is_in_a_table_twice_or_both_obeyed_and_not() {
    for controller in CONTROLLERS {
        let keys: BTreeSet<&str> = controller.entries.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.len(), controller.entries.len(), "{}", controller.name);
        for prefix in controller.prefixes {
            let obeyed = controller.obeyed.iter().filter_map(|name| name.strip_prefix(prefix));
            for key in obeyed {
                assert!(!keys.contains(key), "{prefix}{key}");
            }
        }
        for name in controller.obeyed {
            assert!(controller.prefixes.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
        for (key, _) in controller.entries {
            assert_eq!(normal(controller, key), *key, "tables have the normal form");
        }
    }
}

/// The annotations of controllers with a table that a source text names.
fn named_in(text: &str) -> BTreeSet<String> {
    let literals = text.split('"').skip(1).step_by(2);
    let names =
        literals.filter(|name| find(name).is_some_and(|(_, prefix)| prefix.len() < name.len()));
    names.map(str::to_owned).collect()
}

#[test]
fn what_a_reader_reads_is_obeyed_and_what_is_obeyed_has_a_reader() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/translate");
    let mut read = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            read.extend(named_in(code));
        }
    }
    let obeyed = CONTROLLERS.into_iter().flat_map(|controller| controller.obeyed);
    let mut obeyed: BTreeSet<String> = obeyed.map(|name| (*name).to_owned()).collect();
    // Classed as steps.
    obeyed.extend(named_in(include_str!("../rewrite.rs")));
    obeyed.extend(named_in(include_str!("../aliases.rs")));
    obeyed.extend(named_in(include_str!("../www.rs")));
    assert!(read.len() > 10, "{read:?}");
    assert_eq!(read, obeyed);
}

#[test]
fn the_annotations_of_nginx_that_are_classed_as_steps_have_a_reader() {
    let sources = [
        include_str!("../aliases.rs"),
        include_str!("../rewrite.rs"),
        include_str!("../www.rs"),
        include_str!("../middleware/annotated/nginx/mod.rs"),
        include_str!("../middleware/annotated/nginx/auth.rs"),
        include_str!("../middleware/annotated/nginx/cors.rs"),
    ];
    let code = sources.map(|text| text.split("#[cfg(test)]").next().unwrap_or_default());
    let mut read: BTreeSet<String> = code.into_iter().flat_map(named_in).collect();
    // It has the pages of another one, and a meaning of its own, which is not obeyed.
    read.remove("nginx.ingress.kubernetes.io/default-backend");
    // By its value.
    read.remove("nginx.ingress.kubernetes.io/configuration-snippet");
    let steps = nginx::NGINX.entries.iter();
    let steps = steps.filter(|(_, class)| matches!(class, Class::Step | Class::Guards(_)));
    let steps = steps.map(|(key, _)| format!("{}{key}", nginx::PREFIX));
    assert_eq!(read, steps.collect::<BTreeSet<String>>());
}

#[test]
fn the_annotations_of_every_controller_are_kept_by_the_watch() {
    for name in ["nginx.ingress.kubernetes.io/auth-url", "haproxy.org/x", "ingress.kubernetes.io/x"]
    {
        assert!(is_of_controller(name), "{name}");
    }
    for name in ["kubectl.kubernetes.io/last-applied-configuration", "cert-manager.io/issuer"] {
        assert!(!is_of_controller(name), "{name}");
    }
}

#[test]
fn a_key_that_nobody_knows_is_a_warning_with_the_nearest() {
    let (broken, lines) = on_ingress(&[("nginx.ingress.kubernetes.io/enable-corss", "true")]);
    assert_eq!(broken, None);
    assert_eq!(
        lines,
        ["warning: [nginx.ingress.kubernetes.io/enable-corss]: is not an annotation of \
                ingress-nginx: it has no effect (fix: did you mean \
                nginx.ingress.kubernetes.io/enable-cors?)"]
    );
}

#[test]
fn words_of_another_controller_below_a_prefix_are_warned_of_loudly() {
    for (name, what) in [
        ("traefik.ingress.kubernetes.io/auth-url", "requires authentication"),
        ("traefik.ingress.kubernetes.io/whitelist-source-range", "restricts client addresses"),
        ("nginx.ingress.kubernetes.io/deny-list", "restricts client addresses"),
    ] {
        let (broken, lines) = on_ingress(&[(name, "10.0.0.0/8")]);
        assert_eq!(broken, None, "{name}: it has never protected anything");
        assert!(lines[0].starts_with(&format!("warning: [{name}]: {what}")), "{lines:?}");
        assert!(lines[0].contains("it protects nothing"), "{lines:?}");
    }
}

#[test]
fn a_key_of_routers_that_traefik_does_not_know_is_refused_as_traefik_does() {
    let name = "traefik.ingress.kubernetes.io/router.middleware";
    let (broken, lines) = on_ingress(&[(name, "ns-auth@kubernetescrd")]);
    assert_eq!(broken, Some(Broken::Restricted));
    assert_eq!(
        lines,
        [format!(
            "error: [{name}]: is not a key of Traefik, and Traefik rejects the Ingress, and is \
                not supported: the routes of this Ingress answer 503 (fix: write {name}s, or list it in \
                ravelin.dev/ignore-annotations to serve without it)"
        )]
    );
}

#[test]
fn traefik_s_keys_are_known_in_any_case_and_with_any_number() {
    for name in
        ["router.TLS.certResolver", "router.tls.domains.0.main", "router.tls.domains[12].sans"]
    {
        let name = format!("traefik.ingress.kubernetes.io/{name}");
        let (broken, lines) = on_ingress(&[(&name, "x")]);
        assert_eq!(broken, None, "{name}: {lines:?}");
        assert!(!lines[0].contains("not an annotation of"), "{lines:?}");
    }
}

#[test]
fn on_an_object_where_its_controller_does_not_read_it_an_annotation_is_a_warning() {
    for (subject, name) in [
        (Subject::Service, "nginx.ingress.kubernetes.io/auth-url"),
        (Subject::Service, "traefik.ingress.kubernetes.io/router.middlewares"),
        (Subject::Ingress(None), "traefik.ingress.kubernetes.io/service.middlewares"),
    ] {
        let (consequences, lines) = judged(subject, &[(name, "x")]);
        assert_eq!(consequences, Consequences::default(), "{name}");
        assert!(lines[0].starts_with("warning: "), "{lines:?}");
        assert!(lines[0].contains("it protects nothing"), "{lines:?}");
    }
    let (verdict, _) = judged(Subject::Service, &[("haproxy.org/route-acl", "x")]);
    assert_eq!(verdict.broken, Some(Broken::Restricted));
}

#[test]
fn one_of_ours_that_is_misspelt_and_would_protect_is_refused() {
    let (broken, lines) = on_ingress(&[("ravelin.dev/client-certifcate", "require")]);
    assert_eq!(broken, Some(Broken::Restricted));
    assert!(lines[0].contains("write ravelin.dev/client-certificate, or list it"), "{lines:?}");
    let (consequences, lines) =
        judged(Subject::Service, &[("ravelin.dev/client-certificate", "require")]);
    assert_eq!(consequences.broken, Some(Broken::Restricted));
    assert!(lines[0].contains("move it to the Ingress"), "{lines:?}");
    let (broken, lines) = on_ingress(&[("ravelin.dev/knwon", "1")]);
    assert_eq!((broken, lines.len()), (None, 1));
}

#[test]
fn a_controller_without_a_table_is_judged_by_names() {
    let (broken, lines) = on_ingress(&[
        ("nginx.org/basic-auth-secret", "users"),
        ("nginx.org/websocket-services", "ws"),
    ]);
    assert_eq!(broken, Some(Broken::Restricted));
    assert!(lines[0].starts_with(
        "error: [nginx.org/basic-auth-secret]: suggests by its name that it protects"
    ));
    assert!(
        lines[1].starts_with("info: [nginx.org/websocket-services]: is an annotation of F5's"),
        "{lines:?}"
    );
}

#[test]
fn what_is_listed_as_ignored_is_served_without_and_said() {
    let auth = ("nginx.ingress.kubernetes.io/auth-snippet", "return 401;");
    let rps = ("nginx.ingress.kubernetes.io/limit-rate", "5");
    let (broken, lines) = on_ingress(&[auth, rps, (IGNORE, &format!("{}, x", rps.0))]);
    assert_eq!(broken, Some(Broken::Restricted), "the other one is not listed");
    assert!(lines[0].contains("lists \"x\", which this object does not have"), "{lines:?}");
    let (broken, lines) = on_ingress(&[auth, rps, (IGNORE, &format!("{},{}", rps.0, auth.0))]);
    assert_eq!(broken, None);
    assert_eq!(
        lines,
        [
            "warning: [nginx.ingress.kubernetes.io/auth-snippet]: is configuration of another proxy, which may restrict access, \
                and is ignored because of ravelin.dev/ignore-annotations",
            "warning: [nginx.ingress.kubernetes.io/limit-rate]: limits requests per client, and is \
                ignored because of ravelin.dev/ignore-annotations",
        ]
    );
}

#[test]
fn certificates_of_clients_are_ours_to_ask_for() {
    let secret = ("nginx.ingress.kubernetes.io/auth-tls-secret", "ns/ca");
    let verify = |value| ("nginx.ingress.kubernetes.io/auth-tls-verify-client", value);
    for (annotations, expected) in [
        (&[secret][..], Some(Broken::Restricted)),
        (&[secret, verify("on")], Some(Broken::Restricted)),
        (&[secret, verify("optional")], Some(Broken::Restricted)),
        (&[secret, verify("off")], None),
        (&[secret, verify("optional_no_ca")], None),
        (&[secret, verify("on"), ("ravelin.dev/client-certificate", "require")], None),
        (
            &[secret, verify("on"), ("ravelin.dev/client-certificate", "off")],
            Some(Broken::Restricted),
        ),
    ] {
        assert_eq!(on_ingress(annotations).0, expected, "{annotations:?}");
    }
}

#[test]
fn no_secret_of_a_value_is_repeated() {
    for name in ["server-snippet", "configuration-snippet", "auth-snippet"] {
        let name = format!("nginx.ingress.kubernetes.io/{name}");
        let (broken, lines) = on_ingress(&[(&name, "https://user:hunter2@auth.example/")]);
        assert_eq!(broken, Some(Broken::Restricted));
        assert!(!lines[0].contains("hunter2"), "{lines:?}");
    }
}
