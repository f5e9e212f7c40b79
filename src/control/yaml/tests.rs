//! What kubectl makes of YAML, and the bounds. Random documents: `tests/agreement`.

use super::*;
use serde_json::json;

fn documents(text: &str) -> Vec<Document> {
    let mut all = Vec::new();
    read(text, |document| {
        all.push(document);
        ControlFlow::Continue(())
    });
    all
}

fn value(text: &str) -> Value {
    let mut all = documents(text);
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0).value.unwrap_or_else(|error| panic!("{error:?}: {text}"))
}

fn error(text: &str) -> Unreadable {
    documents(text).pop().expect("a document").value.expect_err(text)
}

#[test]
fn plain_scalars_mean_what_kubectl_says() {
    for (text, expected) in [
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("n", json!(false)),
        ("NULL", Value::Null),
        ("", Value::Null),
        ("010", json!(8)),
        ("08", json!(8)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("1e3", json!(1000)),
        ("80.0", json!(80)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("1e400", json!("1e400")),
        ("+", json!("+")),
        ("0x", json!("0x")),
        ("--1", json!("--1")),
        ("12:30:45", json!("12:30:45")),
        ("2001-12-14", json!("2001-12-14")),
        (".inf", json!(".inf")),
        ("'yes'", json!("yes")),
        ("\"010\"", json!("010")),
        ("!!str 80", json!("80")),
        ("!!int \"80\"", json!(80)),
        ("!!binary aGk=", json!("hi")),
        ("!vault 80", json!("80")),
    ] {
        assert_eq!(value(&format!("a: {text}\n")), json!({"a": expected}), "{text}");
    }
    assert_eq!(value("{80: a, yes: b, 1.5: c, 12345678.0: d}"), {
        json!({"80": "a", "true": "b", "1.5": "c", "1.2345678e+07": "d"})
    });
    assert_eq!(error("a: !!int x").reason, "is not an !!int");
    assert_eq!(error("? [a]\n: b\n").reason, "a key is a list, a mapping or empty");
}

#[test]
fn comments_and_blank_lines_of_any_length_may_stand_anywhere() {
    let comment = "    # comment\n\n".repeat(10_000);
    let text = format!("a:\n{comment}    b: c # end\n{comment}d:\n{comment}- e\n{comment}");
    assert_eq!(value(&text), json!({"a": {"b": "c"}, "d": ["e"]}));
}

#[test]
fn an_alias_may_be_a_key_with_the_colon_at_its_name() {
    let text = "a: &app web\nb:\n  *app:\n    c: d\n  x: |\n    *app: literal\n---\na: &n k\n*n: [*n, {*n: 1}]\n";
    let all: Vec<_> = documents(text).into_iter().map(|document| document.value).collect();
    assert_eq!(
        all,
        [
            Ok(json!({"a": "web", "b": {"web": {"c": "d"}, "x": "*app: literal\n"}})),
            Ok(json!({"a": "k", "k": ["k", {"k": 1}]})),
        ]
    );
    let unknown = "an alias refers to an anchor that is not defined before it";
    assert_eq!(error("a: *b\n").reason, unknown);
    assert_eq!(error("a: 1\n*b: 2\n").reason, unknown);
    assert_eq!(error("a: &a [*a]\n").reason, "an alias refers to its own anchor");
}

#[test]
fn merges_follow_the_order_in_which_they_stand() {
    let text =
        "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  b: 0\n  <<: [*x, *y]\n  c: 3\n'<<': 4\n";
    let expected = json!({"a": 1, "b": 1, "c": 3});
    assert_eq!(value(text)["z"], expected);
    assert_eq!(value(text)["<<"], json!(4));
    assert_eq!(documents(text)[0].repeated, [], "to overwrite what was merged is the purpose");
    assert_eq!(error("<<: 1\n").reason, "a merge key requires a mapping, or a list of mappings");
}

#[test]
fn the_last_of_equal_keys_counts_and_is_told() {
    let text = "a: {b: 1, c: {d: 1}}\n---\nkey: 1\nother: {x: 1, x: 2}\nkey: {z: 3}\n";
    let all = documents(text);
    assert_eq!(all[1].value, Ok(json!({"key": {"z": 3}, "other": {"x": 2}})));
    let repeated = |line, key: &str| Repeated { line, key: key.to_owned() };
    assert_eq!(all[1].repeated, [repeated(4, "x"), repeated(5, "key")]);
    assert_eq!(all[0].repeated, []);
    assert_eq!(documents(&"a: 1\n".repeat(1000))[0].repeated.len(), 16);
}

#[test]
fn marks_ends_and_directives_are_what_they_are_everywhere() {
    let ends =
        "\u{feff}%YAML 1.1\r\n---\r\na: |\r\n  b\r\n  c\r\n...\r\n--- >-\r\nd\r\n--- # e\r\n";
    let all: Vec<_> = documents(ends).into_iter().map(|document| document.value).collect();
    assert_eq!(all, [Ok(json!({"a": "b\nc\n"})), Ok(json!("d")), Ok(Value::Null)]);
    assert_eq!(value("{\n\t\"a\":\t[1,\n\t2]\n}"), json!({"a": [1, 2]}));
    assert_eq!(value("a:\tb\t# c\n"), json!({"a": "b"}));
    let key = "k".repeat(5000);
    assert_eq!(value(&format!("{{\"{key}\": 1}}")), json!({key: 1}));
}

#[test]
fn behind_a_broken_document_the_next_one_is_read() {
    let all = documents("a: [1\n---\nb: 2\n---\n- c\nd\n---\ne: {{ f }}\n---\ng: 3\n");
    let read: Vec<_> = all.iter().map(|document| document.value.is_ok()).collect();
    assert_eq!(read, [false, true, false, false, true]);
    assert_eq!(all[4].value, Ok(json!({"g": 3})));
}

#[test]
fn bombs_end_at_the_bounds() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut deep = "a0: &a0 [[[[[x]]]]]\n".to_owned();
    for level in 1..30 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        deep.push_str(&format!("a{level}: &a{level} [[[[[*a{}]]]]]\n", level - 1));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
    let anchors = (0..90).map(|level| format!("{}k: &a{level}\n", " ".repeat(level)));
    let nested =
        anchors.collect::<String>() + &format!("{}- {}\n", " ".repeat(90), "x".repeat(1 << 20));
    let many = "[x, ".repeat(1_000_001);
    for bomb in [laughs, deep, long, nested, many, "[".repeat(100_000), "- ".repeat(100_000)] {
        assert!(error(&bomb).too_large, "{:?}: {}", error(&bomb), &bomb[..40]);
    }
}
