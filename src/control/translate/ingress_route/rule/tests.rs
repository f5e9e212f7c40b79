//! Rules as people write them, and the mistakes that they make.

use super::*;
use crate::model::HostPattern;

fn host(name: &str) -> Condition {
    Condition::Host(HostPattern::parse(Some(name)).expect("a host"))
}

fn prefix(path: &str) -> Condition {
    Condition::PathPrefix(path.into())
}

#[test]
fn and_binds_closer_than_or() {
    let rule = parse("Host(`a.b`) && PathPrefix(`/x`) || Host(\"c.d\")", Syntax::V3);
    assert_eq!(
        rule,
        Ok(Condition::Any(vec![Condition::All(vec![host("a.b"), prefix("/x")]), host("c.d")]))
    );
    let rule = parse("host(`A.b.`)&&(PathPrefix(`/x`)||PathPrefix(`/y`))", Syntax::V3);
    let any = Condition::Any(vec![prefix("/x"), prefix("/y")]);
    assert_eq!(rule, Ok(Condition::All(vec![host("a.b"), any])));
    let rule = parse("!PathPrefix(`/x`) && Host(`*`)", Syntax::V3);
    let not = Condition::Not(Box::new(prefix("/x")));
    assert_eq!(rule, Ok(Condition::All(vec![not, Condition::Host(HostPattern::Any)])));
}

#[test]
fn a_mistake_is_named_with_its_fix() {
    for (text, reason, fix) in [
        ("", "is empty", "write a rule, such as Host(`example.com`)"),
        ("Host(`a.b`", "has its end where `,` or `)` is expected", "correct the rule"),
        ("Host(`a.b)", "has a backquote that is not closed", "close it"),
        ("Host('a.b')", "has text in single quotes", "write backquotes or double quotes"),
        (
            "Host(a.b)",
            "has `a` where text in backquotes or double quotes is expected",
            "correct the rule",
        ),
        ("Hots(`a.b`)", "has Hots, which is no matcher of Traefik 3", "did you mean Host?"),
        (
            "Headers(`X`, `y`)",
            "has Headers, which is no matcher of Traefik 3",
            "write Header, or set syntax: v2",
        ),
        (
            "Host(`a.b`, `c.d`)",
            "has Host with 2 arguments",
            "Traefik 3 takes one value in each matcher; join several by `||`, or set syntax: v2",
        ),
        (
            "PathPrefix(`x`)",
            "has PathPrefix with \"x\", which does not begin with a slash",
            "correct it",
        ),
        (
            "Host(`a.b`) Path(`/`)",
            "has `Path` where `&&`, `||` or the end of the rule is expected",
            "correct the rule",
        ),
        (
            "ClientIP(`x`)",
            "has ClientIP with \"x\", which is not an address or a network",
            "correct it",
        ),
    ] {
        let error = parse(text, Syntax::V3).expect_err(text);
        assert_eq!((error.reason.as_str(), error.fix.as_str()), (reason, fix), "{text}");
    }
    let deep = format!("{}Host(`a.b`)", "!".repeat(40));
    assert!(parse(&deep, Syntax::V3).is_err());
}

#[test]
fn version_two_has_several_values_and_templates() {
    let rule = parse("Host(`a.b`, `c.d`)", Syntax::V2);
    assert_eq!(rule, Ok(Condition::Any(vec![host("a.b"), host("c.d")])));
    let Ok(Condition::PathRegexp(pattern)) = parse("Path(`/p/{id:[0-9]+}`)", Syntax::V2) else {
        panic!("no expression");
    };
    assert!(pattern.is_match("/p/12") && !pattern.is_match("/p/x") && !pattern.is_match("/p/1/2"));
    let Ok(Condition::HostRegexp(pattern)) = parse("HostRegexp(`{sub:[a-z]{2}}.a.b`)", Syntax::V2)
    else {
        panic!("no expression");
    };
    assert!(pattern.is_match("de.a.b") && !pattern.is_match("deu.a.b"));
}
