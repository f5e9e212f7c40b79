//! Random requests in which something may be wrong; the same each time.

/// A source of random numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap_or(0)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// One to three requests. `HOST` stands for the host.
    pub(super) fn requests(&mut self) -> Vec<u8> {
        let mut text = String::new();
        for _ in 0..=self.below(3) {
            text += self.one(&LINES);
            text += self.one(&["Host: HOST\r\n", "host:HOST \r\n", "HOST: HOST\r\n"]);
            for _ in 0..self.below(4) {
                text += self.one(&FIELDS);
            }
            text += self.one(&FRAMED);
        }
        let mut text = text.into_bytes();
        if self.below(4) == 0 {
            self.break_something(&mut text);
        }
        text
    }

    /// Removes, doubles or replaces a byte.
    fn break_something(&mut self, text: &mut Vec<u8>) {
        let at = self.below(text.len());
        match self.below(3) {
            0 => drop(text.remove(at)),
            1 => text.insert(at, text[at]),
            _ => {
                let odd = ["\r", "\n", " ", "\0", "0", ":", "#", "\t", ";", ",", "\u{b}"];
                text[at] = self.one(&odd).as_bytes()[0];
            }
        }
    }
}

/// A text for the pod of this name.
pub(super) fn to(text: &[u8], name: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.replace("HOST:", "hOst:").replace("HOST", &format!("{name}.example")).into_bytes()
}

const LINES: [&str; 14] = [
    "GET / HTTP/1.1\r\n",
    "GET /a?b=c HTTP/1.1\r\n",
    "GET /a%20b/%7ec?x=%00 HTTP/1.1\r\n",
    "GET /a//b/./c HTTP/1.1\r\n",
    "POST /form HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\n",
    "PUT /%41 HTTP/1.1\r\n",
    "DELETE /x HTTP/1.1\r\n",
    "OPTIONS /y HTTP/1.1\r\n",
    "GET http://HOST/b HTTP/1.1\r\n",
    "\r\nGET / HTTP/1.1\r\n",
    "GET  / HTTP/1.1\r\n",
    "GET /a b HTTP/1.1\r\n",
    "GET /q?\u{f6}\"<> HTTP/1.1\r\n",
];

const FIELDS: [&str; 22] = [
    "X-A:  b \t\r\n",
    "x-a: c\r\n",
    "X-B: \u{e9}\r\n",
    "X-Empty:\r\n",
    "X-List: a, b,, c\r\n",
    "Cookie: a=1; b=2\r\n",
    "Cookie: c=3\r\n",
    "Accept: */*\r\n",
    "User-Agent: a test\r\n",
    "X_Under: 1\r\n",
    "Connection: x-a\r\n",
    "Connection: keep-alive\r\n",
    "Keep-Alive: timeout=5\r\n",
    "Content-Type: text/plain\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Content_Length: 7\r\n",
    "Content-Length : 5\r\n",
    "x b: c\r\n",
    "X-D: a\r\n b\r\n",
    "X-E: a\n",
    "TE: trailers\r\n",
    "Range: bytes=0-1\r\n",
];

/// The end of a head with what says how its body is framed, and the body.
const FRAMED: [&str; 20] = [
    "\r\n",
    "\r\n",
    "\r\n",
    "Content-Length: 5\r\n\r\nhello",
    "content-length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "content-length: 5, 5\r\n\r\nhello",
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 05\r\n\r\nhello",
    "Content-Length: +5\r\n\r\nhello",
    "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "transfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\nx-t: 2\r\n\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\nHost: evil.example\r\nX-U: 3\r\n\r\n",
];
