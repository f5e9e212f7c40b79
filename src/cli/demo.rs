//! `ravelin demo`: everything in one process, on loopback.

use super::table::{self, Row};
use super::{Failure, echo, say};
use crate::app::{App, Signals};
use crate::config::Config;
use crate::error::Reason;
use crate::http::Target;
use crate::net::message::Request;
use crate::proxy::request::{self, Seen};
use crate::telemetry::log;
use std::fmt::Write;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use tracing_subscriber::filter::LevelFilter;

/// The sample manifests, as in `config/demo/`.
const MANIFESTS: [(&str, &str); 4] = [
    ("classes.yaml", include_str!("../../config/demo/classes.yaml")),
    ("backends.yaml", include_str!("../../config/demo/backends.yaml")),
    ("sites.yaml", include_str!("../../config/demo/sites.yaml")),
    ("previews.yaml", include_str!("../../config/demo/previews.yaml")),
];

/// The echo backends: name, and the port that the sample EndpointSlices give.
const BACKENDS: [(&str, u16); 3] = [("blue", 18081), ("green", 18082), ("admin", 18083)];

/// Host and target of the requests to try.
const TRIES: [(&str, &str); 9] = [
    ("api.example.test", "/v1/users"),
    ("api.example.test", "/v1/status"),
    ("app.example.test", "/"),
    ("app.example.test", "/static/../static/logo.svg?v=2"),
    ("admin.example.test", "/login"),
    ("example.test", "/"),
    ("pr-7.preview.example.test", "/"),
    ("unknown.example.org", "/"),
    ("api.example.test", "/v2/soon"),
];

/// Serves the samples until a signal.
pub(super) fn demo(port: u16) -> Result<u8, Failure> {
    let _log = log::init(LevelFilter::WARN)?;
    // Before there is a folder that a signal would leave behind.
    let signals = Signals::new()?;
    let mut backends = Vec::new();
    for (name, port) in BACKENDS {
        let listener = echo::bind(port)?;
        backends.push((name, port, listener.local_addr()?.port()));
        echo::serve(name, listener)?;
    }
    let samples = Samples::write(&backends)?;
    let config = config(&samples.0, free_or_any(port))?;
    let app = App::start(config).map_err(|error| Failure { code: 1, text: error.to_string() })?;
    say(&page(&app, &samples.0, &backends))?;
    app.run_until_signal(&signals);
    Ok(0)
}

/// A folder with the samples, removed when the demo ends.
struct Samples(PathBuf);

impl Samples {
    /// Writes them with the ports that the backends really have.
    fn write(backends: &[(&str, u16, u16)]) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("ravelin-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let samples = Self(folder);
        for (file, text) in MANIFESTS {
            let mut text = text.to_owned();
            for (_, written, real) in backends {
                text = text.replace(&format!("port: {written}"), &format!("port: {real}"));
            }
            std::fs::write(samples.0.join(file), text)?;
        }
        Ok(samples)
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        // A few KiB stay in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `port` if it is free, else 0: the kernel chooses one when it is bound for good. To choose it here
/// would be to let go of it again, and listeners share a port (`SO_REUSEPORT`) with another demo
/// that had the same idea.
fn free_or_any(port: u16) -> u16 {
    let free = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok();
    if free { port } else { 0 }
}

fn config(samples: &Path, port: u16) -> Result<Config, Failure> {
    let text = format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:{port}\"\nadmit = [\"loopback\"]\n\
         [cloudflare]\nrefresh = \"off\"\n\
         [source]\nkind = \"directory\"\ndirectory = {samples:?}\n\
         [admin]\naddress = \"127.0.0.1:0\"\n\
         [log]\naccess = \"off\"\nlevel = \"warn\"\n\
         [limits]\nconnections = 1000\n"
    );
    Config::parse(&text, "demo").map_err(|errors| super::run::config_failure(&errors))
}

/// The served sample, and lines to try with their output.
fn page(app: &App, samples: &Path, backends: &[(&str, u16, u16)]) -> String {
    let mut rows = table::rows(&app.table());
    for endpoint in rows.iter_mut().flat_map(|row| &mut row.endpoints) {
        *endpoint = named(endpoint, backends);
    }
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(page, "ravelin serves these routes:\n\n{}", table::text(&rows));
    let web = app.listeners().first().map_or_else(String::new, SocketAddr::to_string);
    let _ = writeln!(page, "Try (with the first line of each response):\n");
    for (host, target) in TRIES {
        let _ = writeln!(page, "  curl -s --path-as-is -H 'Host: {host}' 'http://{web}{target}'");
        let _ = writeln!(page, "      {}", expected(app, backends, host, target));
    }
    let _ = writeln!(page, "  curl -s http://{}/metrics", app.admin());
    let _ = writeln!(
        page,
        "\nThe manifests are in {}: edit them; changes apply at once.",
        samples.display()
    );
    let _ = writeln!(page, "Ctrl-C ends the demo.");
    page
}

/// The name of the backend at an address, with its port.
fn named(endpoint: &str, backends: &[(&str, u16, u16)]) -> String {
    let found = backends.iter().find(|(.., port)| endpoint.ends_with(&format!(":{port}")));
    found.map_or_else(|| endpoint.to_owned(), |(name, _, port)| format!("{name}:{port}"))
}

/// The first line that a request gets, by the same decision that the proxy makes.
fn expected(app: &App, backends: &[(&str, u16, u16)], host: &str, target: &str) -> String {
    match decide(app, host, target) {
        Err(reason) => {
            let status = reason.status();
            format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
        }
        Ok((row, target)) => {
            let name = |endpoint| {
                let name = named(endpoint, backends);
                name.split(':').next().unwrap_or_default().to_owned()
            };
            let names: Vec<String> = row.endpoints.iter().map(|e| name(e)).collect();
            format!("{}: GET {target}", names.join(" or "))
        }
    }
}

fn decide(app: &App, host: &str, target: &str) -> Result<(Row, String), Reason> {
    let request = http::Request::builder().uri(target).header("host", host).body(());
    let request = Request::from(request.map_err(|_| Reason::BadTarget)?);
    let (mut head, ()) = request.into_parts();
    let target = Target::read(&mut head, usize::MAX)?;
    let table = app.table();
    let id = request::find(&table, &target, &Seen::anywhere(&head.method, &head.headers))?;
    request::usable(table.backend(id))?;
    Ok((table::row(&table, id), target.uri.to_string()))
}
