//! A connection, as the request that has it and the body of its answer share it.

use super::body::Http1Body;
use super::head::{self, Answer, Parsed, ResponseFraming};
use super::keep::Keep;
use super::output::{NotSent, RequestOutput};
use crate::error::Reason;
use crate::net::fields::FieldMap;
use crate::net::http1::Input;
use crate::net::message::{Request, Response, pass_interim};
use crate::upstream::body::RequestBody;
use crate::upstream::connect::{EndpointStream, RESPONSE_HEAD_BYTES};
use crate::upstream::socket::Record;
use bytes::BytesMut;
use http::Method;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{AbortHandle, spawn_local};

/// A connection and what is under way on it.
#[derive(Debug)]
pub(super) struct Shared {
    state: RefCell<State>,
    record: Arc<Record>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Nothing once it is closed, or has changed its protocol.
    pub(super) stream: Option<EndpointStream>,
    pub(super) input: Input,
    output: RequestOutput,
    /// The request has been written, to its end.
    pub(super) is_sent: bool,
    /// The answer has been read, to its end.
    pub(super) is_answered: bool,
    /// Sends the rest of a request that was answered early.
    rest: Option<AbortHandle>,
    /// Who reads the answer meanwhile.
    pub(super) reader: Option<Waker>,
}

impl Shared {
    pub(super) fn new(stream: EndpointStream) -> Rc<Self> {
        let record = stream.record();
        let state = State {
            stream: Some(stream),
            input: Input::empty(),
            output: RequestOutput::empty(),
            is_sent: true,
            is_answered: true,
            rest: None,
            reader: None,
        };
        Rc::new(Self { state: RefCell::new(state), record })
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Does something with its state.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.borrow_mut())
    }

    /// Gives its buffers back until the next request. Returns false if something is still under way, so that there can be
    /// none.
    pub(super) fn rest(&self) -> bool {
        self.with(|state| {
            let is_free = state.stream.is_some()
                && state.is_sent
                && state.is_answered
                && state.input.bytes.is_empty();
            if is_free {
                state.input.rest();
            }
            is_free
        })
    }

    /// Whether nothing has come on it while it was idle, not even its end. The runtime knows, so that it takes no system
    /// call.
    pub(super) fn is_open(&self) -> bool {
        self.with(|state| {
            let Some(stream) = &mut state.stream else { return false };
            let mut byte = [0];
            let mut cx = Context::from_waker(Waker::noop());
            Pin::new(stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
        })
    }

    /// Closes it, whatever is under way.
    pub(super) fn close(&self) {
        let (stream, rest, reader) =
            self.with(|state| (state.stream.take(), state.rest.take(), state.reader.take()));
        if let Some(rest) = rest {
            rest.abort();
        }
        drop(stream);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Sends a request and waits for the head of its answer. The request stays where it is, without what was read of its
    /// body; with `gives_fields` its map of fields becomes that of the answer.
    pub(super) async fn send(
        self: &Rc<Self>,
        request: &mut Request<RequestBody>,
        gives_fields: bool,
    ) -> Result<(Response<Http1Body>, Keep), Reason> {
        self.with(|state| state.begin(request));
        let Answer { head, framing, keep } =
            poll_fn(|cx| self.with(|state| state.poll_answer(cx, request, gives_fields))).await?;
        let body = match framing {
            ResponseFraming::Body(body) if body.is_ended() => {
                self.with(|state| state.is_answered = true);
                Http1Body::none()
            }
            framing => Http1Body::new(Rc::clone(self), framing),
        };
        if !self.with(|state| state.is_sent) {
            self.send_rest(std::mem::replace(request.body_mut(), RequestBody::Empty));
        }
        Ok((head.map(|()| body), keep))
    }

    /// Goes on to send a request that was answered before its end. In a task, as the client may read the answer slowly.
    #[cold]
    fn send_rest(self: &Rc<Self>, mut body: RequestBody) {
        let shared = Rc::clone(self);
        let task = spawn_local(async move {
            let sent = poll_fn(|cx| shared.with(|state| state.poll_write(cx, &mut body))).await;
            // The end of a failed connection is for the reader of the answer to find.
            if matches!(sent, Err(NotSent::Body)) {
                shared.close();
            }
        });
        self.with(|state| state.rest = Some(task.abort_handle()));
    }
}

impl State {
    fn begin(&mut self, request: &Request<RequestBody>) {
        self.output.begin(request);
        self.input.begin_as_last();
        self.is_sent = false;
        self.is_answered = false;
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut RequestBody,
    ) -> Poll<Result<(), NotSent>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(NotSent::Connection)) };
        let polled = self.output.poll_write(cx, stream, body);
        self.is_sent |= matches!(polled, Poll::Ready(Ok(())));
        polled
    }

    /// Writes what can be written, and looks for the head of the answer.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request<RequestBody>,
        gives_fields: bool,
    ) -> Poll<Result<Answer, Reason>> {
        let mut is_broken = false;
        if !self.is_sent {
            match self.poll_write(cx, request.body_mut()) {
                Poll::Ready(Err(NotSent::Body)) => {
                    return Poll::Ready(Err(Reason::MalformedBody));
                }
                // An answer may have come before.
                Poll::Ready(Err(NotSent::Connection)) => is_broken = true,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(Reason::UpstreamClosed));
        };
        match poll_head(&mut self.input, cx, stream, request, gives_fields) {
            Poll::Pending if is_broken => Poll::Ready(Err(Reason::UpstreamClosed)),
            polled => polled,
        }
    }

    /// The stream and what was read of it, to speak another protocol.
    pub(super) fn take_stream(&mut self) -> Option<(EndpointStream, BytesMut)> {
        let stream = self.stream.take()?;
        Some((stream, std::mem::take(&mut self.input.bytes)))
    }
}

/// Reads the head of the answer to a request; with `gives_fields` into its fields.
fn poll_head(
    input: &mut Input,
    cx: &mut Context<'_>,
    stream: &mut EndpointStream,
    request: &mut Request<RequestBody>,
    gives_fields: bool,
) -> Poll<Result<Answer, Reason>> {
    let is_head = request.method() == Method::HEAD;
    let mut none = FieldMap::new();
    loop {
        while input.may_be_whole() {
            let spare = if gives_fields { request.headers_mut() } else { &mut none };
            match head::read(input, is_head, spare)? {
                Parsed::Partial => input.seen = input.bytes.len(),
                Parsed::Interim(interim) => {
                    input.seen = 0;
                    pass_interim(request.head().interim.as_ref(), interim, cx);
                }
                Parsed::Final(answer) => {
                    input.seen = 0;
                    return Poll::Ready(Ok(answer));
                }
            }
        }
        if input.bytes.len() >= RESPONSE_HEAD_BYTES as usize {
            return Poll::Ready(Err(Reason::UpstreamMalformed));
        }
        match ready!(input.poll_read(cx, stream, None)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(Reason::UpstreamClosed)),
            Ok(_) => {}
        }
    }
}
