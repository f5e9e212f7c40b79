//! HTTP Strict Transport Security (RFC 6797).

use http::header::{HeaderMap, HeaderValue, STRICT_TRANSPORT_SECURITY};

/// Adds the field, unless the pod has sent its own.
pub(super) fn on_response(headers: &mut HeaderMap, value: &HeaderValue) {
    headers.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| value.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_sends_the_field_itself_decides() {
        let ours = HeaderValue::from_static("max-age=1");
        let mut headers = HeaderMap::new();
        on_response(&mut headers, &ours);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=1");
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=2"));
        on_response(&mut headers, &ours);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=2");
    }
}
