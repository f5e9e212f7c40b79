//! What the demo prints: what it serves, and lines to paste with what they answer.
//!
//! A line with two blanks before it is to be pasted, up to the first that does not end in a backslash. What follows it
//! after `=>` is a line of its output, or the beginning of one if it ends in `...`. `tests/cli/demo.rs` pastes all of them.

use super::cloudflare::INSIDE;
use super::live::mistakes;
use super::pods::Pod;
use super::samples::{Ports, Samples};
use super::{manifests, routes};
use crate::app::App;
use crate::cli::table;
use crate::error::Reason;
use crate::http::Target;
use crate::net::message::Request;
use crate::proxy::request::{self, Seen};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// Host and target of the requests that show how hosts and paths are matched.
const TRIES: [(&str, &str); 7] = [
    ("api.example.test", "/v1/users"),
    ("api.example.test", "/v1/status"),
    ("api.example.test", "/v2/soon"),
    ("app.example.test", "/"),
    ("app.example.test", "/static/../static/logo.svg?v=2"),
    ("pr-7.preview.example.test", "/"),
    ("unknown.example.org", "/"),
];

/// The key of RFC 6455 §1.3, whose answer is known.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// All that the page is made of.
pub(super) struct Page<'p> {
    pub(super) app: &'p App,
    pub(super) samples: &'p Samples,
    pub(super) pods: &'p [Pod],
    pub(super) ports: Ports,
    /// Where the balancer is that plays Cloudflare.
    pub(super) edge: SocketAddr,
    pub(super) read: &'p manifests::Read,
}

