//! A backend that resets its streams midway, with the code that a test asks for.

use crate::support::eventually;
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::Response;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// A running backend; gone when dropped.
pub(super) struct Resetting {
    addr: SocketAddr,
    go: watch::Sender<bool>,
    requests: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Resetting {
    /// Answers each request with the begin of a body, and resets its stream when told to.
    pub(super) fn start(reason: Reason) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (go, wait) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, &wait, &counted, reason) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr, go, requests, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets the streams that there are, and those to come.
    pub(super) fn reset(&self) {
        self.go.send(true).expect("the backend listens");
    }

    pub(super) fn await_requests(&self, count: usize) {
        eventually("requests at the backend", || {
            (self.requests.load(Ordering::Relaxed) >= count).then_some(())
        });
    }
}

impl Drop for Resetting {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: TcpListener,
    go: &watch::Receiver<bool>,
    requests: &Arc<AtomicUsize>,
    reason: Reason,
) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(connection(socket, go.clone(), Arc::clone(requests), reason));
    }
}

async fn connection(
    socket: TcpStream,
    go: watch::Receiver<bool>,
    requests: Arc<AtomicUsize>,
    reason: Reason,
) {
    let mut connection = h2::server::handshake(socket).await.expect("HTTP/2");
    let mut answers = JoinSet::new();
    while let Some(Ok((_, respond))) = connection.accept().await {
        requests.fetch_add(1, Ordering::Relaxed);
        answers.spawn(answer(respond, go.clone(), reason));
    }
}

async fn answer(mut respond: SendResponse<Bytes>, mut go: watch::Receiver<bool>, reason: Reason) {
    let mut stream = respond.send_response(Response::new(()), false).expect("an open stream");
    stream.send_data(Bytes::from_static(b"part"), false).expect("an open stream");
    // The test may be over.
    let _ = go.wait_for(|go| *go).await;
    stream.send_reset(reason);
}
