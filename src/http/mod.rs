//! HTTP/1.1 and HTTP/2 on the client side: settings and limits of their servers, the request target, header
//! rules, and ravelin's own responses.
//!
//! **Invariant**: imports no other stage: knows neither TLS handshakes nor upstream connections
//! (`tests/layering`).

pub mod client_ip;
mod frames;
mod head;
mod head_turns;
mod headers;
mod notes;
mod problem;
mod raw;
mod respond;
mod socket;
mod stream;
mod streams;
mod target;

pub use frames::{FollowedFrames, HeadDeadline, LentSocket};
pub use head::{forwards_left, read_http2};
pub use head_turns::HeadTurns;
pub use headers::{
    ForwardedFields, HeaderTrust, Noted, ReplyNoted, clean_interim, clean_request, clean_response,
    is_grpc, may_have_body, note_request,
};
pub use notes::Notes;
pub use problem::make_problem;
pub use raw::{RawTarget, first_line, plain_length, raw_target};
pub use respond::{answer, answer_bytes, answer_grpc, answer_text, grpc_status};
pub use socket::ClientSocket;
pub use stream::ClientStream;
pub use streams::{Stream, Streams, is_flood};
pub use target::Target;

use crate::config::Http2;
use h2::server::Builder;
use hyper::server::conn::http1;

/// hyper's smallest permitted buffer (its documented minimum for `max_buf_size`).
const SMALLEST_BUFFER: usize = 8192;

/// A server for HTTP/1.1. It has no deadlines of its own: `deadline::Watch` keeps them,
/// since hyper has one for the head alone, and runs it while a connection is idle as well.
///
/// A request line and header section of more than `header_bytes` together get 431, and so do more
/// than 100 fields: the size of the table that hyper parses into without allocating. The limit on
/// the target is `Target::read`'s.
pub fn server(header_bytes: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(header_bytes.max(SMALLEST_BUFFER))
        .max_header_size(header_bytes)
        .header_read_timeout(None)
        // Upstreams send it; where one does not, we do.
        .auto_date_header(false);
    builder
}

/// How often in the life of a connection all its uploads may be answered early at once.
const EARLY_ANSWERS: usize = 4;

/// The DATA frames that a client may have on their way within this window, in bytes: those of
/// 16 KiB, which fill it, and as many shorter ones.
fn frames_on_their_way(window: u32) -> usize {
    2 * (window as usize).div_ceil(16 * 1024)
}

/// A server for HTTP/2. Each stream has its deadline by [`Stream`]; h2 has none of its own.
///
/// A header list of more than `header_bytes`, counted as HTTP/1.1 would have it, gets 431 by
/// [`read_http2`]; the bound here is the one above that. RFC 8441 (WebSocket over HTTP/2) is not
/// offered: Cloudflare does not use it.
pub fn server_http2(limits: &Http2, header_bytes: usize) -> Builder {
    let list = header_bytes + head::PACKING;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buffer_size(limits.send_buffer)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        // A visitor who leaves a page makes Cloudflare reset all its streams at once.
        .max_pending_accept_reset_streams(limits.streams as usize)
        // What is still on its way to streams that were answered before their end is counted as errors
        // of the client's, once h2 has forgotten the streams. It is a window of the connection at most,
        // each time that many uploads are answered at once.
        .max_local_error_reset_streams(Some(
            EARLY_ANSWERS * frames_on_their_way(limits.connection_window),
        ));
    builder
}
