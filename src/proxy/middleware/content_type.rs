//! `contentType`: what a body without a type looks like, by its first bytes.
//!
//! The table of the MIME Sniffing Standard (section 7.1, "Identifying a resource with an unknown MIME type") as Go
//! has it, which is what Traefik adds.

/// The most bytes that are looked at.
const LOOKED_AT: usize = 512;

/// What a body in HTML may begin with, before a space or `>`.
const HTML: [&str; 17] = [
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

/// What other bodies begin with.
const BEGINNINGS: [(&[u8], &str); 26] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xFE\xFF", "text/plain; charset=utf-16be"),
    (b"\xFF\xFE", "text/plain; charset=utf-16le"),
    (b"\xEF\xBB\xBF", "text/plain; charset=utf-8"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\x0D\x0A\x1A\x0A", "image/png"),
    (b"\xFF\xD8\xFF", "image/jpeg"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"\x1A\x45\xDF\xA3", "video/webm"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1F\x8B\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1A\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1A\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00\x61\x73\x6D", "application/wasm"),
];

/// Containers: what they begin with, and what follows four bytes of length.
const CONTAINERS: [(&[u8], &[u8], &str); 4] = [
    (b"RIFF", b"WEBPVP", "image/webp"),
    (b"FORM", b"AIFF", "audio/aiff"),
    (b"RIFF", b"AVI ", "video/avi"),
    (b"RIFF", b"WAVE", "audio/wave"),
];

/// The type that a body looks like, by its beginning.
pub fn detect(body: &[u8]) -> &'static str {
    let body = &body[..body.len().min(LOOKED_AT)];
    let text = body.trim_ascii_start();
    if HTML.into_iter().any(|tag| is_tag(text, tag)) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, name)) = BEGINNINGS.into_iter().find(|(start, _)| body.starts_with(start)) {
        return name;
    }
    let is_container = |(outer, inner, _): &(&[u8], &[u8], _)| {
        body.starts_with(outer) && body.get(8..).is_some_and(|rest| rest.starts_with(inner))
    };
    if let Some((.., name)) = CONTAINERS.into_iter().find(is_container) {
        return name;
    }
    if is_mp4(body) {
        return "video/mp4";
    }
    match text.iter().any(|&byte| is_binary(byte)) {
        true => "application/octet-stream",
        false => "text/plain; charset=utf-8",
    }
}

fn is_tag(text: &[u8], tag: &str) -> bool {
    let (Some(start), Some(end)) = (text.get(..tag.len()), text.get(tag.len())) else {
        return false;
    };
    start.eq_ignore_ascii_case(tag.as_bytes()) && matches!(end, b' ' | b'>')
}

/// A box `ftyp` of which a brand begins with `mp4` (section 6.2.1).
fn is_mp4(body: &[u8]) -> bool {
    let Some((length, rest)) = body.split_first_chunk::<4>() else { return false };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if body.len() < 12 || body.len() < length || length % 4 != 0 || !rest.starts_with(b"ftyp") {
        return false;
    }
    let brands = (8..length).step_by(4).filter(|start| *start != 12);
    brands.into_iter().any(|start| body[start..].starts_with(b"mp4"))
}

/// Section 3: a byte that no text has.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_told_by_their_beginning_as_go_does() {
        for (body, expected) in [
            (&b""[..], "text/plain; charset=utf-8"),
            (b"hello", "text/plain; charset=utf-8"),
            (b"{\"a\":1}", "text/plain; charset=utf-8"),
            (b"\xC3\xA9\x1B[0m", "text/plain; charset=utf-8"),
            (b" \r\n<html><body>x", "text/html; charset=utf-8"),
            (b"<!doctype HTML>", "text/html; charset=utf-8"),
            (b"<!-- x", "text/html; charset=utf-8"),
            (b"<br", "text/plain; charset=utf-8"),
            (b"<bx>", "text/plain; charset=utf-8"),
            (b"\n<?xml version", "text/xml; charset=utf-8"),
            (b"\x01\x02", "application/octet-stream"),
            (b"%PDF-1.7", "application/pdf"),
            (b"\x89PNG\r\n\x1a\n...", "image/png"),
            (b"GIF89a..", "image/gif"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"RIFF....WAVE", "audio/wave"),
            (b"RIFF....", "text/plain; charset=utf-8"),
            (b"\0\0\0\x14ftypisom\0\0\x02\0mp42", "video/mp4"),
            (b"\0\0\0\x14ftypmp42", "application/octet-stream"),
            (b"\xFF\xFF\xFF\xFCftypmp42....", "text/plain; charset=utf-8"),
            (b"\x1f\x8b\x08", "application/x-gzip"),
            (b"\0asm\x01", "application/wasm"),
        ] {
            assert_eq!(detect(body), expected, "{:?}", String::from_utf8_lossy(body));
        }
        let mut late = vec![b'a'; LOOKED_AT];
        late.push(0);
        assert_eq!(detect(&late), "text/plain; charset=utf-8");
    }
}
