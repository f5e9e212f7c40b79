//! Formats and filters of the access log: the program as it runs, beside Traefik, and read by the programs that
//! read Traefik's lines.

use crate::support::{Builder, Process, Upstream, edge_to, eventually, program, reserve};
use crate::traefik_program;
use serde_json::Value;
use socket2::Socket;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Fields that Traefik has and ravelin has not, as config/README.md says.
const NOT_HERE: [&str; 2] = ["GzipRatio", "origin_Content-Type"];

/// One that is there for one of the two formats.
const USER_AGENT: &str = "request_User-Agent";

fn logged(upstream: &Upstream, format: &str) -> Builder {
    edge_to(&[upstream.addr()])
        .set("log", "format", &format!("{format:?}"))
        .set("log", "query", "true")
        .set("log", "request_headers", "[\"X-Test\"]")
        .set("log", "response_headers", "[\"Content-Type\"]")
        .set("log", "redacted_headers", "[\"Authorization\"]")
}

fn read(folder: &Path) -> String {
    fs::read_to_string(folder.join("access.log")).unwrap_or_default()
}

fn await_lines(folder: &Path, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines"), || {
        let text = read(folder);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// Traefik with one router to a pod, and its access log.
struct Traefik {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
    /// Keeps the port.
    _reserved: Socket,
}

impl Traefik {
    fn start(program: &Path, pod: SocketAddr, format: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reserved = reserve(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = reserved.local_addr().expect("bound").as_socket().expect("of IPv4");
        let routes = format!(
            "http:\n  routers:\n    all: {{rule: \"PathPrefix(`/`)\", service: web}}\n  services:\n    \
             web: {{loadBalancer: {{servers: [{{url: \"http://{pod}\"}}]}}}}\n"
        );
        fs::write(folder.path().join("routes.yaml"), routes).expect("a new file");
        let names = "--accesslog.fields.headers.names";
        let mut child = Command::new(program)
            .args(["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"])
            .args(["--providers.file.filename=routes.yaml", "--accesslog=true"])
            .args(["--accesslog.filepath=access.log", &format!("--accesslog.format={format}")])
            .args([format!("{names}.User-Agent=keep"), format!("{names}.X-Test=keep")])
            .args([format!("{names}.Content-Type=keep"), format!("{names}.Authorization=redact")])
            .arg(format!("--entryPoints.web.address={address}"))
            .arg("--entryPoints.web.reusePort=true")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a program");
        eventually("Traefik routes", || {
            assert!(child.try_wait().expect("our child").is_none(), "Traefik has ended");
            TcpStream::connect(address).ok()?;
            let text = ask(address, "/ready");
            text.contains("200 OK").then_some(())
        });
        Self { child, folder, address, _reserved: reserved }
    }

    /// The lines of requests other than those of the start.
    fn lines(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines of Traefik"), || {
            let text = read(self.folder.path());
            let lines = text.lines().filter(|line| !line.contains("/ready"));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        })
    }
}

impl Drop for Traefik {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request with everything that lines have, and returns the answer.
fn ask(to: SocketAddr, target: &str) -> String {
    let mut client = TcpStream::connect(to).expect("it listens");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: agent/1\r\nX-Test: a\r\nX-Test: b\r\n\
         Authorization: Bearer secret\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    );
    client.write_all(head.as_bytes()).expect("it reads");
    let mut text = Vec::new();
    client.read_to_end(&mut text).expect("it answers");
    String::from_utf8_lossy(&text).into_owned()
}

