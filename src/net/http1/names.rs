//! Names of fields as they come, and what they are.
//!
//! To make a name of its bytes takes as long as to read the rest of its field, and most names come with every message.

use http::HeaderName;
use std::cell::RefCell;

/// Names that a worker remembers; a power of two.
const NAMES: usize = 256;

/// The longest that is remembered, in bytes: together, as they came and as names, they take 40 KiB at most.
const MOST_BYTES: usize = 40;

thread_local! {
    static KNOWN: RefCell<Box<[Known]>> =
        RefCell::new(std::iter::repeat_with(Known::default).take(NAMES).collect());
}

/// A name as it came last.
#[derive(Default)]
struct Known {
    bytes: Box<[u8]>,
    name: Option<HeaderName>,
}

/// The name that these bytes are, in any case. `None` if they are none.
pub(super) fn name(bytes: &[u8]) -> Option<HeaderName> {
    if bytes.len() > MOST_BYTES {
        return HeaderName::from_bytes(bytes).ok();
    }
    KNOWN.with_borrow_mut(|known| {
        let known = known.get_mut(place(bytes))?;
        if let Some(name) = known.name.as_ref().filter(|_| *known.bytes == *bytes) {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(bytes).ok()?;
        *known = Known { bytes: bytes.into(), name: Some(name.clone()) };
        Some(name)
    })
}

/// Where a name is remembered: by its length, and the bytes in which names of one length differ most.
fn place(bytes: &[u8]) -> usize {
    let at = |place: usize| bytes.get(place).map_or(0, |byte| usize::from(*byte));
    let (length, middle) = (bytes.len(), bytes.len() / 2);
    (at(0) + 7 * at(middle) + 31 * at(length.wrapping_sub(1)) + 67 * length) % NAMES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_is_however_often_and_in_whatever_case_it_comes() {
        let long = "x".repeat(MOST_BYTES + 1);
        let names = ["Host", "host", "X-A", "x-a", "x-b", "b-x", "bad name", "", "\u{e9}", &long];
        for text in names.iter().chain(&names) {
            let expected = HeaderName::from_bytes(text.as_bytes()).ok();
            assert_eq!(name(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_browsers_and_pods_send_has_places_of_its_own() {
        let names = [
            "host",
            "connection",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
            "cookie",
            "referer",
            "cache-control",
            "content-type",
            "content-length",
            "if-none-match",
            "origin",
            "upgrade-insecure-requests",
            "sec-fetch-site",
            "sec-fetch-mode",
            "sec-fetch-dest",
            "sec-fetch-user",
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
            "priority",
            "cdn-loop",
            "cf-connecting-ip",
            "cf-ipcountry",
            "cf-ray",
            "cf-visitor",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-requested-with",
            "authorization",
            "date",
            "server",
            "etag",
            "last-modified",
            "vary",
            "set-cookie",
            "transfer-encoding",
            "location",
        ];
        let places: std::collections::HashSet<_> =
            names.iter().map(|name| place(name.as_bytes())).collect();
        assert!(places.len() + 4 >= names.len(), "{} of {}", places.len(), names.len());
    }
}
