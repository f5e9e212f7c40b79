//! `ravelin probe`: asks the process of this container, over a socket in the file system.
//!
//! The kubelet runs it (an exec probe). It reads no Kubernetes and starts no runtime: it is run every
//! few seconds, and within the pod's limits.

use super::{Failure, say};
use crate::config::Config;
use clap::ValueEnum;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For the whole exchange. Shorter than the `timeoutSeconds` of the probes in `deploy/`, so that the
/// reason is told before the kubelet gives up.
const LIMIT: Duration = Duration::from_secs(2);

/// Longest answer that is read, in bytes: a reason is a few lines.
const ANSWER_BYTES: usize = 64 * 1024;

/// The question to the admin port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Question {
    /// May requests be sent here?
    Ready,
    /// Does it run at all?
    Live,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Ready => "/readyz",
            Self::Live => "/livez",
        }
    }
}

/// Prints the answer. 0 for yes, 1 for no.
pub(super) fn probe(
    question: Question,
    socket: Option<PathBuf>,
    config: Option<&Path>,
) -> Result<u8, Failure> {
    let socket = match (socket, config) {
        (Some(socket), _) => socket,
        (None, Some(config)) => configured(config)?,
        (None, None) => {
            return Err(Failure::usage("no socket; name it with --socket PATH or --config FILE"));
        }
    };
    let answer = ask(&socket, question.path()).and_then(|text| parse(&text));
    let (status, body) = answer.map_err(|error| Failure {
        code: 1,
        text: format!("no response over {}: {}", socket.display(), reason(&error)),
    })?;
    say(&body)?;
    Ok(u8::from(status != 200))
}

fn configured(config: &Path) -> Result<PathBuf, Failure> {
    let config = Config::load(config).map_err(|errors| super::run::config_failure(&errors))?;
    let missing = "admin.socket is not set in the configuration; set it, or use --socket PATH";
    config.admin.socket.ok_or_else(|| Failure::usage(missing))
}

/// One request and the whole answer.
fn ask(path: &Path, target: &str) -> io::Result<Vec<u8>> {
    let end = Instant::now() + LIMIT;
    let mut socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect_timeout(&SockAddr::unix(path)?, LIMIT)?;
    socket.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < ANSWER_BYTES {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Status and body of a response that ends with its connection.
fn parse(answer: &[u8]) -> io::Result<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "not HTTP"))?;
    Ok((status, body.to_owned()))
}

/// An error, with what it means here.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("{error}; ravelin has not started fully, or has exited"),
        ErrorKind::ConnectionRefused => format!("{error}; the process that created it has exited"),
        ErrorKind::PermissionDenied => format!("{error}; only its user and root may connect"),
        // A read with a time limit says `WouldBlock`, and so does a queue that is full.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("no response within {} s", LIMIT.as_secs())
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_a_status_and_a_body() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nleaving\n";
        assert_eq!(parse(answer).expect("HTTP"), (503, "leaving\n".to_owned()));
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n";
        for answer in [&b""[..], b"hello\r\n\r\n", b"HTTP/1.1 2\r\n\r\n", b"HTTP/1.1 \xff\xff", cut]
        {
            assert!(parse(answer).is_err(), "{answer:?}");
        }
    }
}
