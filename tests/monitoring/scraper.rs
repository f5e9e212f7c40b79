//! Prometheus and VictoriaMetrics, as programs of their own that scrape twice a second.

use crate::edge::own_address;
use crate::{eventually, program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What a query came to: labels and value of each series. Values that are no number are left out.
pub(crate) type Series = Vec<(BTreeMap<String, String>, f64)>;

/// A running scraper; killed when dropped.
pub(crate) struct Scraper {
    child: Child,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Scraper {
    /// Prometheus, with these targets by job, and with rules. `None`: it is not installed, which is said.
    pub(crate) fn prometheus(targets: &[(&str, SocketAddr)], rules: &str) -> Option<Self> {
        let (command, folder, addr) = (program("prometheus")?, folder(), own_address(9090));
        let rule_file = folder.path().join("rules.yaml");
        fs::write(&rule_file, rules).expect("a folder of ours");
        let mut config = config(targets);
        config["global"]["evaluation_interval"] = json!("500ms");
        config["rule_files"] = json!([rule_file]);
        let file = write(folder.path(), &config);
        let mut command = Command::new(command);
        command
            .arg(format!("--config.file={file}"))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={addr}"))
            .arg("--log.level=error");
        Some(Self::run(command, folder, addr, "/-/ready"))
    }

    /// VictoriaMetrics, with these targets by job. `None`: it is not installed, which is said.
    pub(crate) fn victoria_metrics(targets: &[(&str, SocketAddr)]) -> Option<Self> {
        let (command, folder, addr) = (program("victoria-metrics")?, folder(), own_address(8428));
        let file = write(folder.path(), &config(targets));
        let mut command = Command::new(command);
        command
            .arg(format!("-promscrape.config={file}"))
            .arg(format!("-storageDataPath={}", folder.path().join("data").display()))
            .arg(format!("-httpListenAddr={addr}"))
            // Samples are there as soon as they are scraped.
            .args(["-search.latencyOffset=0s", "-search.disableCache", "-loggerLevel=ERROR"]);
        Some(Self::run(command, folder, addr, "/health"))
    }

    fn run(mut command: Command, folder: TempDir, addr: SocketAddr, ready: &str) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("it runs");
        let scraper = Self { child, addr, _folder: folder };
        eventually("the scraper is ready", || {
            get(addr, ready).filter(|(status, _)| *status == 200).map(|_| ())
        });
        scraper
    }

    /// The result of a query now.
    ///
    /// # Panics
    /// If it is refused.
    pub(crate) fn query(&self, expression: &str) -> Series {
        let answer = self.api(&format!("query?query={}", escaped(expression)));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = match answer["data"]["resultType"].as_str() {
            Some("vector") => answer["data"]["result"].as_array().expect("a list").clone(),
            _ => vec![json!({"metric": {}, "value": answer["data"]["result"]})],
        };
        let series = result.iter().map(|one| {
            let labels = one["metric"].as_object().expect("labels").iter();
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let value = text(&one["value"][1]).parse().expect("a number, or NaN");
            (labels.map(|(name, value)| (name.clone(), text(value))).collect(), value)
        });
        series.filter(|(_, value): &(_, f64)| !value.is_nan()).collect()
    }

    /// Waits until a query has a result.
    pub(crate) fn await_result(&self, expression: &str) -> Series {
        eventually(expression, || Some(self.query(expression)).filter(|found| !found.is_empty()))
    }

    /// Alerts of this name that fire now.
    pub(crate) fn firing(&self, alert: &str) -> Vec<Value> {
        let answer = self.api("alerts");
        let alerts = answer["data"]["alerts"].as_array().expect("a list").iter();
        let named = |one: &&Value| one["labels"]["alertname"] == alert && one["state"] == "firing";
        alerts.filter(named).cloned().collect()
    }

    fn api(&self, what: &str) -> Value {
        let (_, body) = get(self.addr, &format!("/api/v1/{what}")).expect("it answers");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn config(targets: &[(&str, SocketAddr)]) -> Value {
    let jobs = targets.iter().map(
        |(job, addr)| json!({"job_name": job, "static_configs": [{"targets": [addr.to_string()]}]}),
    );
    let pace = json!({"scrape_interval": "500ms", "scrape_timeout": "500ms"});
    json!({"global": pace, "scrape_configs": jobs.collect::<Vec<_>>()})
}

/// Writes a configuration; JSON is YAML.
fn write(folder: &Path, config: &Value) -> String {
    let file = folder.join("config.yaml");
    fs::write(&file, config.to_string()).expect("a folder of ours");
    file.display().to_string()
}

/// Status and body of a page; `None` without an answer.
pub(crate) fn get(addr: SocketAddr, target: &str) -> Option<(u16, String)> {
    ask(addr, &addr.to_string(), target)
}

/// The same of a host.
pub(crate) fn ask(addr: SocketAddr, host: &str, target: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(crate::PATIENCE)).ok()?;
    // Of HTTP/1.0, so that bodies have no chunks.
    let request = format!("GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a String");
        }
    }
    escaped
}
