//! Backends that nobody wrote for these tests. They answer with what they got.

use crate::support::{Served, program};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

/// Fields or trailers: name and value, as the backend has them.
pub(super) type Seen = Vec<(String, String)>;

/// Both end with their standard input, so that none outlives the tests.
const NODE: &str = r"
const server = require('http').createServer((request, response) => {
  request.resume().on('end', () => response.end(JSON.stringify(
    {fields: request.rawHeaders, trailers: request.rawTrailers})));
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit());
";

/// The environment of the process is in that of a WSGI request: it must not look like fields.
const WSGI: &str = r"
import json, os, sys, threading
for name in [name for name in os.environ if name.startswith('HTTP_')]:
    del os.environ[name]
from wsgiref.simple_server import make_server
def answer(environ, start):
    start('200 OK', [])
    fields = [text for name in environ if name.startswith('HTTP_')
              for text in (name, environ[name])]
    return [json.dumps({'fields': fields, 'trailers': []}).encode()]
server = make_server('127.0.0.1', 0, answer)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
";

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Node's: fields as they came, each of several with one name, and trailers.
    Node,
    /// Python's for WSGI: fields by their names in CGI, where hyphen and underscore are one.
    Wsgi,
}

impl Kind {
    /// The name that it has in Ingresses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Wsgi => "wsgi",
        }
    }

    /// A field as this server is to have it.
    pub(super) fn spells(self, name: &str) -> String {
        match self {
            Self::Node => name.to_owned(),
            Self::Wsgi => format!("HTTP_{}", name.to_uppercase().replace('-', "_")),
        }
    }
}

/// A running server; killed when dropped.
pub(super) struct Backend {
    pub(super) kind: Kind,
    pub(super) addr: SocketAddr,
    _server: Served,
}

impl Backend {
    /// Starts it, or says that it is not installed.
    pub(super) fn start(kind: Kind) -> Option<Self> {
        let (name, option, script) = match kind {
            Kind::Node => ("node", "-e", NODE),
            Kind::Wsgi => ("python3", "-c", WSGI),
        };
        let server = Served::start(Command::new(program(name)?).args([option, script]));
        Some(Self { kind, addr: server.addr(), _server: server })
    }

    /// What an answer says, sorted: fields and trailers.
    pub(super) fn seen(body: &str) -> (Seen, Seen) {
        let body: Value = serde_json::from_str(body).expect("JSON");
        let pairs = |key: &str| {
            let list = body[key].as_array().expect("a list");
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let pairs = list.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1])));
            let mut pairs: Seen = pairs.collect();
            pairs.sort();
            pairs
        };
        (pairs("fields"), pairs("trailers"))
    }
}
