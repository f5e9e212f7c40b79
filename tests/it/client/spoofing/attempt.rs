//! One attempt to pass for somebody else, and what has to come of it.

use super::backend::Kind;
use crate::support::{Builder, Client, Edge, edge};

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sender {
    /// A peer that is admitted and may speak for nobody.
    Stranger,
    /// A visitor of a site behind Cloudflare, or a Worker there.
    Visitor,
    /// A client of a proxy in `trusted_proxies`.
    Proxied,
}

/// Where the balancer's clients have connected to.
const BALANCED_PORT: &str = "8080";

impl Sender {
    /// In words.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Stranger => "a peer without trust",
            Self::Visitor => "through Cloudflare",
            Self::Proxied => "through a trusted proxy",
        }
    }

    /// The proxy that it meets.
    pub(super) fn meets(self) -> Builder {
        let edge = edge().set("cloudflare", "refresh", "\"off\"");
        let loopback = "[\"127.0.0.0/8\"]";
        match self {
            Self::Stranger => edge,
            Self::Visitor => edge.listener("proxy_protocol_from", loopback).admit(&["cloudflare"]),
            Self::Proxied => edge.listener("trusted_proxies", loopback),
        }
    }

    /// A new connection, and its peer as the log is to have it. `port` is one that no other
    /// connection has.
    pub(super) fn connect(self, edge: &Edge, port: usize) -> (Client, String) {
        let mut client = edge.connect();
        if self == Self::Visitor {
            client.send(format!("PROXY TCP4 104.16.0.1 127.0.0.1 {port} {BALANCED_PORT}\r\n"));
            return (client, format!("104.16.0.1:{port}"));
        }
        let peer = client.wire.stream.local_addr().expect("connected").to_string();
        (client, peer)
    }

    /// The peer.
    pub(super) fn peer_ip(self) -> &'static str {
        match self {
            Self::Stranger | Self::Proxied => "127.0.0.1",
            Self::Visitor => "104.16.0.1",
        }
    }
}

/// An attempt. Until something else is said, nothing of it is to reach the backend, and the client
/// is the peer.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Lines of the header section.
    pub(super) fields: Vec<String>,
    /// Lines of the trailer section of a chunked upload, if it is one.
    pub(super) trailers: Vec<String>,
    /// What is written behind the host.
    pub(super) host_port: &'static str,
    /// The client that the backend is to be told.
    pub(super) client: String,
    /// The scheme that the backend is to be told, if a trusted peer says one.
    pub(super) scheme: Option<&'static str>,
    /// Fields that pass, as `name: value`.
    pub(super) kept: Vec<String>,
    /// Trailers that pass.
    pub(super) kept_trailers: Vec<String>,
    /// `cf_ray` in the log.
    pub(super) ray: Option<&'static str>,
    /// Whether it is no HTTP, so that it ends with 400.
    pub(super) refused: bool,
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

impl Attempt {
    pub(super) fn new(sender: Sender, fields: &[&str]) -> Self {
        Self {
            fields: lines(fields),
            trailers: Vec::new(),
            host_port: "",
            client: sender.peer_ip().to_owned(),
            scheme: None,
            kept: Vec::new(),
            kept_trailers: Vec::new(),
            ray: None,
            refused: false,
        }
    }

    pub(super) fn client(mut self, client: &str) -> Self {
        client.clone_into(&mut self.client);
        self
    }

    pub(super) fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = Some(scheme);
        self
    }

    pub(super) fn at_port(mut self, host_port: &'static str) -> Self {
        self.host_port = host_port;
        self
    }

    pub(super) fn keeps(mut self, fields: &[&str]) -> Self {
        self.kept.extend(lines(fields));
        self
    }

    pub(super) fn ray(mut self, ray: &'static str) -> Self {
        self.ray = Some(ray);
        self
    }

    /// A chunked upload that ends with these trailers and one that is nobody's claim.
    pub(super) fn trailers(mut self, trailers: &[&str]) -> Self {
        self.trailers = lines(trailers);
        self.trailers.push("x-checksum: 1".to_owned());
        self.kept_trailers.push("x-checksum: 1".to_owned());
        // hyper writes the trailers that are announced, and no others.
        let names = self.trailers.iter().filter_map(|line| line.split(':').next());
        let names = names.collect::<Vec<_>>().join(", ").to_ascii_lowercase();
        self.fields.push(format!("trailer: {names}"));
        self.kept.push(format!("trailer: {names}"));
        self.kept.push("transfer-encoding: chunked".to_owned());
        self
    }

    pub(super) fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Whether a backend can show it: WSGI knows neither chunks nor trailers.
    pub(super) fn suits(&self, kind: Kind) -> bool {
        self.trailers.is_empty() || kind == Kind::Node
    }

    /// The request.
    pub(super) fn request(&self, host: &str, path: &str) -> String {
        let upload = !self.trailers.is_empty();
        let method = if upload { "POST" } else { "GET" };
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}{}\r\n", self.host_port);
        for line in &self.fields {
            text.extend([line, "\r\n"]);
        }
        if upload {
            text.push_str("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n");
            for line in &self.trailers {
                text.extend([line, "\r\n"]);
            }
        }
        text + "\r\n"
    }

    /// What a backend of this kind is to have got, sorted. `socket` is the listener's port.
    pub(super) fn fields_at(
        &self,
        kind: Kind,
        sender: Sender,
        socket: u16,
    ) -> Vec<(String, String)> {
        let host = format!("{}{}", kind.name(), self.host_port);
        let socket = match sender {
            Sender::Visitor => BALANCED_PORT.to_owned(),
            Sender::Stranger | Sender::Proxied => socket.to_string(),
        };
        let port = match (self.scheme, self.host_port.strip_prefix(':')) {
            (None, _) => socket,
            (Some(_), Some(port)) => port.to_owned(),
            (Some("https"), None) => "443".to_owned(),
            (Some(_), None) => "80".to_owned(),
        };
        let proto = self.scheme.unwrap_or("http");
        let ours = [
            ("host", host.as_str()),
            ("x-forwarded-for", &self.client),
            ("x-forwarded-host", &host),
            ("x-forwarded-port", &port),
            ("x-forwarded-proto", proto),
            ("x-real-ip", &self.client),
        ];
        let kept = self.kept.iter().map(|line| line.split_once(": ").expect("name: value"));
        let all = ours.into_iter().chain(kept);
        let mut all: Vec<_> =
            all.map(|(name, value)| (kind.spells(name), value.to_owned())).collect();
        all.sort();
        all
    }
}
