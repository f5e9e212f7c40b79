//! The API of a server, raw: requests with JSON, and watches.

use crate::plane::connection::{Connection, Request, Response};
use rustls::ClientConfig;
use serde_json::Value;
use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Connections that are kept for the next request.
const KEPT: usize = 64;

/// A client of one server. Any number of threads may use it, each request a connection of its own
/// while it lasts.
pub(crate) struct Api {
    to: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
    idle: Mutex<Vec<Connection>>,
}

impl Api {
    /// Connects to nothing yet. With `token`, that is sent with every request.
    pub(crate) fn new(
        to: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
        token: Option<String>,
    ) -> Self {
        Self { to, tls, token, idle: Mutex::default() }
    }

    /// Asks, and returns the whole answer whatever its status.
    pub(crate) fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<Response> {
        let body = body.map(Value::to_string);
        let request = Request { method, path, token: self.token.as_deref(), body };
        let kept = self.idle.lock().expect("whole").pop();
        // The server may have ended it meanwhile, or may be another one.
        if let Some(mut connection) = kept
            && let Ok(response) = connection.exchange(&request)
        {
            self.keep(connection);
            return Ok(response);
        }
        let mut connection = Connection::open(self.to, self.tls.as_ref())?;
        let response = connection.exchange(&request)?;
        self.keep(connection);
        Ok(response)
    }

    /// The same, from a server that has to answer.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        let answer = self.try_request(method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Opens a watch: a path with `watch=true`.
    pub(crate) fn watch(&self, path: &str) -> Watch {
        let mut connection = Connection::open(self.to, self.tls.as_ref()).expect("it answers");
        let socket = connection.socket().expect("an open socket");
        // Silence is what a watch is about.
        socket.set_read_timeout(None).expect("an open socket");
        let (sender, heard) = channel();
        let (path, token) = (path.to_owned(), self.token.clone());
        thread::spawn(move || {
            let token = token.as_deref();
            let request = Request { method: "GET", path: &path, token, body: None };
            let end = read_events(&mut connection, &request, |event| sender.send(event).is_ok());
            // The test may be over.
            let _ = sender.send(end);
        });
        Watch { heard, socket }
    }

    /// The certificate that the server shows to a new connection, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let connection = Connection::open(self.to, self.tls.as_ref()).expect("it answers");
        connection.certificate().expect("a server with TLS").to_owned()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().expect("whole");
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

/// What a watch brings.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// An event as it came: `type` and `object`.
    Event(Value),
    /// Another status than 200, with the body.
    Refused(u16, String),
    /// Nothing for as long as was waited.
    Silence,
    /// The server has ended the watch as it should.
    End,
    /// The stream has ended without an end.
    Cut,
}

/// An open watch. It is closed when this is dropped.
pub(crate) struct Watch {
    heard: Receiver<Heard>,
    socket: TcpStream,
}

impl Watch {
    /// The next that comes within some time.
    pub(crate) fn next(&self, within: Duration) -> Heard {
        match self.heard.recv_timeout(within) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::Cut,
        }
    }

    /// Waits for an event that is what is looked for, and returns its object.
    pub(crate) fn until(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        loop {
            match self.next(crate::PATIENCE) {
                Heard::Event(mut event) if is_it(&event["object"]) => {
                    return event["object"].take();
                }
                Heard::Event(_) => {}
                other => panic!("the watch brings no {what}: {other:?}"),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn read_events(
    connection: &mut Connection,
    request: &Request<'_>,
    mut tell: impl FnMut(Heard) -> bool,
) -> Heard {
    let Ok((status, body)) = connection.ask(request) else { return Heard::Cut };
    let mut lines = BufReader::new(body).lines();
    if status != 200 {
        let text: Result<Vec<String>, _> = lines.collect();
        return text.map_or(Heard::Cut, |text| Heard::Refused(status, text.join("\n")));
    }
    loop {
        match lines.next() {
            None => return Heard::End,
            Some(Err(_)) => return Heard::Cut,
            Some(Ok(line)) => {
                // Half a line is what a cut leaves.
                let Ok(event) = serde_json::from_str(&line) else { return Heard::Cut };
                if !tell(Heard::Event(event)) {
                    return Heard::End;
                }
            }
        }
    }
}
