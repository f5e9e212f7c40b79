//! One plain send for a small message in several pieces.
//!
//! hyper hands over a head and a body as separate buffers, for `writev`. For a message of a few
//! hundred bytes the kernel spends more on the vector than a copy costs; large pieces are still
//! passed as they are.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// Up to this many bytes are copied together: about where copying begins to cost as much as
/// `writev` does beyond `send`.
const SMALL: usize = 4096;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A socket with vectored writes.
pub trait WriteGathered {
    /// Writes the pieces with one system call, as far as the socket takes them.
    fn poll_write_gathered(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
}

impl WriteGathered for TcpStream {
    fn poll_write_gathered(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [piece] = pieces {
            return Pin::new(self).poll_write(cx, piece);
        }
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > SMALL {
            return Pin::new(self).poll_write_vectored(cx, pieces);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            for piece in pieces {
                scratch.extend_from_slice(piece);
            }
            Pin::new(self).poll_write(cx, scratch)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn pieces_arrive_in_order_whatever_their_size() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            let (mut socket, _) = listener.accept().expect("a connection");
            socket.read_to_end(&mut text).expect("the end");
            text
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let sent = runtime.expect("a runtime").block_on(async {
            let mut socket = TcpStream::connect(address).await.expect("connected");
            let large = vec![b'x'; SMALL];
            let mut sent = Vec::new();
            for pieces in [vec![&b"a"[..]], vec![b"b", b"", b"c"], vec![b"d", &large, b"e"]] {
                let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                let written =
                    std::future::poll_fn(|cx| socket.poll_write_gathered(cx, &slices)).await;
                assert_eq!(written.expect("room"), pieces.concat().len());
                sent.extend(pieces.concat());
            }
            sent
        });
        assert_eq!(reader.join().expect("no panic"), sent);
    }
}
