//! HTTP Strict Transport Security (RFC 6797).

use crate::net::fields::Fields;
use http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};

/// Adds the field, unless the pod has sent its own.
pub(super) fn on_response(headers: &mut impl Fields, value: &HeaderValue) {
    if !headers.contains(STRICT_TRANSPORT_SECURITY) {
        headers.set(STRICT_TRANSPORT_SECURITY, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;

    #[test]
    fn a_pod_that_sends_the_field_itself_decides() {
        let ours = HeaderValue::from_static("max-age=1");
        let mut headers = FieldMap::new();
        on_response(&mut headers, &ours);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=1");
        headers.set(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=2"));
        on_response(&mut headers, &ours);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=2");
    }
}
