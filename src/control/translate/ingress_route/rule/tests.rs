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

#[test]
fn a_rule_is_written_as_an_expression_of_go() {
    let (a, x) = (host("a.b"), prefix("/x"));
    let both = Ok(Condition::All(vec![a, x]));
    for text in [
        "Host(`a.b`) &&\n  PathPrefix(`/x`)\n",
        "HOST(`a.b`,) && pathprefix(`/x`) // why",
        "Host(\"a\\u002eb\") /* all */ && Pathprefix(\"\\x2F\\170\")",
    ] {
        assert_eq!(parse(text, Syntax::V3), both, "{text}");
    }
    for (text, reason) in [
        ("Host(`a.b`)\n&& Path(`/`)", "has `&&` behind a line break, where Traefik ends the rule"),
        ("Host(`a.b`) && (\nPath(`/`)\n)", "has a line break where `)` is expected"),
        ("pathPrefix(`/x`)", "has pathPrefix, which is no matcher of Traefik 3"),
        ("Host(``)", "has Host with an empty value, or none"),
        ("Header(`X`, ``)", "has Header with an empty value, or none"),
        ("Path()", "has Path with an empty value, or none"),
        ("Header(`host`, `a.b`)", "has Header with Host, which Traefik does not find"),
        ("Host(\"a\\.b\")", "has the escape \\. in double quotes"),
        ("Host(\"a\\xff\")", "has the escape \\x in double quotes"),
        ("Host(\"a\\", "has a double quote that is not closed"),
        ("Host(`a.b`) /*", "has a comment that is not closed"),
    ] {
        let error = parse(text, Syntax::V3).expect_err(text);
        assert_eq!(error.reason, reason, "{text}");
    }
}

#[test]
fn paths_of_rules_are_in_the_spelling_of_requests() {
    for (text, expected) in [
        ("/foo bar", "/foo%20bar"),
        ("/k\u{e4}", "/k%C3%A4"),
        ("/a\\b", "/a%5Cb"),
        ("/.well-known/%61", "/.well-known/a"),
        ("/a//%61", "/a//%61"),
        ("/a/..", "/a/.."),
        ("/a%", "/a%"),
    ] {
        assert_eq!(parse(&format!("PathPrefix(`{text}`)"), Syntax::V3), Ok(prefix(expected)));
    }
}

#[test]
fn a_host_may_be_what_is_no_name() {
    for (text, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "[2001:db8::1]"),
        ("a_b.example", "a_b.example"),
    ] {
        let exact = HostPattern::Exact(expected.into());
        assert_eq!(parse(&format!("Host(`{text}`)"), Syntax::V3), Ok(Condition::Host(exact)));
    }
    for text in ["a.b:80", "http://a.b", "a.*.b", " a.b"] {
        assert!(parse(&format!("Host(`{text}`)"), Syntax::V3).is_err(), "{text}");
    }
}

#[test]
fn version_two_has_pairs() {
    let header = |name: &str, value: &str| {
        parse(&format!("Header(`{name}`, `{value}`)"), Syntax::V3).expect("a rule")
    };
    let rule = parse("Headers(`X-A`, `1`, `X-B`, `2`)", Syntax::V2);
    assert_eq!(rule, Ok(Condition::All(vec![header("X-A", "1"), header("X-B", "2")])));
    assert_eq!(parse("HostHeader(`a.b`)", Syntax::V2), Ok(host("a.b")));
    for text in ["Query(`a=1`)", "Query(`a`, `1`)", "Query(`a={x:[0-9]+}`)", "Query(`a=`)"] {
        let rule = parse(text, Syntax::V2);
        let Ok(Condition::QueryFirst(key, pattern)) = rule else { panic!("{text}") };
        assert!(&*key == "a" && pattern.is_match("1"), "{text}");
    }
    for text in ["Query(`a`)", "Headers(`X-A`)", "Host(`*.b`)", "PathRegexp(`a`)"] {
        assert!(parse(text, Syntax::V2).is_err(), "{text}");
    }
}