/// Names and types of a line's fields.
fn shape(line: &Value) -> BTreeMap<&str, &'static str> {
    let kind = |value: &Value| match value {
        Value::String(_) => "text",
        Value::Number(number) if number.is_u64() => "whole number",
        _ => "other",
    };
    let fields = line.as_object().expect("an object").iter();
    fields.map(|(name, value)| (name.as_str(), kind(value))).collect()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn lines_in_traefiks_json_have_the_fields_of_traefiks_own() {
    let upstream = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/x-a\r\nContent-Length: 4\r\n\r\ndone");
        }
    });
    let process = logged(&upstream, "traefik").spawn(1);
    ask(process.addr(), "/a%20b?q=1");
    let ours = parsed(&await_lines(process.folder(), 1)[0]);
    assert_eq!(ours["request_Authorization"], "REDACTED");
    assert_eq!(
        (&ours["request_X-Test"], &ours["RequestPath"]),
        (&"a,b".into(), &"/a%20b?q=1".into())
    );
    assert!(!ours.to_string().contains("secret"));
    let Some(program) = traefik_program::find() else { return };
    let traefik = Traefik::start(&program, upstream.addr(), "json");
    ask(traefik.address, "/a%20b?q=1");
    let theirs = parsed(&traefik.lines(1)[0]);
    let mut expected = shape(&theirs);
    expected.retain(|name, _| !NOT_HERE.contains(name));
    assert_eq!(shape(&ours), expected, "\n{ours}\n{theirs}");
    // Values that do not depend on port, time or name are the same.
    for name in [
        "ClientHost",
        "downstream_Content-Type",
        "ClientUsername",
        "DownstreamContentSize",
        "DownstreamStatus",
        "OriginContentSize",
        "OriginStatus",
        "RequestAddr",
        "RequestContentSize",
        "RequestHost",
        "RequestMethod",
        "RequestPath",
        "RequestPort",
        "RequestProtocol",
        "RequestScheme",
        "RetryAttempts",
        "ServiceAddr",
        "ServiceURL",
        "entryPointName",
        "level",
        "msg",
        "request_Authorization",
        USER_AGENT,
        "request_X-Test",
    ] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
}

