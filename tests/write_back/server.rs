//! An API server in memory: leases, the status of Ingresses, Events and pods, with
//! resourceVersions, conflicts and the faults that a test orders.

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_local;

/// A write that was asked for, and how it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) status: u16,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<Write>,
    /// Answers to come: part of the path, status, how often.
    faults: Vec<(String, u16, u32)>,
}

/// The server, for as long as the test's runtime runs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    state: Rc<RefCell<State>>,
    changes: Rc<watch::Sender<u64>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let changes = Rc::new(watch::channel(0).0);
        let this = Self { addr, state: Rc::default(), changes };
        let server = this.clone();
        spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                spawn_local(async move {
                    // A client that goes away is what some tests do.
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        this
    }

    /// Stores an object, as somebody else would.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let mut state = self.state.borrow_mut();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(path.to_owned(), object);
        self.changes.send_replace(state.version);
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.state.borrow().objects.get(path).cloned()
    }

    pub(crate) fn objects(&self, part: &str) -> Vec<Value> {
        let state = self.state.borrow();
        let these = state.objects.iter().filter(|(path, _)| path.contains(part));
        these.map(|(_, object)| object.clone()).collect()
    }

    /// The writes to paths with this in them, so far.
    pub(crate) fn writes(&self, part: &str) -> Vec<Write> {
        let state = self.state.borrow();
        state.writes.iter().filter(|write| write.path.contains(part)).cloned().collect()
    }

    /// Answers the next `times` writes to such paths with this status.
    pub(crate) fn fail(&self, part: &str, status: u16, times: u32) {
        self.state.borrow_mut().faults.push((part.to_owned(), status, times));
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.state.borrow_mut().faults.clear();
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default());
        if head.method == Method::GET {
            return match path.ends_with("/pods") {
                true => self.pods(&path, query).await,
                false if path.ends_with("/events") => {
                    let items = self.objects("/events/");
                    let field = "fieldSelector=reportingController%3Dravelin.dev%2Ftest";
                    assert!(query.contains(field), "{query}");
                    respond(200, &json!({"metadata": {}, "items": items}))
                }
                false => found(self.object(&path)),
            };
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut state = self.state.borrow_mut();
        let (status, answer) = state.fault(&path).unwrap_or_else(|| match head.method {
            Method::POST => state.create(&path, body.clone()),
            Method::PUT => state.replace(&path, body.clone()),
            Method::PATCH => state.patch(&path, query, &body),
            _ => failure(405, "MethodNotAllowed"),
        });
        state.writes.push(Write { path, body, status });
        self.changes.send_replace(state.version);
        respond(status, &answer)
    }

    /// A list, or a watch that ends after the first changes.
    async fn pods(&self, path: &str, query: &str) -> Response<Full<Bytes>> {
        let parameter = |name: &str| {
            let mut all = query.split('&').filter_map(|pair| pair.split_once('='));
            all.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        if parameter("watch").is_none() {
            let version = self.state.borrow().version.to_string();
            let items = self.objects(&format!("{path}/"));
            let list = json!({"metadata": {"resourceVersion": version}, "items": items});
            return respond(200, &list);
        }
        let since: u64 =
            parameter("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        let newer = |pod: &Value| {
            let version = pod["metadata"]["resourceVersion"].as_str();
            version.and_then(|text| text.parse().ok()).is_some_and(|version: u64| version > since)
        };
        let mut changes = self.changes();
        loop {
            let pods = self.objects(&format!("{path}/")).into_iter().filter(newer);
            let lines = pods.map(|pod| format!("{}\n", json!({"type": "MODIFIED", "object": pod})));
            let lines: String = lines.collect();
            if !lines.is_empty() {
                return Response::new(Full::new(lines.into()));
            }
            changes.changed().await.expect("the server outlives its answers");
        }
    }
}

impl State {
    fn fault(&mut self, path: &str) -> Option<(u16, Value)> {
        let fault =
            self.faults.iter_mut().find(|(part, _, left)| *left > 0 && path.contains(part))?;
        fault.2 -= 1;
        Some(failure(fault.1, "Ordered"))
    }

    fn store(&mut self, path: &str, mut object: Value) -> (u16, Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        (200, object)
    }

    fn create(&mut self, collection: &str, object: Value) -> (u16, Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{collection}/{name}");
        if self.objects.contains_key(&path) {
            return failure(409, "AlreadyExists");
        }
        (201, self.store(&path, object).1)
    }

    fn replace(&mut self, path: &str, object: Value) -> (u16, Value) {
        let Some(old) = self.objects.get(path) else { return failure(404, "NotFound") };
        if old["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return failure(409, "Conflict");
        }
        self.store(path, object)
    }

    /// Server-side apply of a status, or a merge into the series of an Event.
    fn patch(&mut self, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let object = path.trim_end_matches("/status");
        let Some(mut new) = self.objects.get(object).cloned() else {
            return failure(404, "NotFound");
        };
        if object == path {
            if new["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
                return failure(409, "Conflict");
            }
            new["series"] = body["series"].clone();
            return self.store(object, new);
        }
        if new["metadata"]["uid"] != body["metadata"]["uid"] {
            return failure(409, "Conflict");
        }
        assert!(
            query.contains("fieldManager=ravelin%2Fedge%2Fravelin") && query.contains("force=true"),
            "{query}"
        );
        let owned = new["metadata"]["managedFields"] != Value::Null;
        if body["status"]["loadBalancer"] != Value::Null {
            new["status"] = body["status"].clone();
            new["metadata"]["managedFields"] = json!([{
                "manager": "ravelin/edge/ravelin",
                "operation": "Apply",
                "subresource": "status",
                "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}},
            }]);
        } else if owned {
            new["status"] = json!({});
            new["metadata"]["managedFields"] = Value::Null;
        }
        self.store(object, new)
    }
}

fn found(object: Option<Value>) -> Response<Full<Bytes>> {
    let (status, body) = object.map_or_else(|| failure(404, "NotFound"), |object| (200, object));
    respond(status, &body)
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason}))
}

fn respond(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}
