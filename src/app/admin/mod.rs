//! The admin port: metrics, health checks, and the status page with its JSON. It has a thread of its own, so a scrape never delays a
//! request. A Unix socket serves the same paths to `ravelin probe`.

mod accepts;
mod log_stream;
mod page;
mod seats;
mod start;

use crate::app::Wakeup;
use crate::app::status::{self, Readiness, Sources, StatusAnswer};
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::scrape::{Scraped, scrape};
use crate::telemetry::{AdminDoor, LogTap, Telemetry, Unready, age};
use crate::transport::admission::GateCell;
use crate::transport::listen::{self, Accepting, LocalAccepting};
use accepts::{accepts_gzip, accepts_openmetrics};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use log_stream::LogStream;
use page::Sent;
use prometheus_client::registry::Registry;
use seats::{Seat, Seated, Seats};
pub(super) use start::start_admin;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections to the port at one time: a handful of scrapers, and probes. Another connection then takes the
/// place of another one.
const CONNECTIONS: usize = 64;

/// The same on the socket; scrapers have no part in them.
const PROBES: usize = 16;

/// Pages of metrics on their way at one time: each has a thread and some 200 KiB until its reader has taken
/// it.
const PAGES: usize = 4;

/// OpenMetrics 1.0, which prometheus-client writes; Prometheus and vmagent ask for it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is served, for those who ask for no page.
const INDEX: &str = "ravelin\n\n/metrics\n/livez\n/readyz\n/api/v1/status\n/page\n";

/// An answer: a text, the page of metrics, or the access log.
type Answer = Response<Either<Full<Bytes>, Either<Sent, LogStream>>>;

/// The data that the admin port serves.
#[derive(Debug)]
pub struct Admin {
    metrics: Scraped,
    /// The same with exemplars, if requests are traced.
    with_exemplars: Option<Scraped>,
    telemetry: Arc<Telemetry>,
    shutdown: ShutdownSignal,
    /// Notified when the port is closed.
    wakeup: Wakeup,
    pages: Arc<Semaphore>,
    status: Arc<Sources>,
    /// Who may read the status page and its JSON.
    readers: Arc<GateCell>,
    /// Where readers of the access log join; `None` if there is no such log.
    tap: Option<Arc<LogTap>>,
}

impl Admin {
    /// An admin side that exports the telemetry of `status`. The process is ready once its first table is in
    /// force and it knows who Cloudflare is, until it begins to leave.
    pub(super) fn new(
        status: Sources,
        readers: Arc<GateCell>,
        shutdown: ShutdownSignal,
        wakeup: Wakeup,
        tap: Option<Arc<LogTap>>,
    ) -> Self {
        let mut registry = Registry::default();
        status.telemetry.register(&mut registry);
        let pages = Arc::new(Semaphore::new(PAGES));
        let telemetry = Arc::clone(&status.telemetry);
        let metrics = Scraped { registry: Arc::new(registry), exemplars: None };
        let with_exemplars = telemetry.traces().is_on().then(|| {
            let mut registry = Registry::default();
            telemetry.register_beside_exemplars(&mut registry);
            Scraped { registry: Arc::new(registry), exemplars: Some(Arc::clone(&telemetry)) }
        });
        let status = Arc::new(status);
        Self { metrics, with_exemplars, telemetry, shutdown, wakeup, pages, status, readers, tap }
    }

    /// Serves until the process aborts: the port, to sources that `gate` admits, and the socket, to every process that can
    /// may open it. The port is closed when `successor` says so: another one in the process is asked
    /// there then.
    pub async fn run(
        self,
        port: Accepting,
        socket: Option<LocalAccepting>,
        gate: &GateCell,
        mut successor: ShutdownSignal,
    ) {
        let mut shutdown = self.shutdown.clone();
        let this = Rc::new(self);
        let serve_port = async {
            tokio::select! {
                () = this.serve_port(port, gate) => {}
                () = async {
                    successor.reached(Stage::Draining).await;
                    // Clients that have begun to connect here are served here.
                    tokio::time::sleep(listen::HANDSHAKES).await;
                } => {}
            }
            this.wakeup.notify();
        };
        let serve = async {
            match socket {
                Some(socket) => {
                    tokio::join!(serve_port, this.serve_socket(socket));
                }
                None => serve_port.await,
            }
        };
        tokio::select! {
            () = shutdown.reached(Stage::Aborting) => {}
            () = serve => {}
        }
    }

