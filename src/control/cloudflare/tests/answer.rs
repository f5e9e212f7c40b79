//! What is read as a list, and what is said of the rest.

use super::{embedded_with, nets};
use crate::config::CLOUDFLARE;
use crate::control::cloudflare::answer::{List, MOST_BYTES, json, text};
use crate::telemetry::ListFailure;
use proptest::prelude::*;

const API: &str = r#"{"result":{"ipv4_cidrs":["104.16.0.0/13"],"ipv6_cidrs":["2606:4700::/32"],
    "jdcloud_cidrs":["20.1.0.0/24","2a00:1::/48"],"etag":"38f79d050aa027e3be3865e495dcc9bc"},
    "success":true,"errors":[],"messages":[],"result_info":null}"#;

#[test]
fn the_apis_answer_is_read_with_its_digest() {
    let digest = Some("38f79d050aa027e3be3865e495dcc9bc".to_owned());
    let all = nets(&["104.16.0.0/13", "2606:4700::/32", "20.1.0.0/24", "2a00:1::/48"]);
    for (jdcloud, networks) in [(false, all[..2].to_vec()), (true, all)] {
        let expected = List { networks, digest: digest.clone(), etag: None };
        assert_eq!(json(API.as_bytes(), jdcloud), Ok(expected));
    }
}

#[test]
fn an_answer_that_is_not_a_whole_success_is_refused() {
    for (from, to, why, says) in [
        ("true", "false", ListFailure::Unsuccessful, "\"success\" is false"),
        ("\"success\":true,", "", ListFailure::Syntax, "not JSON"),
        ("ipv4_cidrs", "ipv4", ListFailure::Missing, "has no \"ipv4_cidrs\""),
        ("ipv6_cidrs", "ipv6", ListFailure::Missing, "has no \"ipv6_cidrs\""),
        ("jdcloud_cidrs", "jd", ListFailure::Missing, "has no \"jdcloud_cidrs\""),
        ("\"result\"", "\"results\"", ListFailure::Missing, "has no \"result\""),
        ("104.16.0.0/13", "104.16.0.0/1", ListFailure::Syntax, "has host bits set"),
        ("104.16.0.0/13", "104.16.0.0", ListFailure::Syntax, "is not a network"),
        ("104.16.0.0/13", "2606:4701::/32", ListFailure::Syntax, "is of the wrong address family"),
        ("2606:4700::/32", "104.16.0.0/13", ListFailure::Syntax, "is of the wrong address family"),
        ("{\"result\"", "<html>", ListFailure::Syntax, "not JSON"),
    ] {
        let answer = API.replacen(from, to, 1);
        assert_ne!(answer, API);
        let found = json(answer.as_bytes(), true).expect_err(to);
        assert_eq!(found.why, why, "{found}");
        assert!(found.to_string().contains(says), "{found}");
    }
    let large = API.to_owned() + &" ".repeat(MOST_BYTES);
    for found in [json(large.as_bytes(), false), text(large.as_bytes())] {
        assert_eq!(found.expect_err("large").why, ListFailure::TooLarge);
    }
}

#[test]
fn a_text_may_have_comments_commas_and_addresses() {
    let list = "\u{feff}# ours\r\n104.16.0.0/13, 104.24.0.0/14  # both\r\n\r\n2606:4700::/32\n\
        198.41.128.7 2606:4700::7,,\n#";
    let networks = nets(&[
        "104.16.0.0/13",
        "104.24.0.0/14",
        "2606:4700::/32",
        "198.41.128.7/32",
        "2606:4700::7/128",
    ]);
    assert_eq!(text(list.as_bytes()), Ok(List { networks, ..List::default() }));
    let json = text(API.as_bytes()).expect("the API's JSON as a file");
    assert_eq!((json.networks.len(), json.digest), (4, None));
    assert_eq!(text(b"# nothing\n"), Ok(List::default()));
}

#[test]
fn a_mistake_in_a_text_is_named_with_its_line() {
    for (list, says) in [
        ("104.16.0.0/13\n\n10.0.0.0/33", "line 3: \"10.0.0.0/33\" is not a network"),
        ("# a\nexample.com # b", "line 2: \"example.com\" is not a network"),
        (
            "131.0.72.0/222400:cb00::/32",
            "line 1: \"131.0.72.0/222400:cb00::/32\" is two networks on one line",
        ),
        ("104.16.0.0/13104.24.0.0/14", "is two networks on one line"),
        ("104.28.0.0/13", "line 1: \"104.28.0.0/13\" has host bits set; write 104.24.0.0/13"),
        ("{\n\"result\": {},\n", "line 3: this is not JSON"),
        ("a\u{1b}[31m", "line 1: \"a\\u{1b}[31m\" is not a network"),
    ] {
        let found = text(list.as_bytes()).expect_err("not a list").to_string();
        assert!(found.contains(says), "{list:?}: {found}");
    }
    let found = text(b"104.16.0.0/13\n\xff\xfe").expect_err("not a list");
    assert_eq!(found.to_string(), "line 2: this is not text");
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (json(&bytes, true), text(&bytes));
    }

    #[test]
    fn a_text_that_is_cut_off_has_no_broader_network(at in 0_usize..400) {
        let whole: Vec<String> = CLOUDFLARE.iter().map(ToString::to_string).collect();
        let whole = whole.join("\n");
        // Cut networks are errors or single addresses.
        if let Ok(list) = text(&whole.as_bytes()[..at.min(whole.len())]) {
            for net in list.networks {
                prop_assert!(embedded_with(&[]).iter().any(|whole| whole.contains(&net)), "{net}");
            }
        }
    }
}
