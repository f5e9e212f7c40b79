//! What a request is for: host and path, read once, and refused where they can be read in two ways.

use crate::error::Reason;
use crate::model::{CanonicalPath, Host, RawPath};
use crate::net::fields::Fields;
use crate::net::message::RequestParts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Version, header};

/// The target of a request, as it is matched, logged and forwarded.
#[derive(Clone, Debug)]
pub struct Target {
    /// Path and query in origin form; the path is canonical, the query as received.
    pub uri: Uri,
    /// Path and query as they were sent, where that may be another path.
    raw: Option<Box<PathAndQuery>>,
    /// `Host` as the client sent it (or the authority of an absolute target); forwarded as it is.
    pub host: HeaderValue,
}

impl Target {
    /// Parses the target of a request head and takes it out of the head. `target_bytes` limits its length.
    pub fn read(head: &mut RequestParts, target_bytes: usize) -> Result<Self, Reason> {
        if head.method == Method::CONNECT {
            return Err(Reason::ConnectRefused);
        }
        let host = host(head)?;
        let length = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if length > target_bytes {
            return Err(Reason::TargetTooLong);
        }
        let canonical = CanonicalPath::parse(head.uri.path()).map_err(|_| Reason::BadTarget)?;
        let is_origin_form = head.uri.scheme().is_none() && head.uri.authority().is_none();
        if !canonical.is_rewritten() {
            if is_origin_form {
                return Ok(Self { uri: std::mem::take(&mut head.uri), raw: None, host });
            }
            // Without a path it is `http://host?query`, and the rest of this reads that.
            if let Some(target) =
                head.uri.path_and_query().filter(|all| all.as_str().starts_with('/'))
            {
                return Ok(Self { uri: Uri::from(target.clone()), raw: None, host });
            }
        }
        let uri = match head.uri.query() {
            Some(query) => format!("{}?{query}", canonical.as_str()),
            None => canonical.as_str().to_owned(),
        };
        // Merging only ever shortens a path, but escapes lengthen it.
        let uri = PathAndQuery::try_from(uri).map_err(|_| Reason::BadTarget)?;
        let raw = head.uri.path_and_query().filter(|raw| raw.as_str().starts_with('/'));
        Ok(Self { uri: Uri::from(uri), raw: raw.cloned().map(Box::new), host })
    }

    /// Path and query as the client wrote them.
    pub fn written(&self) -> &str {
        let raw = self.raw.as_deref().or_else(|| self.uri.path_and_query());
        raw.map_or("/", PathAndQuery::as_str)
    }

    /// Path and query as they were sent, for backends that take a path by its bytes. `leads_here`:
    /// whether a path has the same rule.
    ///
    /// # Errors
    /// The path as it was sent can be read as another than the one that the rule was found by.
    pub fn as_sent(&self, leads_here: impl Fn(&str) -> bool) -> Result<Uri, Reason> {
        let Some(raw) = &self.raw else {
            return Ok(self.uri.clone());
        };
        let is_same = match RawPath::judge(raw.path(), self.uri.path()) {
            RawPath::Clear => true,
            RawPath::Decoded(path) => leads_here(&path),
            RawPath::Ambiguous => false,
        };
        is_same.then(|| Uri::from(PathAndQuery::clone(raw))).ok_or(Reason::BadTarget)
    }

    /// Checks the scheme of an absolute target: `https` requires TLS (RFC 9110 section 7.4), and schemes
    /// other than HTTP's are refused.
    pub fn check_scheme(uri: &Uri, has_tls: bool) -> Result<(), Reason> {
        match uri.scheme() {
            None => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTP => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTPS && has_tls => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTPS => Err(Reason::MisdirectedRequest),
            Some(_) => Err(Reason::BadTarget),
        }
    }

    /// The same URL over TLS, at the default port: the client's port was for the other scheme.
    pub fn over_tls(&self) -> Option<HeaderValue> {
        let host = self.host_name().ok()?;
        let path = self.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        HeaderValue::try_from(format!("https://{}{path}", host.as_str())).ok()
    }

