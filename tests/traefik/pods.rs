//! The pods: servers of HTTP/1.1 that keep what they get, and answer as the case says.
//!
//! A request names its exchange in the field `X-Case`. Before the client sends it, the answers that the case
//! wants are kept here under that name; afterwards the client takes what the pods got.

use crate::eventually;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The pods, each of one Service of this name: `app` is behind the routes, `auth` is asked by forwardAuth,
/// `page` has the pages of errors.
pub(crate) const NAMES: [&str; 3] = ["app", "auth", "page"];
/// Where each of them listens.
pub(crate) const PORT: u16 = 8080;
/// The same with TLS.
pub(crate) const TLS_PORT: u16 = 8443;
/// The same with TLS that asks for a certificate.
pub(crate) const ASKING_PORT: u16 = 8444;
/// An address of the same network where nobody listens.
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 100, 99);

/// How long a request may be in coming that nobody waits for.
const LATE: Duration = Duration::from_secs(5);

/// What a pod says.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Of its answers one after the other; the last one stays.
    pub(crate) statuses: Vec<u16>,
    pub(crate) fields: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// It closes the connection in the place of an answer.
    pub(crate) closes: bool,
}

impl Answer {
    /// What a pod says if nothing else is wanted.
    pub(crate) fn of(pod: &str) -> Self {
        let body = format!("body of {pod}").into_bytes();
        Self { statuses: vec![200], fields: Vec::new(), body, closes: false }
    }
}

/// A request as a pod got it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) pod: &'static str,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One exchange as far as pods see it.
#[derive(Default)]
struct Exchange {
    answers: BTreeMap<String, Answer>,
    received: Vec<Received>,
    held: bool,
}

/// All pods.
#[derive(Clone, Default)]
pub(crate) struct Pods(Arc<(Mutex<HashMap<String, Exchange>>, Condvar)>);

