//! The decision on one visitor, for people who ask why.

use super::get;
use crate::config::CrowdSec;
use serde::Deserialize;
use std::net::IpAddr;

/// The most bytes of an answer: one visitor has a few decisions.
const MOST_BYTES: usize = 1 << 20;

/// `GET /v1/decisions` (CrowdSec documentation, "Local API").
#[derive(Deserialize)]
struct Decision {
    #[serde(rename = "type")]
    kind: String,
    scope: String,
    value: String,
    #[serde(default)]
    scenario: String,
    #[serde(default)]
    duration: String,
}

/// The ban that a visitor is under, in words; `None` without one. `country`: as Cloudflare says, in two letters.
///
/// Asks for this visitor alone: what the API tells its components of changes is not touched.
///
/// # Errors
/// The API cannot be asked, or its answer cannot be read; in words.
pub async fn ban_of(
    config: &CrowdSec,
    visitor: IpAddr,
    country: Option<&str>,
) -> Result<Option<String>, String> {
    let mut queries = vec![format!("?ip={}", visitor.to_canonical())];
    let is_code =
        |code: &&str| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    queries.extend(country.filter(is_code).map(|code| format!("?scope=country&value={code}")));
    for query in queries {
        let body = get(config, &query, MOST_BYTES).await.map_err(|(_, words)| words)?;
        if let Some(ban) = ban_in(&body)? {
            return Ok(Some(ban));
        }
    }
    Ok(None)
}

/// The first ban of an answer.
fn ban_in(body: &[u8]) -> Result<Option<String>, String> {
    // Go writes an empty slice as null.
    let all: Option<Vec<Decision>> = serde_json::from_slice(body)
        .map_err(|error| format!("the response is no list of decisions: {error}"))?;
    let ban = all.into_iter().flatten().find(|one| one.kind.eq_ignore_ascii_case("ban"));
    Ok(ban.map(|Decision { scope, value, scenario, duration, .. }| {
        let mut text = format!("ban of {} {value}", scope.to_ascii_lowercase());
        for (what, of) in [("scenario", scenario), ("for another", duration)] {
            if !of.is_empty() {
                text.push_str(&format!(", {what} {of}"));
            }
        }
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ban_counts_and_nothing_is_none() {
        let ban = r#"{"type":"ban","scope":"Range","value":"192.0.2.0/24","scenario":"manual","duration":"4h"}"#;
        let captcha = r#"{"type":"captcha","scope":"Ip","value":"192.0.2.1"}"#;
        let words = "ban of range 192.0.2.0/24, scenario manual, for another 4h";
        assert_eq!(ban_in(format!("[{captcha},{ban}]").as_bytes()), Ok(Some(words.to_owned())));
        assert_eq!(ban_in(format!("[{captcha}]").as_bytes()), Ok(None));
        assert_eq!(ban_in(b"null"), Ok(None));
        let bare = r#"[{"type":"Ban","scope":"country","value":"T1"}]"#;
        assert_eq!(ban_in(bare.as_bytes()), Ok(Some("ban of country T1".to_owned())));
        for wrong in [&b""[..], b"{}", b"<html>"] {
            assert!(ban_in(wrong).is_err());
        }
    }
}
