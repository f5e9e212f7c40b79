//! `[crowdsec]`: decisions of a Local API that is played here, obeyed for every visitor.

use crate::support::{Builder, Conn, Edge, Upstream, edge, ingress, rule};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const KEY: &str = "s3cret-key";

/// What the API answers with: bodies for the whole list and for the next changes, or a status.
#[derive(Clone, Default)]
struct Played {
    whole: String,
    changes: Vec<String>,
    status: Option<u16>,
}

/// A Local API that knows one key.
struct Api {
    server: Upstream,
    played: Arc<Mutex<Played>>,
}

impl Api {
    fn start(whole: &str) -> Self {
        let played = Arc::new(Mutex::new(Played { whole: whole.to_owned(), ..Played::default() }));
        let plays = Arc::clone(&played);
        let server = Upstream::scripted(move |conn: &mut Conn| {
            while let Some(request) = conn.request() {
                let mut played = plays.lock().expect("no holder panics");
                let (status, body) = match (request.field("x-api-key"), played.status) {
                    (Some(KEY), None) if request.target().contains("startup=true") => {
                        played.changes.clear();
                        (200, played.whole.clone())
                    }
                    (Some(KEY), None) if played.changes.is_empty() => {
                        (200, r#"{"new":null,"deleted":null}"#.to_owned())
                    }
                    (Some(KEY), None) => (200, played.changes.remove(0)),
                    (_, Some(status)) => (status, "{}".to_owned()),
                    (_, None) => (403, r#"{"message":"access forbidden"}"#.to_owned()),
                };
                drop(played);
                let length = body.len();
                conn.send(format!(
                    "HTTP/1.1 {status} Played\r\nContent-Length: {length}\r\n\r\n{body}"
                ));
            }
        });
        Self { server, played }
    }

    fn play(&self, act: impl FnOnce(&mut Played)) {
        act(&mut self.played.lock().expect("no holder panics"));
    }

    /// A proxy that asks it often, with this key.
    fn edge(&self, folder: &Path, key: &str, pod: &Upstream) -> Builder {
        let file = folder.join("key");
        std::fs::write(&file, key).expect("a folder of ours");
        let url = format!("\"http://{}/base/\"", self.server.addr());
        edge()
            .listener("trusted_proxies", "[\"127.0.0.1/32\"]")
            .set("crowdsec", "url", &url)
            .set("crowdsec", "api_key_file", &format!("{file:?}"))
            .set("crowdsec", "interval", "\"20ms\"")
            .service("a", &[pod.addr()])
            .object("h.json", &ingress("h", &[rule("h", &[("/", "Prefix", "a")])]))
    }
}

fn ban(scope: &str, value: &str) -> String {
    format!(
        r#"{{"id":7,"type":"ban","scope":"{scope}","value":"{value}","duration":"4h","origin":"cscli","scenario":"manual"}}"#
    )
}

fn stream(new: &[String], deleted: &[String]) -> String {
    format!(r#"{{"new":[{}],"deleted":[{}]}}"#, new.join(","), deleted.join(","))
}

/// The status that a visitor gets whom a trusted proxy names.
fn visit(edge: &Edge, visitor: &str) -> u16 {
    let mut client = edge.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {visitor}\r\n\r\n"));
    client.response().status()
}

fn await_visit(edge: &Edge, visitor: &str, status: u16) {
    crate::support::eventually(&format!("{visitor} gets {status}"), || {
        (visit(edge, visitor) == status).then_some(())
    });
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn who_is_banned_is_refused_from_the_first_request_on_and_changes_are_followed() {
    let (pod, folder) = (Upstream::saying("pod"), folder());
    let api =
        Api::start(&stream(&[ban("Ip", "203.0.113.1"), ban("Range", "198.51.100.0/24")], &[]));
    let edge = api.edge(folder.path(), &format!("{KEY}\n"), &pod).start();
    assert_eq!(visit(&edge, "203.0.113.1"), 403);
    assert_eq!(edge.ended("client_denied")["status"], 403);
    assert_eq!(pod.requests().len(), 0);
    assert_eq!(visit(&edge, "198.51.100.9"), 403);
    assert_eq!(visit(&edge, "203.0.113.2"), 200);
    let first = &api.server.requests()[0];
    let target = "/base/v1/decisions/stream?startup=true&scopes=ip,range,country";
    assert_eq!((first.target(), first.field("x-api-key")), (target, Some(KEY)));
    edge.await_metric("ravelin_crowdsec_decisions", &[("scope", "network")], 2.0);
    let changes = stream(&[ban("Ip", "203.0.113.2")], &[ban("Ip", "203.0.113.1")]);
    api.play(|played| played.changes.push(changes));
    await_visit(&edge, "203.0.113.2", 403);
    assert_eq!(visit(&edge, "203.0.113.1"), 200);
    assert_eq!(visit(&edge, "198.51.100.9"), 403);
    assert!(api.server.requests()[1].target().contains("startup=false"));
}

#[test]
fn a_visitor_s_own_claim_neither_bans_nor_saves() {
    let (pod, folder) = (Upstream::saying("pod"), folder());
    let api = Api::start(&stream(&[ban("Ip", "127.0.0.9"), ban("Ip", "203.0.113.1")], &[]));
    let edge = api.edge(folder.path(), KEY, &pod).start();
    let from = |peer: &str| {
        let peer: IpAddr = peer.parse().expect("an address");
        let mut client = crate::support::Client::connect_from(peer, edge.addr());
        client.send(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.1\r\n\
             CF-Connecting-IP: 203.0.113.1\r\nCF-IPCountry: XX\r\n\r\n",
        );
        client.response().status()
    };
    assert_eq!(from("127.0.0.9"), 403);
    assert_eq!(from("127.0.0.8"), 200, "it is no proxy that is trusted");
}

#[test]
fn what_fails_leaves_the_bans_in_force_and_is_told_and_then_all_is_asked_for_again() {
    let (pod, folder) = (Upstream::saying("pod"), folder());
    let api = Api::start(&stream(&[ban("Ip", "203.0.113.1")], &[]));
    let edge = api.edge(folder.path(), KEY, &pod).start();
    assert_eq!(visit(&edge, "203.0.113.1"), 403);
    let failing = |why| edge.await_metric("ravelin_crowdsec_failing", &[("reason", why)], 1.0);
    api.play(|played| played.status = Some(500));
    failing("status");
    assert_eq!(visit(&edge, "203.0.113.1"), 403);
    api.play(|played| {
        played.status = None;
        played.whole = "<html>".to_owned();
    });
    failing("syntax");
    assert_eq!(visit(&edge, "203.0.113.1"), 403);
    api.play(|played| played.whole = stream(&[ban("Ip", "203.0.113.5")], &[]));
    await_visit(&edge, "203.0.113.5", 403);
    assert_eq!(visit(&edge, "203.0.113.1"), 200);
    edge.await_metric("ravelin_crowdsec_failing", &[("reason", "syntax")], 0.0);
    std::fs::remove_file(folder.path().join("key")).expect("it is there");
    failing("unreadable");
    assert_eq!(visit(&edge, "203.0.113.5"), 403);
}

#[test]
fn with_a_key_that_is_not_known_or_nobody_there_visitors_are_served() {
    let (pod, folder) = (Upstream::saying("pod"), folder());
    let api = Api::start(&stream(&[ban("Ip", "203.0.113.1")], &[]));
    let edge = api.edge(folder.path(), "another", &pod).start();
    assert_eq!(visit(&edge, "203.0.113.1"), 200);
    edge.await_metric("ravelin_crowdsec_failing", &[("reason", "status")], 1.0);
    // The right key is put in its place while it runs.
    std::fs::write(folder.path().join("key"), KEY).expect("a folder of ours");
    await_visit(&edge, "203.0.113.1", 403);
}
