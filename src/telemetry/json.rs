//! Text within JSON, with a bound on what is written.

/// Appends the inside of a JSON string (RFC 8259 section 7), at most `most` bytes of it. Returns
/// whether that was too little: the text is cut then, at a character. Bytes that are no UTF-8 become
/// U+FFFD.
pub(super) fn write_text(out: &mut Vec<u8>, value: &[u8], most: usize) -> bool {
    if is_plain(value) {
        let whole = value.len().min(most);
        out.extend_from_slice(&value[..whole]);
        return whole < value.len();
    }
    write_escaped(out, value, most)
}

#[cold]
fn write_escaped(out: &mut Vec<u8>, value: &[u8], most: usize) -> bool {
    let end = out.len() + most;
    for chunk in value.utf8_chunks() {
        let broken = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for character in chunk.valid().chars().chain(broken) {
            let start = out.len();
            write_char(out, character);
            if out.len() > end {
                out.truncate(start);
                return true;
            }
        }
    }
    false
}

fn write_char(out: &mut Vec<u8>, character: char) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\x08' => out.extend_from_slice(b"\\b"),
        '\x0c' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..='\x1f' => {
            let [high, low] = [HEX[character as usize >> 4], HEX[character as usize & 15]];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Whether a JSON string may hold the bytes as they are: ASCII without quote, backslash and control
/// characters. Sixteen at a time, without a branch for each, so that the compiler has them in one register:
/// every value of every line comes by here.
fn is_plain(value: &[u8]) -> bool {
    const WIDE: usize = 16;
    let is_odd = |bytes: &[u8; WIDE]| {
        bytes.iter().fold(false, |odd, &byte| {
            // As a signed number what is no ASCII is below the control characters.
            odd | (byte.cast_signed() < 0x20) | (byte == b'"') | (byte == b'\\')
        })
    };
    let Some(last) = value.last_chunk() else {
        // Missing bytes count as a plain one.
        let mut short = [b' '; WIDE];
        short[..value.len()].copy_from_slice(value);
        return !is_odd(&short);
    };
    // The last of them in part again, which costs less than to look at a rest by itself.
    let (whole, _) = value.as_chunks();
    !whole.iter().fold(is_odd(last), |odd, bytes| odd | is_odd(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_json_escapes_is_seen_at_every_position() {
        for length in 0..40 {
            let plain = vec![b'~'; length];
            assert!(is_plain(&plain));
            for position in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = plain.clone();
                    value[position] = byte;
                    let needs = !(0x20..0x80).contains(&byte) || byte == b'"' || byte == b'\\';
                    assert_eq!(is_plain(&value), !needs, "{byte} at {position} of {length}");
                }
            }
        }
    }

    fn text(value: &[u8], most: usize) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let cut = write_text(&mut out, value, most);
        (out, cut)
    }

    proptest! {
        #[test]
        fn it_is_what_serde_writes_or_a_beginning_of_that(
            value in proptest::collection::vec(any::<u8>(), 0..64),
            most in 0_usize..100,
        ) {
            let quoted = serde_json::to_string(&String::from_utf8_lossy(&value)).expect("text");
            let whole = quoted.as_bytes();
            let whole = &whole[1..whole.len() - 1];
            prop_assert_eq!(text(&value, whole.len()), (whole.to_vec(), false));
            let (out, cut) = text(&value, most);
            prop_assert!(out.len() <= most && whole.starts_with(&out));
            prop_assert_eq!(cut, out.len() < whole.len());
            prop_assert!(serde_json::from_slice::<String>(&[b"\"", &*out, b"\""].concat()).is_ok());
        }
    }
}
