//! The backends of the demo: servers that answer with their name and with what they were sent.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use tokio::runtime::{Builder, LocalOptions};

/// Binds `port` on loopback, or any free port if it is taken.
pub(super) fn bind(port: u16) -> io::Result<TcpListener> {
    let on = |port| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)));
    let listener = on(port).or_else(|_| on(0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves as `name` on a thread of its own, for as long as the process lives.
pub(super) fn serve(name: &'static str, listener: TcpListener) -> io::Result<()> {
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
                    let service = service_fn(move |request| async move {
                        Ok::<_, Infallible>(echo(name, &request))
                    });
                    let connection =
                        http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    // The proxy closes connections as it likes.
                    tokio::task::spawn_local(async move { drop(connection.await) });
                }
            }
        });
    })?;
    Ok(())
}

fn echo(name: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
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
