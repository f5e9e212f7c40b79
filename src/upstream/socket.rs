//! A pod's socket that is read to the end, whatever has become of the other direction.
//!
//! A pod may answer before it has read the whole request, and close: what we write then fails, while its
//! answer waits in the kernel, which keeps it beyond a reset. hyper and h2 drop the answer with the first
//! write that fails. So no write fails here for as long as there may be something to read: it is held
//! up, or dropped, and the connection ends by what is read.
//!
//! And the socket remembers how it ended, and how much of what was written had been acknowledged by then:
//! by that a request that the pod cannot have read is told from one that it may have carried out.

use crate::net::gather::WriteGathered;
use crate::net::stream::unacknowledged;
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Treatment of writes after one has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// Writes fail as well: no request has been sent yet.
    Fail,
    /// Writes wait, so that nothing more of a body is taken from the client. For HTTP/1.1.
    Wait,
    /// Writes are dropped, as HTTP/2 does not read while it cannot write.
    Drop,
}

/// How a connection ended, as far as its kernel told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum End {
    None = 0,
    /// By a FIN: all that the peer's kernel had taken until then is acknowledged by it.
    Fin = 1,
    Reset = 2,
}

/// The state of a connection, for the senders on it. Used by one thread; atomic because hyper
/// asks its sockets to be `Send`.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Bytes given to the kernel.
    written: AtomicU64,
    end: AtomicU8,
    /// Bytes that had been acknowledged at the end.
    acknowledged: AtomicU64,
    /// The next read is to ask the kernel, and not the last event.
    suspect: AtomicBool,
}

impl Record {
    /// A mark before a request, for [`Record::is_unread_since`].
    pub(super) fn mark(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Makes the connection look for an end, or for unsolicited bytes, before it sends anything more.
    pub(super) fn suspect(&self) {
        self.suspect.store(true, Relaxed);
    }

    /// Whether it is proven that the peer has read nothing of what was written since the mark: nothing
    /// has left us, or the peer had ended its side before any of it arrived. `is_first`: nothing was
    /// written before it.
    ///
    /// A reset proves less. Linux acknowledges the first bytes of a connection at once, later ones up
    /// to 40 ms after they may have been read. So it counts for the first request alone.
    pub(super) fn is_unread_since(&self, mark: u64, is_first: bool) -> bool {
        let end = self.end.load(Relaxed);
        let is_proof = end == End::Fin as u8 || (end == End::Reset as u8 && is_first);
        self.mark() == mark || (is_proof && self.acknowledged.load(Relaxed) <= mark)
    }

    fn wrote(&self, bytes: usize) {
        // Only one thread writes it.
        self.written.store(self.mark() + bytes as u64, Relaxed);
    }
}

/// A pod's socket.
#[derive(Debug)]
pub(super) struct PodSocket {
    socket: TcpStream,
    record: Arc<Record>,
    after_failure: AfterFailure,
    /// The first write that failed, and who waits for one.
    failed: Option<(ErrorKind, Option<Waker>)>,
    /// Nothing more can be read.
    read_ended: bool,
}

impl PodSocket {
    pub(super) fn new(socket: TcpStream) -> Self {
        let after_failure = AfterFailure::Fail;
        Self { socket, record: Arc::default(), after_failure, failed: None, read_ended: false }
    }

    pub(super) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Sets what becomes of writes after one has failed.
    pub(super) fn after_failure(&mut self, then: AfterFailure) {
        self.after_failure = then;
    }

    /// Notes how the connection ended; the first to tell is right.
    fn ended(&self, end: End) {
        let record = &self.record;
        if record.end.load(Relaxed) == End::None as u8
            && let Ok(unacknowledged) = unacknowledged(self.socket.as_fd())
        {
            record.end.store(end as u8, Relaxed);
            record.acknowledged.store(record.mark().saturating_sub(unacknowledged), Relaxed);
        }
    }

    fn failed(&self, error: &io::Error) {
        match error.kind() {
            // A reset behind a FIN; see tcp_reset() of the kernel.
            ErrorKind::BrokenPipe => self.ended(End::Fin),
            ErrorKind::ConnectionReset => self.ended(End::Reset),
            _ => {}
        }
    }

    /// Reads what is there now, without waiting for an event; zero bytes if nothing is.
    #[cold]
    fn read_now(&self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        self.record.suspect.store(false, Relaxed);
        let is_none = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted);
        match (&*SockRef::from(&self.socket)).read(buf.initialize_unfilled()) {
            Ok(read) => buf.advance(read),
            Err(error) if is_none(error.kind()) => return None,
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(()))
    }

    /// Records a read that returned nothing; `had_room`: the buffer had room.
    #[cold]
    fn read_nothing(&mut self, result: &io::Result<()>, had_room: bool) {
        match result {
            Ok(()) if !had_room => return,
            // Behind a write that failed it may be the end that a reset makes.
            Ok(()) if self.failed.is_none() => self.ended(End::Fin),
            Ok(()) => {}
            Err(error) => self.failed(error),
        }
        self.end_reading();
    }

