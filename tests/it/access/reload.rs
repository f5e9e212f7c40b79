//! What becomes of requests while annotations or the table `[[access]]` change: nobody gets in without a good token, at
//! no moment.

use super::tokens::{AUD, OTHER_AUD, Signer, claims};
use super::{Scene, TeamServer, annotated, now};
use crate::support::{Client, Process, Upstream, edge, eventually, ingress, rule};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Asks a host again and again without a token, and with one that is never good.
struct Intruder {
    stop: Arc<AtomicBool>,
    asking: Vec<JoinHandle<usize>>,
}

impl Intruder {
    fn begin(addr: SocketAddr, host: &'static str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let forged = Signer::new("k1").token(&claims(now()));
        let asking =
            [String::new(), format!("Cf-Access-Jwt-Assertion: {forged}\r\n")].map(|field| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    let mut asked = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let mut client = Client::connect(addr);
                        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{field}\r\n"));
                        let status = client.response().status();
                        assert!(
                            [403, 503].contains(&status),
                            "{host} answers {status} to {field:?}"
                        );
                        asked += 1;
                    }
                    asked
                })
            });
        Self { stop, asking: asking.into() }
    }

    /// It has asked all the time, and never got in.
    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.asking {
            assert!(thread.join().expect("nobody got in") > 0);
        }
    }
}

/// The claims of a good token, with these changes.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut claims = claims(now());
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

#[test]
fn annotations_that_change_count_at_once_and_let_nobody_in_between() {
    let scene = Scene::start();
    let first = scene.token();
    let other = scene.signer.token(&with(&[("aud", json!([OTHER_AUD]))]));
    let guest = scene.signer.token(&with(&[("custom", json!({"groups": ["guests"]}))]));
    let intruder = Intruder::begin(scene.edge.addr(), "a");
    let statuses = || [&first, &other, &guest].map(|token| scene.get("a", &[token]).status());
    let put = |annotations: &[(&str, &str)]| {
        scene.edge.put("a.json", &annotated("a", annotations).to_string());
    };
    let (team, other_team) = (format!("example/{AUD}"), format!("example/{OTHER_AUD}"));
    assert_eq!(statuses(), [200, 403, 200]);
    for _ in 0..3 {
        // What was verified for the application before is not good for the next one.
        put(&[("access", &other_team)]);
        assert_eq!(statuses(), [403, 200, 403]);
        put(&[("access", &team), ("access-groups", "ops")]);
        assert_eq!(statuses(), [200, 403, 403]);
        put(&[("access", &team), ("access-groups", "guests, none")]);
        assert_eq!(statuses(), [403, 403, 200]);
        // A mistake closes the route.
        put(&[("access", "")]);
        assert_eq!(statuses(), [503, 503, 503]);
        // A team whose keys nobody has closes it too.
        put(&[("access", &format!("nobody/{AUD}"))]);
        assert!(statuses().iter().all(|status| [403, 503].contains(status)));
        put(&[("access", &team)]);
        assert_eq!(statuses(), [200, 403, 200]);
    }
    intruder.end();
    // Only who removes the annotation opens the route.
    put(&[]);
    assert_eq!(scene.get("a", &[]).status(), 200);
}

fn status(process: &Process, token: &str) -> u16 {
    let mut client = process.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCf-Access-Jwt-Assertion: {token}\r\n\r\n"));
    client.response().status()
}

#[test]
fn a_table_that_changes_counts_after_the_reload_and_lets_nobody_in_between() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let signers = ["k1", "k2"].map(Signer::new);
    let [first, second] = [0, 1].map(|n| TeamServer::start(folders[n].path(), &[&signers[n]]));
    let table = |hosts: &str| format!("hosts = [\"a\"]\n{hosts}");
    let pod = Upstream::saying("pod");
    let before = first.table(folders[0].path());
    let rules = table(&format!("audiences = [\"{AUD}\"]\n"));
    let process = edge()
        .service("pod", &[pod.addr()])
        .object("a.json", &ingress("a", &[rule("a", &[("/", "Prefix", "pod")])]))
        .tables(&format!("{before}{rules}"))
        .spawn(1);
    let tokens = [
        signers[0].token(&claims(now())),
        signers[0].token(&with(&[("aud", json!([OTHER_AUD]))])),
        signers[0].token(&with(&[("custom", json!({"groups": ["guests"]}))])),
        signers[1].token(&with(&[("iss", json!("https://other.cloudflareaccess.com"))])),
    ];
    let statuses = || [0, 1, 2, 3].map(|n| status(&process, &tokens[n]));
    let becomes = |expected: [u16; 4]| {
        eventually(&format!("{expected:?}"), || (statuses() == expected).then_some(()));
        assert_eq!(statuses(), expected);
    };
    becomes([200, 403, 200, 403]);
    let intruder = Intruder::begin(process.addr(), "a");
    let change = |from: &str, to: &str| {
        process.reload(|text| {
            assert!(text.contains(from), "{text}");
            text.replacen(from, to, 1)
        });
        process.await_message("listening");
    };
    let other_rules = table(&format!("audiences = [\"{OTHER_AUD}\"]\n"));
    change(&rules, &other_rules);
    becomes([403, 200, 403, 403]);
    let of_group = table(&format!("audiences = [\"{AUD}\"]\ngroups = [\"guests\"]\n"));
    change(&other_rules, &of_group);
    becomes([403, 403, 200, 403]);
    let after = second.table(folders[1].path()).replace("\"example\"", "\"other\"");
    change(&format!("{before}{of_group}"), &format!("{after}{rules}"));
    becomes([403, 403, 403, 200]);
    change(&after, &before);
    becomes([200, 403, 200, 403]);
    intruder.end();
}
