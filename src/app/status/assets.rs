//! The page for browsers: three files in the program, and the fields that they are sent with.
//!
//! Texts from the cluster come as JSON and are put in as text, never as HTML. The policy allows no script or style but
//! ours, and no other site.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// A file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
}

const ASSETS: [(&str, Asset); 4] = [
    (
        "/page",
        Asset { content_type: "text/html; charset=utf-8", text: include_str!("page/page.html") },
    ),
    (
        "/page.js",
        Asset {
            content_type: "text/javascript; charset=utf-8",
            text: include_str!("page/page.js"),
        },
    ),
    (
        "/page.css",
        Asset { content_type: "text/css; charset=utf-8", text: include_str!("page/page.css") },
    ),
    ("/page.svg", Asset { content_type: "image/svg+xml", text: include_str!("page/page.svg") }),
];

/// Of everything that a browser shows or reads from here. `sandbox` is not among it: the page runs its own script.
const GUARDS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
            base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The file at a path.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|(own, _)| *own == path).map(|(_, asset)| asset)
}

/// Whether `/` is to be the page: browsers ask for HTML by name, curl does not.
pub(crate) fn is_page_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    accepted.flat_map(|text| text.split(',')).any(|one| {
        let name = one.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("text/html")
    })
}

/// Adds the fields that keep a browser from doing anything else with the answer.
pub(super) fn guard(headers: &mut HeaderMap, content_type: &'static str) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_for_those_who_ask_for_html() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("application/json, TEXT/HTML;q=0.5", true),
            ("*/*", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(is_page_wanted(&headers), expected, "{accept}");
        }
        assert!(!is_page_wanted(&HeaderMap::new()));
    }

    #[test]
    fn the_page_names_no_other_site_and_writes_no_html() {
        for (path, asset) in &ASSETS {
            let without_namespace = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!without_namespace.contains("://"), "{path}");
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!asset.text.contains(way), "{path}: {way}");
            }
        }
        let page = asset("/page").expect("the page").text;
        for inline in ["style=", "<style", "onclick", "onload", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
