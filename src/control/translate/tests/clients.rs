//! What Ingresses ask of clients.

use super::{BASE, objects, options};
use crate::control::reconcile::{Build, build};
use crate::pki::client_certificate::{Authority, BreakGlassAccess, Demand, Mode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// An Ingress with annotations of ours, and a rule without a backend to complain about.
fn mk_ingress(at: &str, host: &str, annotations: &[(&str, &str)]) -> String {
    let (namespace, name) = at.split_once('/').expect("namespace/name");
    let annotations: Vec<String> =
        annotations.iter().map(|(key, value)| format!("ravelin.dev/{key}: {value:?}")).collect();
    // The name says its age: a1 is older than b1.
    let year = 2000 + u32::from(name.as_bytes()[0]);
    let host = if host.is_empty() { String::new() } else { format!("host: {host:?}, ") };
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: {namespace}
  creationTimestamp: '{year}-01-01T00:00:00Z'
  annotations: {{{}}}
spec:
  ingressClassName: ravelin
  rules: [{{{host}http: {{paths: [{{path: /{name}, pathType: Prefix, backend: {{resource: {{kind: Thing, name: thing}}}}}}]}}}}]
---",
        annotations.join(", ")
    )
}

fn mk_authority() -> String {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").pem()
}

fn mk_secret(at: &str, key: &str, text: &str) -> String {
    let (namespace, name) = at.split_once('/').expect("namespace/name");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         stringData: {{{key}: {text:?}}}\n---"
    )
}

fn run(yaml: &str) -> Build {
    build(&objects(&format!("{BASE}{yaml}")), Vec::new(), &options())
}

/// Each host with its policy, and whether any certificate can be good.
fn policies(build: &Build) -> Vec<String> {
    let text = |host: &crate::model::HostClients| {
        let Demand { mode, authority, subjects, .. } = host.demand();
        let good = match (mode, authority) {
            (Mode::Off, _) => "",
            (_, None) => " nobody",
            (_, Some(authority)) if *authority == Authority::cloudflare() => " cloudflare",
            (_, Some(_)) => " own",
        };
        format!("{} {}{good} {subjects}", host.host, mode.as_str()).trim().to_owned()
    };
    build.clients.iter().map(text).collect()
}

/// What is said of annotations: the Ingress, the annotation, and the begin of the reason.
fn said(build: &Build) -> Vec<String> {
    let all = build.findings.iter().filter(|finding| finding.field.starts_with("metadata."));
    let text = |finding: &crate::model::Diagnostic| {
        let field = finding.field.trim_start_matches("metadata.annotations[ravelin.dev/");
        assert!(!finding.fix.is_empty(), "{finding}");
        format!("{} {}: {}", finding.object, field.trim_end_matches(']'), finding.reason)
    };
    all.map(text).collect()
}

const REQUIRE: (&str, &str) = ("client-certificate", "require");
const REQUEST: (&str, &str) = ("client-certificate", "request");
const OFF: (&str, &str) = ("client-certificate", "off");
const CLOUDFLARE: (&str, &str) = ("client-ca", "cloudflare");
const OWN: (&str, &str) = ("client-ca", "ca");

#[test]
fn the_words_of_one_ingress_and_what_is_wrong_with_them_makes_nothing_weaker() {
    let secret = mk_secret("ns/ca", "ca.crt", &mk_authority());
    let no_good = "no certificate is accepted";
    for (annotations, expected, complaint) in [
        (&[][..], None, None),
        (&[OFF], Some("off"), None),
        (&[OFF, CLOUDFLARE], Some("off"), None),
        (&[REQUEST, CLOUDFLARE], Some("request cloudflare"), None),
        (&[REQUIRE, CLOUDFLARE], Some("require cloudflare"), None),
        (&[REQUIRE, OWN], Some("require own"), None),
        (&[REQUIRE, OWN, ("client-subject", "x, y")], Some("require own x or y"), None),
        (&[REQUIRE], Some("require nobody"), Some(no_good)),
        (&[REQUEST], Some("request nobody"), Some(no_good)),
        (&[OWN], Some("require own"), Some("defaults to `require`")),
        (&[("client-subject", "x")], Some("require nobody x"), Some("defaults to `require`")),
        (&[("client-certificate", "requir"), OWN], Some("require own"), Some("`require`")),
        (&[("client-certificate", ""), OWN], Some("require own"), Some("`require`")),
        (&[REQUIRE, ("client-ca", "absent")], Some("require nobody"), Some("there is no Secret")),
        (&[REQUIRE, ("client-ca", "other/ca")], Some("require nobody"), Some(no_good)),
        (&[REQUIRE, ("client-ca", "")], Some("require nobody"), Some(no_good)),
        (&[REQUIRE, OWN, ("client-subject", "x,,y")], Some("require nobody"), Some(no_good)),
    ] {
        let build = run(&format!("{secret}{}", mk_ingress("ns/a1", "a.example", annotations)));
        let expected: Vec<_> = expected.iter().map(|text| format!("a.example {text}")).collect();
        assert_eq!(policies(&build), expected, "{annotations:?}");
        let said = said(&build);
        match complaint {
            None => assert_eq!(said, [""; 0], "{annotations:?}"),
            Some(complaint) => {
                assert!(said.iter().any(|line| line.contains(complaint)), "{said:?}");
            }
        }
    }
}

