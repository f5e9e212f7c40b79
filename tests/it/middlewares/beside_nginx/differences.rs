//! Where ravelin may differ from nginx, and why.

/// One item of the outcome of requests.
#[derive(Debug)]
pub(super) struct Difference {
    /// What the case's name begins with.
    pub(super) case: &'static str,
    /// A part of the request.
    pub(super) request: &'static str,
    pub(super) item: &'static str,
    /// `None`: any value.
    pub(super) nginx: Option<&'static str>,
    /// Empty: there is none.
    pub(super) ravelin: &'static str,
    #[expect(dead_code, reason = "for readers, and for the output of a failure")]
    pub(super) reason: &'static str,
}

const fn row(
    at: [&'static str; 3],
    nginx: Option<&'static str>,
    ravelin: &'static str,
    reason: &'static str,
) -> Difference {
    let [case, request, item] = at;
    Difference { case, request, item, nginx, ravelin, reason }
}

const CASE: &str = "what is plain in a path is compared as it is written (RFC 9110 section 4.2.3)";
const ELEMENTS: &str =
    "a plain path is compared by element, as its pathType says: /appx is not below /app";
const SLASH: &str =
    "an escaped slash stays escaped: pods see what was matched, and nothing gets a new element";
const CANONICAL: &str =
    "steps see the canonical path, in which dots and double slashes are resolved";
const VERDICT: &str = "both refuse: 4xx of the server that is asked is passed on, anything else is an error of a server";
const CREDENTIALS: &str =
    "browsers take no credentials where any origin may ask (Fetch standard, CORS check)";
const PREFLIGHT: &str = "they count in the answer to a preflight alone (Fetch standard)";
const OPTIONS: &str = "OPTIONS that is no preflight is for the application";
const REFUSED: &str = "nothing is allowed without Access-Control-Allow-Origin, which is not there";
const RESPONSES: &str = "it does not count in the answer to a preflight (Fetch standard)";
const PAGE: &str = "the client keeps the status of the pod; nginx takes that of the page, which its servers copy from X-Code";
const QUERY: &str = "the page is asked for without the query of the request";

pub(super) const DIFFERENCES: &[Difference] = &[
    row(["a prefix taken away", "GET /API/x", "status"], Some("200"), "404", CASE),
    row(["a prefix taken away", "GET /API/x", "pod"], Some("GET /x 0"), "", CASE),
    row(["a prefix taken away", "GET /API/x", "pod.host"], None, "", CASE),
    row(["a prefix taken away", "a%2Fb", "pod"], Some("GET /a/b 0"), "GET /a%2Fb 0", SLASH),
    row(["everything to the root", "GET /APP/x", "status"], Some("200"), "404", CASE),
    row(["everything to the root", "GET /APP/x", "pod"], Some("GET / 0"), "", CASE),
    row(["everything to the root", "GET /APP/x", "pod.host"], None, "", CASE),
    row(["everything to the root", "GET /appx", "status"], Some("200"), "404", ELEMENTS),
    row(["everything to the root", "GET /appx", "pod"], Some("GET / 0"), "", ELEMENTS),
    row(["everything to the root", "GET /appx", "pod.host"], None, "", ELEMENTS),
    row(["moved", "GET /../a", "status"], Some("400"), "301", CANONICAL),
    row(["moved", "GET /../a", "location"], Some(""), "https://b.example/a", CANONICAL),
    row(
        ["moved", "GET /a//b", "location"],
        Some("https://b.example/a//b"),
        "https://b.example/a/b",
        CANONICAL,
    ),
    row(
        ["the other name", "GET /a//b", "location"],
        Some("http://h.example/a//b"),
        "http://h.example/a/b",
        CANONICAL,
    ),
    row(["a server that is asked", "Cookie: 302", "status"], Some("500"), "502", VERDICT),
    row(["a server that is asked", "Cookie: 404", "status"], Some("500"), "404", VERDICT),
    row(["a server that is asked", "Cookie: 500", "status"], Some("500"), "502", VERDICT),
    row(["a server that is asked", "Cookie: 503", "status"], Some("500"), "502", VERDICT),
    row(["any origin", "", "access-control-allow-credentials"], Some("true"), "", CREDENTIALS),
    row(
        ["a preflight of any origin", "", "access-control-allow-credentials"],
        Some("true"),
        "",
        CREDENTIALS,
    ),
    row(["any origin", "", "access-control-allow-methods"], None, "", PREFLIGHT),
    row(["any origin", "", "access-control-allow-headers"], None, "", PREFLIGHT),
    row(["any origin", "", "access-control-max-age"], None, "", PREFLIGHT),
    row(["any origin", "OPTIONS", "status"], Some("204"), "200", OPTIONS),
    row(["any origin", "OPTIONS", "pod"], Some(""), "OPTIONS / 0", OPTIONS),
    row(["any origin", "OPTIONS", "pod.host"], Some(""), "h.example", OPTIONS),
    row(["one origin", "GET", "access-control-allow-credentials"], Some(""), "true", REFUSED),
    row(["one origin", "GET", "access-control-expose-headers"], Some(""), "X-Two", REFUSED),
    row(["one origin", "OPTIONS", "access-control-expose-headers"], Some("X-Two"), "", RESPONSES),
    row(["pages for errors", "X-Answer: 404", "status"], Some("200"), "404", PAGE),
    row(["pages for errors", "X-Answer: 503", "status"], Some("200"), "503", PAGE),
    row(["pages for errors", "GET /a?b", "page"], Some("GET /?b 0"), "GET / 0", QUERY),
];