    async fn serve_port(self: &Rc<Self>, port: Accepting, gate: &GateCell) {
        let seats = Seats::new(CONNECTIONS, AdminDoor::Port, self.telemetry.admin());
        loop {
            let Ok((socket, peer)) = port.accept().await else {
                // As for clients: whatever is missing comes back when connections end.
                tokio::time::sleep(listen::ACCEPT_PAUSE).await;
                continue;
            };
            if gate.load().admits(peer.ip()).is_none() {
                listen::reset(socket);
                continue;
            }
            match TcpStream::from_std(socket) {
                Ok(socket) => self.serve(socket, Some(peer.ip()), seats.take()),
                Err(_) => tokio::time::sleep(listen::ACCEPT_PAUSE).await,
            }
        }
    }

    async fn serve_socket(self: &Rc<Self>, socket: LocalAccepting) {
        let seats = Seats::new(PROBES, AdminDoor::Socket, self.telemetry.admin());
        loop {
            match socket.accept().await {
                Ok(stream) => self.serve(stream, None, seats.take()),
                Err(_) => tokio::time::sleep(listen::ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves one connection, in a task that holds its seat. When the process leaves, the answer to
    /// the next request is the last, and who waits between two requests is closed: a scraper that comes
    /// back meets the successor.
    ///
    /// `peer` is `None` for the socket, which the file system protects.
    fn serve<S>(self: &Rc<Self>, stream: S, peer: Option<IpAddr>, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let admin = Rc::clone(self);
        let mut shutdown = self.shutdown.clone();
        let seat = Rc::new(seat);
        tokio::task::spawn_local(async move {
            let stream = Seated { stream, seat: Rc::clone(&seat) };
            let asking = Rc::clone(&seat);
            let service = service_fn(move |request: Request<Incoming>| {
                let (admin, asking) = (Rc::clone(&admin), Rc::clone(&asking));
                async move {
                    let mut response = admin.ask(&request, peer, &asking).await;
                    if admin.shutdown.stage() != Stage::Running {
                        let close = HeaderValue::from_static("close");
                        response.headers_mut().insert(header::CONNECTION, close);
                    }
                    Ok::<_, Infallible>(response)
                }
            });
            let mut server = http1::Builder::new();
            // The seat has the deadlines.
            let server = server.header_read_timeout(None);
            let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
            let mut ended = pin!(seat.ended());
            // A scraper that goes away is its own affair.
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = ended.as_mut() => return,
                () = shutdown.reached(Stage::Draining) => {}
            }
            // A probe that has just connected has its question still to ask.
            if seat.has_asked() {
                connection.as_mut().graceful_shutdown();
            }
            tokio::select! {
                biased;
                _ = connection => {}
                () = ended => {}
            }
        });
    }

    /// Answers, if there is room for another page.
    async fn ask(
        &self,
        request: &Request<Incoming>,
        peer: Option<IpAddr>,
        seat: &Rc<Seat>,
    ) -> Answer {
        let method = request.method();
        if request.uri().path() == log_stream::PATH {
            return self.stream_log(request, seat);
        }
        if let Some(answer) = self.ask_status(request, peer, seat).await {
            return answer;
        }
        if request.uri().path() != "/metrics" || *method != Method::GET {
            seat.asked(None);
            return self.answer(method, request.uri().path());
        }
        let page = Arc::clone(&self.pages).try_acquire_owned().ok();
        let is_one = page.is_some();
        seat.asked(page);
        if !is_one {
            self.telemetry.admin().refused_page();
            let text = "too many scrapes are in progress; retry in a moment\n";
            return self::text(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        let gzip = accepts_gzip(request.headers());
        let with_exemplars = self.with_exemplars.as_ref();
        let with_exemplars = with_exemplars.filter(|_| accepts_openmetrics(request.headers()));
        match scrape(with_exemplars.unwrap_or(&self.metrics).clone(), gzip) {
            Ok(page) => {
                metrics(Either::Right(Either::Left(Sent { page, _reading: seat.reads() })), gzip)
            }
            Err(error) => {
                let text = format!("cannot start a thread to encode the metrics: {error}\n");
                self::text(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    /// The page for browsers, its files and its JSON; `None` for everything else.
    async fn ask_status(
        &self,
        request: &Request<Incoming>,
        peer: Option<IpAddr>,
        seat: &Rc<Seat>,
    ) -> Option<Answer> {
        let (path, headers) = (request.uri().path(), request.headers());
        let path = if path == "/" && status::is_page_wanted(headers) { "/page" } else { path };
        let file = status::asset(path);
        if file.is_none() && !status::is_api(path) {
            return None;
        }
        seat.asked(None);
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(not_allowed());
        }
        let answer = match file {
            _ if !self.may_read(peer) => StatusAnswer::forbidden(),
            _ if !status::own_host(headers) => StatusAnswer::misdirected(),
            Some(file) => StatusAnswer::file(file),
            None => {
                let _reading = seat.reads();
                let readiness = Readiness { not_ready: self.not_ready(), notes: self.notes() };
                self.status.ask(path, request.uri().query().unwrap_or_default(), readiness).await
            }
        };
        // Its place is free when it is read.
        seat.asked(answer.place);
        Some(answer.response.map(|bytes| Either::Left(Full::new(bytes))))
    }

    /// Whether a peer of the port may read the status page.
    fn may_read(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| self.readers.load().admits(peer).is_some())
    }

    fn answer(&self, method: &Method, path: &str) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return not_allowed();
        }
        match path {
            // Of a HEAD: the page itself is made elsewhere.
            "/metrics" => metrics(Either::Left(Full::default()), false),
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.not_ready() {
                None => text(StatusCode::OK, format!("ok\n{}", self.notes())),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
            },
            "/" => text(StatusCode::OK, INDEX),
            _ => text(StatusCode::NOT_FOUND, "not found; see /\n"),
        }
    }

    fn not_ready(&self) -> Option<String> {
        if self.shutdown.stage() != Stage::Running {
            return Some("leaving\n".to_owned());
        }
        self.telemetry.unready().map(|why| match why {
            Unready::Table(missing) => missing,
            Unready::List => {
                "cloudflare.config_map has not been read, or is not a valid list\n".to_owned()
            }
        })
    }

    /// What is not as it should be, though it is served by. Empty in ordinary times.
    fn notes(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let unconfirmed = self.telemetry.watch().unconfirmed(now);
        let mut page = self.restored(now);
        page.push_str(&self.telemetry.class_grace().words(now));
        if !unconfirmed.is_empty() {
            page.push_str("serving the last known state; the API server does not confirm it:\n");
            page.push_str(&unconfirmed);
        }
        page
    }

    fn restored(&self, now: u64) -> String {
        let Some(confirmed) = self.telemetry.last_good().read().restored else {
            return String::new();
        };
        let age = age(confirmed, now);
        let time = i64::try_from(confirmed).ok().and_then(|at| Timestamp::from_second(at).ok());
        let time = time.unwrap_or_default();
        let missing = self.telemetry.watch().missing();
        format!(
            "serving the last-good state of {time}, {age} old, until these are listed:\n{missing}"
        )
    }
}

fn metrics(body: Either<Full<Bytes>, Either<Sent, LogStream>>, gzip: bool) -> Answer {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn not_allowed() -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn text(status: StatusCode, page: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(page.into())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
