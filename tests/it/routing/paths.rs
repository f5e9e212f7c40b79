//! Exact, Prefix, ImplementationSpecific, and which of them wins.

use super::{serves, three};
use crate::support::{ingress, rule};

#[test]
fn exact_is_the_whole_path_and_nothing_else() {
    let (builder, _upstreams) = three();
    let rules = [rule("h", &[("/foo", "Exact", "a"), ("/bar/", "Exact", "b")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    let none = "404 no_route";
    serves(
        &edge,
        &[
            ("h", "/foo", "a"),
            ("h", "/foo?x=/", "a"),
            ("h", "/foo/", none),
            ("h", "/Foo", none),
            ("h", "/foo/x", none),
            ("h", "/bar/", "b"),
            ("h", "/bar", none),
            ("h", "/", none),
        ],
    );
}

#[test]
fn prefix_goes_element_by_element() {
    let (builder, _upstreams) = three();
    let rules = [rule("h", &[("/foo/bar", "Prefix", "a"), ("/slash/", "Prefix", "b")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    let none = "404 no_route";
    serves(
        &edge,
        &[
            ("h", "/foo/bar", "a"),
            ("h", "/foo/bar/", "a"),
            ("h", "/foo/bar/baz", "a"),
            ("h", "/foo/barbaz", none),
            ("h", "/foo", none),
            ("h", "/FOO/bar", none),
            ("h", "/slash", "b"),
            ("h", "/slash/", "b"),
            ("h", "/slash/x", "b"),
            ("h", "/slashed", none),
        ],
    );
}

#[test]
fn implementation_specific_is_prefix() {
    let (builder, _upstreams) = three();
    let rules = [rule("h", &[("/foo", "ImplementationSpecific", "a")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    serves(&edge, &[("h", "/foo", "a"), ("h", "/foo/x", "a"), ("h", "/foox", "404 no_route")]);
}

#[test]
fn the_longest_path_wins_and_exact_wins_over_prefix() {
    let (builder, _upstreams) = three();
    let paths = [
        ("/", "Prefix", "a"),
        ("/foo", "Prefix", "b"),
        ("/foo", "Exact", "c"),
        ("/foo/bar", "Prefix", "a"),
    ];
    let edge = builder.object("i.json", &ingress("i", &[rule("h", &paths)])).start();
    serves(
        &edge,
        &[
            ("h", "/", "a"),
            ("h", "/x", "a"),
            ("h", "/foo", "c"),
            ("h", "/foo/", "b"),
            ("h", "/foo/x", "b"),
            ("h", "/foo/bar/x", "a"),
        ],
    );
}

#[test]
fn a_prefix_with_a_slash_is_longer_than_the_one_without() {
    let (builder, _upstreams) = three();
    let paths = [("/foo", "Prefix", "a"), ("/foo/", "Prefix", "b")];
    let edge = builder.object("i.json", &ingress("i", &[rule("h", &paths)])).start();
    serves(&edge, &[("h", "/foo/", "b"), ("h", "/foo/x", "b")]);
}

#[test]
fn dots_and_escapes_are_resolved_before_a_rule_is_chosen() {
    let (builder, _upstreams) = three();
    let paths = [("/", "Prefix", "a"), ("/admin", "Prefix", "b"), ("/x/y", "Exact", "c")];
    let edge = builder.object("i.json", &ingress("i", &[rule("h", &paths)])).start();
    serves(
        &edge,
        &[
            ("h", "/public/../admin", "b"),
            ("h", "/public/%2e%2e/admin/x", "b"),
            ("h", "//admin", "b"),
            ("h", "/%61dmin", "b"),
            ("h", "/admin/../", "a"),
            ("h", "/admin%2Fx", "a"),
            ("h", "/x/./y", "c"),
        ],
    );
}

#[test]
fn among_equal_rules_the_oldest_ingress_wins_whatever_its_file_is_called() {
    for files in [["1.json", "2.json", "3.json"], ["3.json", "2.json", "1.json"]] {
        let (mut builder, _upstreams) = three();
        let made = ["2024-03-01T00:00:00Z", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"];
        for ((name, time), file) in ["a", "b", "c"].into_iter().zip(made).zip(files) {
            let mut object = ingress(name, &[rule("h", &[("/", "Prefix", name)])]);
            object["metadata"]["creationTimestamp"] = time.into();
            builder = builder.object(file, &object);
        }
        let edge = builder.start();
        serves(&edge, &[("h", "/", "b")]);
    }
}

#[test]
fn among_ingresses_of_one_age_the_name_decides() {
    for files in [["1.json", "2.json"], ["2.json", "1.json"]] {
        let (mut builder, _upstreams) = three();
        for (name, file) in ["b", "a"].into_iter().zip(files) {
            builder = builder.object(file, &ingress(name, &[rule("h", &[("/", "Prefix", name)])]));
        }
        let edge = builder.start();
        serves(&edge, &[("h", "/", "a")]);
    }
}
