//! What a browser does: it keeps cookies of the site, and goes where it is told.

use crate::support::{Client, Edge, Message};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The host that is behind the proxy; others are asked directly.
const SITE: &str = "app.example";

/// Redirections that are followed.
const MOST: usize = 8;

pub(super) struct Browser<'e> {
    edge: &'e Edge,
    /// Fields of every request to the site.
    fields: &'static str,
    cookies: BTreeMap<String, String>,
}

impl<'e> Browser<'e> {
    pub(super) fn new(edge: &'e Edge, fields: &'static str) -> Self {
        Self { edge, fields, cookies: BTreeMap::new() }
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.get(name).cloned()
    }

    pub(super) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// GET of a URL.
    pub(super) fn get(&mut self, url: &str) -> Message {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("a plain URL: {url}"));
        let (host, target) = rest.split_once('/').unwrap_or((rest, ""));
        let mut head = format!("GET /{target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n");
        let mut client = if host == SITE {
            head.push_str(self.fields);
            if !self.cookies.is_empty() {
                let pairs: Vec<_> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
                write!(head, "Cookie: {}\r\n", pairs.join("; ")).expect("a String");
            }
            self.edge.connect()
        } else {
            Client::connect(host.parse().expect("an address with its port"))
        };
        client.send(format!("{head}\r\n"));
        let response = client.response();
        if host == SITE {
            self.keep_cookies(&response);
        }
        response
    }

    fn keep_cookies(&mut self, response: &Message) {
        for (_, cookie) in response.fields.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a name and a value");
            match value {
                "" => drop(self.cookies.remove(name)),
                value => self.set_cookie(name, value),
            }
        }
    }

    /// Goes where it is told, until there is a page.
    pub(super) fn follow(&mut self, mut response: Message) -> Message {
        for _ in 0..MOST {
            let Some(to) = response.field("location").map(str::to_owned) else { return response };
            response = match to.strip_prefix('/') {
                Some(path) => self.get(&format!("http://{SITE}/{path}")),
                None => self.get(&to),
            };
        }
        panic!("no end of redirections: {response:?}");
    }
}
