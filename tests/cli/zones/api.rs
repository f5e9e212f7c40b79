//! A TLS server that plays Cloudflare's API for zones: paths, envelope, pages and errors as its reference
//! has them.

use super::identity::server_config;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The token that may read everything.
pub(super) const TOKEN: &str = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY";
pub(super) const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
pub(super) const ACCOUNT: &str = "01a7362d577a6c3019a474fd6f485823";

/// What the API knows.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// By path, behind `/client/v4`.
    pub(super) objects: BTreeMap<String, Value>,
    /// Lists, in pages.
    pub(super) lists: BTreeMap<String, Vec<Value>>,
    /// Statuses instead of answers, with fields: one for each request, the last for all others.
    pub(super) refusals: BTreeMap<String, Vec<(u16, &'static str)>>,
    /// The most items of a page, whatever is asked for.
    pub(super) most_per_page: usize,
}

/// The running API; it runs until the test's process ends.
pub(super) struct Api {
    pub(super) base: String,
    pub(super) ca_file: PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
}

/// A record as the API lists it.
pub(super) fn record(id: &str, kind: &str, name: &str, content: &str, proxied: bool) -> Value {
    json!({"id": id, "name": name, "type": kind, "content": content, "proxied": proxied,
        "proxiable": true, "ttl": 1, "settings": {}, "meta": {}, "comment": null, "tags": [],
        "created_on": "2025-01-01T05:20:00.12345Z", "modified_on": "2025-01-01T05:20:00.12345Z"})
}

pub(super) fn zone(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "status": "active", "paused": false, "type": "full",
        "account": {"id": ACCOUNT, "name": "Example Account"},
        "meta": {"cdn_only": false, "dns_only": false, "foundation_dns": false, "step": 2},
        "name_servers": ["bob.ns.cloudflare.com", "lola.ns.cloudflare.com"]})
}

impl World {
    /// A zone with which nothing is wrong.
    pub(super) fn right() -> Self {
        let mut world = Self {
            objects: BTreeMap::new(),
            lists: BTreeMap::new(),
            refusals: BTreeMap::new(),
            most_per_page: 1000,
        };
        world.lists.insert("/zones".to_owned(), vec![zone(ZONE, "example.com")]);
        world.setting("ssl", "strict").setting("min_tls_version", "1.2");
        world.setting("origin_max_http_version", "2").setting("tls_client_auth", "off");
        world.object("/origin_tls_client_auth/settings", json!({"enabled": true}));
        world.object("/origin_tls_client_auth", json!([pull_certificate("2099-01-01T05:20:00Z")]));
        world.list("/origin_tls_client_auth/hostnames", vec![]);
        let records = ["app.example.com", "*.pages.example.com"].into_iter().flat_map(|name| {
            ["192.0.2.1", "192.0.2.2"].map(|content| {
                let id = format!("rec{}{}", &content[8..], &name[..1].replace('*', "w"));
                record(&id, "A", name, content, true)
            })
        });
        let alias = record("recwww", "CNAME", "www.example.com", "app.example.com", true);
        let text = record("rectxt", "TXT", "example.com", "v=spf1 -all", false);
        world.list("/dns_records", records.chain([alias, text]).collect());
        let certificate = json!({"id": "328578533902268680212849205732770752308931942346",
            "csr": "", "hostnames": ["example.com", "*.example.com"], "request_type": "origin-ecc",
            "requested_validity": 5475, "expires_on": "2099-01-01 05:20:00 +0000 UTC"});
        world.lists.insert("/certificates".to_owned(), vec![certificate]);
        world.objects.insert(
            format!("/accounts/{ACCOUNT}/dns_settings"),
            json!({"enforce_dns_only": false, "zone_defaults": {"zone_mode": "standard"}}),
        );
        world
    }

    /// Sets a setting of the zone.
    pub(super) fn setting(&mut self, name: &str, value: &str) -> &mut Self {
        let setting = json!({"id": name, "value": value, "editable": true,
            "modified_on": "2025-01-01T05:20:00.12345Z"});
        self.object(&format!("/settings/{name}"), setting)
    }

    /// Sets an object below the zone.
    pub(super) fn object(&mut self, path: &str, value: Value) -> &mut Self {
        self.objects.insert(format!("/zones/{ZONE}{path}"), value);
        self
    }

