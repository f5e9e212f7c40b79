//! What steps see and may change of a request and of its response.

use super::passage::{Passage, StepNote};
use super::state::States;
use crate::http::Target;
use crate::model::middleware::{NamedStep, is_about};
use crate::net::addr::PeerAddr;
use crate::net::fields::FieldMap;
use crate::net::host::HostPattern;
use crate::net::memory::Account;
use crate::net::message::Request;
use crate::tls::Session;
use crate::upstream::body::{RequestBody, Upload};
use http::{HeaderValue, Method, StatusCode, Version};
use std::net::IpAddr;
use std::sync::Arc;

/// A request on its way through the steps, as its pod will get it.
#[derive(Debug)]
pub struct RequestView<'r> {
    /// Method, path, query and fields, all of which may be changed. `Host` is among the fields.
    pub request: &'r mut Request<RequestBody>,
    /// Where it comes from.
    pub origin: RequestSource<'r>,
    /// The body, if there is one.
    pub upload: Option<&'r Upload>,
    /// What it carries from its request halves to its response halves.
    pub passage: &'r mut Passage,
    /// What steps keep from one request to the next.
    pub states: &'r States,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct RequestSource<'r> {
    /// The other end of the connection, or what a PROXY protocol header names.
    pub peer: PeerAddr,
    /// The verified visitor as text, where it may be another than the peer.
    pub visitor: Option<&'r HeaderValue>,
    /// Whether the visitor came with TLS, which may end before us.
    pub over_tls: bool,
    /// The connection's TLS, if it has any.
    pub session: Option<&'r Session>,
    /// Host and path as they were asked for.
    pub target: &'r Target,
    /// The version of HTTP that it was asked for with.
    pub version: Version,
}

impl RequestSource<'_> {
    /// Whether a rule for these hosts is about the request; one without hosts is about all of them.
    pub(super) fn is_for(&self, hosts: &[HostPattern]) -> bool {
        // A host that cannot be read is not routed.
        self.target.host_name().map_or(true, |host| is_about(hosts, host.as_str()))
    }

    /// The address of the verified visitor.
    pub fn visitor_address(&self) -> Option<IpAddr> {
        match self.visitor {
            None => Some(self.peer.ip()),
            Some(text) => text.to_str().ok()?.parse().ok(),
        }
    }
}

impl RequestView<'_> {
    /// Its fields.
    pub fn headers(&mut self) -> &mut FieldMap {
        self.request.headers_mut()
    }

    /// Keeps a note for the response half of this step.
    pub fn note(&mut self, note: StepNote) {
        self.passage.note(note);
    }
}

/// A response on its way back.
#[derive(Debug)]
pub struct ResponseView<'r> {
    /// Its status.
    pub status: &'r mut StatusCode,
    /// Its fields.
    pub headers: &'r mut FieldMap,
    /// What the request half of this step has kept.
    pub note: Option<StepNote>,
    /// The method of the request.
    pub method: &'r Method,
    /// Whether the visitor came with TLS.
    pub over_tls: bool,
    /// Whether the response is one of our own, or a page in its place: its body is held whole, and sent as it is.
    pub is_ours: bool,
    /// What the client's connection holds.
    pub account: &'r Arc<Account>,
    /// What steps keep from one request to the next.
    pub states: &'r States,
    /// The step itself, by which its state is found.
    pub middleware: &'r Arc<NamedStep>,
}
