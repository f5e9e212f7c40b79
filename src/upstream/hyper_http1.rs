//! HTTP/1.1 to the pods by hyper, as before `http1`: kept for one version, behind `http1 = "hyper"`.

use super::attempt::Attempt;
use super::connect::{EndpointStream, MOST_ANSWER_FIELDS, RESPONSE_HEAD_BYTES};
use super::http1::Keep;
use super::pool::{Lent, Pooled};
use super::reply::ReplyBody;
use super::retry::Unanswered;
use super::socket::Record;
use super::{Kind, Lease};
use crate::error::Reason;
use crate::net::addr::EndpointAddr;
use crate::net::fields::Fields;
use crate::net::message::{Request, Response};
use crate::net::stream::InPieces;
use crate::upstream::body::RequestBody;
use http::header;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// A connection and the task that drives it.
#[derive(Debug)]
pub(super) struct HyperConnection {
    sender: SendRequest<RequestBody>,
    driver: AbortHandle,
    record: Arc<Record>,
    /// Nothing at all was written on it yet.
    is_unused: bool,
    /// How long its pod keeps it, by its last answer.
    keep: Keep,
    /// Where on the connection its request begins.
    mark: u64,
    /// Whether its request is the first thing on the connection.
    is_first: bool,
}

/// A request that was not sent, or not answered.
type NotSent = TrySendError<http::Request<RequestBody>>;

impl HyperConnection {
    /// A new one, on which no request was sent. `None` if it could not be begun.
    pub(super) async fn new(addr: EndpointAddr, stream: EndpointStream) -> Option<Self> {
        let (record, is_unused) = (stream.record(), matches!(stream, EndpointStream::Plain(_)));
        let handshake = http1::Builder::new()
            .max_buf_size(RESPONSE_HEAD_BYTES as usize)
            .max_headers(MOST_ANSWER_FIELDS)
            .handshake(TokioIo::new(InPieces::of_answers(stream)))
            .await;
        let (sender, connection) = handshake.ok()?;
        let driver = tokio::task::spawn_local(async move {
            // The receiver of a response on it sees the error.
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%addr, %error, "connection to an endpoint ended");
            }
        });
        let driver = driver.abort_handle();
        let keep = Keep::Any;
        Some(Self { sender, driver, record, is_unused, keep, mark: 0, is_first: false })
    }

    fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<http::Response<Incoming>, NotSent>> + use<> {
        self.mark = self.record.mark();
        self.is_first = std::mem::take(&mut self.is_unused);
        if !self.is_first && !request.method().is_safe() {
            self.record.suspect();
        }
        self.sender.try_send_request(request.into())
    }
}

impl Pooled for HyperConnection {
    fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    async fn ready(&mut self) -> bool {
        // A connection that was returned just now may have to be polled first.
        self.sender.is_ready() || self.sender.ready().await.is_ok()
    }

    fn rest(&mut self) -> Option<Keep> {
        self.is_open().then_some(self.keep)
    }
}

impl Drop for HyperConnection {
    fn drop(&mut self) {
        // Without this a connection whose response nobody reads any more would end only when the
        // upstream has sent all of it.
        self.driver.abort();
    }
}

impl<R: Fn() -> u64> Attempt<'_, R> {
    /// As [`Attempt::exchange_http1`]. hyper takes the request, and so it is kept for sending it again.
    pub(super) async fn exchange_hyper(&mut self) -> Result<Response<ReplyBody>, Unanswered> {
        let (Some(Lease(Kind::Hyper(lent))), Some(mut request)) =
            (&mut self.state.lease, self.request.take())
        else {
            return Err(Unanswered::of(Reason::Internal));
        };
        if lent.is_negotiated() {
            // It is for HTTP/2; here it would be a field of the connection.
            request.headers_mut().remove(header::TE);
        }
        let Lent { connection, .. } = lent;
        let upstream = self.upstream;
        let is_idempotent = request.method().is_idempotent();
        let may_repeat = is_idempotent && !self.is_repeated;
        let replays = &upstream.replays;
        let kept = replays.keep(&request);
        // No `map` and `map_err`, each of which moves the response once more.
        match connection.send(request).await {
            Ok(response) => {
                connection.keep = Keep::read(response.version(), response.headers());
                if let Some(limit) = self.destination.retry
                    && let Some(body) =
                        self.give_up(limit, response.status(), kept.method(), kept.body())
                {
                    *self.request = Some(kept.with_body(body));
                    replays.forget(kept);
                    let body = ReplyBody::Hyper(response.into_body());
                    Box::pin(self.read_given_up(body)).await;
                    return Err(Unanswered::given_up());
                }
                replays.forget(kept);
                Ok(Response::from(response).map(ReplyBody::Hyper))
            }
            Err(mut error) => {
                let slot = &mut *self.request;
                *slot = error.take_message().map(Request::from);
                let mut failed = Unanswered::of(reason(error.error()));
                failed.unread = slot.is_some();
                if slot.is_none() && failed.reason == Reason::UpstreamClosed {
                    failed.unread =
                        connection.record.is_unread_since(connection.mark, connection.is_first);
                    *slot = (failed.unread || may_repeat).then(|| kept.request()).flatten();
                    failed.doubt(is_idempotent);
                }
                replays.forget(kept);
                Err(failed)
            }
        }
    }
}

/// The reason of a failed exchange: the upstream's fault, or that of the client's body.
fn reason(error: &hyper::Error) -> Reason {
    if error.is_parse() {
        Reason::UpstreamMalformed
    } else if error.is_user() {
        Reason::MalformedBody
    } else {
        Reason::UpstreamClosed
    }
}
