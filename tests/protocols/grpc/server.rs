//! tonic as the server: a few methods, and what became of the calls of them.

use super::codec::Raw;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::Response as HttpResponse;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, oneshot, watch};
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::Grpc;
use tonic::transport;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

/// The largest message, in bytes; tonic's own limit is 4 MiB.
pub(super) const LARGEST: usize = 8 * 1024 * 1024;
/// Calls of `/t.Calls/Gather` that wait for each other.
pub(super) const CROWD: usize = 200;

type Messages = BoxStream<'static, Result<Bytes, Status>>;

/// A running server; gone when dropped.
pub(super) struct Server {
    addr: SocketAddr,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What has happened so far, and what is to happen.
struct Seen {
    connections: AtomicUsize,
    /// Calls that were begun, and those of them that were given up.
    begun: AtomicUsize,
    cancelled: AtomicUsize,
    /// Bytes of messages handed to HTTP/2.
    sent: AtomicU64,
    metadata: Mutex<Vec<MetadataMap>>,
    go: watch::Sender<bool>,
    crowd: Barrier,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(transport::Server::builder())
    }

    /// With settings of its own.
    pub(super) fn with(settings: transport::Server) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            metadata: Mutex::default(),
            go: watch::Sender::new(false),
            crowd: Barrier::new(CROWD),
        });
        let (counted, served) = (Arc::clone(&seen), Arc::clone(&seen));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let count = move |_: &_| _ = counted.connections.fetch_add(1, Ordering::Relaxed);
            let incoming = TcpIncoming::from(listener).inspect(count);
            let service = tower::service_fn(move |request| serve(Arc::clone(&served), request));
            runtime.block_on(async {
                tokio::select! {
                    ended = settings.serve_with_incoming(service, incoming) => ended.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Self { addr, seen, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Bytes of messages that were handed to HTTP/2 so far.
    pub(super) fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::Relaxed)
    }

    /// Calls that were begun so far, of the methods that wait.
    pub(super) fn begun(&self) -> usize {
        self.seen.begun.load(Ordering::Relaxed)
    }

    /// Has the calls that wait go on.
    pub(super) fn go(&self) {
        self.seen.go.send_replace(true);
    }

    /// Calls of those methods that the other side gave up.
    pub(super) fn cancelled(&self) -> usize {
        self.seen.cancelled.load(Ordering::Relaxed)
    }

    /// Metadata of the last call.
    pub(super) fn metadata(&self) -> MetadataMap {
        let metadata = self.seen.metadata.lock().expect("no holder panics");
        metadata.last().expect("a call").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

/// A call that waits. Dropped before its end, it was cancelled.
struct Call {
    seen: Arc<Seen>,
    ended: bool,
}

impl Call {
    fn begin(seen: Arc<Seen>) -> Self {
        seen.begun.fetch_add(1, Ordering::Relaxed);
        Self { seen, ended: false }
    }

    /// Waits until the test lets it go on, or for the deadline of the call.
    async fn wait(&mut self, deadline: Option<Duration>) -> Result<Bytes, Status> {
        let mut go = self.seen.go.subscribe();
        let gone = tokio::time::timeout(deadline.unwrap_or(Duration::MAX), go.wait_for(|go| *go));
        let result = gone.await.map(|_| Bytes::from_static(b"ended"));
        self.ended = true;
        result.map_err(|_| Status::deadline_exceeded("as you asked"))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.seen.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn serve(
    seen: Arc<Seen>,
    request: http::Request<Body>,
) -> Result<HttpResponse<Body>, Infallible> {
    let metadata = MetadataMap::from_headers(request.headers().clone());
    seen.metadata.lock().expect("no holder panics").push(metadata);
    let mut grpc = Grpc::new(Raw).max_decoding_message_size(LARGEST);
    let path = request.uri().path().to_owned();
    let with = move || Arc::clone(&seen);
    let seen = with();
    Ok(match &*path {
        "/t.Calls/Unary" => grpc.unary(tower::service_fn(unary), request).await,
        "/t.Calls/Never" => {
            let never = tower::service_fn(move |_: Request<Bytes>| never(with()));
            grpc.unary(never, request).await
        }
        "/t.Calls/Gather" => {
            let gather = tower::service_fn(move |request| gather(with(), request));
            grpc.unary(gather, request).await
        }
        "/t.Calls/Down" => {
            let down = tower::service_fn(move |request| down(with(), request));
            grpc.server_streaming(down, request).await
        }
        "/t.Calls/ListenerHandle" => {
            let hold = tower::service_fn(move |request| hold(with(), request));
            grpc.server_streaming(hold, request).await
        }
        "/t.Calls/Up" => grpc.client_streaming(tower::service_fn(up), request).await,
        "/t.Calls/Both" => {
            let both = tower::service_fn(move |request| both(Arc::clone(&seen), request));
            grpc.streaming(both, request).await
        }
        _ => Status::unimplemented("no such method").into_http(),
    })
}

/// Answers with message and metadata of the request, or with an error if it asks for that.
async fn unary(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let (metadata, _, message) = request.into_parts();
    let mut back = MetadataMap::new();
    if let Some(value) = metadata.get("x-asked") {
        back.insert("x-told", value.clone());
    }
    if let Some(value) = metadata.get_bin("x-asked-bin") {
        back.insert_bin("x-told-bin", value.clone());
    }
    if message == "fail" {
        let (code, details) = (Code::FailedPrecondition, Bytes::from_static(&[0, 1, 0xff]));
        return Err(Status::with_details_and_metadata(code, "50 % für nichts\n", details, back));
    }
    Ok(Response::from_parts(back, message, http::Extensions::new()))
}

async fn never(seen: Arc<Seen>) -> Result<Response<Bytes>, Status> {
    Call::begin(seen).wait(None).await.map(Response::new)
}

/// Answers when there is a crowd of calls.
async fn gather(seen: Arc<Seen>, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    seen.crowd.wait().await;
    Ok(Response::new(request.into_inner()))
}

/// As many messages of as many bytes as the request says, and trailers.
async fn down(seen: Arc<Seen>, request: Request<Bytes>) -> Result<Response<Messages>, Status> {
    let text = str::from_utf8(request.get_ref()).expect("UTF-8");
    let (count, size) = text.split_once(' ').expect("count and size");
    let (count, size): (usize, usize) =
        (count.parse().expect("a number"), size.parse().expect("a number"));
    let message = Bytes::from(vec![b'x'; size]);
    let messages = stream::iter(0..count).map(move |_| {
        seen.sent.fetch_add(size as u64, Ordering::Relaxed);
        Ok(message.clone())
    });
    let mut trailers = MetadataMap::new();
    trailers.insert("x-sum", MetadataValue::from(count * size));
    trailers.insert_bin("x-sum-bin", MetadataValue::from_bytes(&[7, 0, 0xff]));
    // The way that tonic has for trailers of a call that went well.
    let end = Err(Status::with_metadata(Code::Ok, "", trailers));
    Ok(Response::new(messages.chain(stream::iter([end])).boxed()))
}

/// A message at once, and another when it is let go or its deadline has passed.
async fn hold(seen: Arc<Seen>, request: Request<Bytes>) -> Result<Response<Messages>, Status> {
    let deadline = request.metadata().get("grpc-timeout").map(timeout);
    let mut call = Call::begin(seen);
    let begun = stream::iter([Ok(Bytes::from_static(b"begun"))]);
    let ended = stream::once(async move { call.wait(deadline).await });
    Ok(Response::new(begun.chain(ended).boxed()))
}

/// A deadline ("gRPC over HTTP2", Requests).
fn timeout(value: &MetadataValue<tonic::metadata::Ascii>) -> Duration {
    let (number, unit) = value.to_str().expect("ASCII").split_at(value.len() - 1);
    let number = number.parse().expect("a number");
    match unit {
        "u" => Duration::from_micros(number),
        "m" => Duration::from_millis(number),
        "n" => Duration::from_nanos(number),
        _ => Duration::from_secs(number),
    }
}

/// Tells how many messages came, and how many bytes.
async fn up(request: Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let mut messages = request.into_inner();
    let (mut count, mut bytes) = (0, 0);
    while let Some(message) = messages.message().await? {
        count += 1;
        bytes += message.len();
    }
    Ok(Response::new(Bytes::from(format!("{count} {bytes}"))))
}

/// Sends every message back.
async fn both(
    seen: Arc<Seen>,
    request: Request<Streaming<Bytes>>,
) -> Result<Response<Messages>, Status> {
    let state = (Call::begin(seen), request.into_inner());
    let back = stream::unfold(state, |(mut call, mut messages)| async move {
        let message = messages.message().await.transpose();
        call.ended = message.is_none();
        message.map(|message| (message, (call, messages)))
    });
    Ok(Response::new(back.boxed()))
}
