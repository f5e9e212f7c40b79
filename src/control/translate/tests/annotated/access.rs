//! `ravelin.dev/access`: what is read of it, and what is said of mistakes.

use super::{OWN, refused, step, steps};
use crate::model::middleware::{AccessRule, Step};

fn rule(annotations: &str) -> AccessRule {
    let Step::Access(rule) = step(OWN, annotations) else { panic!("{annotations}") };
    *rule
}

#[test]
fn team_applications_and_groups_are_read() {
    let read =
        rule("access: Example.cloudflareaccess.com/0a, 0b\naccess-groups: admins , ops team,");
    let texts = |list: &[Box<str>]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(&**read.team.name(), "example");
    assert_eq!(texts(&read.audiences), ["0a", "0b"]);
    assert_eq!(texts(&read.groups), ["admins", "ops team"]);
    assert!(rule("access: example/0a").groups.is_empty());
}

#[test]
fn it_comes_behind_limits_and_before_other_log_ins() {
    let all = "basic-auth-secret: users\naccess: example/0a\nallow: 192.0.2.1\nrate-limit: 1/s";
    let kinds: Vec<_> = steps(OWN, all).iter().map(Step::kind).collect();
    assert_eq!(kinds, ["ipAllowList", "rateLimit", "access", "basicAuth"]);
}

#[test]
fn a_mistake_is_told_with_its_fix_and_lets_nobody_in() {
    for (annotations, reason, fix) in [
        ("access: /0a", "names no team", "before the slash"),
        ("access: example", "names no application", "Application Audience (AUD) Tag"),
        ("access: https://example.cloudflareaccess.com/0a", "is a URL", "without https://"),
        ("access: example / 0a", "has a space in it", "without spaces"),
        ("access: 'example/0a'", "has quotation marks", "without further quotation marks"),
        ("access: admin.example.com/0a", "not below cloudflareaccess.com", "the name of the team"),
        ("access: example/0a\naccess-groups: ,", "does not have 1 to 64 groups", "with commas"),
        ("access-groups: ops", "no effect without ravelin.dev/access", "TEAM/AUD as well"),
    ] {
        let said = refused(OWN, annotations);
        assert!(said.starts_with("error: Ingress default/x: metadata.annotations["), "{said}");
        let has = [reason, fix, "answer 503"].map(|text| said.contains(text));
        assert_eq!(has, [true; 3], "{annotations}: {said}");
    }
}
