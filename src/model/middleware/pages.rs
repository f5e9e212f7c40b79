//! Pages in the place of responses with some statuses, which are kept here.

use super::response::StatusRange;
use bytes::Bytes;
use http::StatusCode;

/// `ravelin.dev/error-pages`: pages of a ConfigMap.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPages(Box<[KeptPage]>);

/// One page.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPage {
    /// The statuses that it is for: one, or all of a class.
    pub statuses: StatusRange,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Shared by all routes that have it.
    pub body: Bytes,
}

impl KeptPages {
    /// Of two for one status, the one for fewer statuses is sent; of equals, the one that comes first.
    pub fn new(mut pages: Vec<KeptPage>) -> Self {
        pages.sort_by_key(|page| page.statuses.last - page.statuses.first);
        Self(pages.into())
    }

    /// The page for a status. There are a few hundred at most.
    pub fn find(&self, status: StatusCode) -> Option<&KeptPage> {
        self.0.iter().find(|page| page.statuses.contains(status))
    }

    /// All of them.
    pub fn all(&self) -> &[KeptPage] {
        &self.0
    }
}

/// Without the bodies.
impl std::fmt::Debug for KeptPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let page = |page: &KeptPage| (page.statuses, page.content_type, page.body.len());
        f.debug_list().entries(self.0.iter().map(page)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_one_status_comes_before_one_for_its_class() {
        let page = |first, last, body| KeptPage {
            statuses: StatusRange { first, last },
            content_type: "text/html",
            body: Bytes::from_static(body),
        };
        let pages = [page(500, 599, b"5xx"), page(503, 503, b"503"), page(404, 404, b"404")];
        let pages = KeptPages::new(pages.to_vec());
        for (code, expected) in
            [(503, Some("503")), (502, Some("5xx")), (404, Some("404")), (403, None), (200, None)]
        {
            let found = pages.find(StatusCode::from_u16(code).expect("a status"));
            let body = found.map(|page| std::str::from_utf8(&page.body).expect("text"));
            assert_eq!(body, expected, "{code}");
        }
        assert!(!format!("{pages:?}").contains("body"));
    }
}
