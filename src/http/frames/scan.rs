//! Frame headers in a stream of bytes, however it is cut (RFC 9113 section 4.1).

/// The header of a frame, in bytes.
pub(super) const HEADER: usize = 9;

/// Finds frame headers. The payloads are passed over.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Bytes before the first frame that are still to come.
    pub preface: usize,
    header: [u8; HEADER],
    have: usize,
    /// Payload bytes that are still to come.
    left: usize,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    /// Payload bytes.
    pub len: u32,
}

impl Scanner {
    /// For a stream that begins with `preface` bytes before its first frame.
    pub(super) fn new(preface: usize) -> Self {
        Self { preface, header: [0; HEADER], have: 0, left: 0 }
    }

    /// The next header that ends within `bytes`, with what follows it; `None` when all bytes are used up.
    /// Costs a step for each frame.
    pub(super) fn next<'a>(&mut self, mut bytes: &'a [u8]) -> Option<(Header, &'a [u8])> {
        skip(&mut bytes, &mut self.preface);
        skip(&mut bytes, &mut self.left);
        if self.left == 0 && self.have == HEADER {
            self.have = 0;
        }
        let len = bytes.len().min(HEADER - self.have);
        self.header[self.have..self.have + len].copy_from_slice(&bytes[..len]);
        self.have += len;
        if self.have < HEADER || len == 0 {
            return None;
        }
        let header = self.header();
        self.left = header.len as usize;
        Some((header, &bytes[len..]))
    }

    /// The frame that has begun, if one has: `None` within it says that its header is not whole.
    pub(super) fn current(&self) -> Option<Option<Header>> {
        (self.have > 0).then(|| (self.have == HEADER).then(|| self.header()))
    }

    /// Payload bytes of a frame that are still to come.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    fn header(&self) -> Header {
        let [a, b, c, kind, flags, d, e, f, g] = self.header;
        Header {
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
            len: u32::from_be_bytes([0, a, b, c]),
        }
    }
}

fn skip(bytes: &mut &[u8], left: &mut usize) {
    let len = bytes.len().min(*left);
    *bytes = &bytes[len..];
    *left -= len;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_pieces_of_every_size() {
        let mut bytes = vec![b'P'; 24];
        let expected = [(4, 12, 0), (0, 5, 7), (8, 4, 0), (1, 0, 9), (0, 300, 0x7fff_ffff)];
        for (kind, len, stream) in expected {
            let [_, a, b, c] = u32::to_be_bytes(len);
            bytes.extend([a, b, c, kind, 1]);
            bytes.extend((stream | 0x8000_0000_u32).to_be_bytes());
            bytes.resize(bytes.len() + len as usize, b'x');
        }
        for size in 1..bytes.len() {
            let mut scanner = Scanner::new(24);
            let mut found = Vec::new();
            for mut piece in bytes.chunks(size) {
                while let Some((header, rest)) = scanner.next(piece) {
                    found.push((header.kind, header.len, header.stream));
                    piece = rest;
                }
            }
            assert_eq!(found, expected, "pieces of {size}");
        }
    }
}