impl Page<'_> {
    pub(super) fn text(&self) -> String {
        let mut page = Sections(String::new());
        page.heading("Routes (= is an exact path)");
        for line in routes::lines(&self.app.table(), self.pods) {
            page.note(&line);
        }
        self.hosts_and_paths(&mut page);
        self.protocols(&mut page);
        self.middlewares(&mut page);
        self.ingress_route(&mut page);
        self.cloudflare(&mut page);
        self.mistake(&mut page);
        self.seen(&mut page);
        page.0
    }

    fn http(&self, host: &str, target: &str) -> String {
        format!("http://{host}.localhost:{}{target}", self.ports.http)
    }

    fn https(&self, host: &str, target: &str) -> String {
        let authority = self.samples.authority();
        let (authority, port) = (authority.display(), self.ports.https);
        format!("--cacert {authority} \\\n      https://{host}.localhost:{port}{target}")
    }

    fn hosts_and_paths(&self, page: &mut Sections) {
        page.heading("Hosts and paths");
        let http = self.ports.http;
        for (host, target) in TRIES {
            page.command(
                &format!(
                    "curl -s --path-as-is -H 'Host: {host}' \\\n      'http://127.0.0.1:{http}{target}'"
                ),
                &[&self.expected(host, target)],
            );
        }
    }

    fn protocols(&self, page: &mut Sections) {
        page.heading("https and HTTP/2, WebSocket, gRPC");
        page.note("The certificate is by a CA that was made for this run, and whose key is gone.");
        page.command(&format!("curl -s4 {}", self.https("app", "/hello")), &["blue: GET /hello"]);
        let head = "curl -s4 -D - -o /dev/null";
        page.command(&format!("{head} --http1.1 {}", self.https("app", "/")), &["HTTP/1.1 200 OK"]);
        page.command(&format!("{head} --http2 {}", self.https("app", "/")), &["HTTP/2 200"]);
        page.note("A WebSocket, which curl leaves after a second:");
        page.command(
            &format!(
                "curl -s4 -i -N -m 1 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' \\\n      \
                 -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: {WEBSOCKET_KEY}' \\\n      {} \
                 | tr -d '\\201\\020'",
                self.http("app", "/")
            ),
            &[
                "HTTP/1.1 101 Switching Protocols",
                "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "hello from blue",
            ],
        );
        page.note("The health of a pod by gRPC:");
        page.command(
            &format!(
                "printf '\\0\\0\\0\\0\\0' | curl -s4 -i --http2 --data-binary @- -H 'TE: trailers' \\\n      \
                 -H 'Content-Type: application/grpc' {} | tr -d '\\000-\\010'",
                self.https("grpc", "/grpc.health.v1.Health/Check")
            ),
            &["HTTP/2 200", "grpc-status: 0"],
        );
    }

    fn middlewares(&self, page: &mut Sections) {
        page.heading("Middlewares: log-in, rate limit, redirect");
        let status = "curl -s4 -o /dev/null -w '%{http_code}\\n'";
        page.command(&format!("{status} {}", self.http("login", "/")), &["401"]);
        page.command(
            &format!("curl -s4 -u demo:demo {}", self.http("login", "/")),
            &["blue: GET /", "x-user: demo"],
        );
        page.note("Two requests at once, and one more every ten seconds:");
        page.command(
            &format!(
                "for i in 1 2 3 4; do curl -s4 -o /dev/null -w '%{{http_code}} ' \\\n      {}; done; echo",
                self.http("slow", "/")
            ),
            &["200 200 429 429"],
        );
        page.command(
            &format!(
                "curl -s4 -o /dev/null -w '%{{http_code}} %{{redirect_url}}\\n' \\\n      {}",
                self.http("secure", "/cart")
            ),
            &[&format!("301 https://secure.localhost:{}/cart", self.ports.https)],
        );
    }

    fn ingress_route(&self, page: &mut Sections) {
        page.heading("An IngressRoute of Traefik, with headers and a stripped prefix");
        page.command(
            &format!("curl -s4 -i {}", self.http("route", "/api/users")),
            &["x-frame-options: DENY", "blue: GET /users", "x-team: edge"],
        );
        page.command(
            &format!("curl -s4 -H 'X-Beta: yes' {}", self.http("route", "/")),
            &["green: GET /"],
        );
    }

    fn cloudflare(&self, page: &mut Sections) {
        page.heading("Cloudflare");
        page.note(
            "A balancer passes 127.0.0.2 on as 104.16.0.1, which is an address of Cloudflare: the",
        );
        page.note(
            "visitor is the one that it names. It passes you on as 198.51.100.7, which is not.",
        );
        let url = format!("http://app.localhost:{}/", self.edge.port());
        let visitor = "-H 'CF-Connecting-IP: 203.0.113.7'";
        page.command(
            &format!("curl -s4 --interface {INSIDE} {visitor} \\\n      {url}"),
            &["blue: GET /", "x-forwarded-for: 203.0.113.7", "x-real-ip: 203.0.113.7"],
        );
        page.command(
            &format!("curl -s4 -m 5 {visitor} {url} \\\n      || echo no answer"),
            &["no answer"],
        );
        page.note("Where Cloudflare is not expected, such a header counts for nothing:");
        page.command(
            &format!("curl -s4 {visitor} {}", self.http("app", "/")),
            &["x-forwarded-for: 127.0.0.1"],
        );
    }

    fn mistake(&self, page: &mut Sections) {
        page.heading("A mistake, which breaks nothing else");
        let config = self.samples.configuration();
        let (program, config) = (program(), config.display());
        page.command(
            &format!("curl -s4 -o /dev/null -w '%{{http_code}}\\n' {}", self.http("broken", "/")),
            &["503"],
        );
        let found = mistakes(self.read);
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        page.command(&format!("{program} check \\\n      --config {config} | grep ^error"), &found);
        page.command(
            &format!("{program} explain \\\n      --config {config} {}", self.http("broken", "/")),
            &["answer     503 port_missing"],
        );
    }

    fn seen(&self, page: &mut Sections) {
        let admin = self.app.admin();
        page.heading("What it sees of itself");
        page.note(&format!("Status page, for a browser: http://{admin}/"));
        page.command(
            &format!("curl -s http://{admin}/metrics | grep ^ravelin_requests_total"),
            &["ravelin_requests_total{..."],
        );
        page.command(&format!("curl -s http://{admin}/readyz"), &["ok"]);
        page.heading("Edit the manifests: what becomes of the routes is printed here");
        page.note(&format!("{}/", self.samples.manifests().display()));
        page.0.push_str("\nCtrl-C ends the demo and removes its folder.\n");
    }

    /// The first line that a request gets, by the same decision that the proxy makes.
    fn expected(&self, host: &str, target: &str) -> String {
        match self.decide(host, target) {
            Err(reason) => {
                let status = reason.status();
                format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
            }
            Ok((row, target)) => {
                let names: Vec<String> =
                    row.endpoints.iter().map(|e| routes::named(e, self.pods)).collect();
                format!("{}: GET {target}", names.join(" or "))
            }
        }
    }

    fn decide(&self, host: &str, target: &str) -> Result<(table::Row, String), Reason> {
        let request = http::Request::builder().uri(target).header("host", host).body(());
        let request = Request::from(request.map_err(|_| Reason::BadTarget)?);
        let (mut head, ()) = request.into_parts();
        let target = Target::read(&mut head, usize::MAX)?;
        let table = self.app.table();
        let id = request::find(&table, &target, &Seen::anywhere(&head.method, &head.headers))?;
        request::usable(table.backend(id))?;
        Ok((table::row(&table, id), target.uri.to_string()))
    }
}

/// The page as it grows. Writing into a String cannot fail.
struct Sections(String);

impl Sections {
    fn heading(&mut self, text: &str) {
        let blank = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{blank}{text}\n");
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.0, "{text}");
    }

    fn command(&mut self, line: &str, answers: &[&str]) {
        let _ = writeln!(self.0, "  {line}");
        for answer in answers {
            let _ = writeln!(self.0, "        => {answer}");
        }
    }
}

/// This program, as a shell can start it from here.
fn program() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_else(|_| "ravelin".into());
    let below = program.strip_prefix(here).unwrap_or(&program);
    // A shell looks for names without a slash elsewhere.
    match below.parent() == Some(Path::new("")) {
        true => format!("./{}", below.display()),
        false => below.display().to_string(),
    }
}
