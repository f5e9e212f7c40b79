//! nginx and ravelin for one case, and an exchange with each.

use super::{Case, Outcome};
use crate::support::{Client, Conn, Edge, Message, Nginx, Upstream, chunked, edge, ingress, rule};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use tempfile::TempDir;

/// The host of all cases.
const HOST: &str = "h.example";
/// Fields of answers that are compared.
const OF_ANSWERS: [&str; 9] = [
    "location",
    "www-authenticate",
    "set-cookie",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "access-control-max-age",
];
/// Fields of requests to pods that are compared.
const OF_REQUESTS: [&str; 4] =
    ["host", "authorization", "x-forwarded-prefix", "x-auth-request-user"];
/// The same of what the server of `auth-url` gets.
const OF_SUBREQUESTS: [&str; 6] = [
    "x-original-url",
    "x-original-method",
    "x-auth-request-redirect",
    "x-sent-from",
    "cookie",
    "content-length",
];
/// The same of what the server of error pages gets.
const OF_PAGES: [&str; 4] = ["host", "x-code", "x-format", "x-original-uri"];

const PASS: &str =
    "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://POD;";
const SUBREQUEST: &str = "proxy_pass_request_body off; proxy_set_header Content-Length \"\";
    proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
    proxy_set_header X-Original-Method $request_method; proxy_set_header X-Sent-From nginx-ingress-controller;
    proxy_set_header X-Auth-Request-Redirect $request_uri; proxy_http_version 1.1;
    proxy_set_header Connection \"\"; proxy_pass http://AUTH/verify;";
const PAGES: &str = "proxy_intercept_errors off; proxy_set_header Host $http_host;
    proxy_set_header X-Format $http_accept; proxy_set_header X-Original-URI $request_uri;
    rewrite (.*) / break; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://PAGE;";
/// For any origin. The module for `more_set_headers` is not in Debian's nginx: `always` is what it does.
const CORS: &str = "if ($request_method = OPTIONS) {
    add_header Access-Control-Allow-Origin * always; add_header Access-Control-Allow-Credentials true always;
    add_header Access-Control-Allow-Methods \"GET, PUT, POST, DELETE, PATCH, OPTIONS\" always;
    add_header Access-Control-Allow-Headers \"DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization\" always;
    add_header Access-Control-Max-Age 1728000 always; return 204; }
    add_header Access-Control-Allow-Origin * always; add_header Access-Control-Allow-Credentials true always;
    add_header Access-Control-Allow-Methods \"GET, PUT, POST, DELETE, PATCH, OPTIONS\" always;
    add_header Access-Control-Allow-Headers \"DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization\" always;
    add_header Access-Control-Max-Age 1728000 always;";

/// The servers behind a proxy.
struct Behind {
    pod: Upstream,
    auth: Upstream,
    page: Upstream,
}

impl Behind {
    fn start() -> Self {
        Self {
            pod: Upstream::scripted(pod),
            auth: Upstream::scripted(auth),
            page: Upstream::saying("page"),
        }
    }

    /// Counts what they have got so far.
    fn counts(&self) -> [usize; 3] {
        [&self.pod, &self.auth, &self.page].map(|server| server.requests().len())
    }
}

/// Both of them.
pub(super) struct Sides {
    nginx: Nginx,
    edge: Edge,
    /// Of nginx and of ravelin.
    behind: [Behind; 2],
    _users: TempDir,
}

impl Sides {
    /// Starts both. `None`: there is no nginx, which has been said.
    pub(super) fn start(case: &Case) -> Option<Self> {
        let behind = [Behind::start(), Behind::start()];
        let users = tempfile::tempdir().expect("a temporary folder");
        let file = users.path().join("users");
        fs::write(&file, case.users).expect("a folder of ours");
        let fill = |text: &str| {
            text.replace("PASS;", PASS)
                .replace("SUBREQUEST", SUBREQUEST)
                .replace("CORS", CORS)
                .replace("PAGES", PAGES)
                .replace("POD", &behind[0].pod.addr().to_string())
                .replace("AUTH", &behind[0].auth.addr().to_string())
                .replace("PAGE", &behind[0].page.addr().to_string())
                .replace("USERS", &file.display().to_string())
        };
        let server = format!(
            "set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on; {}",
            fill(case.server)
        );
        let nginx = Nginx::start_with(&fill(case.http), &server)?;
        let edge = ravelin(case, &behind[1]);
        Some(Self { nginx, edge, behind, _users: users })
    }

    /// Where nginx and ravelin listen, with the pod behind each.
    pub(super) fn proxies(&self) -> [(SocketAddr, &Upstream); 2] {
        let [theirs, ours] = &self.behind;
        [(self.nginx.addr(), &theirs.pod), (self.edge.addr(), &ours.pod)]
    }

    /// What comes of a request to nginx, and to ravelin.
    pub(super) fn outcomes(&self, request: &str) -> [Outcome; 2] {
        let addrs = [self.nginx.addr(), self.edge.addr()];
        [0, 1].map(|side: usize| exchange(addrs[side], &self.behind[side], request))
    }
}

