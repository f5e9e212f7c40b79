//! HTTP/1.1 on the client's side: hyper's settings and limits, the request target, the headers that
//! must not pass, and our own answers.

mod headers;
mod respond;
mod socket;
mod stream;
mod target;

pub use headers::{ForwardedFields, Noted, Vouched, clean_request, clean_response, note_request};
pub use respond::answer;
pub use socket::ClientSocket;
pub use stream::{ClientStream, Notes};
pub use target::Target;

use hyper::server::conn::http1;

/// hyper's smallest permitted buffer (its documented minimum for `max_buf_size`).
const SMALLEST_BUFFER: usize = 8192;

/// A server for client connections. It has no deadlines of its own: `deadline::Watch` keeps them,
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
