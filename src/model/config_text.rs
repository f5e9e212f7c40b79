//! Texts in ConfigMaps that the configuration names.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a text of a ConfigMap is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigText {
    /// The list in the place of Cloudflare's.
    CloudflareList,
    /// Further ranges of Cloudflare, beside the list.
    CloudflareExtra,
    /// The switch of break-glass.
    BreakGlass,
}

/// The texts that are there.
pub type ConfigTexts = BTreeMap<ConfigText, Arc<str>>;

impl ConfigText {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CloudflareList, Self::CloudflareExtra, Self::BreakGlass];

    /// The configuration key that names the ConfigMap.
    pub fn setting(self) -> &'static str {
        match self {
            Self::CloudflareList => "cloudflare.config_map",
            Self::CloudflareExtra => "cloudflare.extra_config_map",
            Self::BreakGlass => "break_glass.config_map",
        }
    }
}
