//! The demo does what it prints.

use crate::program::{PATIENCE, await_end, command};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// The last line of the page.
const LAST: &str = "Ctrl-C ends the demo and removes its folder.";

/// A demo that has printed its page; ended when dropped.
struct Demo {
    child: Child,
    page: Vec<String>,
    lines: Receiver<String>,
}

/// A line to paste, and lines that it is said to print.
#[derive(Debug)]
struct Try {
    command: String,
    answers: Vec<String>,
}

impl Demo {
    fn start() -> Self {
        let line = ["demo", "--port", "0", "--https-port", "0"];
        let mut child = command(&line).stdout(Stdio::piped()).spawn().expect("the program runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            // The test may have seen enough.
            out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        let mut demo = Self { child, page: Vec::new(), lines };
        while demo.page.last().is_none_or(|line| line != LAST) {
            let line = demo.next_line();
            demo.page.push(line);
        }
        demo
    }

    fn next_line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it prints more")
    }

    /// Lines up to the one that begins with `start`, that one included.
    fn until(&self, start: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        while seen.last().is_none_or(|line| !line.starts_with(start)) {
            seen.push(self.next_line());
        }
        seen
    }

    /// All that is to be pasted.
    fn tries(&self) -> Vec<Try> {
        let mut tries: Vec<Try> = Vec::new();
        let mut goes_on = false;
        for line in &self.page {
            if goes_on {
                let command = &mut tries.last_mut().expect("it began").command;
                command.push('\n');
                command.push_str(line);
            } else if let Some(answer) = line.strip_prefix("        => ") {
                tries.last_mut().expect("after a command").answers.push(answer.to_owned());
            } else if line.starts_with("  ") {
                tries.push(Try { command: line.trim().to_owned(), answers: Vec::new() });
            } else {
                continue;
            }
            goes_on = line.ends_with('\\');
        }
        tries
    }

    /// The try whose command contains all of `parts`.
    fn try_of(&self, parts: &[&str]) -> Try {
        let mut tries = self.tries().into_iter();
        let found = tries.find(|each| parts.iter().all(|part| each.command.contains(part)));
        found.unwrap_or_else(|| panic!("no {parts:?} in {:#?}", self.page))
    }

    /// The folder with its manifests.
    fn manifests(&self) -> PathBuf {
        let line = self.page.iter().find(|line| line.ends_with("/manifests/"));
        PathBuf::from(line.expect("it says where"))
    }

    fn end(&mut self, signal: &str) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill(1) is there");
        assert!(sent.success());
        await_end(&mut self.child)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already if that was the test. Killed, it would leave its folder behind.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.end("-TERM");
        }
    }
}

/// The lines that a pasted command prints, as a terminal shows them.
fn paste(command: &str) -> Vec<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new("sh").args(["-c", command]).current_dir(root).output();
    let output = output.expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: curl is not installed");
    }
    found
}

/// Whether a line that was printed is the one that was announced.
fn is_announced(printed: &str, announced: &str) -> bool {
    if let Some(start) = announced.strip_suffix("...") {
        return printed.starts_with(start);
    }
    // `blue or green: GET /` means either.
    let (names, rest) = announced.split_once(": ").unwrap_or((announced, ""));
    let mut names = names.split(" or ");
    printed == announced || names.any(|name| printed == format!("{name}: {rest}"))
}

fn assert_keeps_its_promises(demo: &Demo) {
    let tries = demo.tries();
    assert!(tries.len() >= 20, "{:#?}", demo.page);
    for Try { command, answers } in tries {
        assert!(!answers.is_empty(), "{command}\nhas no answer announced");
        let printed = paste(&command);
        for announced in answers {
            assert!(
                printed.iter().any(|line| is_announced(line, &announced)),
                "{command}\nprints    {printed:#?}\nannounced {announced}"
            );
        }
    }
}

#[test]
fn every_printed_line_prints_what_is_announced_and_two_demos_do_not_meet() {
    if !has_curl() {
        return;
    }
    let (one, two) = (Demo::start(), Demo::start());
    assert_keeps_its_promises(&one);
    assert_keeps_its_promises(&two);
    assert_ne!(one.manifests(), two.manifests());
    for (of_one, of_two) in one.tries().iter().zip(two.tries()) {
        assert_ne!(of_one.command, of_two.command, "they have one address");
    }
}

