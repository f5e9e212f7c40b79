//! An API server of which a test says what it holds and how it fails. HTTP/1.1 without TLS.

mod conversation;

use conversation::converse;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// Which requests a fault meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum On {
    /// The first page of a list, and checks.
    List,
    /// Later pages.
    Continue,
    Watch,
}

/// What happens instead of the answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A `Status`, with further header fields, each with its line break.
    Status(u16, &'static str),
    /// A whole answer with this body.
    Body(&'static str),
    /// An answer that is cut after this much of its body.
    Cut(&'static str),
    /// Nothing, for as long as the client waits.
    Hang,
}

#[derive(Default)]
struct State {
    version: u64,
    /// By plural, then namespace and name.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Plural, version and line.
    events: Vec<(String, u64, String)>,
    faults: Vec<(String, On, usize, Fault)>,
    /// Plurals whose watches say nothing.
    muted: Vec<String>,
    /// Verb and resource that the account has no right to.
    denied: Vec<(&'static str, &'static str)>,
    page: usize,
    /// Plural, what was asked for, and the query.
    requests: Vec<(String, On, String)>,
    streams: Vec<TcpStream>,
    /// What requests have to have for their token; open watches go on.
    token: Option<String>,
    refused: usize,
    /// Rises when everything is cut.
    epoch: u64,
    listening: bool,
    /// Keeps the port while nobody listens: others would take it, if only to connect from.
    place: Option<Socket>,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// A running API server.
pub(crate) struct Api {
    addr: SocketAddr,
    shared: Shared,
}

impl Api {
    /// One with an IngressClass of ours and nothing else.
    pub(crate) fn new() -> Self {
        let place = place(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = place.local_addr().ok().and_then(|addr| addr.as_socket()).expect("bound");
        let api = Self { addr, shared: Shared::default() };
        {
            let mut state = api.lock();
            (state.page, state.version) = (usize::MAX, 100);
        }
        api.listen(place);
        let controller = json!({"controller": "ravelin.dev/ingress-controller"});
        api.put("ingressclasses", json!({"metadata": {"name": "ravelin"}, "spec": controller}));
        api
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no holder panics")
    }

    fn change<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let result = act(&mut self.lock());
        self.shared.1.notify_all();
        result
    }

    /// Takes a right from the account, for reviews alone.
    pub(crate) fn deny(&self, verb: &'static str, resource: &'static str) {
        self.change(|state| state.denied.push((verb, resource)));
    }

    /// Stores an object and tells the watches. Returns its version.
    pub(crate) fn put(&self, plural: &str, object: Value) -> u64 {
        self.change(|state| state.store(plural, object, true))
    }

    /// Stores an object of which no watch hears.
    pub(crate) fn put_silently(&self, plural: &str, object: Value) {
        self.change(|state| state.store(plural, object, false));
    }

    /// An Ingress that makes `host` answer 503 instead of 404.
    pub(crate) fn serve(&self, host: &str) -> u64 {
        self.put("ingresses", ingress(host))
    }

    /// Deletes the Ingress of a host.
    pub(crate) fn unserve(&self, host: &str) {
        self.change(|state| {
            state.version += 1;
            let objects = state.objects.get_mut("ingresses").expect("there are some");
            let mut object = objects.remove(&key(&ingress(host))).expect("it is there");
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            state.tell("ingresses", "DELETED", &object);
        });
    }

    /// Goes back to nothing but this, at this version, as a restore of etcd does.
    pub(crate) fn restore(&self, version: u64, host: &str) {
        self.change(|state| {
            state.version = version - 1;
            state.events.clear();
            state.objects.remove("ingresses");
            state.store("ingresses", ingress(host), false);
        });
    }

    /// Lets the next `times` requests fail.
    pub(crate) fn fail(&self, plural: &str, on: On, times: usize, fault: Fault) {
        self.change(|state| state.faults.push((plural.to_owned(), on, times, fault)));
    }

    /// Ends all faults.
    pub(crate) fn mend(&self) {
        self.change(|state| {
            state.faults.clear();
            state.muted.clear();
        });
    }

    /// Lets the watches of a plural say nothing, open as they are.
    pub(crate) fn mute(&self, plural: &str) {
        self.change(|state| state.muted.push(plural.to_owned()));
    }

    /// Gives no more than so many objects at a time.
    pub(crate) fn page(&self, size: usize) {
        self.change(|state| state.page = size);
    }

    /// Cuts all connections, and refuses new ones if `away`.
    pub(crate) fn cut(&self, away: bool) {
        self.change(|state| {
            state.epoch += 1;
            state.listening &= !away;
            if away {
                state.place = Some(place(self.addr));
            }
            for stream in state.streams.drain(..) {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        if away {
            // Wakes the acceptor, which then closes the port.
            let _ = TcpStream::connect(self.addr);
            crate::eventually("the port is closed", || {
                TcpStream::connect(self.addr).is_err().then_some(())
            });
        }
    }

    /// Comes back on the same port.
    pub(crate) fn back(&self) {
        let place = self.lock().place.take().expect("it was away");
        self.listen(place);
    }

    /// Asks for this token from now on.
    pub(crate) fn require(&self, token: &str) {
        self.change(|state| state.token = Some(token.to_owned()));
    }

    /// How many requests had another token, or none.
    pub(crate) fn refused(&self) -> usize {
        self.lock().refused
    }

    /// How many requests of this sort there were.
    pub(crate) fn asked(&self, plural: &str, on: On) -> usize {
        let state = self.lock();
        state.requests.iter().filter(|(p, o, _)| p == plural && *o == on).count()
    }

    /// The queries of the requests of this sort.
    pub(crate) fn queries(&self, plural: &str, on: On) -> Vec<String> {
        let state = self.lock();
        let fitting = state.requests.iter().filter(|(p, o, _)| p == plural && *o == on);
        fitting.map(|(.., query)| query.clone()).collect()
    }

    fn listen(&self, place: Socket) {
        place.listen(128).expect("it is bound");
        let listener = TcpListener::from(place);
        self.lock().listening = true;
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let mut state = shared.0.lock().expect("no holder panics");
                if !state.listening {
                    return;
                }
                state.streams.push(stream.try_clone().expect("files are left"));
                drop(state);
                let shared = Arc::clone(&shared);
                // A client that goes away is its own affair.
                thread::spawn(move || drop(converse(&stream, &shared)));
            }
        });
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.cut(true);
    }
}

impl State {
    /// Answers a SelfSubjectAccessReview.
    fn review(&self, body: &[u8]) -> Value {
        let mut review: Value = serde_json::from_slice(body).expect("JSON");
        let asked = &review["spec"]["resourceAttributes"];
        let is_asked = |(verb, resource): &(&str, &str)| {
            asked["verb"] == *verb && asked["resource"] == *resource
        };
        let allowed = !self.denied.iter().any(is_asked);
        review["status"] = json!({"allowed": allowed});
        review
    }

    fn store(&mut self, plural: &str, mut object: Value, tell: bool) -> u64 {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let objects = self.objects.entry(plural.to_owned()).or_default();
        let before = objects.insert(key(&object), object.clone());
        if tell {
            self.tell(plural, if before.is_some() { "MODIFIED" } else { "ADDED" }, &object);
        }
        self.version
    }

    fn tell(&mut self, plural: &str, kind: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.events.push((plural.to_owned(), self.version, line));
    }

    fn fault(&mut self, plural: &str, on: On) -> Option<Fault> {
        let fits = |(p, o, left, _): &&mut (String, On, usize, Fault)| {
            p == plural && *o == on && *left > 0
        };
        let (.., left, fault) = self.faults.iter_mut().find(fits)?;
        *left -= 1;
        Some(fault.clone())
    }

    fn list(&self, plural: &str, query: &BTreeMap<String, String>) -> Value {
        let named = query.get("fieldSelector").and_then(|f| f.strip_prefix("metadata.name="));
        let objects = self.objects.get(plural).into_iter().flat_map(BTreeMap::values);
        let objects: Vec<_> = objects
            .filter(|object| named.is_none_or(|name| object["metadata"]["name"] == name))
            .collect();
        let from: usize = query.get("continue").map_or(0, |at| at.parse().expect("our token"));
        let limit = query.get("limit").map_or(usize::MAX, |limit| limit.parse().expect("a number"));
        let limit = limit.min(self.page);
        let items: Vec<_> = objects.iter().skip(from).take(limit).collect();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if from + items.len() < objects.len() {
            metadata["continue"] = json!((from + items.len()).to_string());
            metadata["remainingItemCount"] = json!(objects.len() - from - items.len());
        }
        json!({"kind": "List", "metadata": metadata, "items": items})
    }
}

/// A socket that is bound and refuses whoever connects.
fn place(addr: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("files are left");
    socket.set_reuse_port(true).expect("Linux");
    socket.bind(&addr.into()).expect("a free port, or ours");
    socket
}

fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    format!("{}/{}", metadata["namespace"], metadata["name"])
}

/// An Ingress of our class for a host, whose Service is not there.
pub(crate) fn ingress(host: &str) -> Value {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    json!({
        "metadata": {"namespace": "ns", "name": host},
        "spec": {
            "ingressClassName": "ravelin",
            "rules": [{"host": host, "http": {"paths": [path]}}],
        },
    })
}
