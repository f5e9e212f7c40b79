//! The annotations of other controllers, as data.

use super::{CONTROLLERS, Class, Controller};
use crate::control::translate::https::ALLOW_HTTP;

/// An annotation of another controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignAnnotation {
    /// Name of the controller.
    pub controller: &'static str,
    /// The prefixes below which it is read.
    pub prefixes: &'static [&'static str],
    /// Its name behind the prefix; `N` stands for any number.
    pub key: &'static str,
    /// What ravelin does with it: `obeyed`, `restricts`, `changes`, `by value`, `replaced` or `tuning`.
    pub treatment: &'static str,
}

/// The annotations of the controllers with a table, and the supported one without.
pub(in crate::control::translate) fn catalogue() -> Vec<ForeignAnnotation> {
    let of_one = |controller: &'static Controller| {
        let own = |name: &'static str| {
            let prefix = controller.prefixes.iter().find(|prefix| name.starts_with(**prefix));
            prefix.map_or(name, |prefix| &name[prefix.len()..])
        };
        let mut obeyed: Vec<_> = controller.obeyed.iter().map(|name| own(name)).collect();
        obeyed.dedup();
        let obeyed = obeyed.into_iter().map(|key| (key, "obeyed"));
        let others = controller.entries.iter().map(|(key, class)| (*key, class.word()));
        let (controller, prefixes) = (controller.name, controller.prefixes);
        obeyed.chain(others).map(move |(key, treatment)| ForeignAnnotation {
            controller,
            prefixes,
            key,
            treatment,
        })
    };
    let allow_http = ForeignAnnotation {
        controller: "GKE",
        prefixes: &[""],
        key: ALLOW_HTTP,
        treatment: "obeyed",
    };
    CONTROLLERS.into_iter().flat_map(of_one).chain([allow_http]).collect()
}

impl Class {
    /// The label of [`ForeignAnnotation::treatment`].
    fn word(self) -> &'static str {
        match self {
            Self::Restricts(..) => "restricts",
            Self::Alters(..) => "changes",
            Self::Differs(..) => "replaced",
            Self::Tunes(_) => "tuning",
            Self::Middlewares | Self::Step | Self::Guards(_) => "obeyed",
            Self::BodySize | Self::PodProtocol | Self::PathType | Self::Snippet | Self::Canary => {
                "by value"
            }
        }
    }
}
