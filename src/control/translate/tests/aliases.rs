//! `server-alias`: further hosts of an Ingress, which yield to hosts of their own.

use super::options;
use super::ownership::{first, mk_aliased, mk_path, mk_spec, run};

const FIELD: &str = "metadata.annotations[nginx.ingress.kubernetes.io/server-alias]";

/// An old Ingress with the host a.example and these aliases.
fn mk_old(aliases: &str) -> String {
    mk_aliased(&mk_path("b", "old", 2020, "a.example", "/"), aliases)
}

#[test]
fn an_alias_has_the_rules_of_the_first_host() {
    let ingress = mk_old("b.example, *.c.example,,b.example, a.example");
    for options in [options(), first()] {
        let (routes, lines) = run(&options, std::slice::from_ref(&ingress));
        assert_eq!(lines, [""; 0]);
        let served = ["a.example", "*.c.example", "b.example"];
        assert_eq!(routes.len(), 3);
        for host in served {
            assert!(routes.contains(&format!("{host} Prefix / -> b/web:80")), "{routes:?}");
        }
    }
}

#[test]
fn a_host_of_an_ingress_of_its_own_wins_whatever_is_older() {
    let own = mk_path("a", "own", 2024, "b.example", "/own");
    let expected = ["a.example Prefix / -> b/web:80", "b.example Prefix /own -> a/web:80"];
    for options in [options(), first()] {
        let (routes, lines) = run(&options, &[mk_old("b.example"), own.clone()]);
        assert_eq!(routes, expected);
        assert_eq!(
            lines,
            [format!(
                "warning: Ingress b/old: {FIELD}: does not serve b.example, which is a host of Ingress a/own (fix: \
                 remove it from the list)"
            )]
        );
        let default = "rules: [{host: b.example}], \
                       defaultBackend: {service: {name: web, port: {number: 80}}}";
        let default = mk_spec("a", "own", 2024, default);
        let (routes, lines) = run(&options, &[mk_old("b.example"), default]);
        assert_eq!(routes, ["a.example Prefix / -> b/web:80"]);
        assert!(lines[0].contains("which is a host of Ingress a/own"), "{lines:?}");
    }
}

#[test]
fn what_is_no_host_is_told_and_serves_nothing_more() {
    for (aliases, said) in [
        (
            "~^www[0-9]+$",
            "and is not served (fix: write DNS names; regular expressions are not supported)",
        ),
        ("*", "and is not served"),
    ] {
        let (routes, lines) = run(&options(), &[mk_old(aliases)]);
        assert_eq!(routes.len(), 1, "{routes:?}");
        assert!(lines[0].contains(said) && lines[0].contains(FIELD), "{lines:?}");
    }
    let many: Vec<String> = (0..70).map(|number| format!("h{number}.example")).collect();
    let (routes, lines) = run(&options(), &[mk_old(&many.join(","))]);
    assert_eq!(routes.len(), 1 + 64);
    assert!(lines[0].contains("has 70 hosts: all after 64 are not served"), "{lines:?}");
    let nameless = mk_aliased(&mk_path("b", "old", 2020, "", "/"), "b.example");
    let (_, lines) = run(&options(), &[nameless]);
    assert!(
        lines.iter().any(|line| line.contains("has no effect, as no rule has a host")),
        "{lines:?}"
    );
}
