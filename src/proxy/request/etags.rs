//! Which responses are compared for [`EtagTable`](crate::proxy::EtagTable): those that everybody gets.

use super::exchange::Exchange;
use crate::net::fields::{FieldMap, Fields};
use http::{HeaderValue, Method, StatusCode, header};

/// Compares the ETag of a pod's response with those of others. Responses that depend on the client, or on more than what
/// `Accept-Encoding` says, may differ; so may Services that share a route.
pub(super) fn compare(exchange: &Exchange, status: StatusCode, headers: &FieldMap) {
    let is_whole = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    if !is_whole || *exchange.method() != Method::GET || exchange.noted.personal {
        return;
    }
    let (Some(tag), Some(endpoint), Some(target), Some((table, id))) =
        (headers.get(header::ETAG), exchange.endpoint(), &exchange.target, exchange.route())
    else {
        return;
    };
    let backend = table.backend(id);
    let is_one_of = || exchange.passage.as_ref().is_some_and(|passage| passage.service.is_some());
    if backend.endpoints().usable().len() < 2 || is_one_of() || depends(headers) {
        return;
    }
    let coding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let query = target.uri.query().unwrap_or_default();
    let pieces = [
        target.host.as_bytes(),
        target.uri.path().as_bytes(),
        query.as_bytes(),
        coding.unwrap_or_default(),
    ];
    let downstream = exchange.downstream();
    let worker = &downstream.worker;
    if !worker.etags.note(worker.etags.path(&pieces), endpoint.id, tag) {
        return;
    }
    worker.series.with(downstream.listener, table, Some(id), |series| {
        series.etag_mismatches.add(1);
    });
    if backend.note_differing_etags() {
        tracing::warn!(
            service = %backend.key,
            host = %String::from_utf8_lossy(target.host.as_bytes()),
            path = target.uri.path(),
            "pods have different ETags for one path: Cloudflare cannot join parts of it or revalidate it, unless this is \
             a rollout; have the pods make ETags from the content, or give the files the same times in every pod"
        );
    }
}

/// Whether a response is not the same for everybody.
fn depends(headers: &FieldMap) -> bool {
    headers.iter().any(|(name, value)| match *name {
        header::SET_COOKIE => true,
        header::VARY => !varies_little(value),
        header::CACHE_CONTROL => is_private(value),
        _ => false,
    })
}

/// Whether `Vary` names nothing but what is known not to change an ETag here.
fn varies_little(value: &HeaderValue) -> bool {
    let known = |name: &[u8]| {
        let name = name.trim_ascii();
        name.is_empty()
            || name.eq_ignore_ascii_case(b"accept-encoding")
            || name.eq_ignore_ascii_case(b"origin")
    };
    value.as_bytes().split(|&byte| byte == b',').all(known)
}

/// Whether only the client may store it, or nobody.
fn is_private(value: &HeaderValue) -> bool {
    let directives = value.as_bytes().split(|&byte| byte == b',');
    directives.map(<[u8]>::trim_ascii).any(|directive| {
        directive.eq_ignore_ascii_case(b"no-store")
            || directive.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"private"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_that_are_not_for_everybody_are_left_out() {
        for (name, value, expected) in [
            ("cache-control", "public, max-age=60", false),
            ("cache-control", "max-age=0, Private", true),
            ("cache-control", "private=\"set-cookie\"", true),
            ("cache-control", "No-Store", true),
            ("vary", "Accept-Encoding, Origin", false),
            ("vary", "accept-encoding, Accept-Language", true),
            ("vary", "*", true),
            ("set-cookie", "a=1", true),
            ("x-other", "private", false),
        ] {
            let mut headers = FieldMap::new();
            headers.set(name, HeaderValue::from_static(value));
            assert_eq!(depends(&headers), expected, "{name}: {value}");
        }
    }
}
