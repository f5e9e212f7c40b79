//! What is passed on is read alike by servers that others wrote: where a message has two readings, a request of one
//! client becomes that of another (RFC 9112 section 11.2).
//!
//! Random requests, most often valid ones, go to five pods that tell what they have read: a strict reader of these
//! tests, hyper, Node, Go, and nginx before the first of them.

mod pods;
mod requests;

use crate::support::{Edge, Nginx, edge, ingress, rule};
use pods::{Go, Node, Pod, by_hyper, strict};
use requests::Dice;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// How many texts, each of one to three requests and for each of the pods.
const TEXTS: usize = 120;

/// How long an answer that is still to come may take. What is no whole request gets none.
const SILENCE: Duration = Duration::from_millis(300);

/// What a pod has read: the method, the target, fields by name, the body, trailers by name. Without what is of the
/// connection, and what tells the pods apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reading {
    method: Vec<u8>,
    target: Vec<u8>,
    fields: BTreeMap<String, Vec<Vec<u8>>>,
    body: Vec<u8>,
    trailers: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Reading {
    /// Of lines `KIND hex [hex]`, as the pods write them.
    fn parse(text: &str) -> Self {
        let mut reading = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ').map(bytes);
            let kind = line.as_bytes().first();
            let mut word = || words.next().unwrap_or_default();
            word();
            let first = word();
            match kind {
                Some(b'M') => reading.method = first,
                Some(b'T') => reading.target = first,
                Some(b'B') => reading.body = first,
                Some(b'F') => add(&mut reading.fields, &first, word()),
                Some(b'X') => add(&mut reading.trailers, &first, word()),
                _ => panic!("{line:?}"),
            }
        }
        for name in
            ["host", "x-forwarded-host", "connection", "content-length", "transfer-encoding"]
        {
            reading.fields.remove(name);
        }
        reading
    }
}

fn add(fields: &mut BTreeMap<String, Vec<Vec<u8>>>, name: &[u8], value: Vec<u8>) {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    fields.entry(name).or_default().push(value);
}

/// Bytes of hexadecimal digits; none of anything else.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map_while(digit).collect()
}

/// The answers to a text: statuses, and of a pod's what it has read.
fn answers(edge: &Edge, text: &[u8]) -> Vec<(u16, Option<Reading>)> {
    let mut client = TcpStream::connect(edge.addr()).expect("it listens");
    client.set_read_timeout(Some(SILENCE)).expect("a timeout");
    // It may have been answered, and closed, before its end.
    let _ = client.write_all(text);
    let (mut came, mut piece) = (Vec::new(), [0; 64 * 1024]);
    loop {
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => came.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let mut all = Vec::new();
    let mut rest = String::from_utf8(came).expect("pods answer in ASCII");
    while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
        let status = head[9..12].parse().expect("a status");
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
        });
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        let body = behind.get(..length).unwrap_or_else(|| panic!("{length} bytes: {rest}"));
        let is_pods = head.to_ascii_lowercase().contains("\r\nx-pod:");
        all.push((status, is_pods.then(|| Reading::parse(body))));
        rest = behind[length..].to_owned();
    }
    all
}

#[test]
fn five_servers_read_alike_what_is_passed_on() {
    let (Some(node), Some(go)) = (Node::start(), Go::start()) else { return };
    let (strict, hyper) = (strict(), by_hyper());
    let Some(nginx) = Nginx::start(&format!(
        "location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}",
        strict.addr()
    )) else {
        return;
    };
    let pods = [
        ("strict", strict.addr()),
        ("hyper", hyper.addr()),
        ("node", node.addr()),
        ("go", go.addr()),
        ("nginx", nginx.addr()),
    ];
    let mut builder = edge();
    let mut rules = Vec::new();
    for (name, addr) in pods {
        builder = builder.service(name, &[addr]);
        rules.push(rule(&format!("{name}.example"), &[("/", "Prefix", name)]));
    }
    let edge = builder.object("pods.json", &ingress("pods", &rules)).start();
    let (mut dice, mut passed, mut refused) = (Dice::new(), 0, 0);
    for number in 0..TEXTS {
        let text = dice.requests();
        let all = thread::scope(|scope| {
            let asked = pods.map(|(name, _)| {
                let text = requests::to(&text, name);
                let edge = &edge;
                (name, scope.spawn(move || answers(edge, &text)))
            });
            asked.map(|(name, answers)| (name, answers.join().expect("no panic")))
        });
        let shown = String::from_utf8_lossy(&text);
        let [(_, expected), others @ ..] = &all;
        for (name, answers) in others {
            let answers = without_what_differs(name, answers);
            let expected = without_what_differs(name, expected);
            assert_eq!(answers, expected, "{number}: {name} and the strict reader of\n{shown}");
        }
        passed += expected.iter().filter(|(_, reading)| reading.is_some()).count();
        refused += expected.iter().filter(|(_, reading)| reading.is_none()).count();
    }
    // Half of what is sent is odd, and what is behind it on its connection is not read.
    assert!(
        passed > TEXTS / 3 && refused > TEXTS / 10,
        "{passed} were read, and {refused} refused"
    );
}

/// Answers without what a server leaves out by its own rules.
fn without_what_differs(
    name: &str,
    answers: &[(u16, Option<Reading>)],
) -> Vec<(u16, Option<Reading>)> {
    let mut answers = answers.to_vec();
    for reading in answers.iter_mut().filter_map(|(_, reading)| reading.as_mut()) {
        if name == "nginx" {
            // It passes no trailers on, and fields under its own rules.
            reading.trailers.clear();
            reading.fields.clear();
        }
    }
    answers
}
