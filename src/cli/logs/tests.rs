use super::entry::LogEntry;
use super::file::{AtEnd, Beginning, LogFile};
use super::filter::LogFilter;
use super::pretty::Pretty;
use super::printer::{LineCounts, LinePrinter, MOST_LINE};
use crate::config::AccessLogFormat;
use clap::Parser;
use std::fs;
use std::path::Path;

/// A line of each format, as the tests of the access log have them.
const RAVELIN: &str = concat!(
    r#"{"time":"2023-11-14T22:13:20.078Z","client":"192.0.2.9","peer":"104.16.0.1:5555","listener":"web","#,
    r#""route":"shop/web","service":"shop/cart:http","endpoint":"10.0.0.1:80","cf_ray":"8f00aa-FRA","method":"GET","#,
    r#""host":"Shop.example:8443","path":"/cart/7","protocol":"HTTP/2.0","reason":"upstream_closed","status":502,"#,
    r#""duration_us":6314,"upstream_us":6000,"bytes_in":3,"bytes_out":167,"retries":1}"#,
);
const OTEL: &str = concat!(
    r#"{"timestamp":"2023-11-14T22:13:20.078Z","severity_number":17,"severity_text":"ERROR","attributes":{"#,
    r#""http.request.method":"GET","url.scheme":"https","url.path":"/cart/7","url.query":"q=1","#,
    r#""server.address":"shop.example","server.port":8443,"client.address":"192.0.2.9","#,
    r#""http.response.status_code":502,"http.server.request.duration":0.006314,"error.type":"upstream_closed","#,
    r#""ravelin.route":"shop/web","ravelin.service":"shop/cart:http","ravelin.endpoint":"10.0.0.1:80","#,
    r#""ravelin.retries":1,"ravelin.cf_ray":"8f00aa-FRA"},"body":"GET /cart/7 502"}"#,
);
const TRAEFIK: &str = concat!(
    r#"{"ClientAddr":"198.51.100.4:5555","ClientHost":"192.0.2.9","ClientPort":"5555","DownstreamStatus":502,"#,
    r#""Duration":6314000,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/cart/7?q=1","#,
    r#""RouterName":"shop-web-shop-example-cart@kubernetes","ServiceAddr":"10.0.0.1:80","#,
    r#""StartUTC":"2023-11-14T22:13:20.071686Z","time":"2023-11-14T22:13:20Z"}"#,
);
const CLF: &str = concat!(
    r#"192.0.2.9 - - [14/Nov/2023:22:13:20 +0000] "GET /cart/7?q=1 HTTP/2.0" 502 167 "#,
    r#""https://b.example/" "agent \x221\x22" 1 "shop-web-shop-example-cart@kubernetes" "http://10.0.0.1:80" 6ms"#,
);

/// A relayed connection.
const TCP: &str = concat!(
    r#"{"time":"2023-11-14T22:13:20.078Z","client":"192.0.2.1","sni":"db.example","route":"shop/db","#,
    r#""endpoint":"10.0.0.1:3306","protocol":"TCP","end":"connect_failed","duration_us":7,"bytes_in":1}"#,
);

fn entry(line: &str) -> LogEntry {
    LogEntry::parse(line).expect("a line of the access log")
}

/// The options on a command line.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    filter: LogFilter,
}

fn filter(options: &[&str]) -> LogFilter {
    let line = ["logs"].iter().chain(options);
    Line::try_parse_from(line).unwrap_or_else(|error| panic!("{options:?}: {error}")).filter
}

fn wants(options: &[&str], line: &str) -> bool {
    filter(options).wants(&entry(line)).unwrap_or_else(|failure| panic!("{}", failure.text))
}

