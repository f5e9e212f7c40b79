//! Requests and responses as every stage passes them on: those of the crate http, with fields that keep their order and
//! cost no hashing.

use super::fields::FieldMap;
use http::{Extensions, Method, StatusCode, Uri, Version};
use std::fmt;
use std::rc::Weak;
use std::task::Context;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestParts {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The version that it came in, or is to be sent in.
    pub version: Version,
    /// The fields.
    pub headers: FieldMap,
    /// What else belongs to it.
    pub extensions: Extensions,
    /// Where interim responses go, if its client can take them.
    pub interim: Option<Weak<dyn InterimSink>>,
}

/// Takes the interim responses to a request (RFC 9110 section 15.2): 103 with early hints, 102 for a client that would
/// give up otherwise.
pub trait InterimSink: fmt::Debug {
    /// Passes one on, if there is room for it.
    fn pass(&self, head: ResponseParts, cx: &mut Context<'_>);
}

/// Passes an interim response of a pod on, if somebody takes it. Whether 100 is due is not the pod's to say: its request
/// has no `Expect`.
#[cold]
pub fn pass_interim(
    sink: Option<&Weak<dyn InterimSink>>,
    head: ResponseParts,
    cx: &mut Context<'_>,
) {
    let sink = sink.filter(|_| head.status != StatusCode::CONTINUE);
    if let Some(sink) = sink.and_then(Weak::upgrade) {
        sink.pass(head, cx);
    }
}

/// The head of a response.
#[derive(Debug)]
pub struct ResponseParts {
    /// The status.
    pub status: StatusCode,
    /// The version that it came in.
    pub version: Version,
    /// The fields.
    pub headers: FieldMap,
    /// What else belongs to it.
    pub extensions: Extensions,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request<B> {
    head: RequestParts,
    body: B,
}

/// A response.
#[derive(Debug)]
pub struct Response<B> {
    head: ResponseParts,
    body: B,
}

impl Default for RequestParts {
    /// `GET /` of HTTP/1.1.
    fn default() -> Self {
        Self {
            method: Method::GET,
            uri: Uri::default(),
            version: Version::HTTP_11,
            headers: FieldMap::new(),
            extensions: Extensions::new(),
            interim: None,
        }
    }
}

impl Default for ResponseParts {
    /// 200 of HTTP/1.1.
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            version: Version::HTTP_11,
            headers: FieldMap::new(),
            extensions: Extensions::new(),
        }
    }
}

/// What requests and responses have in common.
macro_rules! message {
    ($message:ident, $parts:ident) => {
        impl<B> $message<B> {
            /// With the default head.
            pub fn new(body: B) -> Self {
                Self { head: $parts::default(), body }
            }

            /// Of head and body.
            pub fn from_parts(head: $parts, body: B) -> Self {
                Self { head, body }
            }

            /// Head and body.
            pub fn into_parts(self) -> ($parts, B) {
                (self.head, self.body)
            }

            /// The head.
            pub fn head(&self) -> &$parts {
                &self.head
            }

            /// The version.
            pub fn version(&self) -> Version {
                self.head.version
            }

            /// The version, to change it.
            pub fn version_mut(&mut self) -> &mut Version {
                &mut self.head.version
            }

            /// The fields.
            pub fn headers(&self) -> &FieldMap {
                &self.head.headers
            }

            /// The fields, to change them.
            pub fn headers_mut(&mut self) -> &mut FieldMap {
                &mut self.head.headers
            }

            /// What else belongs to it.
            pub fn extensions(&self) -> &Extensions {
                &self.head.extensions
            }

            /// What else belongs to it, to change it.
            pub fn extensions_mut(&mut self) -> &mut Extensions {
                &mut self.head.extensions
            }

            /// The body.
            pub fn body(&self) -> &B {
                &self.body
            }

            /// The body, to read it.
            pub fn body_mut(&mut self) -> &mut B {
                &mut self.body
            }

            /// The body without the head.
            pub fn into_body(self) -> B {
                self.body
            }

            /// The same with another body.
            pub fn map<T>(self, change: impl FnOnce(B) -> T) -> $message<T> {
                $message { head: self.head, body: change(self.body) }
            }
        }
    };
}

message!(Request, RequestParts);
message!(Response, ResponseParts);

impl<B> Request<B> {
    /// Names who takes interim responses to it.
    pub fn set_interim(&mut self, sink: Option<Weak<dyn InterimSink>>) {
        self.head.interim = sink;
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The method, to change it.
    pub fn method_mut(&mut self) -> &mut Method {
        &mut self.head.method
    }

    /// The target.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// The target, to change it.
    pub fn uri_mut(&mut self) -> &mut Uri {
        &mut self.head.uri
    }
}

impl<B> Response<B> {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The status, to change it.
    pub fn status_mut(&mut self) -> &mut StatusCode {
        &mut self.head.status
    }
}

impl From<http::request::Parts> for RequestParts {
    fn from(head: http::request::Parts) -> Self {
        let http::request::Parts { method, uri, version, headers, extensions, .. } = head;
        Self { method, uri, version, headers: headers.into(), extensions, interim: None }
    }
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (head, body) = request.into_parts();
        Self { head: head.into(), body }
    }
}

impl<B> From<Request<B>> for http::Request<B> {
    fn from(Request { head, body }: Request<B>) -> Self {
        let mut request = Self::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers.into();
        *request.extensions_mut() = head.extensions;
        request
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let http::response::Parts { status, version, headers, extensions, .. } = head;
        Self { head: ResponseParts { status, version, headers: headers.into(), extensions }, body }
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(Response { head, body }: Response<B>) -> Self {
        let mut response = Self::new(body);
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers.into();
        *response.extensions_mut() = head.extensions;
        response
    }
}
