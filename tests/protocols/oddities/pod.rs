//! A pod that records what it gets, by a strict reader of its protocol.

use super::Spoken;
use crate::support::Upstream;
use bytes::Bytes;
use http::{HeaderMap, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A request as the pod got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) target: String,
    /// Sorted; the pseudo-header fields are not among them.
    pub(super) fields: Vec<String>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<String>,
}

/// A running pod; gone when dropped.
pub(super) enum Pod {
    Http1(Upstream),
    Http2 { addr: SocketAddr, requests: Requests, _stop: Stop },
}

type Requests = Arc<Mutex<Vec<Recorded>>>;

pub(super) struct Stop(Option<oneshot::Sender<()>>, Option<JoinHandle<()>>);

impl Pod {
    /// Answers every request with 200.
    pub(super) fn start(spoken: Spoken) -> Self {
        if spoken == Spoken::Http1 {
            return Self::Http1(Upstream::saying("ok"));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let requests = Requests::default();
        let (stop, stopped) = oneshot::channel();
        let record = Arc::clone(&requests);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, &record) => {}
                    _ = stopped => {}
                }
            });
        });
        Self::Http2 { addr, requests, _stop: Stop(Some(stop), Some(thread)) }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        match self {
            Self::Http1(upstream) => upstream.addr(),
            Self::Http2 { addr, .. } => *addr,
        }
    }

    /// The request that came last, and how many have come.
    pub(super) fn last(&self) -> (usize, Recorded) {
        match self {
            Self::Http1(upstream) => {
                let requests = upstream.requests();
                let text = |(name, value): &(String, String)| format!("{name}: {value}");
                let last = requests.last().map(|last| Recorded {
                    target: last.target().to_owned(),
                    fields: last.sorted_fields(),
                    body: last.body.clone(),
                    trailers: last.trailers.iter().map(text).collect(),
                });
                (requests.len(), last.unwrap_or_default())
            }
            Self::Http2 { requests, .. } => {
                let requests = requests.lock().expect("no holder panics");
                (requests.len(), requests.last().cloned().unwrap_or_default())
            }
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        drop(self.0.take());
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, requests: &Requests) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(converse(socket, Arc::clone(requests)));
    }
}

async fn converse(socket: TcpStream, requests: Requests) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let requests = Arc::clone(&requests);
        streams.spawn(async move {
            let (head, mut incoming) = request.into_parts();
            let mut recorded = Recorded {
                target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                fields: sorted(&head.headers),
                ..Recorded::default()
            };
            while let Some(Ok(bytes)) = incoming.data().await {
                recorded.body.extend_from_slice(&bytes);
                let _ = incoming.flow_control().release_capacity(bytes.len());
            }
            let Ok(trailers) = incoming.trailers().await else { return };
            recorded.trailers = trailers.as_ref().map(sorted).unwrap_or_default();
            requests.lock().expect("no holder panics").push(recorded);
            if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
                let _ = stream.send_data(Bytes::from_static(b"ok"), true);
            }
        });
    }
}

fn sorted(fields: &HeaderMap) -> Vec<String> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut all: Vec<_> = fields.iter().map(|(n, v)| format!("{n}: {}", text(v))).collect();
    all.sort();
    all
}