    fn end_reading(&mut self) {
        self.read_ended = true;
        if let Some((_, Some(waker))) = &mut self.failed {
            waker.wake_by_ref();
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        write: impl FnOnce(&mut TcpStream, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.failed.is_none() {
            match ready!(write(&mut self.socket, cx)) {
                Ok(written) => {
                    self.record.wrote(written);
                    return Poll::Ready(Ok(written));
                }
                Err(error) => {
                    self.failed(&error);
                    self.failed = Some((error.kind(), None));
                    if self.after_failure == AfterFailure::Fail {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        let Some((kind, waker)) = &mut self.failed else { return Poll::Ready(Ok(0)) };
        match self.after_failure {
            _ if self.read_ended => Poll::Ready(Err((*kind).into())),
            AfterFailure::Fail => Poll::Ready(Err((*kind).into())),
            AfterFailure::Drop => Poll::Ready(Ok(len)),
            AfterFailure::Wait => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for PodSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let is_suspect = this.record.suspect.load(Relaxed);
        let result = match if is_suspect { this.read_now(buf) } else { None } {
            Some(result) => result,
            None => ready!(Pin::new(&mut this.socket).poll_read(cx, buf)),
        };
        if result.is_err() || buf.filled().len() == before {
            this.read_nothing(&result, buf.remaining() > 0);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for PodSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, bytes.len(), |socket, cx| Pin::new(socket).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_gathered(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed {
            // No receiver is left.
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.socket).poll_shutdown(cx),
        }
    }
}

impl WriteGathered for PodSocket {
    fn poll_write_gathered(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        self.write(cx, len, |socket, cx| socket.poll_write_gathered(cx, pieces))
    }
}

impl Drop for PodSocket {
    fn drop(&mut self) {
        // TLS may have ended before its socket was seen to: then the end is there to be seen.
        if self.record.end.load(Relaxed) == End::None as u8 {
            match SockRef::from(&self.socket).peek(&mut [std::mem::MaybeUninit::uninit()]) {
                Ok(0) => self.ended(End::Fin),
                Err(error) => self.failed(&error),
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Future, poll_fn};
    use std::net::Shutdown;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Our end of a connection that writes wait on when they have failed, and the pod's.
    async fn mk_pair() -> (PodSocket, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut ours = PodSocket::new(TcpStream::connect(address).await.expect("it listens"));
        ours.after_failure(AfterFailure::Wait);
        (ours, listener.accept().expect("a connection").0)
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test)
    }

    /// A request and its answer, after which acknowledgements are in no hurry.
    async fn exchange(ours: &mut PodSocket, pods: &mut std::net::TcpStream) {
        ours.write_all(b"request").await.expect("room");
        pods.read_exact(&mut [0; 7]).expect("a request");
        io::Write::write_all(pods, b"answer").expect("room");
        ours.read_exact(&mut [0; 6]).await.expect("an answer");
    }

    fn reset(pods: std::net::TcpStream) {
        SockRef::from(&pods).set_linger(Some(Duration::ZERO)).expect("a socket");
        drop(pods);
    }

    #[test]
    fn an_answer_is_read_behind_a_write_that_has_failed() {
        run(async {
            let (mut ours, mut pods) = mk_pair().await;
            io::Write::write_all(&mut pods, b"answer").expect("room");
            reset(pods);
            let write =
                poll_fn(|cx| Poll::Ready(Pin::new(&mut ours).poll_write(cx, b"body"))).await;
            assert!(write.is_pending(), "{write:?}");
            let mut answer = Vec::new();
            assert_eq!(ours.read_to_end(&mut answer).await.expect("what was sent"), 6);
            assert_eq!(answer, b"answer");
            let error = ours.write_all(b"body").await.expect_err("nobody reads it");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    }

    #[test]
    fn what_a_pod_had_not_received_when_it_ended_is_unread_and_nothing_else_is() {
        run(async {
            // How the pod ends, before or after the request, and what that proves of the second request.
            for (before, reads, resets, unread) in [
                (true, false, false, true),
                (false, true, false, false),
                (false, true, true, false),
                (false, false, false, false),
            ] {
                let (mut ours, mut pods) = mk_pair().await;
                exchange(&mut ours, &mut pods).await;
                let mark = ours.record().mark();
                if before {
                    pods.shutdown(Shutdown::Both).expect("open");
                    drop(pods);
                    ours.write_all(b"request").await.expect("room");
                } else {
                    ours.write_all(b"request").await.expect("room");
                    if reads {
                        pods.read_exact(&mut [0; 7]).expect("a request");
                    }
                    if resets { reset(pods) } else { drop(pods) }
                }
                let _ = ours.read(&mut [0; 16]).await;
                let record = Arc::clone(ours.record());
                let what = format!("before {before}, reads {reads}, resets {resets}");
                assert_eq!(record.is_unread_since(mark, false), unread, "{what}");
            }
        });
    }

    #[test]
    fn a_first_request_is_unread_if_its_reset_acknowledges_none_of_it() {
        run(async {
            let (mut ours, pods) = mk_pair().await;
            ours.write_all(b"request").await.expect("room");
            reset(pods);
            assert!(ours.read(&mut [0; 16]).await.is_err());
            assert!(!ours.record().is_unread_since(0, true), "it was acknowledged at once");
            let (mut ours, pods) = mk_pair().await;
            reset(pods);
            let write =
                poll_fn(|cx| Poll::Ready(Pin::new(&mut ours).poll_write(cx, b"request"))).await;
            assert!(write.is_pending() && ours.record().is_unread_since(0, false), "none has left");
        });
    }

    #[test]
    fn a_suspect_is_asked_for_its_end_whether_the_runtime_knows_of_it_or_not() {
        run(async {
            let (mut ours, mut pods) = mk_pair().await;
            exchange(&mut ours, &mut pods).await;
            let mut one = [0; 1];
            let mut read = async |ours: &mut PodSocket| {
                let mut buf = ReadBuf::new(&mut one);
                poll_fn(|cx| Poll::Ready(Pin::new(&mut *ours).poll_read(cx, &mut buf))).await
            };
            assert!(read(&mut ours).await.is_pending(), "nothing has come");
            drop(pods);
            // The runtime has not looked at its sockets since.
            assert!(read(&mut ours).await.is_pending());
            ours.record().suspect();
            assert!(read(&mut ours).await.is_ready());
        });
    }
}
