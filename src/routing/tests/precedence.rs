//! The table of precedence, row by row.

use super::{compile, mk_default, mk_model, mk_rule, mk_table, winner};

/// Each case: host, path, and the winner.
fn assert_winners(table: &super::Table, cases: &[(&str, &str, Option<&str>)]) {
    for (host, path, expected) in cases {
        assert_eq!(winner(table, host, path).as_deref(), *expected, "{host} {path}");
    }
}

#[test]
fn an_empty_table_routes_nothing() {
    let table = super::Table::empty();
    assert_winners(&table, &[("a.example", "/", None), ("", "/", None)]);
    assert_eq!((table.route_count(), table.host_count()), (0, 0));
}

#[test]
fn exact_comes_before_every_prefix_and_the_longest_prefix_before_the_others() {
    let table = mk_table(
        &[
            ("a.example", "Prefix /"),
            ("a.example", "Prefix /foo"),
            ("a.example", "Prefix /foo/bar"),
            ("a.example", "Exact /foo"),
            ("a.example", "Exact /foo/bar/"),
        ],
        &[],
    );
    assert_winners(
        &table,
        &[
            ("a.example", "/", Some("i0 a.example Prefix /")),
            ("a.example", "/fo", Some("i0 a.example Prefix /")),
            ("a.example", "/foobar", Some("i0 a.example Prefix /")),
            ("a.example", "/Foo", Some("i0 a.example Prefix /")),
            ("a.example", "/foo", Some("i3 a.example Exact /foo")),
            ("a.example", "/foo/", Some("i1 a.example Prefix /foo")),
            ("a.example", "/foo/ba", Some("i1 a.example Prefix /foo")),
            ("a.example", "/foo/bar", Some("i2 a.example Prefix /foo/bar")),
            ("a.example", "/foo/bar/", Some("i4 a.example Exact /foo/bar/")),
            ("a.example", "/foo/bar/x", Some("i2 a.example Prefix /foo/bar")),
            ("a.example", "/foo/barbaz", Some("i1 a.example Prefix /foo")),
            ("b.example", "/foo", None),
        ],
    );
}