#[test]
fn each_format_says_the_same_as_far_as_it_has_the_fields() {
    let all = entry(RAVELIN);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(all.time.map(|time| time.as_millisecond()), Some(1_700_000_000_078));
    assert_eq!((all.status, all.method.as_deref()), (Some(502), Some("GET")));
    assert_eq!((&all.host, &all.path), (&text("shop.example"), &text("/cart/7")));
    assert_eq!((&all.reason, all.microseconds), (&text("upstream_closed"), Some(6314)));
    assert_eq!((&all.client, &all.route), (&text("192.0.2.9"), &text("shop/web")));
    assert_eq!((&all.endpoint, &all.ray), (&text("10.0.0.1:80"), &text("8f00aa-FRA")));
    assert_eq!(entry(OTEL), LogEntry { format: AccessLogFormat::Otel, ..all.clone() });
    let traefik = entry(TRAEFIK);
    let without = LogEntry { reason: None, route: None, ray: None, ..all };
    let expected = LogEntry { format: AccessLogFormat::Traefik, time: traefik.time, ..without };
    assert_eq!(traefik, expected);
    assert_eq!(traefik.time.map(|time| time.as_microsecond()), Some(1_700_000_000_071_686));
    let clf = entry(CLF);
    let (format, host, microseconds) = (AccessLogFormat::TraefikClf, None, Some(6000));
    assert_eq!(clf, LogEntry { format, time: clf.time, host, microseconds, ..expected });
    assert_eq!(clf.time.map(|time| time.as_second()), Some(1_700_000_000));
    let tcp = entry(TCP);
    assert_eq!(
        (tcp.status, tcp.host, tcp.reason),
        (None, text("db.example"), text("connect_failed"))
    );
}

#[test]
fn what_is_no_line_of_the_access_log_is_none() {
    for line in [
        "",
        "{",
        "{}",
        "null",
        r#"{"time":"2023-11-14T22:13:20Z","level":"warn","message":"a"}"#,
        r#"{"duration_us":"6"}"#,
        "192.0.2.9 - - [14/Nov/2023:22:13:20 +0000] \"GET / HTTP/1.1\" 200 1",
        "listening on 0.0.0.0:80",
    ] {
        assert_eq!(LogEntry::parse(line), None, "{line}");
    }
    // The pod's own 500 has no reason.
    let own = OTEL.replace("\"upstream_closed\"", "\"500\"");
    assert_eq!(entry(&own).reason, None);
}

#[test]
fn options_choose_lines_by_every_field() {
    for (options, expected) in [
        (&[][..], true),
        (&["--status", "5xx"], true),
        (&["--status", "404,500-502"], true),
        (&["--status", "404", "--status", "4XX"], false),
        (&["--host", "SHOP.example"], true),
        (&["--host", "*.example"], true),
        (&["--host", "shop"], false),
        (&["--path", "/cart"], true),
        (&["--path", "/cart/"], true),
        (&["--path", "/"], true),
        (&["--path", "/car"], false),
        (&["--path", "/*/7"], true),
        (&["--path", "*/8"], false),
        (&["--method", "get,head"], true),
        (&["--method", "POST"], false),
        (&["--reason", "upstream_closed"], true),
        (&["--reason", "upstream_*"], true),
        (&["--reason", "no_route"], false),
        (&["--slower-than", "6ms"], true),
        (&["--slower-than", "7ms"], false),
        (&["--route", "shop/*"], true),
        (&["--route", "shop"], false),
        (&["--ray", "8F00AA"], true),
        (&["--ray", "8f00aa-FRA"], true),
        (&["--ray", "8f00"], false),
        (&["--client", "192.0.2.0/24"], true),
        (&["--client", "2001:db8::/32,192.0.2.9"], true),
        (&["--client", "192.0.2.8"], false),
        (&["--since", "2023-11-14T22:13:20Z"], true),
        (&["--since", "2023-11-14T22:13:21Z"], false),
        (&["--since", "10m"], false),
        (&["--since", "36500d"], true),
        (&["--status", "5xx", "--method", "POST"], false),
    ] {
        assert_eq!(wants(options, RAVELIN), expected, "{options:?}");
        assert_eq!(wants(options, OTEL), expected, "{options:?}");
    }
    assert!(!wants(&["--status", "5xx"], TCP) && wants(&["--reason", "connect_failed"], TCP));
    assert!(wants(&["--host", "shop.example"], TRAEFIK) && wants(&["--slower-than", "6ms"], CLF));
}

#[test]
fn an_option_for_a_field_that_a_format_lacks_is_refused() {
    for (option, line, is_refused) in [
        (["--host", "a"], CLF, true),
        (["--host", "a"], TRAEFIK, false),
        (["--reason", "no_route"], TRAEFIK, true),
        (["--route", "a/b"], CLF, true),
        (["--ray", "8f"], TRAEFIK, true),
        (["--client", "192.0.2.9"], CLF, false),
    ] {
        let wanted = filter(&option).wants(&entry(line));
        let refused = wanted.err().map(|failure| (failure.code, failure.text));
        assert_eq!(refused.is_some(), is_refused, "{option:?}");
        if let Some((code, text)) = refused {
            assert_eq!(code, 64);
            assert!(
                text.starts_with(option[0]) && text.contains("log.format = \"traefik"),
                "{text}"
            );
        }
    }
}

