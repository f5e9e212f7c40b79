//! `explain --from` with `[crowdsec]`: what a Local API, which is played here, says of the visitor.

use crate::program::{config, ravelin};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

const KEY: &str = "s3cret-key";

/// A Local API that knows one key, one address and one country. Asks nobody to stop: it ends with the tests.
fn api() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1)
            {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let ban = |scope: &str, value: &str| {
                format!(
                    r#"[{{"id":7,"type":"ban","scope":"{scope}","value":"{value}","duration":"4h","origin":"cscli","scenario":"manual"}}]"#
                )
            };
            let (status, body) = match &head {
                _ if !head.contains(KEY) => (403, "{}".to_owned()),
                // What components are told of changes is not for who explains.
                _ if head.contains("/stream") => (500, "{}".to_owned()),
                _ if head.contains("/base/v1/decisions?ip=192.0.2.66 ") => {
                    (200, ban("Range", "192.0.2.64/26"))
                }
                _ if head.contains("?scope=country&value=XX ") => (200, ban("Country", "XX")),
                _ => (200, "null".to_owned()),
            };
            let length = body.len();
            let _ = client.write_all(
                format!("HTTP/1.1 {status} Played\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                    .as_bytes(),
            );
        }
    });
    addr
}

/// The lines `crowdsec`, `answer` and `note` of an explanation, and its exit code.
fn explain(api: SocketAddr, key: &str, args: &[&str]) -> (i32, [String; 3]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("key");
    std::fs::write(&file, key).expect("a new file");
    let config = config(&format!(
        r#"
        [[listener]]
        name = "web"
        address = "127.0.0.1:80"
        admit = ["cloudflare", "office"]
        [admit]
        office = ["192.0.2.0/24"]
        [crowdsec]
        url = "http://{api}/base/"
        api_key_file = {file:?}
        [source]
        kind = "directory"
        directory = "config/demo"
        "#
    ));
    let path = config.path().to_str().expect("a UTF-8 path");
    let ran = ravelin(
        &[&["explain", "--config", path], args, &["http://api.example.test/v1/x"]].concat(),
    );
    assert_eq!(ran.err, "", "{args:?}");
    assert!(!ran.out.contains(KEY), "{}", ran.out);
    let line = |name: &str| {
        let mut found =
            ran.out.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.next().unwrap_or_default().trim().to_owned()
    };
    (ran.code, ["crowdsec", "answer", "note"].map(line))
}

#[test]
fn a_ban_of_the_visitor_is_told_and_answers() {
    let api = api();
    let through = |visitor: &'static str, country: &'static str| {
        let visitor = format!("CF-Connecting-IP: {visitor}");
        let country = format!("CF-IPCountry: {country}");
        explain(api, KEY, &["--from", "104.16.0.1", "--header", &visitor, "--header", &country])
    };
    let ban = "ban of range 192.0.2.64/26, scenario manual, for another 4h";
    let note = |ban: &str| format!("CrowdSec has a {ban}: `cscli decisions list` shows it");
    let denied = |ban: &str| (1, [ban.to_owned(), "403 client_denied".to_owned(), note(ban)]);
    assert_eq!(through("192.0.2.66", "DE"), denied(ban));
    assert_eq!(explain(api, KEY, &["--from", "192.0.2.66"]), denied(ban));
    assert_eq!(
        through("198.51.100.1", "XX"),
        denied("ban of country XX, scenario manual, for another 4h")
    );
    let (code, [crowdsec, answer, _]) = through("198.51.100.1", "DE");
    assert_eq!((code, &*crowdsec, &*answer), (0, "no ban", "forwarded"));
    // A visitor's own word does not count for a country.
    let (code, [crowdsec, ..]) =
        explain(api, KEY, &["--from", "192.0.2.9", "--header", "CF-IPCountry: XX"]);
    assert_eq!((code, &*crowdsec), (0, "no ban"));
}

#[test]
fn an_api_that_cannot_be_asked_decides_nothing() {
    let api = api();
    let (code, [crowdsec, answer, _]) = explain(api, "another", &["--from", "192.0.2.66"]);
    assert_eq!((code, &*answer), (0, "forwarded"));
    assert!(crowdsec.starts_with("not known here: "), "{crowdsec}");
    assert!(crowdsec.contains("does not know the key in crowdsec.api_key_file"), "{crowdsec}");
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr());
    let (code, [crowdsec, ..]) = explain(gone.expect("a port"), KEY, &["--from", "192.0.2.66"]);
    assert!(code == 0 && crowdsec.starts_with("not known here: "), "{crowdsec}");
}
