//! `ravelin.dev/max-cdn-passes`: which networks a request may have passed on its way, by `CDN-Loop` (RFC 8586).
//!
//! Each network on the way adds itself, and none may remove it. Cloudflare is `cloudflare`, once, and counts in the
//! parameter `loops` how often the request has entered its network: `cloudflare; loops=1; subreqs=1` is the request of a
//! Worker.

use super::{RequestView, StepAnswer, Stop};
use crate::error::Reason;
use crate::model::middleware::PassRule;

/// Cloudflare's `cdn-id`.
const CLOUDFLARE: &[u8] = b"cloudflare";

/// Refuses requests that came another way. One without the field has passed no network that says so.
pub(super) fn on_request(rule: &PassRule, request: &mut RequestView<'_>) -> Result<(), Stop> {
    if !request.origin.is_for(&rule.hosts) {
        return Ok(());
    }
    let each = request.passage.received.passes.iter().map(|value| passes(value.as_bytes()));
    let passes = each.sum::<Option<u64>>();
    if passes.is_some_and(|passes| passes <= u64::from(rule.most.get())) {
        return Ok(());
    }
    Err(StepAnswer::of(Reason::CdnLoopRefused).into())
}

/// How often a value says that the request has passed Cloudflare; `None` where it names another network, or cannot be
/// read: `#( cdn-id *( OWS ";" OWS parameter ) )` (RFC 8586 section 2).
fn passes(value: &[u8]) -> Option<u64> {
    let mut passes: u64 = 0;
    for element in split(value, b',')? {
        let mut parts = split(element, b';')?.into_iter().map(<[u8]>::trim_ascii);
        let id = parts.next().unwrap_or_default();
        // Empty elements of a list are ignored (RFC 9110 section 5.6.1.2).
        if id.is_empty() && parts.len() == 0 {
            continue;
        }
        if !id.eq_ignore_ascii_case(CLOUDFLARE) {
            return None;
        }
        let mut loops = None;
        for part in parts {
            if let Some(count) = strip_name(part, b"loops=") {
                let count = std::str::from_utf8(count).ok()?.parse::<u32>().ok()?;
                // Twice is not what Cloudflare writes.
                if loops.replace(count).is_some() {
                    return None;
                }
            }
        }
        passes += u64::from(loops.unwrap_or(1).max(1));
    }
    Some(passes)
}

/// What follows the name of a parameter, in whatever case.
fn strip_name<'p>(part: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let (head, rest) = part.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(rest)
}

/// The parts between separators outside of quoted strings (RFC 9110 section 5.6.4); `None` for one that does not end.
fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_sent_another_network_is_never_taken_for_none(
            before in proptest::collection::vec(any::<u8>(), 0..40),
            after in "[ ,;=a-z0-9\"\\\\]{0,40}",
        ) {
            // No panic, and no count where a network is named outside of quotes.
            passes(&before);
            let named = format!("fastly, {after}");
            prop_assert_eq!(passes(named.as_bytes()), None);
        }
    }

    #[test]
    fn passes_of_cloudflare_are_counted_and_other_networks_are_none() {
        for (value, count) in [
            ("", Some(0)),
            ("cloudflare", Some(1)),
            ("Cloudflare; loops=1", Some(1)),
            ("cloudflare; loops=1; subreqs=1", Some(1)),
            ("cloudflare;loops=2", Some(2)),
            ("cloudflare; LOOPS=3", Some(3)),
            ("cloudflare; loops=0", Some(1)),
            ("cloudflare, cloudflare; loops=2", Some(3)),
            (" , cloudflare,, ", Some(1)),
            ("cloudflare; x=\"a, fastly; \\\" loops=9\"", Some(1)),
            ("fastly", None),
            ("cloudflare, fastly", None),
            ("fastly; x=\"cloudflare\"", None),
            ("cloudflare.example", None),
            ("; loops=1", None),
            ("cloudflare; loops=", None),
            ("cloudflare; loops=-1", None),
            ("cloudflare; loops=\"1\"", None),
            ("cloudflare; loops=1; loops=1", None),
            ("cloudflare; loops=99999999999", None),
            ("cloudflare; x=\"open", None),
        ] {
            assert_eq!(passes(value.as_bytes()), count, "{value}");
        }
    }
}
