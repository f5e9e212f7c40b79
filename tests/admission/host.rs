//! A namespace as a test sees it: an agent that can be told what to do.

use crate::PATIENCE;
use crate::agent::{ARGUMENTS, MARK, PREFIX};
use crate::orders::{Met, Order, Told};
use crate::raw::{Heard, Segment};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long silence is listened to: the SYN is repeated once meanwhile, after a second.
pub(crate) const SILENCE: Duration = Duration::from_millis(1500);

/// Where programs are: `ip` lies in /usr/sbin, which is not in every PATH.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// An agent in a namespace of its own. Both end when this is dropped, or when this process ends: its
/// standard input is closed then.
pub(crate) struct Host {
    child: Child,
    answers: Receiver<String>,
}

impl Host {
    /// Starts one; `enter` are the words before the program that give it its namespace.
    pub(crate) fn start(enter: &[String]) -> Self {
        let mut child = Command::new(&enter[0])
            .args(&enter[1..])
            .arg(std::env::current_exe().expect("Linux"))
            .args(ARGUMENTS)
            .env(MARK, "1")
            .env("PATH", search_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it has been tried");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix(PREFIX)
                    && sender.send(answer.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let host = Self { child, answers };
        host.answer::<()>("start");
        host
    }

    /// The process in the namespace: `unshare` and `nsenter` become what they run.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn answer<T: DeserializeOwned>(&self, what: &str) -> T {
        let line = self.answers.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("the agent does not {what}: {error}"));
        let result: Result<T, String> = serde_json::from_str(&line).expect("the result of this");
        result.unwrap_or_else(|error| panic!("the agent cannot {what}: {error}"))
    }

    fn order<T: DeserializeOwned>(&self, order: &Order) -> T {
        let text = serde_json::to_string(order).expect("plain data");
        let mut stdin = self.child.stdin.as_ref().expect("piped");
        stdin.write_all(format!("{text}\n").as_bytes()).expect("the agent runs");
        let mut what = format!("{order:?}");
        what.truncate(200);
        self.answer(&what)
    }

    /// Runs a script as root of the namespace.
    pub(crate) fn run(&self, script: &str) {
        self.order::<()>(&Order::Run { script: script.to_owned() });
    }

    /// Starts a program, with its standard error in a file.
    pub(crate) fn launch(&self, words: &[&str], output: &str) {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        self.order::<()>(&Order::Start { words, output: output.to_owned() });
    }

    /// Ends that program, if the agent is still there.
    pub(crate) fn stop(&self) {
        let text = serde_json::to_string(&Order::Stop).expect("plain data");
        let mut stdin = self.child.stdin.as_ref().expect("piped");
        if stdin.write_all(format!("{text}\n").as_bytes()).is_ok() {
            // A test that has failed already says why.
            let _ = self.answers.recv_timeout(PATIENCE);
        }
    }

    /// Connects to all of these at once, and waits for silence where it is.
    pub(crate) fn connect_all(&self, to: &[SocketAddr]) -> Vec<Met> {
        let milliseconds = u64::try_from(SILENCE.as_millis()).expect("short");
        self.order(&Order::Connect { to: to.to_vec(), milliseconds })
    }

    /// Connects once.
    pub(crate) fn meet(&self, to: SocketAddr) -> Met {
        self.connect_all(&[to]).remove(0)
    }

    /// Connects where somebody accepts.
    pub(crate) fn connect(&self, to: SocketAddr) -> usize {
        let milliseconds = u64::try_from(PATIENCE.as_millis()).expect("short") / 2;
        let mut met: Vec<Met> = self.order(&Order::Connect { to: vec![to], milliseconds });
        match met.remove(0) {
            Met::Connected(number) => number,
            other => panic!("{to}: {other:?}"),
        }
    }

    /// Sends a text over a connection and reads a response.
    pub(crate) fn tell(&self, connection: usize, text: &str) -> Told {
        self.order(&Order::Ask { connection, text: text.to_owned() })
    }

    /// Sends a request over a connection and reads its response.
    pub(crate) fn get(&self, connection: usize, path: &str) -> Told {
        self.tell(connection, &format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"))
    }

    /// Begins to ask without a pause.
    pub(crate) fn load(&self, to: SocketAddr) {
        self.order::<()>(&Order::Load { to });
    }

    /// Ends that, and returns how many requests were answered, and what became of the others.
    pub(crate) fn unload(&self) -> (u64, Vec<String>) {
        self.order(&Order::Unload)
    }

    /// Begins to listen to segments.
    pub(crate) fn tap(&self) {
        self.order::<()>(&Order::Tap);
    }

    /// Sends segments.
    pub(crate) fn send(&self, segments: &[Segment]) {
        self.order::<()>(&Order::Send { segments: segments.to_vec() });
    }

    /// The segments that have come since the last time.
    pub(crate) fn hear(&self) -> Vec<Heard> {
        self.order(&Order::Hear)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // What it has started has to end with it, so it is not killed.
        let _ = self.child.wait();
    }
}
