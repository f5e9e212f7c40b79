//! `run --check`: what a start would meet, and the exit code for it.

use crate::program::{Ran, command, config, ravelin};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use tempfile::TempDir;

/// A configuration with which nothing is wrong, but for what `listener` and `more` have in it. Without a
/// filter: whether the kernel takes one depends on the machine.
fn text(folder: &Path, listener: &str, more: &str) -> String {
    format!(
        "[[listener]]\nname = \"web\"\naddress = \"{listener}\"\nadmit = [\"loopback\"]\n\
         kernel_filter = false\n[source]\nkind = \"directory\"\ndirectory = {folder:?}\n\
         [admin]\naddress = \"127.0.0.1:0\"\n{more}"
    )
}

fn check(text: &str) -> Ran {
    let file = config(text);
    ravelin(&["run", "--check", "--config", file.path().to_str().expect("UTF-8")])
}

/// The line about a thing.
fn line<'r>(ran: &'r Ran, what: &str) -> &'r str {
    let mut lines =
        ran.out.lines().filter(|line| line.get(6..).is_some_and(|it| it.starts_with(what)));
    lines.next().unwrap_or_else(|| panic!("{what} is not in {}{}", ran.out, ran.err))
}

/// The lines that are not `pass`, without that of the admin port's gate: not every machine lets it filter.
fn troubles(ran: &Ran) -> Vec<&str> {
    let lines = ran.out.lines().filter(|line| line.starts_with("warn") || line.starts_with("fail"));
    lines.filter(|line| !line.contains("gate of admin")).collect()
}

#[test]
fn where_all_is_well_every_line_passes() {
    let folder = TempDir::new().expect("a temporary directory");
    let ran = check(&text(folder.path(), "127.0.0.1:0", "[limits]\nconnections = 10\n"));
    assert_eq!(ran.err, "");
    assert_eq!(troubles(&ran), Vec::<&str>::new(), "{}", ran.out);
    for what in
        ["configuration", "port of web", "port of admin", "gate of web", "Cloudflare's list"]
    {
        assert!(line(&ran, what).starts_with("pass"), "{}", ran.out);
    }
    assert!(line(&ran, "configuration").ends_with(": 1 listener, manifests of a directory"));
    for what in ["source", "open files"] {
        assert!(line(&ran, what).starts_with("pass"), "{}", ran.out);
    }
    // Without the right to filter, there is one warning.
    let filters = line(&ran, "gate of admin").starts_with("pass");
    assert_eq!(ran.code, i32::from(!filters), "{}", ran.out);
    let last = if filters { "8 pass, 0 warn, 0 fail" } else { "7 pass, 1 warn, 0 fail" };
    assert!(ran.out.ends_with(&format!("\n{last}\n")), "{}", ran.out);
}

#[test]
fn a_port_that_is_held_is_named_with_its_holder_who_goes_on_serving() {
    let folder = TempDir::new().expect("a temporary directory");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address");
    let ran = check(&text(folder.path(), &address.to_string(), ""));
    assert_eq!((ran.code, ran.err.as_str()), (2, ""), "{}", ran.out);
    let said = line(&ran, "port of web");
    let name = fs::read_to_string("/proc/self/comm").expect("Linux");
    let holder = format!("{address} is held by {} (process {})", name.trim(), std::process::id());
    assert!(said.starts_with("fail") && said.contains(&holder), "{said}");
    assert!(said.ends_with("(fix: stop it, or use another port)"), "{said}");
    // It does not notice.
    let mut client = TcpStream::connect(address).expect("it listens still");
    let (mut server, _) = other.accept().expect("a client");
    client.write_all(b"x").expect("a connection");
    let mut byte = [0];
    server.read_exact(&mut byte).expect("a connection");
    assert_eq!(byte, *b"x");
}

#[test]
fn a_running_ravelin_is_not_disturbed() {
    let mut running = crate::running::Running::start("");
    let folder = TempDir::new().expect("a temporary directory");
    let address = running.listener();
    let ran = check(&text(folder.path(), &address.to_string(), ""));
    let said = line(&ran, "port of web");
    assert!(said.starts_with("warn") && said.contains("is held by ravelin (process "), "{said}");
    assert!(said.contains("a new process takes over"), "{said}");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(running.child.try_wait().expect("our child").is_none());
    TcpStream::connect(address).expect("it serves still");
}