#[test]
fn everything_that_the_demo_is_for_is_announced_in_lines_of_100_columns() {
    let demo = Demo::start();
    let tries = demo.tries();
    let announced: Vec<&String> = tries.iter().flat_map(|each| &each.answers).collect();
    for sort in [
        "blue: GET ",
        "admin: GET ",
        " or ",
        "503 Service Unavailable",
        "HTTP/2 200",
        "HTTP/1.1 101 Switching Protocols",
        "grpc-status: 0",
        "401",
        "200 200 429 429",
        "301 https://",
        "x-frame-options: DENY",
        "x-real-ip: 203.0.113.7",
        "no answer",
        "error: Ingress showcase/broken: ",
    ] {
        assert!(announced.iter().any(|line| line.contains(sort)), "{sort}: {announced:#?}");
    }
    // A finding is one line, as `check` writes it.
    let wide: Vec<&String> = demo
        .page
        .iter()
        .filter(|line| line.chars().count() > 100 && !line.contains("=> error: "))
        .collect();
    assert_eq!(wide, Vec::<&String>::new());
}

#[test]
fn the_status_page_is_where_the_demo_says() {
    if !has_curl() {
        return;
    }
    let demo = Demo::start();
    let line = demo.page.iter().find_map(|line| line.strip_prefix("Status page, for a browser: "));
    let page =
        paste(&format!("curl -s -H 'Accept: text/html' {}", line.expect("it names the page")))
            .join("\n");
    assert!(page.contains("<html") && page.contains("ravelin"), "{page}");
}

#[test]
fn the_websocket_of_the_demo_sends_back_what_it_gets() {
    let demo = Demo::start();
    let command = demo.try_of(&["Upgrade: websocket"]).command;
    let (_, rest) = command.split_once("app.localhost:").expect("a URL");
    let port = rest.split('/').next().expect("a port");
    let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    let url = format!("ws://app.localhost:{port}/");
    let (mut socket, _) = tungstenite::client(url, stream).expect("a WebSocket");
    let greeting = socket.read().expect("it greets").into_text().expect("text");
    assert_eq!(greeting.as_str(), "hello from blue\n");
    for text in ["short".to_owned(), "longer ".repeat(100), "longest ".repeat(8191)] {
        socket.send(text.clone().into()).expect("it reads");
        let echoed = socket.read().expect("it answers").into_text().expect("text");
        assert_eq!(echoed.as_str(), text);
    }
    socket.close(None).expect("it reads");
    assert!(socket.read().is_ok_and(|message| message.is_close()));
}

#[test]
fn signals_end_it_well_and_leave_no_folder() {
    for signal in ["-TERM", "-INT"] {
        let mut demo = Demo::start();
        let manifests = demo.manifests();
        let folder = manifests.parent().expect("a folder of its own").to_owned();
        assert!(manifests.join("sites.yaml").is_file(), "{}", folder.display());
        assert_eq!(demo.end(signal).code(), Some(0));
        assert!(!folder.exists(), "{} is left", folder.display());
        let last = demo.until("The demo has ended; ").pop().expect("the last line");
        assert_eq!(last, format!("The demo has ended; {} is removed.", folder.display()));
    }
}

#[test]
fn edited_manifests_apply_at_once_and_the_demo_says_what_became_of_the_routes() {
    if !has_curl() {
        return;
    }
    let demo = Demo::start();
    let Try { command, answers } = demo.try_of(&["api.example.test", "/v1/users"]);
    assert_eq!(answers, ["blue: GET /v1/users"]);
    assert_eq!(paste(&command).first(), answers.first());
    // What no rule is for goes to the default backend.
    std::fs::remove_file(demo.manifests().join("sites.yaml")).expect("it is there");
    assert!(demo.until("changed: ").ends_with(&["changed: sites.yaml".to_owned()]));
    demo.until("  - api.example.test /v1 blue");
    assert_eq!(paste(&command).first().map(String::as_str), Some("admin: GET /v1/users"));
    // The mistake is mended.
    let broken = demo.manifests().join("broken.yaml");
    let text = std::fs::read_to_string(&broken).expect("it is there");
    let mended = broken.with_extension("new");
    std::fs::write(&mended, text.replace("htpp", "http")).expect("a folder of ours");
    std::fs::rename(mended, broken).expect("a folder of ours");
    demo.until("  + broken.localhost / blue");
    demo.until("  no longer: error: Ingress showcase/broken: ");
}
