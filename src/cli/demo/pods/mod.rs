//! The pods of the demo: servers that answer with their name and with what they were sent.

mod grpc;
mod websocket;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};

/// What a pod speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// HTTP/1.1 and WebSocket.
    Http,
    /// gRPC, over HTTP/2 without TLS.
    Grpc,
}

/// Name and protocol of each pod, and the port that the sample EndpointSlices give.
const PODS: [(&str, u16, Speaks); 4] = [
    ("blue", 18081, Speaks::Http),
    ("green", 18082, Speaks::Http),
    ("admin", 18083, Speaks::Http),
    ("grpc", 18084, Speaks::Grpc),
];

/// A pod that serves for as long as the process lives.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: &'static str,
    /// Its port as it is written in the samples.
    pub(super) written: u16,
    /// Its real port.
    pub(super) port: u16,
}

/// Starts all of them, each on a thread of its own.
pub(super) fn start() -> io::Result<Vec<Pod>> {
    let each = PODS.iter().map(|&(name, written, speaks)| {
        let listener = bind(written)?;
        let port = listener.local_addr()?.port();
        serve(name, speaks, listener)?;
        Ok(Pod { name, written, port })
    });
    each.collect()
}

/// Binds `port` on loopback, or any free port if it is taken.
fn bind(port: u16) -> io::Result<TcpListener> {
    let on = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = on(port).or_else(|_| on(0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn serve(name: &'static str, speaks: Speaks, listener: TcpListener) -> io::Result<()> {
    let runtime = Builder::new_current_thread;
    thread::Builder::new().name(format!("echo-{name}")).spawn(move || {
        let Ok(runtime) = runtime().enable_all().build_local(LocalOptions::default()) else {
            return;
        };
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            loop {
                if let Ok((socket, _)) = listener.accept().await {
                    tokio::task::spawn_local(converse(name, speaks, socket));
                }
            }
        });
    })?;
    Ok(())
}

/// Serves one connection. The proxy closes it as it likes.
async fn converse(name: &'static str, speaks: Speaks, socket: TcpStream) {
    let socket = TokioIo::new(socket);
    match speaks {
        Speaks::Http => {
            let service =
                service_fn(move |request| async move { Ok::<_, Infallible>(echo(name, request)) });
            drop(http1::Builder::new().serve_connection(socket, service).with_upgrades().await);
        }
        Speaks::Grpc => {
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(grpc::call(request).await) });
            drop(http2::Builder::new(OnThisThread).serve_connection(socket, service).await);
        }
    }
}

/// Runs the streams of a connection of HTTP/2 on the thread of its pod.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(stream);
    }
}

fn echo(name: &'static str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Some(key) = websocket::key(&request) {
        return websocket::accept(name, request, &key);
    }
    let mut page = format!("{name}: {} {}\n", request.method(), request.uri());
    for (field, value) in request.headers() {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "  {field}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let mut response = Response::new(Full::new(page.into()));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
