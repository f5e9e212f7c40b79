//! What Cloudflare would say under Full (strict), by the program at work: its metric and its log.

use crate::eventually::eventually;
use crate::program::{PATIENCE, command, config, ravelin};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// A certificate for `a.example` that signs itself, and its key, as PEM.
fn self_signed() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a name");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Two hosts: the first has a certificate, the second has none.
const MANIFESTS: &str = r#"{apiVersion: networking.k8s.io/v1, kind: Ingress,
  metadata: {namespace: shop, name: web}, spec: {ingressClassName: ravelin, rules: [
    {host: a.example, http: {paths: [
      {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}},
    {host: b.example, http: {paths: [
      {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: s}, spec: {ports: [{port: 80}]}}
"#;

/// A folder with all that a configuration names, and the configuration's text.
fn folder() -> (TempDir, String) {
    let folder = TempDir::new().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name);
    let (chain, key) = self_signed();
    fs::write(path("tls.crt"), chain).expect("a file of ours");
    fs::write(path("tls.key"), key).expect("a file of ours");
    // The trust store has another pair, which takes its place later.
    let (chain, key) = self_signed();
    fs::create_dir(path("trusted")).expect("a folder of ours");
    fs::write(path("trusted/tls.key"), key).expect("a file of ours");
    fs::write(path("trusted/tls.crt"), &chain).expect("a file of ours");
    fs::write(path("store.pem"), &chain).expect("a file of ours");
    fs::create_dir(path("manifests")).expect("a folder of ours");
    fs::write(path("manifests/web.yaml"), MANIFESTS).expect("a file of ours");
    let text = format!(
        "workers = 1\n[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\n\
         protocol = \"https\"\nadmit = [\"loopback\"]\nkernel_filter = false\n\
         [[certificate]]\ncert_file = {:?}\nkey_file = {:?}\n\
         [cloudflare]\nrefresh = \"off\"\ntrust_store_file = {:?}\n\
         [source]\nkind = \"directory\"\ndirectory = {:?}\n\
         [admin]\naddress = \"127.0.0.1:0\"\nsocket = {:?}\n[log]\naccess = \"off\"\n",
        path("tls.crt"),
        path("tls.key"),
        path("store.pem"),
        path("manifests"),
        path("admin.sock"),
    );
    (folder, text)
}

/// The program at work; ended when dropped.
struct Running {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    fn start(config: &Path) -> Self {
        let line = ["run", "--config", config.to_str().expect("UTF-8")];
        let child = command(&line).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program runs");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            // The test may have seen enough.
            log.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, log: lines, seen: Vec::new() }
    }

    /// Waits for a line of the log with all of these in it.
    fn await_line(&mut self, parts: &[&str]) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{parts:?} is not in {:#?}", self.seen));
            self.seen.push(line.clone());
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if it could not start.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a line of the metrics.
fn await_series(socket: &Path, line: &str) {
    eventually(line, || {
        let mut page = String::new();
        if let Ok(mut stream) = UnixStream::connect(socket) {
            let request = b"GET /metrics HTTP/1.0\r\n\r\n";
            stream.write_all(request).expect("it reads");
            stream.read_to_string(&mut page).expect("UTF-8");
        }
        page.lines().any(|found| found == line).then_some(())
    });
}

#[test]
fn what_cloudflare_refuses_is_told_once_with_host_object_and_fix() {
    let (folder, text) = folder();
    let config = config(&text);
    let mut running = Running::start(config.path());
    let refused = "Cloudflare refuses the certificate under Full (strict)";
    let first = running.await_line(&[refused, "a.example"]);
    for part in
        ["WARN", "Ingress shop/web", "tls.crt", "self_signed", "526", "use one of Cloudflare"]
    {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    let uncovered = "hosts have no certificate";
    let second = running.await_line(&[uncovered, "b.example"]);
    for part in ["WARN", "525", "name a Secret for them in spec.tls"] {
        assert!(second.contains(part), "{part} is not in {second}");
    }
    let socket = folder.path().join("admin.sock");
    let series = |host, verdict| {
        format!("ravelin_tls_full_strict{{host=\"{host}\",verdict=\"{verdict}\"}} 1")
    };
    await_series(&socket, &series("a.example", "self_signed"));
    await_series(&socket, &series("b.example", "no_certificate"));

    // Another table, in which nothing of it has changed but that a third host is there.
    let more = MANIFESTS.replace("b.example", "c.example").replace("name: web", "name: more");
    fs::write(folder.path().join("manifests/more.yaml"), more).expect("a file of ours");
    running.await_line(&[uncovered, "c.example"]);
    let told = |host: &str| {
        let lines = running.seen.iter();
        let is_told = |line: &str| line.contains(refused) || line.contains(uncovered);
        lines.filter(|line| is_told(line) && line.contains(host)).count()
    };
    assert_eq!(["a.example", "b.example", "c.example"].map(told), [1, 1, 1]);

    // The pair that is in the trust store takes its place.
    for name in ["tls.key", "tls.crt"] {
        let from = folder.path().join("trusted").join(name);
        fs::rename(from, folder.path().join(name)).expect("the same file system");
    }
    running.await_line(&["Full (strict) accepts the certificate again", "a.example"]);
    await_series(&socket, &series("a.example", "ok"));
}

#[test]
fn check_counts_it_and_does_not_fail() {
    let (folder, text) = folder();
    let config = config(&text);
    let file = config.path().to_str().expect("UTF-8");
    let rows = || {
        let ran = ravelin(&["check", "--output", "json", "--config", file]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let rows = report["full_strict"].as_array().expect("a list").clone();
        let warnings = report["warnings"].as_u64().expect("a number");
        (rows.iter().map(|row| row["verdict"].clone()).collect::<Vec<_>>(), warnings)
    };
    let (verdicts, before) = rows();
    assert_eq!(verdicts, ["self_signed", "no_certificate"]);
    fs::copy(folder.path().join("tls.crt"), folder.path().join("store.pem"))
        .expect("files of ours");
    let (verdicts, after) = rows();
    assert_eq!(verdicts, ["ok", "no_certificate"]);
    assert_eq!(before, after + 1);
    let ran = ravelin(&["check", folder.path().join("manifests").to_str().expect("UTF-8")]);
    assert!(!ran.out.contains("full (strict)"), "without a configuration there may be no TLS");
}

#[test]
fn nothing_is_judged_where_no_listener_is_for_https() {
    let (_folder, text) = folder();
    // TLS may end at this one too, and no zone of Cloudflare leads to it.
    let config = config(&text.replace("protocol = \"https\"", "protocol = \"tcp\""));
    let file = config.path().to_str().expect("UTF-8");
    let ran = ravelin(&["check", "--output", "json", "--config", file]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report.get("full_strict"), None);
}
