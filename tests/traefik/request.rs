//! A request as a case writes it: directives, a request line, fields, an empty line, a body.
//!
//! ```text
//! @from 10.77.1.1
//! @app 404
//! GET /path?query
//! X-Field: value
//! ```
//!
//! Host, the length of the body and the field that names the exchange are added when it is sent.

use crate::digest::Login;
use crate::handshake::Handshake;
use crate::pods::{Answer, NAMES};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A request, and what pods make of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Lines of the head, as they are sent.
    pub(crate) fields: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// The entry point, if it is not that of the scheme.
    pub(crate) entry_point: Option<String>,
    /// Over TLS, to the entry point `websecure`.
    pub(crate) secure: bool,
    /// With the certificate of the client.
    pub(crate) certificate: bool,
    /// The address of the client, 127.0.0.1 unless it is said.
    pub(crate) from: Option<Ipv4Addr>,
    /// Sent in chunks.
    pub(crate) chunked: bool,
    /// The pod does not answer until all further requests of the case are through.
    pub(crate) held: bool,
    /// Credentials for the challenge of the exchange before.
    pub(crate) login: Option<Login>,
    /// How its connection is secured, if in another way than usual.
    pub(crate) handshake: Option<Handshake>,
    /// How many requests pods get of it in all, where some come after the answer.
    pub(crate) arrivals: usize,
    /// It is sent so often, and the shares of the pods are compared.
    pub(crate) times: usize,
    /// It is sent so often again, with the cookie of the first answer, and always goes to the same pod.
    pub(crate) kept: usize,
    /// How pods answer, by their names.
    pub(crate) answers: BTreeMap<String, Answer>,
}

impl Request {
    /// Reads the text of a case.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut request = Self::default();
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        request.body = body.trim_end_matches('\n').as_bytes().to_vec();
        let mut lines = head.lines().map(str::trim_start);
        let line = loop {
            let line = lines.next().ok_or("no request line")?;
            let Some(directive) = line.strip_prefix('@') else { break line };
            request.obey(directive)?;
        };
        let (method, target) = line.split_once(' ').ok_or("no target in the request line")?;
        (request.method, request.target) = (method.to_owned(), target.to_owned());
        request.fields = lines.map(str::to_owned).collect();
        if let Some(field) = request.fields.iter().find(|field| !field.contains(':')) {
            return Err(format!("{field:?} is no field"));
        }
        Ok(request)
    }

    fn obey(&mut self, directive: &str) -> Result<(), String> {
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "secure" => self.secure = true,
            "at" => self.entry_point = Some(rest.to_owned()),
            "certificate" => (self.secure, self.certificate) = (true, true),
            "chunked" => self.chunked = true,
            "held" => self.held = true,
            "from" => self.from = Some(rest.parse().map_err(|error| format!("{rest}: {error}"))?),
            "login" => self.login = Some(Login::parse(rest)?),
            "handshake" => {
                (self.secure, self.handshake) = (true, Some(Handshake::parse(rest)?));
            }
            "arrivals" => self.arrivals = number(rest)?,
            "times" => self.times = number(rest)?,
            "kept" => self.kept = number(rest)?,
            "body-size" => self.body = letters(number(rest)?),
            "body-hex" => self.body = bytes(rest)?,
            _ => self.obey_for_pod(word, rest)?,
        }
        Ok(())
    }

    fn obey_for_pod(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let (pod, what) = word.split_once('-').unwrap_or((word, ""));
        if !NAMES.contains(&pod) {
            return Err(format!("@{word} is not known"));
        }
        let answer = self.answers.entry(pod.to_owned()).or_insert_with(|| Answer::of(pod));
        match what {
            "" => {
                let statuses = rest.split(',').map(|status| status.trim().parse());
                answer.statuses = statuses.collect::<Result<_, _>>().map_err(|_| "no status")?;
            }
            "field" => answer.fields.push(rest.to_owned()),
            "body" => answer.body = rest.as_bytes().to_vec(),
            "size" => answer.body = letters(number(rest)?),
            "close" => answer.closes = true,
            _ => return Err(format!("@{word} is not known")),
        }
        Ok(())
    }

    /// The bytes for one proxy: `host` unless the request has one, and the exchange's name.
    pub(crate) fn message(&self, host: &str, exchange: &str, login: Option<&str>) -> Vec<u8> {
        let has = |name: &str| {
            let names = self.fields.iter().filter_map(|field| field.split_once(':'));
            names.into_iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !has("host") {
            head += &format!("Host: {host}\r\n");
        }
        for field in &self.fields {
            head += field;
            head += "\r\n";
        }
        if let Some(login) = login {
            head += &format!("Authorization: {login}\r\n");
        }
        head += &format!("X-Case: {exchange}\r\n");
        let mut body = self.body.clone();
        if self.chunked {
            head += "Transfer-Encoding: chunked\r\n";
            body = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        } else if !body.is_empty() && !has("content-length") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }

    /// Whether a pod closes a connection in the place of an answer.
    pub(crate) fn closes(&self) -> bool {
        self.answers.values().any(|answer| answer.closes)
    }

    /// The name of the entry point.
    pub(crate) fn at(&self) -> &str {
        let of_scheme = if self.secure { "websecure" } else { "web" };
        self.entry_point.as_deref().unwrap_or(of_scheme)
    }

    /// As it is told of in a failure.
    pub(crate) fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(60)]).into_owned();
        let mut told = format!("{} {}", self.method, self.target);
        for field in &self.fields {
            told += &format!(" | {field}");
        }
        if self.at() != "web" {
            told += &format!(" (at {})", self.at());
        }
        if let Some(from) = self.from {
            told += &format!(" (from {from})");
        }
        if body.is_empty() { told } else { format!("{told} || {body}") }
    }
}

/// So many letters, which compress well.
fn letters(count: usize) -> Vec<u8> {
    b"abcdefghij".iter().copied().cycle().take(count).collect()
}

fn number(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|error| format!("{text:?}: {error}"))
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|error| error.to_string())).collect()
}
