//! A backend that says exactly what a test tells it to, and remembers what it was asked.

use super::PATIENCE;
use super::message::{Fault, Message, Wire};
use socket2::{Domain, Socket, Type};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What has happened so far.
#[derive(Default)]
struct State {
    /// Connections accepted.
    connections: usize,
    /// Of these, those that have been closed by the proxy, as far as the script looked.
    closed: usize,
    requests: Vec<Message>,
    failures: Vec<String>,
    streams: Vec<TcpStream>,
    stopping: bool,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// A backend in this process: a thread for each connection.
pub(crate) struct Upstream {
    addr: SocketAddr,
    shared: Shared,
    acceptor: Option<JoinHandle<()>>,
}

/// The script's end of one connection.
pub(crate) struct Conn {
    pub(crate) wire: Wire,
    /// Counted from 0.
    pub(crate) number: usize,
    shared: Shared,
}

impl Upstream {
    /// Runs `script` for each connection; the connection closes when it returns.
    pub(crate) fn scripted(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), script)
    }

    fn on(listener: TcpListener, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let addr = listener.local_addr().expect("bound");
        let shared = Shared::default();
        let (state, script) = (Arc::clone(&shared), Arc::new(script));
        let acceptor = thread::spawn(move || {
            let mut running = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                let mut locked = lock(&state);
                if locked.stopping {
                    break;
                }
                let number = locked.connections;
                locked.connections += 1;
                locked.streams.push(stream.try_clone().expect("files are left"));
                state.1.notify_all();
                drop(locked);
                let (script, shared) = (Arc::clone(&script), Arc::clone(&state));
                let conn = Conn { wire: Wire::new(stream), number, shared };
                running.push(thread::spawn(move || run(conn, &*script)));
            }
            drop(listener);
            for thread in running {
                let _ = thread.join();
            }
        });
        Self { addr, shared, acceptor: Some(acceptor) }
    }

    /// Answers every request with 200 and `text`.
    pub(crate) fn saying(text: &'static str) -> Self {
        Self::scripted(move |conn| conn.keep_saying(text))
    }

    /// The same at an address.
    pub(crate) fn saying_at(addr: SocketAddr, text: &'static str) -> Self {
        let listener = TcpListener::bind(addr).expect("a free port");
        Self::on(listener, move |conn| conn.keep_saying(text))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.shared).connections
    }

    /// Requests that were read so far, whole or not.
    pub(crate) fn requests(&self) -> Vec<Message> {
        lock(&self.shared).requests.clone()
    }

    /// The only request that there was.
    pub(crate) fn only_request(&self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Waits until so many requests have been read.
    pub(crate) fn await_requests(&self, count: usize) {
        self.wait("requests", |state| state.requests.len() >= count);
    }

    /// Waits until the proxy has closed so many connections, seen by [`Conn::closes`].
    pub(crate) fn await_closed(&self, count: usize) {
        self.wait("closed connections", |state| state.closed >= count);
    }

    fn wait(&self, what: &str, there: impl Fn(&State) -> bool) {
        let waiting = self.shared.1.wait_timeout_while(lock(&self.shared), PATIENCE, |state| {
            !there(state) && state.failures.is_empty()
        });
        let (state, _) = waiting.expect("no holder panics");
        assert!(state.failures.is_empty(), "{:?}", state.failures);
        assert!(there(&state), "never came: {what}");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.stopping = true;
        for stream in state.streams.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.addr);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let failures = std::mem::take(&mut lock(&self.shared).failures);
        assert!(failures.is_empty() || thread::panicking(), "in a backend's script: {failures:?}");
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.0.lock().expect("no holder panics")
}

fn run(mut conn: Conn, script: &(dyn Fn(&mut Conn) + Send + Sync)) {
    let shared = Arc::clone(&conn.shared);
    let result = catch_unwind(AssertUnwindSafe(|| script(&mut conn)));
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let mut state = lock(&shared);
        if !state.stopping {
            state.failures.push(text.unwrap_or_default());
        }
        shared.1.notify_all();
    }
    // The listing of streams holds a second handle to it.
    let _ = conn.wire.stream.shutdown(Shutdown::Both);
}

impl Conn {
    /// The next request, with its body; `None` when the proxy closes instead. One whose body breaks
    /// off is not `whole`.
    pub(crate) fn request(&mut self) -> Option<Message> {
        let mut request = self.head()?;
        self.body(&mut request);
        Some(request)
    }

    /// The next request, without its body; it is remembered when the body has been read.
    pub(crate) fn head(&mut self) -> Option<Message> {
        // A connection may be kept for as long as the test runs; its end wakes the script.
        self.wire.wait();
        self.wire.head().expect("the proxy sends valid HTTP")
    }

    /// The body of a request.
    pub(crate) fn body(&mut self, request: &mut Message) {
        match self.wire.body(request) {
            Ok(()) | Err(Fault::Closed) => {}
            Err(fault) => panic!("the proxy sends valid HTTP: {fault:?}"),
        }
        lock(&self.shared).requests.push(request.clone());
        self.shared.1.notify_all();
    }

    /// Sends exactly this. Returns whether the proxy takes it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// 200 with this body.
    pub(crate) fn answer(&mut self, text: &str) {
        let length = text.len();
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"));
    }

    /// Answers every request with 200 and `text`.
    pub(crate) fn keep_saying(&mut self, text: &str) {
        while self.request().is_some() {
            self.answer(text);
        }
    }

    /// Whether the test is over.
    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.shared).stopping
    }

    /// Waits until the proxy closes the connection; what it sends before is dropped.
    pub(crate) fn closes(&mut self) {
        self.wire.rest();
        lock(&self.shared).closed += 1;
        self.shared.1.notify_all();
    }
}

/// An address where connections are refused, reserved so that nobody else takes it.
pub(crate) struct Refusing(Socket);

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a free port");
        Self(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().ok().and_then(|addr| addr.as_socket()).expect("bound")
    }

    /// Begins to take connections, and to answer every request with 200 and `text`.
    pub(crate) fn open(self, text: &'static str) -> Upstream {
        self.0.listen(128).expect("a bound socket");
        Upstream::on(self.0.into(), move |conn| conn.keep_saying(text))
    }
}

/// An address where connections are never answered: its queue is full, and the kernel drops what comes
/// more.
pub(crate) struct Silent {
    listener: Socket,
    _queued: Vec<Socket>,
}

impl Silent {
    pub(crate) fn new() -> Self {
        let listener = Refusing::new().0;
        listener.listen(0).expect("a bound socket");
        let addr = listener.local_addr().expect("bound");
        let mut queued = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            if socket.connect_timeout(&addr, Duration::from_millis(200)).is_err() {
                return Self { listener, _queued: queued };
            }
            queued.push(socket);
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().ok().and_then(|addr| addr.as_socket()).expect("bound")
    }
}