#[test]
fn a_secret_that_holds_no_authority_leaves_nobody_and_is_named() {
    let ingress = mk_ingress("ns/a1", "a.example", &[REQUIRE, OWN]);
    for (key, text, expected) in [
        ("ca.crt", "hunter2".to_owned(), "data[ca.crt] of Secret \"ca\" contains no certificate"),
        ("ca.crt", super::tls::mk_pair().0, "is not a CA's"),
        ("tls.crt", mk_authority(), "data[ca.crt] of Secret \"ca\" is missing"),
    ] {
        let build = run(&format!("{}{ingress}", mk_secret("ns/ca", key, &text)));
        assert_eq!(policies(&build), ["a.example require nobody"]);
        let said = said(&build);
        let [only] = &said[..] else { panic!("{said:?}") };
        assert!(only.starts_with("Ingress ns/a1 client-ca: ") && only.contains(expected), "{only}");
        assert!(!only.contains("hunter2"), "{only}");
    }
    // One of another namespace is not meant.
    let build = run(&format!("{}{ingress}", mk_secret("other/ca", "ca.crt", &mk_authority())));
    assert_eq!(policies(&build), ["a.example require nobody"]);
}

#[test]
fn of_several_ingresses_of_a_host_the_strictest_counts_and_who_disagrees_is_named() {
    let secret = mk_secret("ns/ca", "ca.crt", &mk_authority());
    for (first, second, expected, is_told) in [
        (&[REQUIRE, OWN][..], &[][..], "require own", false),
        (&[], &[REQUIRE, OWN], "require own", false),
        (&[REQUIRE, OWN], &[REQUIRE, OWN], "require own", false),
        (&[OFF], &[REQUIRE, OWN], "require own", true),
        (&[REQUIRE, OWN], &[OFF], "require own", true),
        (&[REQUEST, OWN], &[REQUIRE, CLOUDFLARE], "require cloudflare", true),
        (&[REQUEST, OWN], &[REQUEST, CLOUDFLARE], "request own", true),
        (&[REQUIRE, OWN], &[REQUIRE, CLOUDFLARE], "require nobody", true),
        (&[REQUIRE, OWN], &[REQUIRE, OWN, ("client-subject", "x")], "require nobody", true),
    ] {
        let yaml = [
            secret.clone(),
            mk_ingress("ns/a1", "a.example", first),
            mk_ingress("ns/b1", "a.example", second),
        ];
        let build = run(&yaml.concat());
        assert_eq!(policies(&build), [format!("a.example {expected}")], "{first:?} {second:?}");
        let said = said(&build);
        assert_eq!(said.len(), usize::from(is_told), "{said:?}");
        assert!(said.iter().all(|line| line.starts_with("Ingress ns/b1 client-certificate: ")));
    }
}

#[test]
fn break_glass_opens_a_host_that_says_so_in_all_ingresses_which_require_a_certificate() {
    use BreakGlassAccess::{Closed, Open, Unsaid};
    const OPEN: (&str, &str) = ("break-glass", "open");
    const CLOSED: (&str, &str) = ("break-glass", "closed");
    const CF: [(&str, &str); 2] = [REQUIRE, CLOUDFLARE];
    let with = |said: &[(&'static str, &'static str)]| [&CF[..], said].concat();
    for (first, second, expected) in [
        (with(&[]), vec![], Unsaid),
        (with(&[OPEN]), vec![], Open),
        (with(&[CLOSED]), vec![], Closed),
        (with(&[OPEN]), with(&[OPEN]), Open),
        // They ask Cloudflare for the same, so nobody disagrees.
        (with(&[OPEN]), with(&[]), Unsaid),
        (with(&[OPEN]), with(&[CLOSED]), Closed),
        (with(&[]), with(&[OPEN]), Unsaid),
    ] {
        let first_ingress = mk_ingress("ns/a1", "a.example", &first);
        let build = run(&format!("{first_ingress}{}", mk_ingress("ns/b1", "a.example", &second)));
        assert_eq!(policies(&build), ["a.example require cloudflare"], "{first:?} {second:?}");
        assert_eq!(build.clients[0].break_glass, expected, "{first:?} {second:?}");
        assert_eq!(said(&build), [""; 0], "{first:?} {second:?}");
    }
    // The names that a wildcard stands for have what it says.
    let wildcard = mk_ingress("ns/a1", "*.example", &with(&[OPEN]));
    let build = run(&format!("{wildcard}{}", mk_ingress("ns/b1", "a.example", &[])));
    assert_eq!(build.clients.iter().map(|it| it.break_glass).collect::<Vec<_>>(), [Open]);
}