impl Pods {
    /// Starts them, with TLS at ports of its own.
    pub(crate) fn start([tls, asking]: [&Arc<ServerConfig>; 2]) -> Self {
        let pods = Self::default();
        let ports = [PORT, TLS_PORT, ASKING_PORT];
        for (name, port) in NAMES.into_iter().flat_map(|name| ports.map(|port| (name, port))) {
            let listener = TcpListener::bind(SocketAddr::from((ip(name), port)));
            let (listener, pods) = (listener.expect("the network of the pods"), pods.clone());
            let tls = match port {
                TLS_PORT => Some(Arc::clone(tls)),
                ASKING_PORT => Some(Arc::clone(asking)),
                _ => None,
            };
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let (pods, tls) = (pods.clone(), tls.clone());
                    // A proxy that goes away in the middle shows it to its client.
                    thread::spawn(move || drop(pods.accept(name, stream, tls)));
                }
            });
        }
        pods
    }

    /// Says how an exchange is to be answered, before it begins.
    pub(crate) fn expect(&self, exchange: &str, answers: &BTreeMap<String, Answer>, held: bool) {
        let answers = answers.clone();
        let kept = Exchange { answers, received: Vec::new(), held };
        self.with(|exchanges| exchanges.insert(exchange.to_owned(), kept));
    }

    /// Waits until a pod has the request of a held exchange.
    pub(crate) fn await_request(&self, exchange: &str) {
        eventually("a pod holds the request", || {
            let arrived = |kept: &Exchange| !kept.received.is_empty();
            self.with(|exchanges| exchanges.get(exchange).is_some_and(arrived)).then_some(())
        });
    }

    /// Waits until pods have so many requests of an exchange, or for a while: what is missing then is a difference.
    pub(crate) fn await_arrivals(&self, exchange: &str, count: usize) {
        let (exchanges, arrival) = &*self.0;
        let exchanges = exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = arrival.wait_timeout_while(exchanges, LATE, |exchanges| {
            exchanges.get(exchange).is_some_and(|kept| kept.received.len() < count)
        });
        drop(waiting);
    }

    /// Lets the pod answer.
    pub(crate) fn release(&self, exchange: &str) {
        self.with(|exchanges| {
            if let Some(kept) = exchanges.get_mut(exchange) {
                kept.held = false;
            }
        });
    }

    /// What pods got of an exchange, which is over.
    pub(crate) fn take(&self, exchange: &str) -> Vec<Received> {
        self.with(|exchanges| exchanges.remove(exchange))
            .map(|kept| kept.received)
            .unwrap_or_default()
    }

    fn with<T>(&self, ask: impl FnOnce(&mut HashMap<String, Exchange>) -> T) -> T {
        ask(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn accept(
        &self,
        pod: &'static str,
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let Some(tls) = tls else { return self.serve(pod, stream, None) };
        let mut session = ServerConnection::new(tls).map_err(io::Error::other)?;
        let mut stream = stream;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        let presented = session.peer_certificates().map_or(0, <[_]>::len);
        self.serve(pod, StreamOwned::new(session, stream), Some(presented))
    }

    /// Answers requests until the proxy ends the connection.
    fn serve(
        &self,
        pod: &'static str,
        stream: impl Read + Write,
        presented: Option<usize>,
    ) -> io::Result<()> {
        let mut from = BufReader::new(stream);
        while let Some(mut received) = receive(pod, &mut from)? {
            if let Some(presented) = presented {
                received.fields.push(("(certificates)".to_owned(), presented.to_string()));
            }
            let is_head = received.method == "HEAD";
            let exchange = received.exchange();
            let answer = self.answer(pod, &exchange, received);
            self.wait(&exchange);
            if answer.closes {
                return Ok(());
            }
            let status = answer.statuses[0];
            let mut head = format!("HTTP/1.1 {status} Of Pod\r\n");
            for field in &answer.fields {
                head += field;
                head += "\r\n";
            }
            let bodiless = is_head || status == 304 || status == 204;
            if status != 304 && status != 204 {
                head += &format!("Content-Length: {}\r\n", answer.body.len());
            }
            let body: &[u8] = if bodiless { b"" } else { &answer.body };
            from.get_mut().write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
            from.get_mut().flush()?;
        }
        Ok(())
    }

    /// Keeps a request, and says what its answer is; the one status that remains is that of this attempt.
    fn answer(&self, pod: &'static str, exchange: &str, received: Received) -> Answer {
        self.with(|exchanges| {
            let Some(kept) = exchanges.get_mut(exchange) else { return Answer::of(pod) };
            let earlier = kept.received.iter().filter(|earlier| earlier.pod == pod).count();
            kept.received.push(received);
            self.0.1.notify_all();
            let mut answer = kept.answers.get(pod).cloned().unwrap_or_else(|| Answer::of(pod));
            let at = earlier.min(answer.statuses.len() - 1);
            answer.statuses = vec![answer.statuses[at]];
            answer
        })
    }

    fn wait(&self, exchange: &str) {
        eventually("the case goes on", || {
            let held = |kept: &Exchange| kept.held;
            (!self.with(|exchanges| exchanges.get(exchange).is_some_and(held))).then_some(())
        });
    }
}

impl Received {
    fn exchange(&self) -> String {
        let field = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-case"));
        field.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// The address of a pod.
pub(crate) fn ip(name: &str) -> Ipv4Addr {
    let at = NAMES.iter().position(|own| *own == name).expect("one of the pods");
    Ipv4Addr::new(10, 77, 100, u8::try_from(at + 1).expect("few pods"))
}

/// The next request; `None` at the end of the connection.
fn receive(pod: &'static str, from: &mut impl BufRead) -> io::Result<Option<Received>> {
    let Some(line) = head_line(from)? else { return Ok(None) };
    let mut words = line.splitn(3, ' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut fields = Vec::new();
    while let Some(line) = head_line(from)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    let value = |wanted: &str| {
        let field = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        field.map(|(_, value)| value.clone())
    };
    let body = if value("transfer-encoding").is_some() {
        chunks(from)?
    } else {
        let length = value("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        from.read_exact(&mut body)?;
        body
    };
    Ok(Some(Received { pod, method, target, fields, body }))
}

/// A body in chunks, without its trailers.
pub(crate) fn chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = head_line(from)?.unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        if size == 0 {
            while head_line(from)?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        from.take(size).read_to_end(&mut body)?;
        head_line(from)?;
    }
}

/// A line of a head without its end, whatever bytes it has; `None` at the end of the connection.
pub(crate) fn head_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        line.pop();
        if line.is_empty() {
            return Ok(Some(String::new()));
        }
    }
    Ok((!line.is_empty()).then(|| line.iter().map(|&byte| char::from(byte)).collect()))
}