#[test]
fn mistakes_in_options_name_the_fix() {
    for (option, value, expected) in [
        ("--status", "6xx", "write 404, 500-599 or 5xx"),
        ("--status", "599-500", "write 404, 500-599 or 5xx"),
        ("--host", "http://a/", "without scheme and path"),
        ("--host", "", "it is empty"),
        ("--path", "api", "begin with a slash"),
        ("--path", "/a?b", "leave the query out"),
        ("--reason", "no_endpoints", "did you mean no_endpoint?"),
        ("--slower-than", "5", "write \"5s\""),
        ("--client", "192.0.2", "write an address or a network"),
        ("--since", "yesterday", "write 10m, 2h or 3d"),
        ("--since", "-5m", "write 10m, 2h or 3d"),
    ] {
        let line = format!("{option}={value}");
        let Err(error) = Line::try_parse_from(["logs", &line]) else { panic!("{line}: no error") };
        assert!(error.to_string().contains(expected), "{line}: {error}");
    }
}

/// What a printer makes of pieces of an input.
fn printed(options: &[&str], pretty: Option<Pretty>, pieces: &[&[u8]]) -> (String, LineCounts) {
    let mut output = Vec::new();
    let mut printer = LinePrinter::new(filter(options), pretty, &mut output);
    for piece in pieces {
        printer.take(piece).unwrap_or_else(|_| panic!("a Vec"));
    }
    let counts = printer.finish().unwrap_or_else(|_| panic!("a Vec"));
    drop(printer);
    (String::from_utf8(output).expect("UTF-8"), counts)
}

#[test]
fn lines_are_put_together_and_raw_ones_are_as_they_came() {
    let input = format!("[pod/a/b] {RAVELIN}\n\n{{\"level\":\"info\"}}\n{TCP}\r\n{OTEL}");
    let expected = format!("[pod/a/b] {RAVELIN}\n{OTEL}\n");
    for size in [1, 7, 100, 100_000] {
        let pieces: Vec<&[u8]> = input.as_bytes().chunks(size).collect();
        let (text, counts) = printed(&["--status", "5xx"], None, &pieces);
        assert_eq!(text, expected, "{size}");
        assert_eq!(counts, LineCounts { of_log: 3, others: 1 });
    }
    let long = [b"x".repeat(MOST_LINE), b"x\n".to_vec(), RAVELIN.as_bytes().to_vec()];
    let pieces: Vec<&[u8]> = long.iter().map(Vec::as_slice).collect();
    let (text, counts) = printed(&[], None, &pieces);
    assert_eq!((text, counts), (format!("{RAVELIN}\n"), LineCounts { of_log: 1, others: 1 }));
}

#[test]
fn pretty_lines_are_in_columns_and_lead_to_explain() {
    let pretty = |has_colors| {
        Some(Pretty { has_colors, explain: Some("/run/ravelin/admin.sock".to_owned()) })
    };
    let input = format!("{RAVELIN}\n[pod/ravelin-x/ravelin] {OTEL}\n{CLF}\n{TCP}\n");
    let (text, _) = printed(&[], pretty(false), &[input.as_bytes()]);
    let expected = concat!(
        "11-14 22:13:20.078  502    6.3ms  GET     shop.example/cart/7  upstream_closed  route shop/web  pod 10.0.0.1:80",
        "  client 192.0.2.9  ray 8f00aa-FRA\n",
        "                    ravelin explain --admin /run/ravelin/admin.sock --ray 8f00aa-FRA\n",
        "ravelin-x 11-14 22:13:20.078  502    6.3ms  GET     shop.example/cart/7  upstream_closed  route shop/web",
        "  pod 10.0.0.1:80  client 192.0.2.9  ray 8f00aa-FRA\n",
        "                    kubectl -n ravelin exec ravelin-x -- ravelin explain --admin /run/ravelin/admin.sock ",
        "--ray 8f00aa-FRA\n",
        "11-14 22:13:20.000  502    6.0ms  GET     /cart/7  pod 10.0.0.1:80  client 192.0.2.9\n",
        "                    no Ray ID: the request did not come through Cloudflare\n",
        "11-14 22:13:20.078  tcp   0.01ms  -       db.example  connect_failed  route shop/db  pod 10.0.0.1:3306",
        "  client 192.0.2.1\n",
    );
    assert_eq!(text, expected);
    let (colored, _) = printed(&[], pretty(true), &[input.as_bytes()]);
    assert!(colored.contains("\u{1b}[1;31m502\u{1b}[0m"), "{colored}");
    // What a client sends is neither obeyed by the terminal nor pasted into a shell.
    let hostile = RAVELIN.replace("/cart/7", "/\\u001b[2J").replace("8f00aa-FRA", "8f;reboot");
    let (text, _) = printed(&[], pretty(false), &[hostile.as_bytes()]);
    assert!(text.contains("/\u{fffd}[2J") && !text.contains("--ray"), "{text}");
}

