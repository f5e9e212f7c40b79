//! `ravelin top`: one frame as text, and the view in a terminal, against a process under load.

use crate::admin::{shop, visit};
use crate::eventually::eventually;
use crate::program::{await_end, ravelin};
use crate::running::Running;
use crate::terminal::InTerminal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vt100::{Color, Screen};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// Requests, one after the other, until it is dropped.
struct Load {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                visit(address, "/", "8f2b3c4d5e6f7a8b-FRA");
                // Some hundred requests a second are enough, and leave the processor to what is watched.
                thread::park_timeout(PAUSE);
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn socket(running: &Running) -> String {
    running.socket().to_str().expect("UTF-8").to_owned()
}

/// The requests a second of the host, of its line.
fn rate(line: &str) -> Option<f64> {
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A process that has answered, and what makes requests to it.
fn busy() -> (Running, Load) {
    let (running, balanced) = shop();
    let load = Load::start(balanced);
    eventually("requests", || running.metrics().filter(|page| page.contains("shop.example")));
    (running, load)
}

fn start(running: &Running) -> InTerminal {
    InTerminal::start(&["top", "--admin", &socket(running), "--interval", "1"], |_| {})
}

#[test]
fn a_frame_is_printed_where_there_is_no_terminal() {
    let (running, _load) = busy();
    let socket = socket(&running);
    let frame = eventually("a frame with requests", || {
        let ran = ravelin(&["top", "--admin", &socket, "--once", "--interval", "1"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let row = ran.out.lines().find(|line| line.starts_with("shop.example"))?.to_owned();
        (rate(&row)? > 0.0).then_some(ran.out)
    });
    assert!(frame.starts_with(&format!("ravelin {}  ready  up ", env!("CARGO_PKG_VERSION"))));
    for part in ["own answers  no_endpoint ", "colos  FRA ", "\nHOST ", "\nSERVICE ", "refused 0/s"]
    {
        assert!(frame.contains(part), "{part}: {frame}");
    }
    assert!(frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
    assert!(!frame.contains('\u{1b}') && !frame.contains("q quit"), "{frame}");
    // The last line is that of the pods, of which there are none.
    assert!(
        frame.trim_end().lines().last().is_some_and(|line| line.starts_with("SERVICE")),
        "{frame}"
    );
    let config = running.folder.path().join("ravelin.toml");
    let config = config.to_str().expect("UTF-8");
    assert_eq!(ravelin(&["top", "--config", config, "--once", "--interval", "1"]).code, 0);
}

#[test]
fn mistakes_of_top_name_the_fix() {
    let cases: [(&[&str], i32, &str); 5] = [
        (&["top", "--admin", "/nonexistent"], 64, "use --once, or kubectl exec -it"),
        (&["top", "--admin", "/nonexistent", "--once"], 69, "has not started fully, or has exited"),
        (&["top", "--admin", "https://a", "--once"], 64, "the admin port speaks no TLS"),
        (&["top", "--interval", "0"], 64, "1..=60"),
        (&["top", "--config", "/nonexistent", "--once"], 64, "/nonexistent"),
    ];
    for (line, code, expected) in cases {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{line:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{line:?}: {}", ran.err);
    }
}

/// The port of a listener in place of the admin port: what serves there answers, too.
#[test]
fn a_port_that_is_not_the_admin_port_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let place = format!("http://{}", listener.local_addr().expect("bound"));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").expect("it reads");
    });
    let ran = ravelin(&["top", "--once", "--admin", &place]);
    server.join().expect("no panic");
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{}", ran.err);
    assert!(ran.err.contains("is not the admin port of ravelin: see admin.address"), "{}", ran.err);
}

fn is_given_back(screen: &Screen) -> Option<()> {
    (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
}

#[test]
fn a_terminal_shows_what_happens_and_is_given_back() {
    let (running, _load) = busy();
    let mut top = start(&running);
    top.until("requests of the host", |screen| {
        let contents = screen.contents();
        let row = contents.lines().find(|line| line.starts_with("shop.example"))?;
        (rate(row)? > 0.0).then_some(())
    });
    assert!(top.is_raw());
    top.until_line("q quit  s sort: req/s");
    top.press("/nothing");
    top.until_line("filter: nothing_");
    top.until("no host", |screen| (!screen.contents().contains("shop.example")).then_some(()));
    top.press("\x1b");
    top.until_line("shop.example");
    top.press("s");
    top.until_line("s sort: 5xx");
    top.press("p");
    top.until_line("PAUSED");
    top.press("p");
    top.until_line("  ready  ");
    top.resize(120, 40);
    top.until("a wider screen", |screen| {
        let header = screen.rows(0, 120).find(|row| row.starts_with("HOST"))?;
        let keys = screen.rows(0, 120).nth(39)?;
        (header.len() > 100 && header.ends_with("TOTAL") && keys.starts_with("q quit"))
            .then_some(())
    });
    top.press("q");
    assert_eq!(top.wait().code(), Some(0));
    top.until("the screen from before", is_given_back);
    assert!(!top.is_raw());
}

#[test]
fn a_terminal_is_given_back_by_control_c_and_by_signals() {
    let (running, _load) = busy();
    for ending in ["\x03", "TERM", "HUP"] {
        let mut top = start(&running);
        top.until_line("shop.example");
        assert!(top.is_raw());
        match ending {
            "\x03" => top.press(ending),
            signal => top.signal(signal),
        }
        assert_eq!(top.wait().code(), Some(0), "{ending}");
        top.until("the screen from before", is_given_back);
        assert!(!top.is_raw(), "{ending}");
    }
}

#[test]
fn a_window_that_is_closed_ends_it() {
    let (running, _load) = busy();
    let top = start(&running);
    top.until_line("shop.example");
    assert_eq!(top.hang_up().code(), Some(0));
}

/// Whether any character has a colour of its own.
fn has_colors(screen: &Screen) -> bool {
    let (lines, columns) = screen.size();
    let cells = (0..lines).flat_map(|y| (0..columns).map(move |x| (y, x)));
    cells.filter_map(|(y, x)| screen.cell(y, x)).any(|cell| cell.fgcolor() != Color::Default)
}

#[test]
fn colours_are_left_out_where_no_color_is_set() {
    let (running, _load) = busy();
    let line = ["top", "--admin", &socket(&running), "--interval", "1"];
    for (no_color, expected) in [("", true), ("1", false)] {
        let top = InTerminal::start(&line, |command| {
            command.env("NO_COLOR", no_color);
        });
        top.until_line("shop.example");
        let seen = top.until("a whole screen", |screen| {
            screen.contents().contains("q quit").then(|| has_colors(screen))
        });
        assert_eq!(seen, expected, "NO_COLOR={no_color}");
    }
}

#[test]
fn a_process_that_is_gone_is_told_and_one_that_is_back_is_watched_again() {
    let (mut running, load) = busy();
    let top = start(&running);
    top.until_line("shop.example");
    drop(load);
    running.signal("KILL");
    await_end(&mut running.child);
    top.until_line("NO ANSWER for ");
    top.until_line("the process that created it has exited");
    let config = running.folder.path().join("ravelin.toml");
    let mut again = Running::again(config.to_str().expect("UTF-8"));
    top.until_line("  ready");
    top.until("nothing is missing", |screen| (!screen.contents().contains("exited")).then_some(()));
    again.kill().expect("it runs");
    again.wait().expect("ours");
}
