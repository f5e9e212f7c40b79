//! SIGHUP: a configuration read anew, by a successor inside the process.

use super::{Load, at, await_steered, loopback};
use crate::support::{Builder, PATIENCE, Process, Upstream, eventually, reserve};
use ravelin::config::Config;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

const IN_FORCE: &str = "the new configuration is in force";
const REFUSED: &str = "the new configuration is not in force";

fn start(upstream: &Upstream) -> Process {
    spawn(at(upstream, loopback()))
}

fn spawn(builder: Builder) -> Process {
    let process = builder.spawn(1);
    await_steered(&process);
    process
}

/// A configuration that is never ready: nobody writes this list of Cloudflare's addresses.
fn unready(text: &str) -> String {
    text.replacen("[cloudflare]\n", "[cloudflare]\nconfig_map = \"ns/ips/list\"\n", 1)
}

fn ready(text: &str) -> String {
    text.replacen("config_map = \"ns/ips/list\"\n", "", 1)
}

fn within(limit: &'static str) -> impl Fn(String) -> String {
    move |text| text.replacen("[timeouts]\n", &format!("[timeouts]\nreload = {limit:?}\n"), 1)
}

/// What the reload that was refused is said to have been refused for.
fn refusal(process: &Process) -> String {
    process.await_message(REFUSED)["error"].as_str().expect("a text").to_owned()
}

#[test]
fn whatever_changes_is_in_force_and_no_connection_is_lost() {
    let upstream = Upstream::saying("done");
    let mut process = start(&upstream);
    let load = Load::on(&[process.addr()]);
    for workers in [2, 1, 3] {
        load.await_answers(50);
        process.reload(|text| {
            let rest = text.split_once('\n').expect("a first line").1.to_owned();
            format!("workers = {workers}\n{rest}")
        });
        process.await_message(IN_FORCE);
        await_steered(&process);
    }
    let second = "[[listener]]\nname = \"second\"\naddress = \"127.0.0.1:0\"\n\
                  admit = [\"loopback\"]\n";
    process.reload(|text| text.replacen("[[listener]]\n", &format!("{second}[[listener]]\n"), 1));
    let added = process.await_message("listening")["address"].clone();
    let added: std::net::SocketAddr = added.as_str().expect("text").parse().expect("an address");
    process.await_message(IN_FORCE);
    drop(TcpStream::connect(added).expect("the listener is there"));
    process.reload(|text| text.replacen(second, "", 1));
    process.await_message(IN_FORCE);
    eventually("the listener is gone", || TcpStream::connect(added).err());
    load.await_answers(50);
    assert_eq!(load.faults(), Vec::<String>::new());
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));
}

#[test]
fn what_is_open_goes_on_under_the_old_configuration_and_is_told_to_close() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    let mut kept = process.connect();
    assert_eq!(kept.get("a", "/").text(), "done");
    process.reload(|text| text);
    process.await_message(IN_FORCE);
    // A worker hears of it a moment after all others.
    eventually("an answer says close", || {
        let response = kept.get("a", "/");
        assert_eq!(response.text(), "done");
        response.field("connection").map(|value| assert_eq!(value, "close"))
    });
    kept.closes();
    process.await_message("left");
}

#[test]
fn every_mistake_is_told_as_check_tells_it_and_the_old_configuration_serves_on() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    process.reload(|text| format!("workres = 1\n{}", text.replace("workers = 1", "workers = 0")));
    let file = process.folder().join("ravelin.toml");
    let mistakes = Config::load(&file).expect_err("two mistakes");
    assert_eq!(mistakes.len(), 2);
    for mistake in mistakes {
        assert_eq!(refusal(&process), mistake.to_string());
    }
    assert_eq!(process.connect().get("a", "/").text(), "done");
    process.reload(|text| text.replace("workres = 1\n", "").replace("workers = 0", "workers = 1"));
    process.await_message(IN_FORCE);
}

#[test]
fn an_address_that_cannot_be_bound_leaves_the_old_configuration_in_force() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    let somebody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = somebody.local_addr().expect("bound");
    process.reload(|text| text.replacen(&process.addr().to_string(), &taken.to_string(), 1));
    let error = refusal(&process);
    assert!(error.starts_with(&format!("cannot bind {taken}")), "{error}");
    assert_eq!(process.connect().get("a", "/").text(), "done");
}

#[test]
fn what_is_not_ready_in_time_is_dropped_and_nobody_notices() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    let load = Load::on(&[process.addr()]);
    load.await_answers(50);
    process.reload(|text| within("700ms")(unready(&text)));
    let error = refusal(&process);
    let expected =
        "not ready after 700ms (timeouts.reload): Cloudflare's address ranges are not known";
    assert_eq!(error, expected);
    process.await_message("left");
    await_steered(&process);
    load.await_answers(50);
    assert_eq!(load.faults(), Vec::<String>::new());
}

