//! Clients that upload, and what they get for it.

use super::pods::ANSWER;
use crate::multiplexed::{Connection, next, request};
use crate::secured::{HOST, offering};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Status and body of an answer, or why there is none.
pub(super) type Answered = Result<(u16, Vec<u8>), String>;

static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// A client of HTTP/1.1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Http1 {
    Plain,
    Tls,
}

impl Http1 {
    /// Uploads on a connection each, some at a time. Each client reads while it sends, and sends no
    /// more when it has its answer.
    pub(super) async fn uploads(
        self,
        addr: SocketAddr,
        (count, at_once): (usize, usize),
        length: u64,
    ) -> Vec<Answered> {
        let room = Rc::new(Semaphore::new(at_once));
        let mut all = JoinSet::new();
        for _ in 0..count {
            let room = Rc::clone(&room);
            all.spawn_local(async move {
                let _turn = room.acquire().await.expect("never closed");
                self.upload(addr, length, false).await
            });
        }
        all.join_all().await
    }

    async fn upload(self, addr: SocketAddr, length: u64, sends_first: bool) -> Answered {
        let socket = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
        match self {
            Self::Plain => over(socket, length, sends_first).await,
            Self::Tls => {
                let name = ServerName::try_from(HOST).expect("a name");
                let connector = TlsConnector::from(offering(&["http/1.1"]));
                let stream = connector.connect(name, socket).await;
                over(stream.map_err(|error| error.to_string())?, length, sends_first).await
            }
        }
    }
}

/// Uploads everything before a look at the answer.
pub(super) async fn whole_first(client: Http1, addr: SocketAddr, length: u64) -> Answered {
    client.upload(addr, length, true).await
}

async fn over<S: AsyncRead + AsyncWrite>(stream: S, length: u64, sends_first: bool) -> Answered {
    let (mut reading, mut writing) = split(stream);
    let send = async {
        let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
        writing.write_all(head.as_bytes()).await?;
        for _ in 0..length / PIECE.len() as u64 {
            writing.write_all(&PIECE).await?;
        }
        writing.flush().await
    };
    if sends_first {
        // Whether it could send everything is not what it wants to know.
        let _ = send.await;
        return read(&mut reading).await;
    }
    let send = async {
        let _ = send.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = read(&mut reading) => answer,
        () = send => Err("nothing to wait for".to_owned()),
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Answered {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).ok_or("no length")?;
            if bytes.len() >= end + 4 + length {
                let status = head[9..12].parse().map_err(|_| "no status")?;
                return Ok((status, bytes.split_off(end + 4)));
            }
        }
        bytes.reserve(ANSWER.len());
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(format!("the end after {} bytes", bytes.len())),
            Ok(_) => {}
            Err(error) => return Err(format!("{error} after {} bytes", bytes.len())),
        }
    }
}

/// Uploads on streams of one connection, some at a time.
pub(super) async fn multiplexed(
    addr: SocketAddr,
    (count, at_once): (usize, usize),
    length: u64,
) -> Vec<Answered> {
    let mut connection = Connection::open(addr).await;
    let room = Arc::new(Semaphore::new(at_once));
    let mut all = JoinSet::new();
    for _ in 0..count {
        let turn = Arc::clone(&room).acquire_owned().await.expect("never closed");
        let head = request("POST", "/").body(()).expect("a request");
        let (response, mut stream) = connection.begin(head).await;
        all.spawn_local(async move {
            let send = async {
                let mut left = length;
                while left > 0 {
                    stream.reserve_capacity(PIECE.len());
                    let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
                        break;
                    };
                    let piece = Bytes::from_static(&PIECE[..room.min(PIECE.len())]);
                    left = left.saturating_sub(piece.len() as u64);
                    if stream.send_data(piece, left == 0).is_err() {
                        break;
                    }
                }
                std::future::pending::<()>().await;
            };
            let answer = async {
                let (head, mut body) = response.await.map_err(|e| e.to_string())?.into_parts();
                let mut bytes = Vec::new();
                while let Some(piece) = next(&mut body).await {
                    match piece {
                        Ok(piece) => bytes.extend_from_slice(&piece),
                        // RFC 9113 section 8.1: no more of the request is wanted.
                        Err(error) if error.reason() == Some(h2::Reason::NO_ERROR) => break,
                        Err(error) => return Err(error.to_string()),
                    }
                }
                Ok((head.status.as_u16(), bytes))
            };
            let answer = tokio::select! {
                answer = answer => answer,
                () = send => Err("nothing to wait for".to_owned()),
            };
            drop(turn);
            answer
        });
    }
    all.join_all().await
}
