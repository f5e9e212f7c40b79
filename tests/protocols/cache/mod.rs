//! What Cloudflare's cache does to an origin: it splits an object into ranges and joins them, revalidates, and keeps what
//! is compressed beside what is not. Played here against files of a real nginx, with `compress` on the route, and
//! compared byte for byte.

mod objects;
mod visitor;

use crate::certificates::Issued;
use crate::multiplexed::{Connection, run_for};
use crate::secured::certified;
use crate::support::{Builder, Client, Edge, Nginx, edge, ingress, rule};
use objects::{Object, objects};
use serde_json::json;
use std::fs;
use std::time::Duration;
use visitor::{Asked, Cache, Got};

/// Random requests, of each protocol.
const REQUESTS: usize = 1000;

/// A debug build compresses slowly.
const PATIENCE: Duration = Duration::from_secs(240);

/// What nginx says of types, and what must not be changed.
const HTTP: &str =
    "types { text/plain txt; application/javascript js; image/png png; image/svg+xml svg; }";
const SERVER: &str = "location ~ fixed { add_header Cache-Control \"public, no-transform\"; }
    location / { add_header Cache-Tag one,two; add_header CDN-Cache-Control max-age=600;
        add_header Cloudflare-CDN-Cache-Control max-age=700; add_header Surrogate-Control max-age=800;
        add_header Surrogate-Key one; add_header Age 3; expires 60; }";

fn nginx() -> Option<(Nginx, Vec<Object>)> {
    let nginx = Nginx::start_with(HTTP, SERVER)?;
    let objects = objects();
    for object in &objects {
        fs::write(nginx.root().join(&object.name), &object.bytes).expect("a new file");
    }
    Some((nginx, objects))
}

/// Everything to nginx, compressed.
fn compressing(builder: Builder, nginx: &Nginx) -> Edge {
    let mut all = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    all["metadata"]["annotations"] = json!({"ravelin.dev/middlewares": "small"});
    all["spec"]["tls"] = json!([{"secretName": "own"}]);
    let small = json!({
        "apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": "small"}, "spec": {"compress": {}},
    });
    builder
        .service("web", &[nginx.addr()])
        .object("ingress.json", &all)
        .object("small.json", &small)
        .start()
}

/// One connection of Cloudflare's.
enum Line {
    Http1(Box<Client>),
    Http2(Connection),
}

impl Line {
    async fn ask(&mut self, asked: &Asked) -> Got {
        match self {
            Self::Http1(client) => {
                let fields: String = asked
                    .fields
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                let Asked { method, path, .. } = asked;
                client
                    .send(format!("{method} /{path} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n"));
                let response = match *method {
                    "HEAD" => client.response_to_head(),
                    _ => client.response(),
                };
                Got { status: response.status(), fields: response.fields, body: response.body }
            }
            Self::Http2(connection) => {
                let mut request =
                    crate::multiplexed::request(asked.method, &format!("/{}", asked.path));
                for (name, value) in &asked.fields {
                    request = request.header(*name, value);
                }
                let answer = connection.ask(request.body(()).expect("valid")).await;
                let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                    (name.to_string(), value.to_str().expect("ASCII").to_owned())
                };
                let fields = answer.fields.iter().map(field).collect();
                Got { status: answer.status.as_u16(), fields, body: answer.body }
            }
        }
    }
}

/// Asks for whatever a cache asks for, and checks every byte.
async fn play(mut line: Line, nginx: &Nginx, objects: Vec<Object>, seed: u64) {
    let mut cache = Cache::new(objects, seed);
    for number in 0..REQUESTS {
        if number % 31 == 30 {
            let object = cache.change();
            fs::write(nginx.root().join(&object.name), &object.bytes).expect("an old file");
        }
        cache.step(&mut line).await;
    }
    let missing = cache.never_seen();
    assert!(missing.is_empty(), "{missing:?} never happened");
}

#[test]
fn objects_are_whole_however_a_cache_asks_for_them_over_http_1() {
    let Some((nginx, objects)) = nginx() else { return };
    let edge = compressing(edge(), &nginx);
    run_for(PATIENCE, async {
        play(Line::Http1(Box::new(edge.connect())), &nginx, objects, 1).await;
    });
    let metrics = edge.metrics();
    assert!(metrics.sum("ravelin_compressed_responses_total", &[]) > 50.0);
    assert!(metrics.sum("ravelin_etag_mismatches_total", &[]) < 0.5, "one pod agrees with itself");
}

#[test]
fn objects_are_whole_however_a_cache_asks_for_them_over_http_2() {
    let Some((nginx, objects)) = nginx() else { return };
    let issued = Issued::new(&[crate::secured::HOST, "localhost"]);
    let edge = compressing(certified(&issued), &nginx);
    run_for(PATIENCE, async {
        let connection = Connection::open(edge.addr()).await;
        play(Line::Http2(connection), &nginx, objects, 2).await;
    });
    assert!(edge.metrics().sum("ravelin_compressed_responses_total", &[]) > 50.0);
}
