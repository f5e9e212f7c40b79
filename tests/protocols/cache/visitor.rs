//! What a cache asks for, and what it makes sure of.

use super::Line;
use super::objects::{Object, PART};
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliDecoder, DecodeV2};
use flate2::read::GzDecoder;
use ravelin::net::random::nth;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// A request.
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

/// A response.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter().filter(|(field, _)| field == name);
        let first = all.next().map(|(_, value)| value.as_str());
        assert!(all.next().is_none(), "{name} is there twice");
        first
    }

    fn tag(&self) -> String {
        self.field("etag").expect("nginx gives one").to_owned()
    }

    /// The fields that do not depend on how, or when, a body is sent.
    fn of_object(&self) -> Vec<(String, String)> {
        let left_out = ["date", "content-length", "transfer-encoding", "expires"];
        let fields = self.fields.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
        let mut fields: Vec<_> = fields.cloned().collect();
        fields.sort();
        fields
    }

    fn decoded(&self) -> Vec<u8> {
        match self.field("content-encoding") {
            None => self.body.clone(),
            Some("gzip") => {
                let mut plain = Vec::new();
                GzDecoder::new(&self.body[..]).read_to_end(&mut plain).expect("gzip");
                plain
            }
            Some(other) => {
                assert_eq!(other, "br");
                brotli(&self.body)
            }
        }
    }
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let (mut decoder, mut plain) = (BrotliDecoder::new(), Vec::new());
    let mut input = PartialBuffer::new(body);
    loop {
        let mut room = vec![0; 1 << 16];
        let mut output = WriteBuffer::new_initialized(&mut room);
        let ended = decoder.decode(&mut input, &mut output).expect("brotli");
        let written = output.written_len();
        plain.extend_from_slice(&room[..written]);
        if ended {
            return plain;
        }
        assert!(written > 0 || !input.unwritten().is_empty(), "it breaks off");
    }
}

/// A cache in front of the proxy.
pub(super) struct Cache {
    objects: Vec<Object>,
    /// The tags of the last versions, by object and `Accept-Encoding`.
    kept: BTreeMap<(usize, &'static str), String>,
    /// The tag of the last version that was not compressed.
    strong: BTreeMap<usize, String>,
    seen: BTreeSet<&'static str>,
    seed: u64,
    drawn: u64,
    versions: usize,
}

const ACCEPTS: [&str; 5] = ["", "identity", "gzip", "br", "gzip, br"];

impl Cache {
    pub(super) fn new(objects: Vec<Object>, seed: u64) -> Self {
        let (kept, strong, seen) = Default::default();
        Self { objects, kept, strong, seen, seed, drawn: 0, versions: 0 }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.drawn += 1;
        usize::try_from(nth(self.seed, self.drawn) % below.max(1) as u64).expect("64 bits")
    }

    /// Another version of some object.
    pub(super) fn change(&mut self) -> &Object {
        let object = 3 + self.draw(5);
        self.versions += 1;
        self.objects[object].change(self.versions);
        &self.objects[object]
    }

    /// What should have happened in so many requests.
    pub(super) fn never_seen(&self) -> Vec<&'static str> {
        let all = [
            "plain",
            "br",
            "gzip",
            "304",
            "changed",
            "parts",
            "206",
            "if-range 200",
            "weak if-range",
            "multipart",
            "416",
            "head",
        ];
        all.into_iter().filter(|name| !self.seen.contains(name)).collect()
    }

