//! `ravelin logs`: files, standard input and a running process, in every format.

use crate::admin::{BALANCED, SHOP, visit};
use crate::eventually::eventually;
use crate::program::{Ran, await_end, command, ravelin};
use crate::running::{Running, folder};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const RAY: &str = "8f2b3c4d5e6f7a8b-FRA";

/// A process with the Ingress of a Service without pods, whose log is a file, and its listener behind a balancer.
struct Logging {
    running: Running,
    balanced: SocketAddr,
}

impl Logging {
    fn start(format: &str) -> Self {
        // Its name has to be in the configuration before there is a folder for it.
        let folder = folder("");
        let config = folder.path().join("ravelin.toml");
        let log = folder.path().join("access.log");
        let text = fs::read_to_string(&config).expect("a file of ours");
        let log = format!("{BALANCED}[log]\naccess = {log:?}\nformat = {format:?}\n");
        fs::write(&config, text + &log).expect("a file of ours");
        fs::write(folder.path().join("manifests/shop.yaml"), SHOP).expect("a new file");
        let mut running = Running::begin(folder, Stdio::null());
        running.listener();
        let balanced = running.listener();
        Self { running, balanced }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.running.folder.path().join(name)
    }

    fn visit(&self, path: &str) {
        visit(self.balanced, path, RAY);
    }

    /// Visits while something waits for lines: it hears what comes once it has joined, which nothing tells.
    fn while_visited<T>(&self, wait: impl FnOnce() -> T) -> T {
        let (balanced, heard) = (self.balanced, Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&heard);
        let visitor = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                visit(balanced, "/other", RAY);
                visit(balanced, "/wanted", RAY);
            }
        });
        let found = wait();
        heard.store(true, Ordering::Relaxed);
        visitor.join().expect("no panic");
        found
    }

    fn option(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }
}