#[test]
fn of_two_signals_the_last_one_wins() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    process.reload(|text| within("1h")(unready(&text)));
    process.await_message("reloading the configuration");
    process.reload(|text| ready(&text));
    process.await_message(IN_FORCE);
    assert_eq!(process.connect().get("a", "/").text(), "done");
}

#[test]
fn sigterm_during_a_reload_ends_both() {
    let upstream = Upstream::saying("done");
    let mut process = start(&upstream);
    let _reserved = reserve(process.addr());
    let load = Load::on(&[process.addr()]);
    load.await_answers(50);
    process.reload(|text| within("1h")(unready(&text)));
    process.await_message("reloading the configuration");
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));
    let faults = load.faults();
    let other = faults.iter().find(|fault| *fault != "connect: ConnectionRefused");
    assert_eq!(other, None);
}

#[test]
fn a_second_sigterm_cuts_those_before_too() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    });
    let builder = at(&upstream, loopback()).timeout("drain", "1h").timeout("drain_idle", "1h");
    let mut process = spawn(builder);
    let ask = |number| {
        let mut client = process.connect();
        client.ask("GET", "a", "/slow");
        upstream.await_requests(number);
        client
    };
    let mut before = ask(1);
    process.reload(|text| text);
    process.await_message(IN_FORCE);
    let mut after = ask(2);
    process.signal("TERM");
    process.await_message("shutting down");
    process.await_message("shutting down");
    process.signal("TERM");
    assert_eq!((before.wire.rest(), after.wire.rest()), (Vec::new(), Vec::new()));
    assert_eq!(process.exit().code(), Some(0));
}

/// What the process says over its socket.
fn probe(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).expect("the socket has its name");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option of all sockets");
    let request = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn probes_find_the_one_that_serves_whatever_becomes_of_a_reload() {
    let upstream = Upstream::saying("done");
    let (builder, socket) = at(&upstream, loopback()).probed();
    let process = spawn(builder);
    let is_ready = || assert!(probe(&socket).starts_with("HTTP/1.1 200 "));
    is_ready();
    process.reload(|text| within("300ms")(unready(&text)));
    process.await_message("reloading the configuration");
    // The one that is not ready yet is not asked.
    is_ready();
    refusal(&process);
    process.await_message("left");
    is_ready();
    process.reload(|text| ready(&text));
    process.await_message(IN_FORCE);
    is_ready();
    process.await_message("left");
    is_ready();
    let files = fs::read_dir(process.folder()).expect("a folder");
    let names = files.map(|file| file.expect("readable").file_name());
    let sockets = names.filter(|name| name.to_string_lossy().starts_with("admin.sock"));
    assert_eq!(sockets.count(), 1);
}

#[test]
fn the_access_log_goes_on_in_a_new_file_where_the_old_one_was_renamed() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    assert_eq!(process.connect().get("a", "/before").text(), "done");
    eventually("the first line", || (process.log_lines().len() == 1).then_some(()));
    let [log, rotated] = ["access.log", "access.log.1"].map(|name| process.folder().join(name));
    fs::rename(&log, &rotated).expect("a file of ours");
    process.reload(|text| text);
    process.await_message(IN_FORCE);
    assert_eq!(process.connect().get("a", "/after").text(), "done");
    let lines = eventually("a line in the new file", || {
        let lines = process.log_lines();
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(lines[0]["path"], "/after");
    assert_eq!(fs::read_to_string(rotated).expect("it is there").lines().count(), 1);
}

#[test]
fn the_level_of_the_log_follows() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    process.reload(|text| text.replacen("[log]\n", "[log]\nlevel = \"debug\"\n", 1));
    process.await_message(IN_FORCE);
    eventually("an event of the new level", || {
        // A client that says no HTTP is such an event.
        let mut client = process.connect();
        client.send("\0\r\n\r\n");
        client.wire.rest();
        process.said().iter().any(|line| line["level"] == "DEBUG").then_some(())
    });
}

#[test]
fn nothing_is_left_behind_by_many_reloads() {
    let upstream = Upstream::saying("done");
    let process = start(&upstream);
    let reload = || {
        process.reload(|text| text);
        process.await_message(IN_FORCE);
        process.await_message("left");
    };
    let threads = || {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("Threads:")).expect("Linux");
        line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number")
    };
    reload();
    eventually("the threads of the first one are gone", || (threads() <= 13).then_some(()));
    let (files, running) = (process.open_files(), threads());
    for _ in 0..5 {
        reload();
    }
    eventually("no file and no thread more", || {
        (process.open_files() <= files && threads() <= running).then_some(())
    });
}