/// A line of text with what is of this moment taken out.
fn plain(line: &str) -> String {
    let text = regex(r"\[[^\]]*\]").replace(line, "[TIME]").into_owned();
    let text = regex(r#"" \d+ "[^"]*@[a-z]+" "#).replace(&text, "\" N \"ROUTER\" ").into_owned();
    regex(r"\d+ms$").replace(&text, "Nms").into_owned()
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a pattern")
}

#[test]
fn lines_in_traefiks_text_are_as_traefiks_own() {
    let upstream = Upstream::saying("done");
    let process = logged(&upstream, "traefik-clf").spawn(1);
    ask(process.addr(), "/a%20b?q=1");
    let ours = await_lines(process.folder(), 1).remove(0);
    let expected = format!(
        "127.0.0.1 - - [TIME] \"POST /a%20b?q=1 HTTP/1.1\" 200 4 \"-\" \"agent/1\" N \"ROUTER\" \"http://{}\" Nms",
        upstream.addr()
    );
    assert_eq!(plain(&ours), expected);
    let Some(program) = traefik_program::find() else { return };
    let traefik = Traefik::start(&program, upstream.addr(), "common");
    ask(traefik.address, "/a%20b?q=1");
    let theirs = traefik.lines(1).remove(0);
    assert_eq!(plain(&theirs), expected);
    let date = regex(r"\[\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}\]");
    assert!(date.is_match(&ours) && date.is_match(&theirs), "{ours}\n{theirs}");
}

#[test]
fn goaccess_reads_lines_in_traefiks_text() {
    let upstream = Upstream::saying("done");
    let process = logged(&upstream, "traefik-clf").spawn(1);
    for target in ["/a", "/b?q=%22", "/c d"] {
        ask(process.addr(), target);
    }
    await_lines(process.folder(), 3);
    let Some(program) = program("goaccess") else { return };
    let report = process.folder().join("report.json");
    let format = r#"%h %^[%d:%t %^] "%r" %s %b "%R" "%u" %^ "%v" "%U" %Lms"#;
    let ran = Command::new(program)
        .arg(process.folder().join("access.log"))
        .args(["--no-global-config", "--log-format", format])
        .args(["--date-format=%d/%b/%Y", "--time-format=%H:%M:%S", "-o"])
        .arg(&report)
        .env("HOME", process.folder())
        .stdin(Stdio::null())
        .output()
        .expect("a program");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let report = parsed(&fs::read_to_string(&report).expect("a report"));
    let general = &report["general"];
    assert_eq!((&general["valid_requests"], &general["failed_requests"]), (&3.into(), &0.into()));
}

#[test]
fn a_record_of_opentelemetry_has_trace_and_attributes() {
    let upstream = Upstream::saying("done");
    let process = logged(&upstream, "otel").spawn(1);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut client = process.connect();
    client.send(format!("GET /x?q=1 HTTP/1.1\r\nHost: a.example\r\ntraceparent: {trace}\r\n\r\n"));
    assert_eq!(client.response().text(), "done");
    client.send("GET /x HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    let lines = await_lines(process.folder(), 2);
    let (good, bad) = (parsed(&lines[0]), parsed(&lines[1]));
    assert_eq!(good["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(good["span_id"], "00f067aa0ba902b7");
    assert_eq!((&good["body"], &good["severity_text"]), (&"GET /x 200".into(), &"INFO".into()));
    for (name, value) in [
        ("http.request.method", Value::from("GET")),
        ("url.path", "/x".into()),
        ("url.query", "q=1".into()),
        ("server.address", "a.example".into()),
        ("server.port", 80.into()),
        ("client.address", "127.0.0.1".into()),
        ("http.route", "/".into()),
        ("http.response.status_code", 200.into()),
        ("ravelin.route", "ns/all".into()),
    ] {
        assert_eq!(good["attributes"][name], value, "{name} of {good}");
    }
    assert_eq!((&bad["severity_text"], bad.get("trace_id")), (&"WARN".into(), None));
    assert_eq!(bad["attributes"]["error.type"], "bad_host");
}

#[test]
fn what_is_filtered_is_counted_and_errors_are_kept() {
    let upstream = Upstream::saying("done");
    let edge = edge_to(&[upstream.addr()])
        .set("log_filter", "skip_paths", "[\"/healthz\"]")
        .set("log_filter", "skip_hosts", "[\"quiet.example\"]")
        .start();
    let mut client = edge.connect();
    for (host, path) in
        [("a", "/healthz"), ("quiet.example", "/"), ("a", "/healthz/live"), ("a", "/kept")]
    {
        assert_eq!(client.get(host, path).text(), "done");
    }
    client.send("GET /healthz HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    let lines = edge.await_log(2);
    let paths: Vec<&Value> = lines.iter().map(|line| &line["path"]).collect();
    assert_eq!(paths, ["/kept", "/healthz"]);
    edge.await_metric("ravelin_access_log_filtered_lines_total", &[], 3.0);
}

#[test]
fn a_sample_is_one_in_so_many() {
    let upstream = Upstream::saying("done");
    let edge = edge_to(&[upstream.addr()]).set("log_filter", "sample", "10").start();
    let mut client = edge.connect();
    for _ in 0..100 {
        assert_eq!(client.get("a", "/").text(), "done");
    }
    edge.await_metric("ravelin_access_log_filtered_lines_total", &[], 90.0);
    assert_eq!(edge.await_log(10).len(), 10);
}

#[test]
fn a_file_that_logrotate_moves_or_removes_is_made_again_without_a_signal() {
    let upstream = Upstream::saying("done");
    let process: Process = edge_to(&[upstream.addr()]).spawn(1);
    let [log, moved] = ["access.log", "access.log.1"].map(|name| process.folder().join(name));
    let mut client = process.connect();
    let mut count = 0;
    for round in 0..3 {
        for _ in 0..5 {
            assert_eq!(client.get("a", &format!("/{round}")).text(), "done");
        }
        count += 5;
        // Nothing is lost: what is not in the new file is in the old one.
        eventually("all lines", || (lines_of(&[&log, &moved]) == count).then_some(()));
        if round == 0 {
            fs::rename(&log, &moved).expect("a file of ours");
            eventually("a new file without a request", || log.exists().then_some(()));
        }
        if round == 1 {
            count -= lines_of(&[&log]);
            fs::remove_file(&log).expect("a file of ours");
        }
    }
    let lines = process.log_lines();
    assert!(lines.iter().all(|line| line["path"] == "/2"), "{lines:?}");
}

fn lines_of(files: &[&PathBuf]) -> usize {
    let count = |file: &&PathBuf| fs::read_to_string(file).map_or(0, |text| text.lines().count());
    files.iter().map(count).sum()
}
