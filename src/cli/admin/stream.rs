//! An answer of the admin side that has no end: the access log as it is written.

use super::{AdminPlace, LIMIT, parse, send};
use crate::cli::Failure;
use socket2::Socket;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

/// Longest head of an answer, and longest answer that is an error, in bytes.
const MOST_HEAD: usize = 64 * 1024;

/// The process sends something at least each three seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// The body of such an answer, as it comes.
pub(in crate::cli) struct AdminStream {
    socket: Socket,
    /// What came together with the head.
    begun: Vec<u8>,
}

impl AdminPlace {
    /// Asks for what is served at a path, and returns its body as it comes.
    pub(in crate::cli) fn follow(&self, target: &str) -> Result<AdminStream, Failure> {
        let failed = |error: io::Error| self.unavailable(&self.words(&error, LIMIT));
        let mut socket = self.connect(LIMIT).map_err(failed)?;
        let timed = socket.set_write_timeout(Some(LIMIT));
        timed.and_then(|()| socket.set_read_timeout(Some(SILENCE))).map_err(failed)?;
        send(&mut socket, target).map_err(failed)?;
        let mut answer = Vec::new();
        loop {
            if !read_more(&mut socket, &mut answer).map_err(failed)? {
                break;
            }
            if let Some(length) = head_of_success(&answer) {
                let begun = answer.split_off(length);
                return Ok(AdminStream { socket, begun });
            }
            if answer.len() > MOST_HEAD {
                break;
            }
        }
        let answer = parse(&answer).map_err(failed)?;
        Err(self.refusal(&answer))
    }
}

/// The length of a whole head with status 200.
fn head_of_success(answer: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) if head.code == Some(200) => Some(length),
        _ => None,
    }
}

/// Returns false at the end.
fn read_more(socket: &mut Socket, answer: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 4096];
    loop {
        match socket.read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(length) => {
                answer.extend_from_slice(&piece[..length]);
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Read for AdminStream {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.begun.is_empty() {
            return self.socket.read(piece);
        }
        let length = self.begun.as_slice().read(piece)?;
        self.begun.drain(..length);
        Ok(length)
    }
}