/// Sends a request to a proxy, and leaves its answer to come.
pub(super) fn begin(addr: SocketAddr, request: &str) -> Client {
    let mut client = Client::connect(addr);
    client.send(message(request));
    client
}

fn ravelin(case: &Case, behind: &Behind) -> Edge {
    let paths: Vec<_> = case.paths.iter().map(|(path, kind)| (*path, *kind, "pod")).collect();
    let mut object = ingress("h", &[rule(HOST, &paths)]);
    let annotations = case.annotations.iter().map(|(key, value)| {
        let value = value.replace("AUTH", "auth.ns.svc.cluster.local:80");
        (format!("nginx.ingress.kubernetes.io/{key}"), json!(value))
    });
    object["metadata"]["annotations"] = Value::Object(annotations.collect::<Map<_, _>>());
    let users = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "ns", "name": "users"},
        "stringData": {"auth": case.users},
    });
    edge()
        .listener("trusted_proxies", "[\"127.0.0.0/8\"]")
        .service("pod", &[behind.pod.addr()])
        .service("auth", &[behind.auth.addr()])
        .service("page", &[behind.page.addr()])
        .object("users.json", &users)
        .object("h.json", &object)
        .start()
}

/// Answers with the status that the request asks for; not at all for `/held`.
fn pod(conn: &mut Conn) {
    while let Some(request) = conn.request() {
        if request.target() == "/held" {
            return conn.closes();
        }
        let status = request.field("x-answer").unwrap_or("200").to_owned();
        if !conn.send(format!("HTTP/1.1 {status} OK\r\nContent-Length: 3\r\n\r\npod")) {
            return;
        }
    }
}

/// Judges by the cookie: a status, or `ann`, who may pass and has a cookie from then on.
fn auth(conn: &mut Conn) {
    while let Some(request) = conn.request() {
        let answer = match request.field("cookie") {
            Some("ann") => "HTTP/1.1 202 Accepted\r\nX-Auth-Request-User: ann\r\n\
                Set-Cookie: fresh\r\nX-Other: o\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
            status => format!(
                "HTTP/1.1 {} Told\r\nLocation: /login\r\nContent-Length: 4\r\n\r\nauth",
                status.unwrap_or("401")
            ),
        };
        if !conn.send(answer) {
            return;
        }
    }
}

fn exchange(addr: SocketAddr, behind: &Behind, request: &str) -> Outcome {
    let before = behind.counts();
    let mut client = begin(addr, request);
    let is_head = request.starts_with("HEAD");
    let answer = if is_head { client.response_to_head() } else { client.response() };
    let mut outcome = Outcome::from([("status".to_owned(), answer.status().to_string())]);
    if answer.text() == "page" {
        outcome.insert("body".to_owned(), "page".to_owned());
    }
    put(&mut outcome, "", &answer, &OF_ANSWERS);
    if request.contains("@chunks") && answer.status() == 413 {
        // ravelin counts a body while it passes and never spools it: a pod may see its beginning, and then an abort.
        return outcome;
    }
    let servers = [("pod", &behind.pod), ("auth", &behind.auth), ("page", &behind.page)];
    for ((name, server), before) in servers.into_iter().zip(before) {
        let fields = match name {
            "pod" => &OF_REQUESTS[..],
            "auth" => &OF_SUBREQUESTS,
            _ => &OF_PAGES,
        };
        for got in server.requests().drain(before..) {
            put(&mut outcome, &format!("{name}."), &got, fields);
            let line = format!("{} {} {}", got.method(), got.target(), got.text().len());
            outcome.insert(name.to_owned(), line);
        }
    }
    outcome
}

/// Notes the fields of a message that it has.
fn put(outcome: &mut Outcome, prefix: &str, message: &Message, fields: &[&str]) {
    for name in fields {
        if let Some(value) = message.field(name) {
            // A list is one with blanks and without.
            outcome.insert(format!("{prefix}{name}"), value.replace(", ", ","));
        }
    }
}

/// The bytes of a request: its line, fields, and how long its body is (`@body 10`, `@chunks 10`); `@host a.example` has
/// it sent to another host.
fn message(request: &str) -> String {
    let mut lines = request.lines();
    let line = lines.next().unwrap_or_default();
    let host = lines.clone().find_map(|line| line.strip_prefix("@host ")).unwrap_or(HOST);
    let mut head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n");
    let mut body = String::new();
    for line in lines {
        let text = |length: &str| "x".repeat(length.parse().expect("a length"));
        if let Some(length) = line.strip_prefix("@body ") {
            body = text(length);
            write!(head, "Content-Length: {length}\r\n").expect("a String");
        } else if let Some(length) = line.strip_prefix("@chunks ") {
            body = chunked(&[&text(length)]);
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if !line.starts_with("@host ") {
            write!(head, "{line}\r\n").expect("a String");
        }
    }
    format!("{head}\r\n{body}")
}
