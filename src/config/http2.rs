//! `[http2]`: what one connection of a client may ask for.

use super::defaults;
use super::raw::Table;
use super::units::Fault;
use super::values::{bytes, count};
use std::ops::RangeInclusive;

/// Streams of one connection at a time. With fewer than 10 a page of Cloudflare's would queue; more
/// than 1 000 no client asks for.
const STREAMS: RangeInclusive<usize> = 10..=1_000;
/// Windows. RFC 9113 section 6.9.2 begins with 65 535 bytes; a smaller one makes every client wait.
const WINDOW: RangeInclusive<usize> = 64 * 1024..=64 * 1024 * 1024;
/// What is kept to be sent on one stream: one frame at least (RFC 9113 section 4.2).
const SEND_BUFFER: RangeInclusive<usize> = 16 * 1024..=1024 * 1024;
/// Streams that are looked at before a connection is judged by its resets.
const RESETS: RangeInclusive<usize> = 100..=100_000;

/// `[http2]`: HTTP/2 on the clients' side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Most streams of one connection at a time, 10 to 1 000.
    pub streams: u32,
    /// Bytes of a request body that one stream may send before they were forwarded, 64 KiB to 64 MiB.
    pub stream_window: u32,
    /// The same for all streams of a connection together.
    pub connection_window: u32,
    /// Bytes of a response that are buffered for one stream while its client does not read, 16 KiB to 1
    /// MiB.
    pub send_buffer: usize,
    /// After this many streams, 100 to 100 000, a connection is closed if the client has reset half
    /// of them before their answer was through.
    pub resets: u64,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams: defaults::HTTP2_STREAMS,
            stream_window: defaults::HTTP2_STREAM_WINDOW,
            connection_window: defaults::HTTP2_CONNECTION_WINDOW,
            send_buffer: defaults::HTTP2_SEND_BUFFER,
            resets: defaults::HTTP2_RESETS,
        }
    }
}

pub(super) fn section(table: &Table<'_>) -> Http2 {
    let default = Http2::default();
    let read = |key, range: &RangeInclusive<usize>, is_size| {
        table.read(key, |value: &toml::de::DeValue<'_>| match is_size {
            true => bytes(value, range),
            false => count(value, range),
        })
    };
    let small = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok());
    let window = |key| small(read(key, &WINDOW, true));
    let http2 = Http2 {
        streams: small(read("streams", &STREAMS, false)).unwrap_or(default.streams),
        stream_window: window("stream_window").unwrap_or(default.stream_window),
        connection_window: window("connection_window").unwrap_or(default.connection_window),
        send_buffer: read("send_buffer", &SEND_BUFFER, true).unwrap_or(default.send_buffer),
        resets: read("resets", &RESETS, false).map_or(default.resets, |resets| resets as u64),
    };
    if http2.stream_window > http2.connection_window {
        let problem = format!(
            "{} bytes are more than connection_window, {}",
            http2.stream_window, http2.connection_window
        );
        let fix = "lower it or raise connection_window (an absent key has its default)";
        table.complain("stream_window", Fault::new(problem, fix));
    }
    http2
}
