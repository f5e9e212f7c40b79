//! The admin side of a running process, asked from the command line: its port or its socket, which serve the same.
//!
//! Starts no runtime: `ravelin probe` asks every few seconds, within the limits of the pod.

mod stream;

use super::Failure;
use crate::config::Config;
use clap::Args;
use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
pub(super) use stream::AdminStream;

/// For an answer of the status page or the metrics: a scrape of a large cluster takes a second.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Most bytes of an answer: metrics of 100 000 routes are below.
pub(super) const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Entries of a list that are asked for at once: the most that the status page gives.
const PART: usize = 500;

/// Exit code (`EX_UNAVAILABLE` of sysexits): the process does not answer.
const UNAVAILABLE: u8 = 69;

/// Where the installations of `deploy/` have the socket.
pub(super) const SOCKET: &str = "/run/ravelin/admin.sock";

/// The process that is watched: the one that is named, or the one that an installation has.
#[derive(Debug, Args)]
pub(super) struct ProcessArgs {
    /// The admin port or socket of a running process: http://127.0.0.1:9180, or a path such as /run/ravelin/admin.sock.
    /// Without it and --config: that socket if it exists, or else that port.
    #[arg(long, value_name = "URL|SOCKET", value_parser = AdminPlace::parse, group = "configuration_or_process")]
    admin: Option<AdminPlace>,
    /// The configuration file of the process, which says where its admin port and socket are.
    #[arg(long, value_name = "FILE", group = "configuration_or_process")]
    config: Option<PathBuf>,
}

impl ProcessArgs {
    /// The configuration file that was named.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Whether neither was named.
    pub(super) fn is_default(&self) -> bool {
        self.admin.is_none() && self.config.is_none()
    }

    /// Where it is.
    pub(super) fn place(&self) -> Result<AdminPlace, Failure> {
        if let Some(place) = &self.admin {
            return Ok(place.clone());
        }
        if let Some(path) = &self.config {
            let config =
                Config::load(path).map_err(|errors| super::run::config_failure(&errors))?;
            let unknown = "admin.address has port 0, which the kernel chooses, and admin.socket is not set; name the \
                process with --admin";
            return AdminPlace::of(&config).ok_or_else(|| Failure::usage(unknown));
        }
        Ok(match Path::new(SOCKET).exists() {
            true => AdminPlace::Socket(SOCKET.into()),
            false => AdminPlace::Port(crate::config::defaults::ADMIN_ADDRESS.to_string()),
        })
    }

    /// A failure to ask it. A process that nobody named may be elsewhere.
    pub(super) fn failed(&self, mut failure: Failure) -> Failure {
        if self.is_default() {
            failure.text.push_str("; name the process with --admin or --config");
        }
        failure
    }
}

/// Where the process is.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// The admin port or socket of a running process: http://127.0.0.1:9180, or a path such as /run/ravelin/admin.sock.
    #[arg(long, value_name = "URL|SOCKET", value_parser = AdminPlace::parse, group = "configuration_or_process")]
    pub(super) admin: Option<AdminPlace>,
}

/// The admin port or the socket of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AdminPlace {
    /// Host and port.
    Port(String),
    Socket(PathBuf),
}

