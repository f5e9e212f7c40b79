//! Heads and bodies in one piece and in many.

use super::*;

/// Hands bytes over in pieces, and says how each body is framed when its head is through.
fn pass(pieces: &[&[u8]], framings: &[Framing]) -> io::Result<(Vec<u8>, Option<Reason>)> {
    let mut reader = RawReader::new();
    let mut framings = framings.iter().copied();
    let (mut passed, mut word) = (Vec::new(), None);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let read = reader.read(rest, word.take(), true)?;
            let count = match read {
                Passed::Whole => {
                    passed.extend_from_slice(rest);
                    rest.len()
                }
                Passed::Part(count) => {
                    passed.extend_from_slice(&rest[..count]);
                    count
                }
                Passed::Instead(count, instead) => {
                    passed.extend(instead);
                    count
                }
            };
            assert!(count > 0, "nothing would be the end");
            rest = &rest[count..];
            if reader.at == At::Through {
                word = framings.next();
            }
        }
    }
    Ok((passed, reader.refused()))
}

#[test]
fn requests_are_found_behind_each_other_however_they_are_cut() {
    let heads = "POST /a<b HTTP/1.1\r\nA: \"<\"\r\n\r\n<five\
                 \r\nGET /c?d=\"`\u{e9} HTTP/1.1\n\nPOST / HTTP/1.1\r\nB: c\n\r\n\
                 5;a\r\n\"<>`#\r\n0\r\nd: <\r\n\r\nGET /e\"f HTTP/1.1\r\n\r\n";
    let expected = "POST /a%3Cb HTTP/1.1\r\nA: \"<\"\r\n\r\n<five\
                    \r\nGET /c?d=%22%60%C3%A9 HTTP/1.1\n\nPOST / HTTP/1.1\r\nB: c\n\r\n\
                    5;a\r\n\"<>`#\r\n0\r\nd: <\r\n\r\nGET /e%22f HTTP/1.1\r\n\r\n";
    let framings = [Framing::Length(5), Framing::None, Framing::Chunked, Framing::None];
    for size in 1..=heads.len() {
        let pieces: Vec<_> = heads.as_bytes().chunks(size).collect();
        let (passed, refused) = pass(&pieces, &framings).expect("well framed");
        assert_eq!(String::from_utf8_lossy(&passed), expected, "in pieces of {size}");
        assert_eq!(refused, None);
    }
}

#[test]
fn a_head_is_plain_only_if_it_is_one_and_whole() {
    for (head, is_plain) in [
        ("GET / HTTP/1.1\r\nA: \"b\"\r\n\r\n", true),
        ("GET / HTTP/1.1\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nA: b\r\n", false),
        ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
        ("GET / HTTP/1.1\n\nGET / HTTP/1.1\r\n\r\n", false),
        ("GET / HTTP/1.1\n\r\nx\r\n\r\n", false),
        ("GET / HTTP/1.1\r\n\r\n\r\n", false),
        ("GET / HTTP/1.1\n\r\n\r\n", false),
        ("\r\nGET / HTTP/1.1\r\n\r\n", false),
        ("GET /\" HTTP/1.1\r\n\r\n", false),
        ("GET /# HTTP/1.1\r\n\r\n", false),
        ("\r\n\r\n", false),
    ] {
        assert_eq!(is_plain_head(head.as_bytes()), is_plain, "{head:?}");
    }
}

#[test]
fn a_fragment_is_refused_and_its_line_is_kept() {
    let head = b"GET /a?b#c HTTP/1.1\r\nA: b\r\n\r\n";
    let (passed, refused) = pass(&[head], &[]).expect("well framed");
    assert_eq!(refused, Some(Reason::BadTarget));
    assert!(passed.starts_with(b"GET /a?b\0c HTTP/1.1\r\n"), "hyper takes it for no request");
    let mut reader = RawReader::new();
    assert!(matches!(reader.read(head, None, true), Ok(Passed::Instead(..))));
    assert_eq!(reader.refused_line(), Some(&b"GET /a?b#c HTTP/1.1"[..]));
}

#[test]
fn what_hyper_and_we_do_not_agree_on_is_an_error() {
    let head = b"GET / HTTP/1.1\r\n\r\n";
    let mut reader = RawReader::new();
    assert!(reader.read(b"GET / HT", Some(Framing::None), true).is_err(), "no head is through");
    let mut reader = RawReader::new();
    assert!(matches!(reader.read(head, None, true), Ok(Passed::Whole)));
    assert!(reader.read(head, None, true).is_err(), "hyper reads on without a word");
    let chunks: [&[u8]; 2] = [head, b"5;\r\nhello\r\n"];
    assert!(pass(&chunks, &[Framing::Chunked]).is_err());
}

#[test]
fn bytes_for_another_protocol_are_not_touched() {
    let head = b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n";
    let early = b"a b\"<#\xff\r\nc";
    let through = || {
        let mut reader = RawReader::new();
        assert!(matches!(reader.read(head, None, true), Ok(Passed::Whole)));
        reader
    };
    let mut reader = through();
    assert_eq!(reader.read(early, Some(Framing::Upgrade), false).ok(), Some(Passed::Whole));
    assert_eq!(reader.read(early, None, false).ok(), Some(Passed::Whole));
    // A false end of a head only delays the rest.
    let read = reader.read(b"\r\n\r\nrest", None, false);
    assert_eq!(read.ok(), Some(Passed::Part(4)));
    // The pod did not agree: what comes then is a request again.
    let mut reader = through();
    let passed = reader.read(b"GET /< HTTP/1.1\r\n\r\n", Some(Framing::Upgrade), true);
    assert!(matches!(passed, Ok(Passed::Instead(..))), "{passed:?}");
}
