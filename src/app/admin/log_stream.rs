//! The access log as it is written, for `ravelin logs`: over the socket alone. Its lines have addresses of visitors, which
//! nothing else on the admin side has, and scrapers may read the port.

use super::seats::{Reading, Seat};
use super::{Admin, Answer, not_allowed};
use crate::app::status::{StatusAnswer, own_host};
use crate::net::shutdown::Stage;
use crate::telemetry::LogReader;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Where it is.
pub(super) const PATH: &str = "/api/v1/log/stream";

/// An empty line comes so often: it tells the reader that the process is there, and the process that the reader takes
/// something. Below the time after which an answer is stalled.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// A stream of lines on its way. It ends when the process leaves.
pub(super) struct LogStream {
    lines: LogReader,
    signs: Interval,
    leaving: Pin<Box<dyn Future<Output = ()>>>,
    _reading: Reading,
}

impl Admin {
    /// Answers with lines from now on.
    pub(super) fn stream_log(&self, request: &Request<Incoming>, seat: &Rc<Seat>) -> Answer {
        seat.asked(None);
        if *request.method() != Method::GET {
            return not_allowed();
        }
        if !own_host(request.headers()) {
            return whole(StatusAnswer::misdirected());
        }
        if !seat.is_local() {
            let text = "lines of the access log have addresses of visitors: they are read over admin.socket alone";
            return whole(StatusAnswer::refused(StatusCode::FORBIDDEN, text));
        }
        let Some(tap) = &self.tap else {
            let text = "log.access is \"off\": there is no access log";
            return whole(StatusAnswer::refused(StatusCode::CONFLICT, text));
        };
        let Some(lines) = tap.join() else {
            let text = "too many read the access log already; end one of them";
            return whole(StatusAnswer::refused(StatusCode::SERVICE_UNAVAILABLE, text));
        };
        let mut shutdown = self.shutdown.clone();
        let leaving = Box::pin(async move { shutdown.reached(Stage::Draining).await });
        let mut signs = interval(SIGN_OF_LIFE);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stream = LogStream { lines, signs, leaving, _reading: seat.reads() };
        let mut response = Response::new(Either::Right(Either::Right(stream)));
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn whole(answer: StatusAnswer) -> Answer {
    answer.response.map(|bytes| Either::Left(Full::new(bytes)))
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Body for LogStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.leaving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let frame = |bytes: Bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        match self.lines.take_dropped() {
            0 => {}
            dropped => return frame(format!("{{\"dropped_lines\":{dropped}}}\n").into()),
        }
        match self.lines.poll_next(cx) {
            Poll::Ready(Some(lines)) => return frame(lines),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        match self.signs.poll_tick(cx) {
            Poll::Ready(_) => frame(Bytes::from_static(b"\n")),
            Poll::Pending => Poll::Pending,
        }
    }
}