impl fmt::Display for AdminPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(authority) => write!(f, "http://{authority}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a process answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AdminAnswer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl AdminPlace {
    /// Reads what is behind `--admin`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fix = "write http://127.0.0.1:9180, or the path of the socket";
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Socket(path.trim_start_matches("//").into()));
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let authority = rest.trim_end_matches('/');
            let wrong = authority.is_empty() || authority.contains(['/', '@', '?']);
            return match wrong {
                true => Err(format!("a URL of host and port is needed; {fix}")),
                false => Ok(Self::Port(with_port(authority))),
            };
        }
        if text.starts_with("https://") {
            return Err(format!("the admin port speaks no TLS; {fix}"));
        }
        if text.contains('/') || Path::new(text).exists() {
            return Ok(Self::Socket(text.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(_) => Ok(Self::Port(text.to_owned())),
            Err(_) if text.contains(':') && !text.starts_with(':') => {
                Ok(Self::Port(text.to_owned()))
            }
            Err(_) => Err(format!("neither a URL nor a path; {fix}")),
        }
    }

    /// What a configuration says: the socket, if there is one, or else the port, on loopback where it is on every
    /// address. `None`: the port is chosen by the kernel, so that nobody knows it.
    pub(super) fn of(config: &Config) -> Option<Self> {
        if let Some(socket) = &config.admin.socket {
            return Some(Self::Socket(socket.clone()));
        }
        let mut address = config.admin.address;
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
            address.set_ip(loopback.parse().ok()?);
        }
        (address.port() != 0).then(|| Self::Port(address.to_string()))
    }

    /// One request and the whole answer, within `limit`.
    pub(super) fn get(
        &self,
        target: &str,
        limit: Duration,
        most: usize,
    ) -> io::Result<AdminAnswer> {
        let end = Instant::now() + limit;
        let mut socket = self.connect(limit)?;
        socket.set_write_timeout(Some(limit))?;
        send(&mut socket, target)?;
        let mut answer = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while answer.len() < most {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            socket.set_read_timeout(Some(left))?;
            match socket.read(&mut piece) {
                Ok(0) => return parse(&answer),
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            ErrorKind::InvalidData,
            format!("the answer is larger than {most} bytes"),
        ))
    }

    fn connect(&self, limit: Duration) -> io::Result<Socket> {
        match self {
            Self::Socket(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.connect_timeout(&SockAddr::unix(path)?, limit)?;
                Ok(socket)
            }
            Self::Port(authority) => {
                let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
                for address in authority.to_socket_addrs()? {
                    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
                    match socket.connect_timeout(&address.into(), limit) {
                        Ok(()) => return Ok(socket),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    /// A failure of the exchange, with what it means.
    pub(super) fn words(&self, error: &io::Error, limit: Duration) -> String {
        let meaning = match (error.kind(), self) {
            (ErrorKind::NotFound, Self::Socket(_)) => {
                "ravelin has not started fully, or has exited"
            }
            (ErrorKind::ConnectionRefused, Self::Socket(_)) => {
                "the process that created it has exited"
            }
            (ErrorKind::ConnectionRefused, Self::Port(_)) => {
                "nothing listens there: see admin.address"
            }
            (ErrorKind::ConnectionReset | ErrorKind::BrokenPipe, Self::Port(_)) => {
                "the address of this machine is not in admin.admit"
            }
            (ErrorKind::PermissionDenied, _) => "only its user and root may connect",
            // A read with a time limit says `WouldBlock`, and so does a queue that is full.
            (ErrorKind::TimedOut | ErrorKind::WouldBlock, _) => {
                return format!("no response within {} s", limit.as_secs());
            }
            _ => return error.to_string(),
        };
        format!("{error}; {meaning}")
    }

    /// The JSON of the status page under a name, such as `status`.
    pub(super) fn ask(&self, name: &str) -> Result<Value, Failure> {
        let body = self.page(&format!("/api/v1/{name}"))?;
        serde_json::from_slice(&body).map_err(|_| {
            self.unavailable("what answers is not the admin port of ravelin: see admin.address")
        })
    }

    /// What is served at a path, if it is served.
    pub(super) fn page(&self, target: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.get(target, LIMIT, MOST_BYTES);
        let answer = answer.map_err(|error| self.unavailable(&self.words(&error, LIMIT)))?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(self.refusal(&answer))
    }

    /// What the process says in the place of what was asked for.
    fn refusal(&self, answer: &AdminAnswer) -> Failure {
        let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let told = told.as_ref().and_then(|told| told["error"].as_str());
        let text =
            told.map_or_else(|| String::from_utf8_lossy(&answer.body).into_owned(), str::to_owned);
        match answer.status {
            400 => Failure::usage(text),
            404 => self.unavailable("it is an older version, which does not serve that"),
            status => self.unavailable(&format!("status {status}: {}", text.trim_end())),
        }
    }

    /// All entries of a list, part by part, and at most `most`.
    pub(super) fn list(&self, name: &str, most: usize) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut after = Some(0);
        while let Some(start) = after.filter(|_| items.len() < most) {
            let mut part = self.ask(&format!("{name}?limit={PART}&after={start}"))?;
            after = part["next"].as_u64().filter(|next| *next > start);
            if let Value::Array(more) = part["items"].take() {
                items.extend(more);
            }
        }
        items.truncate(most);
        Ok(items)
    }

    fn unavailable(&self, text: &str) -> Failure {
        Failure { code: UNAVAILABLE, text: format!("no answer from {self}: {text}") }
    }
}

/// Sends a request. HTTP/1.0: the answer ends with the connection, and comes in no chunks. We are no browser that could be
/// lured, so the host is one that the page accepts.
fn send(socket: &mut Socket, target: &str) -> io::Result<()> {
    let request = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    socket.write_all(request.as_bytes())
}

/// A host with the default port, if it names none.
fn with_port(authority: &str) -> String {
    let bare = authority.rsplit(']').next().unwrap_or_default();
    match bare.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:{}", crate::config::defaults::ADMIN_ADDRESS.port()),
    }
}

/// Status and body of a response that ends with its connection.
fn parse(answer: &[u8]) -> io::Result<AdminAnswer> {
    let wrong = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(answer).map_err(|_| wrong("not HTTP"))?;
    let httparse::Status::Complete(length) = parsed else { return Err(wrong("not HTTP")) };
    let body = answer.get(length..).unwrap_or_default().to_vec();
    let told = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let told = told.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told != body.len()) {
        return Err(wrong("the answer broke off"));
    }
    Ok(AdminAnswer { status: head.code.unwrap_or_default(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_a_status_and_a_body() {
        let answer = b"HTTP/1.0 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nleaving\n";
        let expected = AdminAnswer { status: 503, body: b"leaving\n".to_vec() };
        assert_eq!(parse(answer).expect("HTTP"), expected);
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n";
        let short = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab";
        for answer in
            [&b""[..], b"hello\r\n\r\n", b"HTTP/1.1 2\r\n\r\n", b"HTTP/1.1 \xff\xff", cut, short]
        {
            assert!(parse(answer).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn a_place_is_a_url_or_a_path() {
        let port = |text: &str| Ok(AdminPlace::Port(text.to_owned()));
        let socket = |text: &str| Ok(AdminPlace::Socket(text.into()));
        for (text, expected) in [
            ("http://127.0.0.1:9180", port("127.0.0.1:9180")),
            ("http://node-1/", port("node-1:9180")),
            ("http://[::1]", port("[::1]:9180")),
            ("[::1]:9180", port("[::1]:9180")),
            ("node-1:9180", port("node-1:9180")),
            ("/run/admin.sock", socket("/run/admin.sock")),
            ("./admin.sock", socket("./admin.sock")),
            ("unix:/run/admin.sock", socket("/run/admin.sock")),
            ("unix:///run/admin.sock", socket("/run/admin.sock")),
        ] {
            assert_eq!(AdminPlace::parse(text), expected, "{text}");
        }
        for (text, expected) in [
            ("https://node-1:9180", "the admin port speaks no TLS"),
            ("http://node-1:9180/metrics", "a URL of host and port is needed"),
            ("http://a@node-1:9180", "a URL of host and port is needed"),
            ("http://", "a URL of host and port is needed"),
            ("nowhere", "neither a URL nor a path"),
        ] {
            let error = AdminPlace::parse(text).expect_err("a mistake");
            assert!(error.starts_with(expected) && error.contains("write http://"), "{error}");
        }
    }
}