#[test]
fn a_certificate_that_is_missing_or_ends_is_told() {
    let folder = TempDir::new().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name);
    let certificate = format!(
        "[[certificate]]\ncert_file = {:?}\nkey_file = {:?}\n",
        path("tls.crt"),
        path("tls.key")
    );
    let listener = "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\n\
                    admit = [\"loopback\"]\nkernel_filter = false\n";
    let text = text(folder.path(), "127.0.0.1:0", &format!("{listener}{certificate}"));
    let ran = check(&text);
    let said = line(&ran, "certificate");
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(said.starts_with("fail") && said.contains("tls.crt"), "{said}");
    assert!(said.contains("(fix: "), "{said}");

    let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    fs::write(path("tls.crt"), made.pem()).expect("a file of ours");
    fs::write(path("tls.key"), key.serialize_pem()).expect("a file of ours");
    let ran = check(&text);
    let said = line(&ran, "certificate");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(said.starts_with("warn") && said.contains("a.example, -"), "{said}");
    assert!(said.ends_with("it has expired (fix: renew it)"), "{said}");
}

#[test]
fn a_limit_on_files_that_is_too_low_is_told_with_what_it_costs() {
    let folder = TempDir::new().expect("a temporary directory");
    let file = config(&text(folder.path(), "127.0.0.1:0", "[limits]\nconnections = 1000\n"));
    let program = command(&[]).get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -n 456; exec \"$0\" run --check --config \"$1\""]);
    let output = shell.arg(program).arg(file.path()).output().expect("a shell");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    let line = out.lines().find(|line| line.contains("open files")).expect("a line of it");
    assert!(line.starts_with("warn"), "{line}");
    assert!(line.contains("needs 2256, and the limit is 456: at most 100 connections"), "{line}");
    assert!(line.contains("(fix: raise the limit (LimitNOFILE"), "{line}");
    assert_eq!(output.status.code(), Some(1), "{out}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_failure_with_all_of_its_mistakes() {
    let ran = ravelin(&["run", "--check", "--config", "/nonexistent/ravelin.toml"]);
    assert_eq!((ran.code, ran.err.as_str()), (2, ""));
    let said = line(&ran, "configuration");
    assert!(said.starts_with("fail") && said.contains("No such file"), "{said}");
    let file = "config/invalid/unknown_key.toml";
    let ran = ravelin(&["run", "--check", "--config", file]);
    assert_eq!(ran.code, 2);
    assert!(line(&ran, "configuration").contains("did you mean \"address\"?"), "{}", ran.out);
    assert!(ran.out.ends_with("\n0 pass, 0 warn, 1 fail\n"), "{}", ran.out);
}

#[test]
fn a_source_that_is_not_there_is_a_failure() {
    let folder = TempDir::new().expect("a temporary directory");
    let missing = folder.path().join("missing");
    let ran = check(&text(&missing, "127.0.0.1:0", ""));
    assert_eq!(ran.code, 2);
    let said = line(&ran, "source");
    assert!(said.contains("cannot be read: No such file"), "{said}");
    assert!(said.ends_with("(fix: name an existing directory)"), "{said}");
    // No cluster is there either.
    let kubeconfig = folder.path().join("kubeconfig");
    let cluster = format!("kind = \"kubernetes\"\nkubeconfig = {kubeconfig:?}");
    let text = text(folder.path(), "127.0.0.1:0", "")
        .replace(&format!("kind = \"directory\"\ndirectory = {:?}", folder.path()), &cluster);
    let ran = check(&text);
    assert_eq!(ran.code, 2, "{}", ran.out);
    let said = line(&ran, "API server");
    assert!(said.starts_with("fail") && said.contains("kubeconfig"), "{said}");
}

#[test]
fn a_start_logs_the_table_once_and_a_reload_does_not() {
    let mut running = crate::running::Running::start("[limits]\nconnections = 10\n");
    let mut rows = Vec::new();
    let last = loop {
        let line = running.until("start-up check");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if line["message"] == "start-up checks are done" {
            break line;
        }
        rows.push(line);
    };
    let names: Vec<&str> = rows.iter().map(|row| row["what"].as_str().expect("one")).collect();
    let expected = [
        "port of web",
        "port of admin",
        "gate of web",
        "gate of admin",
        "Cloudflare's list",
        "open files",
        "source",
    ];
    assert_eq!(names, expected);
    for row in &rows {
        let (level, message) = (row["level"].as_str(), row["message"].as_str());
        let expected = match message {
            Some("start-up check: pass") => "INFO",
            Some("start-up check: warn") => "WARN",
            _ => panic!("{row}"),
        };
        assert_eq!(level, Some(expected), "{row}");
        assert_eq!(row.get("fix").is_some(), expected == "WARN", "{row}");
    }
    assert_eq!(rows[0]["found"], "127.0.0.1:0 is bound");
    let passed = rows.iter().filter(|row| row["level"] == "INFO").count();
    assert_eq!([&last["pass"], &last["fail"]], [&serde_json::json!(passed), &serde_json::json!(0)]);
    running.signal("HUP");
    running.until("\"listening\"");
    running.signal("TERM");
    let rest = running.rest();
    assert!(!rest.contains("start-up check"), "{rest}");
}
