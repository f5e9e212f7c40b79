//! What was not served as written, and why: the words that `check`, Events, logs and metrics share.

use super::ObjectRef;
use crate::error::labels;
use std::fmt;

/// How much of the object is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The object, or the part of it that `field` names, is not served; where it protects a host
    /// or path it keeps its place and answers 503.
    Error,
    /// Everything is served, but possibly not as intended.
    Warning,
    /// Nothing is wrong: an object that is not for us, or an annotation that makes no difference.
    Info,
}

impl Severity {
    /// The label in front of a finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

labels! { fn as_str;
    /// The closed set of causes: label `reason` of `ravelin_rejected_objects`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Why {
        /// A file is not YAML or cannot be read.
        Unreadable = "unreadable",
        /// A field is missing, has the wrong type or a value that the API server would refuse.
        Invalid = "invalid",
        /// A field that the API does not know.
        UnknownField = "unknown_field",
        /// An object of the same kind and name was met before.
        Duplicate = "duplicate",
        /// The Service does not exist.
        ServiceMissing = "service_missing",
        /// The Service has no such port.
        PortMissing = "port_missing",
        /// A valid request for something ravelin does not do.
        Unsupported = "unsupported",
        /// An annotation restricts who is served, and it is not obeyed: 503.
        RestrictionUnsupported = "restriction_unsupported",
        /// An annotation changes what is matched or what pods get, and it is not obeyed: 503.
        AnnotationUnsupported = "annotation_unsupported",
        /// An annotation of another controller that tunes or loosens; what it is on is served without it.
        AnnotationIgnored = "annotation_ignored",
        /// The Secret does not exist or is not a TLS Secret.
        SecretUnusable = "secret_unusable",
        /// A Middleware that a route names does not exist, or cannot be used: 503.
        MiddlewareUnusable = "middleware_unusable",
        /// The endpoints of a Service are not verified, or can hardly be.
        UpstreamTls = "upstream_tls",
        /// A ConfigMap that the configuration or an annotation names does not exist, or lacks what it is named for.
        ConfigMapUnusable = "config_map_unusable",
        /// Break-glass is on, or its switch cannot be read.
        BreakGlass = "break_glass",
        /// The Node does not say which addresses its pods have.
        PodNetworkUnknown = "pod_network_unknown",
        /// Another rule takes all requests that this one could match.
        Shadowed = "shadowed",
        /// The Ingress belongs to another class, or the class to another controller.
        ForeignClass = "foreign_class",
        /// The object is of a kind that asks an edge for something, and that is not served.
        UnservedKind = "unserved_kind",
        /// The objects that are to be come of what is in the file, by another program.
        NotRendered = "not_rendered",
        /// The document is encrypted.
        Encrypted = "encrypted",
        /// Ingresses of several namespaces name one host.
        HostShared = "host_shared",
        /// The IngressClass was deleted, and the Ingress is served for a while.
        ClassGone = "class_gone",
        /// The definition of a kind, with which all its objects go, is deleted, or belongs to a release that may be.
        Vanishing = "vanishing",
        /// No route at all can be answered.
        NothingServed = "nothing_served",
        /// Packets for a port of a listener are led elsewhere before they get to it.
        PortTaken = "port_taken",
    }
}

/// A finding: what is wrong with one object, and what to do. `Display` gives the line that `check` prints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// How much of it is lost.
    pub severity: Severity,
    /// The object that causes the finding.
    pub object: ObjectRef,
    /// Path of the field as in `kubectl explain`, with indices: `spec.rules[0].host`. Empty where
    /// the finding is about the whole object.
    pub field: String,
    /// The cause, from a closed set.
    pub why: Why,
    /// What is wrong, in one clause that quotes the value.
    pub reason: String,
    /// The fix.
    pub fix: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity.as_str(), self.object)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.reason)?;
        if !self.fix.is_empty() {
            write!(f, " (fix: {})", self.fix)?;
        }
        Ok(())
    }
}