#[test]
fn a_prefix_is_found_behind_siblings_that_sort_between() {
    // In the order of bytes `/a-b` and `/a.b` stand between `/a` and `/a/b`.
    let paths = ["/a", "/a-b", "/a.b", "/a/b", "/a/b/c/d", "/a!", "/a/b-c", "/b"];
    let rules: Vec<_> = paths.iter().map(|path| format!("Prefix {path}")).collect();
    let rules: Vec<_> = rules.iter().map(|rule| ("a.example", rule.as_str())).collect();
    let table = mk_table(&rules, &[]);
    for (path, expected) in [
        ("/a/z", Some("/a")),
        ("/a/b/c", Some("/a/b")),
        ("/a/b/c/e", Some("/a/b")),
        ("/a/b/c/d/e", Some("/a/b/c/d")),
        ("/a/b-c/d", Some("/a/b-c")),
        ("/a/b-d", Some("/a")),
        ("/a-b/c", Some("/a-b")),
        ("/a.b", Some("/a.b")),
        ("/a!/x", Some("/a!")),
        ("/a!x", None),
        ("/b/a", Some("/b")),
        ("/", None),
        ("/0", None),
        ("/zzz", None),
    ] {
        let found = winner(&table, "a.example", path);
        let found = found.as_deref().and_then(|found| found.rsplit(' ').next());
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn a_trailing_slash_makes_a_prefix_longer_and_changes_nothing_else() {
    let table = mk_table(
        &[("a.example", "Prefix /foo"), ("a.example", "Prefix /foo/"), ("b.example", "Prefix /x/")],
        &[],
    );
    assert_winners(
        &table,
        &[
            ("a.example", "/foo", Some("i1 a.example Prefix /foo/")),
            ("a.example", "/foo/", Some("i1 a.example Prefix /foo/")),
            ("b.example", "/x", Some("i2 b.example Prefix /x/")),
            ("b.example", "/x/y", Some("i2 b.example Prefix /x/")),
            ("b.example", "/xy", None),
        ],
    );
}

#[test]
fn an_exact_host_comes_before_a_wildcard_before_every_host() {
    let table = mk_table(
        &[
            ("*", "Prefix /"),
            ("*.example.org", "Prefix /"),
            ("a.example.org", "Prefix /"),
            ("*.a.example.org", "Prefix /"),
        ],
        &[],
    );
    assert_winners(
        &table,
        &[
            ("a.example.org", "/", Some("i2 a.example.org Prefix /")),
            ("A.EXAMPLE.org.:8080", "/", Some("i2 a.example.org Prefix /")),
            ("b.example.org", "/", Some("i1 *.example.org Prefix /")),
            ("b.a.example.org", "/", Some("i3 *.a.example.org Prefix /")),
            // One label, and not an empty one.
            ("c.b.example.org", "/", Some("i0 * Prefix /")),
            (".example.org", "/", Some("i0 * Prefix /")),
            ("example.org", "/", Some("i0 * Prefix /")),
            ("org", "/", Some("i0 * Prefix /")),
            ("", "/", Some("i0 * Prefix /")),
            ("10.0.0.1", "/", Some("i0 * Prefix /")),
            ("[2001:db8::1]:80", "/", Some("i0 * Prefix /")),
        ],
    );
    assert_eq!(table.host_count(), 3);
}

#[test]
fn a_host_whose_rules_do_not_match_does_not_hide_the_next() {
    let table = mk_table(
        &[
            ("a.example.org", "Exact /only"),
            ("*.example.org", "Prefix /wild"),
            ("*", "Prefix /any"),
        ],
        &[],
    );
    assert_winners(
        &table,
        &[
            ("a.example.org", "/only", Some("i0 a.example.org Exact /only")),
            ("a.example.org", "/wild/x", Some("i1 *.example.org Prefix /wild")),
            ("a.example.org", "/any", Some("i2 * Prefix /any")),
            ("b.example.org", "/any", Some("i2 * Prefix /any")),
            ("b.example.org", "/only", None),
        ],
    );
}

#[test]
fn the_specific_host_wins_even_with_the_shorter_path() {
    let table = mk_table(&[("*", "Exact /a/b/c"), ("a.example", "Prefix /")], &[]);
    assert_winners(&table, &[("a.example", "/a/b/c", Some("i1 a.example Prefix /"))]);
}

#[test]
fn ties_go_to_the_older_ingress_then_to_the_first_rule_and_path() {
    let mut model = mk_model(2);
    let rules = vec![
        mk_rule("a.example", "Prefix /x", 1, 0, 0),
        mk_rule("a.example", "Prefix /x", 0, 1, 0),
        mk_rule("a.example", "Prefix /x", 0, 0, 2),
        mk_rule("a.example", "Prefix /x", 0, 0, 1),
        mk_rule("a.example", "Exact /e", 1, 0, 0),
        mk_rule("a.example", "Exact /e", 1, 0, 1),
    ];
    model.rules = rules.into_iter().collect();
    let table = compile(&model, None);
    let position = |path| {
        let route = table.route(table.lookup("a.example", path).expect("a route"));
        (route.ingress.to_owned(), route.position, route.field())
    };
    let field = "spec.rules[0].http.paths[1]".to_owned();
    assert_eq!(position("/x/y"), ("i0".to_owned(), Some((0, 1)), field));
    let field = "spec.rules[0].http.paths[0]".to_owned();
    assert_eq!(position("/e"), ("i1".to_owned(), Some((0, 0)), field));
    assert_eq!(table.route_count(), 2, "losers take no place");
}

#[test]
fn a_default_backend_takes_what_no_rule_of_any_host_matches() {
    let table = mk_table(
        &[("a.example", "Exact /a"), ("*", "Prefix /any")],
        // The older one names a host, and yet the one without rules is the one for all.
        &[(2, &["a.example", "*.wild.example", "bare.example"]), (3, &[])],
    );
    assert_winners(
        &table,
        &[
            ("a.example", "/a", Some("i0 a.example Exact /a")),
            ("a.example", "/any/x", Some("i1 * Prefix /any")),
            ("a.example", "/b", Some("i2 a.example Default /")),
            ("x.wild.example", "/b", Some("i2 *.wild.example Default /")),
            ("bare.example", "/", Some("i2 bare.example Default /")),
            ("bare.example", "/any", Some("i1 * Prefix /any")),
            ("other.example", "/", Some("i3 * Default /")),
            ("", "/", Some("i3 * Default /")),
        ],
    );
}

#[test]
fn without_one_for_all_the_oldest_default_backend_is_it() {
    let table = mk_table(&[], &[(1, &["b.example"]), (0, &["a.example"])]);
    assert_winners(
        &table,
        &[
            ("b.example", "/", Some("i1 b.example Default /")),
            ("a.example", "/", Some("i0 a.example Default /")),
            ("c.example", "/", Some("i0 * Default /")),
        ],
    );
    let route = table.route(table.lookup("c.example", "/").expect("a route"));
    assert_eq!((route.position, route.field().as_str()), (None, "spec.defaultBackend"));
}

#[test]
fn a_wildcard_s_default_backend_does_not_come_before_the_host_s_own() {
    let mut model = mk_model(3);
    model.rules = [mk_rule("a.example.org", "Exact /x", 0, 0, 0)].into_iter().collect();
    model.defaults =
        vec![mk_default(1, &["*.example.org"]), mk_default(2, &["a.example.org", "*"])];
    let table = compile(&model, None);
    assert_winners(
        &table,
        &[
            ("a.example.org", "/y", Some("i2 a.example.org Default /")),
            ("b.example.org", "/y", Some("i1 *.example.org Default /")),
            ("c.example", "/y", Some("i1 * Default /")),
        ],
    );
}