    /// Sets a list below the zone.
    pub(super) fn list(&mut self, path: &str, value: Vec<Value>) -> &mut Self {
        self.lists.insert(format!("/zones/{ZONE}{path}"), value);
        self
    }

    /// The records of the zone.
    pub(super) fn records(&mut self) -> &mut Vec<Value> {
        self.lists.get_mut(&format!("/zones/{ZONE}/dns_records")).expect("it is there")
    }

    /// Refuses a path.
    pub(super) fn refuse(&mut self, path: &str, statuses: &[(u16, &'static str)]) -> &mut Self {
        self.refusals.insert(path.to_owned(), statuses.to_vec());
        self
    }

    /// Status, fields and body of an answer.
    fn answer(&mut self, head: &str) -> (u16, &'static str, String) {
        let failure = |code: u16, message: &str| {
            json!({"success": false, "errors": [{"code": code, "message": message}],
                "messages": [], "result": null})
            .to_string()
        };
        let target = head.split(' ').nth(1).unwrap_or_default();
        let target = target.strip_prefix("/client/v4").unwrap_or("");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !head.contains(&format!("\r\nauthorization: Bearer {TOKEN}\r\n")) {
            return (403, "", failure(9109, "Invalid access token"));
        }
        if let Some(refusals) = self.refusals.get_mut(path)
            && let Some((status, fields)) = refusals.first().copied()
        {
            if refusals.len() > 1 {
                refusals.remove(0);
            }
            if status != 200 {
                return (status, fields, failure(10000, "Authentication error"));
            }
        }
        if let Some(result) = self.objects.get(path) {
            let body = json!({"success": true, "errors": [], "messages": [], "result": result});
            return (200, "", body.to_string());
        }
        match self.lists.get(path) {
            Some(list) => (200, "", page(list, query, self.most_per_page)),
            None => (404, "", failure(7003, "Could not route to it")),
        }
    }
}

/// A client certificate of the zone.
pub(super) fn pull_certificate(expires_on: &str) -> Value {
    json!({"id": "2458ce5a-0c35-4c7f-82c7-8e9487d3ff60", "certificate": "-----BEGIN CERTIFICATE-----",
        "issuer": "Example CA", "signature": "SHA256WithRSA", "status": "active",
        "expires_on": expires_on, "uploaded_on": "2025-01-01T05:20:00Z", "enabled": true})
}

fn page(list: &[Value], query: &str, most: usize) -> String {
    let number = |name: &str, default: usize| {
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = values.filter(|(key, _)| *key == name);
        values.next().map_or(default, |(_, value)| value.parse().expect("a number"))
    };
    let per_page = number("per_page", 20).min(most);
    let page = number("page", 1);
    let items: Vec<&Value> = list.iter().skip((page - 1) * per_page).take(per_page).collect();
    json!({"success": true, "errors": [], "messages": [], "result": items,
        "result_info": {"page": page, "per_page": per_page, "count": items.len(),
            "total_count": list.len(), "total_pages": list.len().div_ceil(per_page)}})
    .to_string()
}

impl Api {
    pub(super) fn start(folder: &Path, world: World) -> Self {
        let (config, authority) = server_config();
        let ca_file = folder.join("api-ca.pem");
        std::fs::write(&ca_file, authority).expect("a file of ours");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("https://{}/client/v4", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (config, heads) = (Arc::new(config), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut world = world;
            // One after another: so does the program ask.
            for socket in listener.incoming().map_while(Result::ok) {
                serve(&config, socket, &mut world, &heads);
            }
        });
        Self { base, ca_file, seen }
    }

    /// The targets of the requests so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("whole").clone()
    }
}

fn serve(
    config: &Arc<ServerConfig>,
    socket: TcpStream,
    world: &mut World,
    seen: &Mutex<Vec<String>>,
) {
    let session = ServerConnection::new(Arc::clone(config)).expect("a configuration that is whole");
    let mut stream = StreamOwned::new(session, socket);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    seen.lock().expect("whole").push(head.split(' ').nth(1).unwrap_or_default().to_owned());
    let (status, fields, body) = world.answer(&head);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Played\r\ncontent-type: application/json\r\n{fields}\
         content-length: {length}\r\n\r\n{body}"
    );
    // What fails here fails because the client gave up.
    let _ = stream.write_all(answer.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
