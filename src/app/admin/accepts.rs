//! What a scraper takes.

use http::{HeaderMap, header};

/// Whether the client names OpenMetrics among what it takes: exemplars are a part of that format alone.
pub(super) fn accepts_openmetrics(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    fields.any(|field| field.contains("application/openmetrics-text"))
}

/// Whether an answer may be compressed with gzip (RFC 9110 section 12.5.3).
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = fields.filter_map(|field| field.to_str().ok()).flat_map(|text| text.split(','));
    let mut asked = codings.filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|text| text.parse::<f32>().ok());
        let name = name.trim();
        (name.eq_ignore_ascii_case("gzip") || name == "*").then(|| weight.is_none_or(|w| w > 0.0))
    });
    asked.next().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn gzip_is_for_those_who_ask_for_it() {
        for (fields, expected) in [
            (&[][..], false),
            (&["gzip"], true),
            (&["deflate, gzip;q=0.5"], true),
            (&["identity", "GZIP ; q=1"], true),
            (&["*"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000, *"], false),
            (&["br, x-gzipped"], false),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(field));
            }
            assert_eq!(accepts_gzip(&headers), expected, "{fields:?}");
        }
    }
}