    async fn ask(
        &self,
        line: &mut Line,
        method: &'static str,
        object: usize,
        fields: &[(&'static str, &str)],
    ) -> Got {
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(name, value)| (*name, (*value).to_owned())).collect();
        let asked = Asked { method, path: self.objects[object].name.clone(), fields };
        line.ask(&asked).await
    }

    /// One thing that a cache does.
    pub(super) async fn step(&mut self, line: &mut Line) {
        // The last one is long, and slow to compress.
        let object = match self.draw(60) {
            0 => self.objects.len() - 1,
            _ => self.draw(self.objects.len() - 1),
        };
        match self.draw(8) {
            0 | 1 => self.whole(line, object).await,
            2 => self.revalidated(line, object).await,
            3 => self.joined(line, object).await,
            4 => self.part(line, object).await,
            5 => self.several(line, object).await,
            6 => self.outside(line, object).await,
            _ => self.head(line, object).await,
        }
    }

    /// A miss: the whole object.
    async fn whole(&mut self, line: &mut Line, object: usize) {
        let accept = ACCEPTS[self.draw(ACCEPTS.len())];
        let got = self.ask(line, "GET", object, &[("accept-encoding", accept)]).await;
        self.check_whole(object, accept, &got);
        self.kept.insert((object, accept), got.tag());
    }

    fn check_whole(&mut self, object: usize, accept: &str, got: &Got) {
        let Object { name, bytes, is_compressed } = &self.objects[object];
        assert_eq!(got.status, 200, "{name}");
        assert!(got.decoded() == *bytes, "{name} with {accept}: {} bytes", got.decoded().len());
        assert_eq!(got.field("vary"), Some("Accept-Encoding"), "{name}");
        let coding = got.field("content-encoding");
        let is_asked_for = accept.contains("gzip") || accept.contains("br");
        assert_eq!(coding.is_some(), *is_compressed && is_asked_for, "{name} with {accept}");
        assert_eq!(got.tag().starts_with("W/"), coding.is_some(), "{name}");
        assert_eq!(got.field("accept-ranges").is_some(), coding.is_none(), "{name}");
        if name.starts_with("fixed") {
            assert_eq!(got.field("cache-control"), Some("public, no-transform"));
        } else {
            check_fields_of_caches(got);
        }
        self.seen.insert(match coding {
            None => "plain",
            Some("gzip") => "gzip",
            Some(_) => "br",
        });
        if coding.is_none() {
            assert_eq!(got.field("content-length"), Some(&*bytes.len().to_string()), "{name}");
            self.strong.insert(object, got.tag());
        }
    }

    /// What it has is old: is it still good?
    async fn revalidated(&mut self, line: &mut Line, object: usize) {
        let accept = ACCEPTS[self.draw(ACCEPTS.len())];
        let Some(tag) = self.kept.get(&(object, accept)).cloned() else {
            return self.whole(line, object).await;
        };
        let fields = [("accept-encoding", accept), ("if-none-match", &tag)];
        let got = self.ask(line, "GET", object, &fields).await;
        if got.status == 304 {
            assert_eq!((got.tag(), got.body.len()), (tag, 0));
            assert_eq!(got.field("vary"), Some("Accept-Encoding"));
            self.seen.insert("304");
            return;
        }
        assert_ne!(got.tag(), tag, "it has not changed");
        self.check_whole(object, accept, &got);
        self.kept.insert((object, accept), got.tag());
        self.seen.insert("changed");
    }

    /// Asks for a range, and checks that it is this part and nothing else.
    async fn range(&self, line: &mut Line, object: usize, first: usize, last: usize) -> Got {
        let accept = if first.is_multiple_of(2) { "identity" } else { "gzip, br" };
        let range = format!("bytes={first}-{last}");
        let fields = [("range", range.as_str()), ("accept-encoding", accept)];
        let got = self.ask(line, "GET", object, &fields).await;
        self.check_part(object, first, last, &got);
        got
    }

    fn check_part(&self, object: usize, first: usize, last: usize, got: &Got) {
        let Object { name, bytes, .. } = &self.objects[object];
        let last = last.min(bytes.len() - 1);
        assert_eq!(got.status, 206, "{name}");
        assert!(got.body == bytes[first..=last], "{name}: {first}-{last}");
        let length = (last - first + 1).to_string();
        assert_eq!(got.field("content-length"), Some(&*length), "{name}");
        let range = format!("bytes {first}-{last}/{}", bytes.len());
        assert_eq!(got.field("content-range"), Some(&*range));
        for name in ["transfer-encoding", "content-encoding"] {
            assert_eq!(got.field(name), None);
        }
        assert!(got.tag().starts_with('"'), "{}", got.tag());
    }

    /// The object in aligned parts, which are joined.
    async fn joined(&mut self, line: &mut Line, object: usize) {
        let length = self.objects[object].bytes.len();
        // Short ones in smaller parts.
        let part = if length > PART { PART } else { 1 + length / 3 };
        let (mut joined, mut tags) = (Vec::new(), BTreeSet::new());
        while joined.len() < length {
            let first = joined.len();
            let got = self.range(line, object, first, first + part - 1).await;
            tags.insert(got.tag());
            joined.extend(got.body);
        }
        assert!(joined == self.objects[object].bytes, "{}", self.objects[object].name);
        assert!(tags.len() < 2, "{tags:?}");
        self.seen.insert("parts");
    }

    /// A part of the version that it has, or else all of it.
    async fn part(&mut self, line: &mut Line, object: usize) {
        let length = self.objects[object].bytes.len();
        let Some(tag) = self.strong.get(&object).cloned().filter(|_| length > 0) else {
            return self.whole(line, object).await;
        };
        let first = self.draw(length);
        let last = first + self.draw(length - first);
        let (range, weak) = (format!("bytes={first}-{last}"), self.draw(4) == 0);
        let tag = if weak { format!("W/{tag}") } else { tag };
        let fields = [("range", &*range), ("if-range", &tag), ("accept-encoding", "gzip, br")];
        let got = self.ask(line, "GET", object, &fields).await;
        if got.status == 206 {
            assert!(!weak, "a weak tag is good for no part (RFC 9110 section 13.1.5)");
            assert_eq!(got.tag(), tag);
            self.check_part(object, first, last, &got);
            self.seen.insert("206");
            return;
        }
        assert_ne!(got.tag(), tag);
        // Whole, and as parts of it would be.
        self.check_whole(object, "identity", &got);
        self.seen.insert(if weak { "weak if-range" } else { "if-range 200" });
    }

    /// Two parts in one response, which nobody encodes.
    async fn several(&mut self, line: &mut Line, object: usize) {
        let length = self.objects[object].bytes.len();
        if length < 100 {
            return self.whole(line, object).await;
        }
        let (first, second) = (self.draw(length / 2), length / 2 + self.draw(length / 2 - 10));
        let range = format!("bytes={first}-{},{second}-{}", first + 8, second + 9);
        let fields = [("range", &*range), ("accept-encoding", "gzip, br")];
        let got = self.ask(line, "GET", object, &fields).await;
        assert_eq!((got.status, got.field("content-encoding")), (206, None));
        let kind = got.field("content-type").expect("one");
        assert!(kind.starts_with("multipart/byteranges; boundary="), "{kind}");
        assert_eq!(got.field("content-range"), None);
        for (first, last) in [(first, first + 8), (second, second + 9)] {
            let head = format!("Content-Range: bytes {first}-{last}/{length}\r\n\r\n");
            let at = got.body.windows(head.len()).position(|part| part == head.as_bytes());
            let at = at.unwrap_or_else(|| panic!("no {head}")) + head.len();
            let part = &self.objects[object].bytes[first..=last];
            assert!(got.body[at..].starts_with(part), "{range} of {length}");
        }
        self.seen.insert("multipart");
    }

    /// A part that there is not.
    async fn outside(&mut self, line: &mut Line, object: usize) {
        let length = self.objects[object].bytes.len();
        let range = format!("bytes={}-", length + 1 + self.draw(100));
        let fields = [("range", &*range), ("accept-encoding", "gzip, br")];
        let got = self.ask(line, "GET", object, &fields).await;
        assert_eq!((got.status, got.field("content-encoding")), (416, None));
        assert_eq!(got.field("content-range"), Some(&*format!("bytes */{length}")));
        self.seen.insert("416");
    }

    /// HEAD has the fields of GET, whatever is accepted.
    async fn head(&mut self, line: &mut Line, object: usize) {
        let accept = ACCEPTS[self.draw(ACCEPTS.len())];
        let fields = [("accept-encoding", accept)];
        let head = self.ask(line, "HEAD", object, &fields).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        let get = self.ask(line, "GET", object, &fields).await;
        self.check_whole(object, accept, &get);
        assert_eq!(head.of_object(), get.of_object());
        let length =
            get.field("content-length").filter(|_| get.field("content-encoding").is_none());
        assert_eq!(head.field("content-length"), length);
        self.seen.insert("head");
    }
}

/// What a pod says to caches passes.
fn check_fields_of_caches(got: &Got) {
    for (name, value) in [
        ("cache-tag", "one,two"),
        ("cdn-cache-control", "max-age=600"),
        ("cloudflare-cdn-cache-control", "max-age=700"),
        ("surrogate-control", "max-age=800"),
        ("surrogate-key", "one"),
        ("age", "3"),
        ("cache-control", "max-age=60"),
    ] {
        assert_eq!(got.field(name), Some(value), "{name}");
    }
    assert!(got.field("expires").is_some());
}
