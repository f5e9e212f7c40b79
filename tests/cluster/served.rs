//! A ravelin that serves a site, and a visitor who asks for it all the time: what a fault is tried
//! on.

use crate::edge::{Backend, Edge, QUICK, Setup, Site, Visitor, account, class};
use crate::eventually;
use crate::plane::Plane;
use serde_json::Value;
use std::time::Instant;

/// The age of what is known, in seconds, that tells an absence: checked once a second, it is below
/// two otherwise.
const ABSENT: f64 = 3.0;

/// What is served, and by whom. The namespace, the class and the service account are called alike.
pub(crate) struct Served<'p> {
    plane: &'p Plane,
    name: &'static str,
    /// Ends before the proxy.
    visitor: Visitor,
    pub(crate) edge: Edge,
    pub(crate) backend: Backend,
}

impl<'p> Served<'p> {
    /// Starts all, with a service account.
    pub(crate) fn start(plane: &'p Plane, name: &'static str) -> Self {
        let kubeconfig = account(plane, name);
        class(plane, name);
        let setup = Setup { kubeconfig: &kubeconfig, class: name, keys: QUICK };
        Self::start_with(plane, name, &setup)
    }

    /// Starts it as it is set up. Namespace and class have to be there.
    pub(crate) fn start_with(plane: &'p Plane, name: &'static str, setup: &Setup<'_>) -> Self {
        let backend = Backend::start("first");
        let host = host("first");
        Site { namespace: name, name: "first", class: name, host: &host }.create(plane, &backend);
        let edge = Edge::ready(plane, setup);
        edge.await_answer(&host, "/", "first");
        let visitor = Visitor::of(edge.addr(), &host, "/");
        visitor.is_content();
        Self { plane, name, visitor, edge, backend }
    }

    /// Checks that nobody has noticed anything: every answer so far was 200, and it is ready.
    pub(crate) fn is_served(&self) {
        self.visitor.is_content();
        let (status, body) = self.edge.readyz();
        assert_eq!(status, 200, "{body}");
    }

    /// Checks that it is still served while nothing is heard of the API server, which the age of
    /// what is known tells.
    pub(crate) fn is_served_in_absence(&self) {
        eventually("the age tells the absence", || {
            (self.edge.metrics().age() > ABSENT).then_some(())
        });
        self.is_served();
    }

    /// Makes one more site, `name.example`, with the same backend.
    pub(crate) fn add(&self, name: &str) {
        let host = host(name);
        let site = Site { namespace: self.name, name, class: self.name, host: &host };
        site.create(self.plane, &self.backend);
    }

    /// Waits until a site is answered with this status.
    pub(crate) fn await_status(&self, name: &str, status: u16) {
        self.edge.await_status(&host(name), "/", status);
    }

    /// Makes a site of this name, waits until it is served, and prints how long after `since` that
    /// was. Nothing has gone wrong until then.
    #[expect(clippy::print_stdout, reason = "a figure, for who asks for the output of tests")]
    pub(crate) fn recovers(&self, name: &str, since: Instant) {
        self.add(name);
        self.await_status(name, 200);
        println!("{}: {name} is served {:.1} s after", self.name, since.elapsed().as_secs_f64());
        self.is_served();
        eventually("everything is known again", || {
            (self.edge.metrics().age() < ABSENT).then_some(())
        });
    }

    /// Whether the log names a resource with this reason.
    pub(crate) fn has_logged(&self, resource: &str, reason: &str) -> bool {
        self.edge.has_said(|line| says(line, resource, reason))
    }
}

/// Whether a line of the log says that a resource is not followed, for this reason.
pub(crate) fn says(line: &Value, resource: &str, reason: &str) -> bool {
    line["of"] == resource && line["reason"] == reason
}

/// The host of a site.
pub(crate) fn host(name: &str) -> String {
    format!("{name}.example")
}
