//! `explain --from`: who is admitted, by which set, and whom a request is taken to be from.

use crate::program::{config, ravelin};

/// A listener for Cloudflare, an office, a balancer and a proxy; and one for the office alone.
const CONFIG: &str = r#"
    [[listener]]
    name = "web"
    address = "127.0.0.1:80"
    admit = ["cloudflare", "office"]
    proxy_protocol_from = ["10.0.0.2"]
    trusted_proxies = ["192.0.2.7"]
    [[listener]]
    name = "plain"
    address = "127.0.0.1:81"
    admit = ["office"]
    kernel_filter = false
    [admit]
    office = ["192.0.2.0/24", "2001:db8::/32"]
    [cloudflare]
    worker_zones = ["example.com"]
    [source]
    kind = "directory"
    directory = "config/demo"
"#;

/// Runs it; what it says under these names, and its exit code.
fn explain(args: &[&str], url: &str, names: &[&str]) -> (i32, Vec<String>) {
    let config = config(CONFIG);
    let path = config.path().to_str().expect("a UTF-8 path");
    let ran = ravelin(&[&["explain", "--config", path], args, &[url]].concat());
    assert_eq!(ran.err, "", "{args:?}");
    let line = |name: &&str| {
        let lines = ran.out.lines();
        let mut found = lines.filter_map(|line| line.strip_prefix(*name)?.strip_prefix(' '));
        found.next().map_or_else(String::new, |value| value.trim().to_owned())
    };
    (ran.code, names.iter().map(line).collect())
}

const URL: &str = "http://api.example.test/v1/x";

#[test]
fn who_is_admitted_and_by_which_set() {
    let refused = "refused: not in any of the sets cloudflare, office";
    let dropped = "the kernel drops its packets: neither SYN-ACK nor RST";
    for (from, code, admission, answer, note) in [
        ("104.16.0.1", 0, "admitted: in the set cloudflare", "forwarded", None),
        ("2606:4700::1", 0, "admitted: in the set cloudflare", "forwarded", None),
        ("::ffff:104.16.0.1", 0, "admitted: in the set cloudflare", "forwarded", None),
        ("192.0.2.9", 0, "admitted: in the set office", "forwarded", None),
        ("2001:db8::9", 0, "admitted: in the set office", "forwarded", None),
        ("104.28.0.1", 1, refused, "none", Some(dropped)),
        ("127.0.0.1", 1, refused, "none", Some(dropped)),
        ("::1", 1, refused, "none", Some(dropped)),
    ] {
        let names = ["admission", "answer", "note"];
        let (found, said) = explain(&["--from", from], URL, &names);
        assert_eq!((found, &*said[0], &*said[1]), (code, admission, answer), "{from}");
        assert!(note.is_none_or(|note| said[2] == note), "{from}: {said:?}");
    }
}

#[test]
fn without_the_kernel_a_stranger_is_reset() {
    let names = ["listener", "admission", "answer"];
    let url = "http://api.example.test:81/v1/x";
    let (code, said) = explain(&["--from", "104.16.0.1"], url, &names);
    assert_eq!(code, 1);
    assert_eq!(said, ["plain 127.0.0.1:81", "refused: not in any of the sets office", "reset"]);
    let url = "http://api.example.test:82/v1/x";
    let (code, said) = explain(&["--from", "104.16.0.1"], url, &names);
    assert_eq!(code, 1);
    assert_eq!(said, ["none for http on port 82", "no listener accepts it", "refused"]);
}

#[test]
fn a_balancer_is_asked_for_its_source() {
    let names = ["admission", "answer"];
    for (source, code, expected) in [
        (None, 1, ["a load balancer: it must name a source (--proxy-source)", "closed"]),
        (
            Some("104.16.0.1"),
            0,
            ["admitted: the source in its PROXY header is in the set cloudflare", "forwarded"],
        ),
        (
            Some("9.9.9.9"),
            1,
            ["refused: 9.9.9.9 is not in any of the sets cloudflare, office", "reset"],
        ),
    ] {
        let mut args = vec!["--from", "10.0.0.2"];
        args.extend(source.into_iter().flat_map(|source| ["--proxy-source", source]));
        assert_eq!(explain(&args, URL, &names), (code, expected.map(str::to_owned).to_vec()));
    }
}

#[test]
fn the_client_is_found_as_at_work() {
    let nobody = "none: headers that name a client are removed";
    let cloudflare = "Cloudflare: CF-Connecting-IP names the client";
    let proxy = "a trusted proxy: X-Forwarded-For names the client";
    let unreadable = "104.16.0.1 (the header was not used: unreadable)";
    for (from, field, believed, client) in [
        ("104.16.0.1", "CF-Connecting-IP: 203.0.113.7", cloudflare, "203.0.113.7"),
        ("104.16.0.1", "cf-connecting-ip: a, b", cloudflare, unreadable),
        ("104.16.0.1", "X-Real-IP: 6.6.6.6", cloudflare, "104.16.0.1 (no header names another)"),
        ("192.0.2.7", "X-Forwarded-For: 6.6.6.6, 203.0.113.7", proxy, "203.0.113.7"),
        ("192.0.2.8", "CF-Connecting-IP: 6.6.6.6", nobody, "192.0.2.8"),
    ] {
        let args = ["--from", from, "--header", field];
        let (_, said) = explain(&args, URL, &["believed", "client"]);
        assert_eq!(said, [believed, client], "{from} {field}");
    }
}

#[test]
fn a_policy_that_refuses_is_named() {
    let args = ["--from", "104.16.0.1", "--header", "CF-Worker: evil.example"];
    let (code, said) = explain(&args, URL, &["answer", "note"]);
    assert_eq!(code, 1);
    assert_eq!(said, ["403 worker_refused", "Requests from this Worker are not allowed."]);
}

#[test]
fn wrong_questions_are_answered_with_what_to_write() {
    let url = "http://api.example.test/";
    let ran = ravelin(&["explain", "--manifests", "config/demo", "--from", "104.16.0.1", url]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("--config <FILE>"), "{}", ran.err);
    let ran = ravelin(&["explain", "--manifests", "config/demo", "--header", "nonsense", url]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("write \"Name: value\""), "{}", ran.err);
}