#[test]
fn every_format_is_read_and_filtered_by_the_fields_that_it_has() {
    for (format, options, refused) in [
        ("ravelin", &["--host", "shop.example", "--reason", "no_endpoint", "--ray", RAY][..], None),
        ("otel", &["--route", "ns/shop", "--host", "*.example", "--ray", "8f2b3c4d5e6f7a8b"], None),
        ("traefik", &["--host", "shop.example"], Some(["--reason", "no_endpoint"])),
        ("traefik-clf", &["--path", "/cart"], Some(["--host", "shop.example"])),
    ] {
        let logging = Logging::start(format);
        logging.visit("/cart/7");
        let log = logging.option("access.log");
        eventually("a line", || fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n')));
        let common = ["logs", &log, "--no-follow", "--status", "5xx", "--client", "203.0.113.0/24"];
        let ran = ravelin(&[&common, options].concat());
        assert_eq!(
            ran,
            Ran { code: 0, out: fs::read_to_string(&log).expect("it"), err: String::new() }
        );
        let pretty = ravelin(&[&common, options, &["--format", "pretty"]].concat());
        assert!(pretty.out.contains("  503  ") && pretty.out.contains("/cart/7"), "{}", pretty.out);
        assert!(!pretty.out.contains('\u{1b}'), "{}", pretty.out);
        let none = ravelin(&[&common, &["--method", "POST"][..]].concat());
        assert_eq!((none.code, none.out.as_str()), (0, ""));
        if let Some(refused) = refused {
            let ran = ravelin(&["logs", &log, "--no-follow", refused[0], refused[1]]);
            assert_eq!((ran.code, ran.out.as_str()), (64, ""));
            let expected = format!("lines of log.format = {format:?} have no ");
            assert!(ran.err.contains(&expected), "{}", ran.err);
        }
    }
}

/// `ravelin logs` that goes on. It is killed when dropped.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(options: &[&str]) -> Self {
        let mut command = command(&[&["logs"], options].concat());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line.
    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("UTF-8");
        line
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_is_followed_while_it_is_rotated() {
    let logging = Logging::start("ravelin");
    let config = logging.option("ravelin.toml");
    let log = logging.path("access.log");
    logging.visit("/before");
    eventually("a line", || fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n')));
    // The last lines come first.
    let mut logs = Following::start(&["--config", &config, "--path", "/*", "--explain"]);
    let mut expect = |path: &str| {
        let line = logs.next();
        assert!(line.contains(&format!("shop.example{path}  no_endpoint")), "{path}: {line}");
        let explain = logs.next();
        let socket = logging.option("admin.sock");
        assert_eq!(explain.trim(), format!("ravelin explain --admin {socket} --ray {RAY}"));
    };
    expect("/before");
    logging.visit("/after");
    expect("/after");
    fs::rename(&log, logging.path("access.log.1")).expect("a file");
    eventually("another file", || fs::metadata(&log).ok());
    logging.visit("/renamed");
    expect("/renamed");
    // As `copytruncate` of logrotate has it.
    File::options().write(true).open(&log).and_then(|file| file.set_len(0)).expect("a file");
    logging.visit("/truncated");
    expect("/truncated");
    fs::remove_file(&log).expect("a file");
    eventually("another file", || fs::metadata(&log).ok());
    logging.visit("/removed");
    expect("/removed");
}

#[test]
fn a_process_is_followed_over_its_socket_and_not_over_its_port() {
    let mut logging = Logging::start("ravelin");
    let socket = logging.option("admin.sock");
    eventually("the socket", || logging.running.metrics());
    let mut logs = Following::start(&["--admin", &socket, "--status", "503", "--path", "/wanted"]);
    let line = logging.while_visited(|| logs.next());
    assert!(line.contains(r#""path":"/wanted""#) && line.contains("203.0.113.7"), "{line}");
    let address = logging.running.until("\"admin port\"");
    let address: serde_json::Value = serde_json::from_str(&address).expect("a JSON line");
    let port = format!("http://{}", address["address"].as_str().expect("an address"));
    let refused = ravelin(&["logs", "--admin", &port]);
    assert_eq!((refused.code, refused.out.as_str()), (69, ""));
    assert!(
        refused.err.contains("status 403: lines of the access log have addresses"),
        "{}",
        refused.err
    );
    // The process ends: that is told, and it is waited for.
    logging.running.signal("KILL");
    await_end(&mut logging.running.child);
    let mut told = BufReader::new(logs.child.stderr.take().expect("piped"));
    let mut line = String::new();
    told.read_line(&mut line).expect("UTF-8");
    assert!(line.ends_with("waiting for the process\n"), "{line}");
    let config = logging.option("ravelin.toml");
    let mut again = Running::again(&config);
    line.clear();
    told.read_line(&mut line).expect("UTF-8");
    assert!(line.ends_with("it answers again\n"), "{line}");
    again.kill().expect("it runs");
    again.wait().expect("ours");
}

#[test]
fn four_read_at_one_time_and_keep_no_process_from_its_end() {
    let mut logging = Logging::start("otel");
    let socket = logging.option("admin.sock");
    eventually("the socket", || logging.running.metrics());
    let mut readers: Vec<_> =
        (0..4).map(|_| Following::start(&["--admin", &socket, "--status", "503"])).collect();
    logging.while_visited(|| {
        for reader in &mut readers {
            assert!(reader.next().contains(r#""ravelin.cf_ray":"8f2b3c4d5e6f7a8b-FRA""#));
        }
    });
    let fifth = ravelin(&["logs", "--admin", &socket]);
    assert_eq!((fifth.code, fifth.out.as_str()), (69, ""));
    assert!(fifth.err.contains("too many read the access log already"), "{}", fifth.err);
    // By now they take no more, because nobody reads what they print.
    logging.running.signal("TERM");
    assert_eq!(await_end(&mut logging.running.child).code(), Some(0));
}

/// Runs it on an input.
fn piped(options: &[&str], input: &str) -> Ran {
    let mut command = command(&[&["logs"], options].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut to = child.stdin.take().expect("piped");
    let text = input.to_owned();
    let writing = std::thread::spawn(move || to.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic").expect("it reads all");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code().expect("an end"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn line(second: usize, status: u16) -> String {
    format!(
        "{{\"time\":\"2026-01-31T12:00:{second:02}.000Z\",\"client\":\"192.0.2.9\",\"method\":\"GET\",\"host\":\"a\",\
         \"path\":\"/{second}\",\"status\":{status},\"duration_us\":5}}\n"
    )
}

#[test]
fn what_kubectl_prints_of_several_pods_is_read_from_standard_input() {
    let mut input = String::new();
    for second in 0..6 {
        let status = if second % 2 == 0 { 503 } else { 200 };
        input += &format!("[pod/ravelin-{}/ravelin] {}", second % 3, line(second, status));
        input += "[pod/ravelin-0/ravelin] {\"level\":\"info\",\"message\":\"ready\"}\n";
    }
    let ran = piped(&["--status", "5xx", "--tail", "2"], &input);
    let expected: Vec<&str> = input.lines().filter(|line| line.contains("503")).skip(1).collect();
    assert_eq!((ran.code, ran.out.lines().collect::<Vec<_>>()), (0, expected));
    assert_eq!(ran.err, "6 lines that are not of the access log were left out\n");
    let ran = piped(&["--since", "2026-01-31T12:00:04Z", "--format", "pretty", "-"], &input);
    let pods: Vec<_> = ran.out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(pods, ["ravelin-1", "ravelin-2"], "{}", ran.out);
    let colored = piped(&["--format", "pretty", "--color", "always"], &input);
    assert!(colored.out.contains("\u{1b}[1;31m503\u{1b}[0m"), "{}", colored.out);
}

#[test]
fn an_output_that_is_closed_ends_it_quietly() {
    let mut command = command(&["logs", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(line(1, 200).as_bytes()).expect("it reads");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    output.read_line(&mut first).expect("UTF-8");
    assert_eq!(first, line(1, 200));
    drop(output);
    // It has ended by itself once a line has nowhere to go.
    eventually("its end", || {
        let _ = input.write_all(line(2, 200).as_bytes());
        child.try_wait().expect("ours")
    });
    let mut told = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut told).expect("UTF-8");
    assert_eq!((await_end(&mut child).code(), told.as_str()), (Some(0), ""));
}

#[test]
fn mistakes_of_logs_name_the_fix() {
    let folder = folder("[log]\naccess = \"off\"\n");
    let off = folder.path().join("ravelin.toml");
    let off = off.to_str().expect("UTF-8");
    let cases: [(&[&str], i32, &str); 8] = [
        (&["logs", "/nonexistent"], 1, "/nonexistent: No such file"),
        (&["logs", "/nonexistent", "--admin", "/a"], 64, "cannot be used with"),
        (&["logs", "--config", off], 64, "log.access is \"off\""),
        (&["logs", "--admin", "/nonexistent"], 69, "has not started fully, or has exited"),
        (&["logs", "--admin", "/nonexistent", "--tail", "5"], 64, "no lines of the past"),
        (&["logs", "--no-follow", "Cargo.toml"], 1, "none of "),
        (&["logs", "--reason", "no_rout", "Cargo.toml"], 64, "did you mean no_route?"),
        (&["logs", "--explain", "--format", "raw", "Cargo.toml"], 64, "for --format pretty"),
    ];
    for (line, code, expected) in cases {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{line:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{line:?}: {}", ran.err);
    }
}
