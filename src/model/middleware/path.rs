//! Changes of the path that pods get.

use super::kind::StepKind;
use super::pattern::{Pattern, Replacement};
use std::sync::Arc;

/// A change of the path. The result is made canonical and checked as a path of a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// `stripPrefix`: takes the first of these prefixes that fits away, and tells it in `X-Forwarded-Prefix`.
    StripPrefix(Vec<Arc<str>>),
    /// `stripPrefixRegex`: the same by expressions, each anchored at the beginning.
    StripPrefixRegex(Vec<Pattern>),
    /// `addPrefix`.
    AddPrefix(Arc<str>),
    /// `replacePath`: this path, and the old one in `X-Replaced-Path`.
    Replace(Arc<str>),
    /// `replacePathRegex`: a replacement, and the old path in `X-Replaced-Path` if something matched.
    ReplaceRegex {
        /// `regex`.
        regex: Pattern,
        /// `replacement`.
        replacement: Replacement,
    },
    /// `rewrite-target` of ingress-nginx: a replacement without `X-Replaced-Path`.
    RewriteTarget {
        /// The path of the rule, as an expression that is anchored at the beginning.
        regex: Pattern,
        /// The value.
        replacement: Replacement,
    },
}

impl PathRewrite {
    pub(super) fn kind(&self) -> StepKind {
        match self {
            Self::StripPrefix(_) => StepKind::StripPrefix,
            Self::StripPrefixRegex(_) => StepKind::StripPrefixRegex,
            Self::AddPrefix(_) => StepKind::AddPrefix,
            Self::Replace(_) => StepKind::ReplacePath,
            Self::ReplaceRegex { .. } => StepKind::ReplacePathRegex,
            Self::RewriteTarget { .. } => StepKind::RewriteTarget,
        }
    }
}
