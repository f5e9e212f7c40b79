//! One connection: requests, and what they are answered.

use super::{Fault, On, Shared};
use crate::PATIENCE;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant, SystemTime};

/// Posts of what an account may do.
const REVIEWS: &str = "selfsubjectaccessreviews";

pub(super) fn converse(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut field = String::from("-");
        let mut token = None;
        let mut length = 0;
        while !field.trim().is_empty() {
            field.clear();
            reader.read_line(&mut field)?;
            if let Some(value) = field.trim().to_lowercase().strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
            token =
                token.or(field.trim().strip_prefix("authorization: Bearer ").map(str::to_owned));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let target = first.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        let values: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace("%3D", "=").replace("%2C", ",")))
            .collect();
        let on = match () {
            () if values.contains_key("watch") => On::Watch,
            () if values.contains_key("continue") => On::Continue,
            () => On::List,
        };
        let mut state = shared.0.lock().expect("no holder panics");
        if state.token.is_some() && state.token != token {
            state.refused += 1;
            drop(state);
            return play(stream, &Fault::Status(401, ""));
        }
        state.requests.push((plural.clone(), on, query.to_owned()));
        let fault = state.fault(&plural, on);
        let list = match &*plural {
            REVIEWS => Some(state.review(&body).to_string()),
            _ => (on != On::Watch).then(|| state.list(&plural, &values).to_string()),
        };
        drop(state);
        match (fault, list) {
            (Some(fault), _) => return play(stream, &fault),
            (None, Some(list)) => {
                let date = httpdate::fmt_http_date(SystemTime::now());
                answer(stream, "200 OK", &format!("date: {date}\r\n"), &list)?;
            }
            (None, None) => return watch(stream, shared, &plural, &values),
        }
    }
}

fn answer(mut stream: &TcpStream, status: &str, fields: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let mut text = String::new();
    write!(text, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n{body}")
        .expect("a String");
    stream.write_all(text.as_bytes())
}

fn play(mut stream: &TcpStream, fault: &Fault) -> io::Result<()> {
    match fault {
        Fault::Status(code, fields) => {
            let message = format!("the test says {code}");
            let body = json!({"kind": "Status", "code": code, "message": message}).to_string();
            answer(stream, &format!("{code} Played"), fields, &body)?;
        }
        Fault::Body(body) => answer(stream, "200 OK", "", body)?,
        Fault::Cut(body) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
            stream.write_all(format!("{head}{body}").as_bytes())?;
        }
        Fault::Hang => {
            stream.set_read_timeout(Some(PATIENCE))?;
            let _ = stream.read(&mut [0]);
        }
    }
    stream.shutdown(Shutdown::Both)
}

fn watch(
    mut stream: &TcpStream,
    shared: &Shared,
    plural: &str,
    query: &BTreeMap<String, String>,
) -> io::Result<()> {
    let seconds = query["timeoutSeconds"].parse().expect("a number");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut from: u64 = query["resourceVersion"].parse().expect("a number");
    // It ends with the watch, and so no client sends another request on it.
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    let mut state = shared.0.lock().expect("no holder panics");
    let epoch = state.epoch;
    while Instant::now() < end && state.epoch == epoch {
        let mut text = String::new();
        if !state.muted.iter().any(|muted| muted == plural) {
            let news = state.events.iter().filter(|(p, at, _)| p == plural && *at > from);
            news.for_each(|(.., line)| text.push_str(line));
            from = state.events.iter().map(|(_, at, _)| *at).fold(from, u64::max);
        }
        if text.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            (state, _) = shared.1.wait_timeout(state, left).expect("no holder panics");
        } else {
            drop(state);
            stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
            state = shared.0.lock().expect("no holder panics");
        }
    }
    drop(state);
    stream.write_all(b"0\r\n\r\n")?;
    stream.shutdown(Shutdown::Both)
}
