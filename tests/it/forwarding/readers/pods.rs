//! Pods that tell what they have read, in lines `KIND hex [hex]`.

use crate::support::{Message, Served, Upstream, go_program, program};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;

/// Somebody who can be asked.
pub(super) trait Pod {
    fn addr(&self) -> SocketAddr;
}

/// What was read, to be told.
#[derive(Default)]
struct Told(String);

impl Told {
    fn line(&mut self, kind: char, words: &[&[u8]]) {
        self.0.push(kind);
        for word in words {
            self.0.push(' ');
            for byte in *word {
                write!(self.0, "{byte:02x}").expect("a string takes everything");
            }
        }
        self.0.push('\n');
    }
}

/// The reader of these tests.
pub(super) fn strict() -> Upstream {
    Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            let text = told(&request);
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nX-Pod: strict\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            ));
        }
    })
}

fn told(request: &Message) -> String {
    let mut told = Told::default();
    told.line('M', &[request.method().as_bytes()]);
    told.line('T', &[request.target().as_bytes()]);
    for (name, value) in &request.fields {
        told.line('F', &[name.as_bytes(), value.as_bytes()]);
    }
    told.line('B', &[&request.body]);
    for (name, value) in &request.trailers {
        told.line('X', &[name.as_bytes(), value.as_bytes()]);
    }
    told.0
}

/// hyper, for as long as the tests run.
pub(super) struct Hyper(SocketAddr);

impl Pod for Hyper {
    fn addr(&self) -> SocketAddr {
        self.0
    }
}

/// Starts hyper.
pub(super) fn by_hyper() -> Hyper {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket");
    thread::spawn(move || {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().build_local(tokio::runtime::LocalOptions::default());
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let server = hyper::server::conn::http1::Builder::new();
                let connection = server.serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::task::spawn_local(connection);
            }
        });
    });
    Hyper(addr)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut told = Told::default();
    told.line('M', &[head.method.as_str().as_bytes()]);
    told.line('T', &[head.uri.to_string().as_bytes()]);
    for (name, value) in &head.headers {
        told.line('F', &[name.as_str().as_bytes(), value.as_bytes()]);
    }
    let mut response = Response::new(Full::default());
    match body.collect().await {
        Ok(whole) => {
            let trailers = whole.trailers().cloned().unwrap_or_default();
            told.line('B', &[&whole.to_bytes()]);
            for (name, value) in &trailers {
                told.line('X', &[name.as_str().as_bytes(), value.as_bytes()]);
            }
            *response.body_mut() = Full::from(told.0);
        }
        Err(_) => *response.status_mut() = hyper::StatusCode::BAD_REQUEST,
    }
    response.headers_mut().insert("x-pod", hyper::header::HeaderValue::from_static("hyper"));
    Ok(response)
}

impl Pod for Served {
    fn addr(&self) -> SocketAddr {
        Self::addr(self)
    }
}

/// Node's server.
pub(super) struct Node;

impl Node {
    /// Starts it, or says that it is not installed.
    pub(super) fn start() -> Option<Served> {
        Some(Served::start(Command::new(program("node")?).args(["-e", NODE])))
    }
}

const NODE: &str = r"
const hex = text => Buffer.from(text, 'latin1').toString('hex');
const server = require('http').createServer((request, response) => {
  const pieces = [];
  request.on('data', piece => pieces.push(piece)).on('end', () => {
    const pairs = (kind, list) => list.map((text, at) =>
      at % 2 ? ' ' + hex(text) + '\n' : kind + ' ' + hex(text)).join('');
    const told = 'M ' + hex(request.method) + '\nT ' + hex(request.url) + '\n' +
      pairs('F', request.rawHeaders) + 'B ' + Buffer.concat(pieces).toString('hex') + '\n' +
      pairs('X', request.rawTrailers);
    response.writeHead(200, {'X-Pod': 'node', 'Content-Length': told.length}).end(told);
  });
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit());
";

/// Go's server.
pub(super) struct Go;

impl Go {
    /// Starts it, or says that it is not built.
    pub(super) fn start() -> Option<Served> {
        let program = go_program("tests/it/forwarding/readers/go_pod")?;
        Some(Served::start(&mut Command::new(program)))
    }
}
