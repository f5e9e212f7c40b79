//! HTTP/1.1 on the client's side: hyper's settings and limits, the request target, the headers that
//! must not pass, and our own answers.

mod headers;
mod respond;
mod stream;
mod target;

pub use headers::{ForwardedFields, Noted, clean_request, clean_response};
pub use respond::answer;
pub use stream::{ClientStream, Notes};
pub use target::Target;

use hyper::server::conn::http1;

/// Limits of a request head. How many fields it may have is hyper's 100, the size of the table that
/// it parses into without allocating.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Longest request target, in bytes. Longer ones get 414.
    pub target_bytes: usize,
    /// Longest request line and header section together, in bytes. Longer ones get 431.
    pub header_bytes: usize,
}

/// hyper's smallest permitted buffer (its documented minimum for `max_buf_size`).
const SMALLEST_BUFFER: usize = 8192;

/// A server for client connections. It has no deadlines of its own: `deadline::Watch` keeps them,
/// since hyper has one for the head alone, and runs it while a connection is idle as well.
pub fn server(limits: HeadLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
        .max_header_size(limits.header_bytes)
        .header_read_timeout(None)
        // Upstreams send it; where one does not, we do.
        .auto_date_header(false);
    builder
}