/// Lines of the seconds from 10 on, every other one with a 200.
fn lines(count: usize) -> Vec<String> {
    let line = |at: usize| {
        let status = if at.is_multiple_of(2) { "502" } else { "200" };
        RAVELIN
            .replace("22:13:20.078", &format!("22:{:02}:00.000", 10 + at))
            .replace(":502,", &format!(":{status},"))
    };
    (0..count).map(line).collect()
}

/// What is read of a file, from the beginning that is wanted.
fn read_from(path: &Path, options: &[&str], last: Option<usize>) -> String {
    let mut file = LogFile::open(path).expect("a file of ours");
    let filter = filter(options);
    let since = filter.since;
    file.go_to(&filter, Beginning { last, since })
        .unwrap_or_else(|failure| panic!("{}", failure.text));
    let (mut bytes, mut piece) = (Vec::new(), [0; 1000]);
    while let length @ 1.. = file.read(&mut piece).expect("a file of ours") {
        bytes.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_last_wanted_lines_are_found_from_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("access.log");
    // Longer than a piece, with something else among it.
    let padding = "x".repeat(30_000);
    let lines = lines(30);
    let mut text: String = lines.iter().map(|line| format!("{line}\n{padding}\n")).collect();
    text.push_str(&"y".repeat(2 * MOST_LINE));
    fs::write(&path, &text).expect("a new file");
    let tail = |from: usize| text[text.find(&lines[from]).expect("it is there")..].to_owned();
    let is = |read: String, expected: String| assert_eq!(read.len(), expected.len());
    is(read_from(&path, &[], Some(1)), tail(29));
    is(read_from(&path, &["--status", "5xx"], Some(3)), tail(24));
    is(read_from(&path, &[], Some(30)), text.clone());
    is(read_from(&path, &["--status", "404"], Some(1)), text.clone());
    is(read_from(&path, &[], None), text.clone());
    is(read_from(&path, &[], Some(0)), String::new());
    // From a minute before on, because lines are only nearly in order; and the padding behind the line before.
    let since = read_from(&path, &["--since", "2023-11-14T22:30:00Z"], None);
    assert_eq!(since.trim_start(), format!("{padding}\n{}", tail(19)));
    fs::write(&path, "").expect("a file of ours");
    is(read_from(&path, &[], Some(3)), String::new());
}

#[test]
fn a_file_is_followed_through_truncation_and_rotation() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("access.log");
    fs::write(&path, "one\n").expect("a new file");
    let mut file = LogFile::open(&path).expect("a file of ours");
    let mut piece = [0; 100];
    let mut next = |file: &mut LogFile| {
        let length = file.read(&mut piece).expect("a file of ours");
        String::from_utf8_lossy(&piece[..length]).into_owned()
    };
    assert_eq!((next(&mut file).as_str(), file.at_end().ok()), ("one\n", Some(AtEnd::Same)));
    fs::write(&path, "2\n").expect("a file of ours");
    assert_eq!((file.at_end().ok(), next(&mut file).as_str()), (Some(AtEnd::Another), "2\n"));
    // Renamed: the old one is read until the writer has noticed it.
    let old = folder.path().join("access.log.1");
    fs::rename(&path, &old).expect("a file of ours");
    assert_eq!(file.at_end().ok(), Some(AtEnd::Same));
    fs::write(&path, "new\n").expect("a new file");
    assert_eq!(file.at_end().ok(), Some(AtEnd::Same));
    fs::write(&old, "2\nlate\n").expect("a file of ours");
    assert_eq!(next(&mut file), "late\n");
    while file.at_end().expect("files of ours") == AtEnd::Same {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    assert_eq!(next(&mut file), "new\n");
    fs::remove_file(&path).expect("a file of ours");
    assert_eq!(file.at_end().ok(), Some(AtEnd::Same));
    assert!(LogFile::open(folder.path()).is_err());
}