    /// The host that rules are matched with.
    pub fn host_name(&self) -> Result<Host<'_>, Reason> {
        let value = self.host.to_str().map_err(|_| Reason::BadHost)?;
        Host::parse(value).map_err(|_| Reason::BadHost)
    }
}

/// RFC 9112 section 3.2: exactly one `Host` in HTTP/1.1. The authority of an absolute target stands
/// in for it whatever it says (section 3.2.2); in HTTP/2 the two must not differ (RFC 9113 section
/// 8.3.1).
fn host(head: &RequestParts) -> Result<HeaderValue, Reason> {
    let mut hosts = head.headers.get_all(header::HOST);
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.clone(),
        (None, _) if head.version == Version::HTTP_2 => HeaderValue::from_static(""),
        (None, _) if head.version < Version::HTTP_11 => HeaderValue::from_static(""),
        _ => return Err(Reason::BadHost),
    };
    let Some(authority) = head.uri.authority() else {
        return Ok(host);
    };
    if authority.as_str().contains('@') {
        return Err(Reason::BadHost);
    }
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| Reason::BadHost)?;
    let differs = head.version == Version::HTTP_2 && !host.is_empty() && host != authority;
    if differs { Err(Reason::BadHost) } else { Ok(authority) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &str, hosts: &[&str]) -> Result<(String, String), Reason> {
        let mut request = http::Request::builder().uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let mut head = request.body(()).expect("a request").into_parts().0.into();
        let target = Target::read(&mut head, 64)?;
        let host = target.host_name()?.as_str().to_owned();
        Ok((host, target.uri.to_string()))
    }

    #[test]
    fn the_query_stays_and_the_path_becomes_canonical() {
        let ok = |host: &str, uri: &str| Ok((host.to_owned(), uri.to_owned()));
        assert_eq!(read("/a?b=%2e&c", &["A.example:80"]), ok("a.example", "/a?b=%2e&c"));
        assert_eq!(read("/x/../a//b?q=/../", &["h"]), ok("h", "/a/b?q=/../"));
        assert_eq!(read("http://b.example/%7ea?q", &["a.example"]), ok("b.example", "/~a?q"));
        assert_eq!(read("http://b.example?q", &["a.example"]), ok("b.example", "/?q"));
    }

    #[test]
    fn a_path_is_sent_as_it_came_where_it_leads_to_the_same_rule() {
        let sent = |target: &str, leads_here: bool| {
            let request = http::Request::builder().uri(target).header(header::HOST, "a").body(());
            let mut head = request.expect("a request").into_parts().0.into();
            let target = Target::read(&mut head, 64)?;
            target.as_sent(|_| leads_here).map(|uri| uri.to_string())
        };
        let ok = |uri: &str| Ok(uri.to_owned());
        assert_eq!(sent("/a", false), ok("/a"));
        assert_eq!(sent("/a//%7eb?q=%2e", false), ok("/a//%7eb?q=%2e"));
        assert_eq!(sent("http://b.example/a//b", false), ok("/a//b"));
        assert_eq!(sent("http://b.example?q", false), ok("/?q"));
        assert_eq!(sent("/a%2fb", true), ok("/a%2fb"));
        assert_eq!(sent("/a%2fb", false), Err(Reason::BadTarget));
        assert_eq!(sent("/a/../b", true), Err(Reason::BadTarget));
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        assert_eq!(read("/", &[]), Err(Reason::BadHost));
        assert_eq!(read("/", &["a", "a"]), Err(Reason::BadHost));
        assert_eq!(read("/", &["a, b"]), Err(Reason::BadHost));
        assert_eq!(read("http://u@b.example/", &["a"]), Err(Reason::BadHost));
        assert_eq!(read("*", &["a"]), Err(Reason::BadTarget));
        assert_eq!(read("/a/..;/b", &["a"]), Err(Reason::BadTarget));
        assert_eq!(read(&format!("/{}", "a".repeat(64)), &["a"]), Err(Reason::TargetTooLong));
        let connect =
            http::Request::connect("a:443").header("host", "a:443").body(()).expect("valid");
        let refused = Target::read(&mut connect.into_parts().0.into(), 64).map(|target| target.uri);
        assert_eq!(refused, Err(Reason::ConnectRefused));
    }
}