#[test]
fn a_word_of_break_glass_that_is_wrong_or_in_vain_is_told_and_opens_nothing() {
    for (annotations, expected) in [
        (
            &[REQUIRE, CLOUDFLARE, ("break-glass", "opne")][..],
            "\"opne\" is not one of \"open\", \"closed\", so its hosts stay closed",
        ),
        (&[("break-glass", "open")], "has no effect without ravelin.dev/client-certificate"),
        (&[("break-glass", "on")], "\"on\" is not one of"),
        (&[("break-glass", "closed")], ""),
        (&[REQUEST, CLOUDFLARE, ("break-glass", "open")], ""),
    ] {
        let build = run(&mk_ingress("ns/a1", "a.example", annotations));
        let open = build.clients.iter().filter(|it| it.mode == Mode::Require);
        assert!(open.into_iter().all(|it| it.break_glass == BreakGlassAccess::Unsaid));
        match (&said(&build)[..], expected) {
            ([], "") => {}
            ([only], expected) if !expected.is_empty() => {
                assert!(
                    only.starts_with(&format!("Ingress ns/a1 break-glass: {expected}")),
                    "{only}"
                );
            }
            (said, _) => panic!("{annotations:?}: {said:?}"),
        }
    }
}

#[test]
fn a_host_has_the_policy_of_its_owner_whatever_other_namespaces_say() {
    let ask = [REQUIRE, CLOUDFLARE];
    for (own, foreign) in [(&ask[..], &[OFF][..]), (&[], &ask), (&[REQUEST, CLOUDFLARE], &ask)] {
        let owner = mk_ingress("shop/a1", "a.example", own);
        let alone = run(&owner);
        let both = run(&format!("{owner}{}", mk_ingress("thief/b1", "a.example", foreign)));
        assert_eq!(policies(&both), policies(&alone));
        let said = said(&both);
        let [only] = &said[..] else { panic!("{said:?}") };
        let expected = "Ingress thief/b1 client-certificate: has no effect on a.example, which \
            belongs to namespace shop";
        assert_eq!(only, expected);
    }
}

#[test]
fn a_wildcard_asks_for_the_hosts_of_its_own_namespace_and_shuts_out_nobody_elses() {
    let yaml = [
        mk_ingress("shop/a1", "*.example", &[REQUIRE, CLOUDFLARE]),
        mk_ingress("shop/a2", "own.example", &[]),
        mk_ingress("shop/a3", "open.example", &[OFF]),
        mk_ingress("else/a4", "other.example", &[]),
        mk_ingress("else/a5", "asks.example", &[REQUEST, CLOUDFLARE]),
        mk_ingress("else/a6", "x.y.example", &[]),
    ];
    assert_eq!(
        policies(&run(&yaml.concat())),
        [
            "asks.example request cloudflare",
            "open.example off",
            "other.example off",
            "*.example require cloudflare",
        ]
    );
    // Every host, and those of other namespaces left as they are.
    let yaml = [
        mk_ingress("shop/a1", "", &[REQUIRE, CLOUDFLARE]),
        mk_ingress("shop/a2", "own.example", &[]),
        mk_ingress("else/a3", "*.other.example", &[]),
    ];
    let expected = ["*.other.example off", "* require cloudflare"];
    assert_eq!(policies(&run(&yaml.concat())), expected);
}

#[test]
fn an_alias_takes_no_host_from_its_namespace_and_has_the_policy_of_its_ingress() {
    let require = [("client-certificate", "require"), ("client-ca", "cloudflare")];
    let own = mk_ingress("a/b1", "x.example", &require);
    let aliased = |annotations| {
        let alias = "annotations: {nginx.ingress.kubernetes.io/server-alias: x.example, ";
        mk_ingress("b/a1", "z.example", annotations).replace("annotations: {", alias)
    };
    let alone = policies(&run(&own));
    assert_eq!(alone.len(), 1, "{alone:?}");
    let beside = policies(&run(&format!("{own}{}", aliased(&[]))));
    assert_eq!(beside, alone, "the older Ingress with the alias does not own the host");
    let both = policies(&run(&aliased(&require)));
    assert_eq!(both.len(), 2, "{both:?}");
}
