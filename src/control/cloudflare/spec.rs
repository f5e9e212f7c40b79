//! Which list is kept: where it is from, and which rules hold for it.

use super::check::Rules;
use super::fetch::Origin;
use super::store;
use crate::config::{Cloudflare, ListOrigin};
use std::time::Duration;

/// A list to keep.
#[derive(Clone, Debug)]
pub struct ListSpec {
    /// The source.
    pub origin: ListOrigin,
    /// How long what has left a published list is admitted still.
    pub removal_delay: Duration,
    pub(super) rules: Rules,
    /// Name of its file in the state directory.
    pub(super) file: &'static str,
}

impl ListSpec {
    /// The list of Cloudflare's addresses, or what the operator has put in its place.
    pub fn of(config: &Cloudflare) -> Self {
        let rules = match &config.origin {
            ListOrigin::Published { .. } => Rules::Published,
            ListOrigin::File(_) | ListOrigin::ConfigMap { .. } | ListOrigin::Networks(_) => {
                Rules::Override
            }
        };
        Self::new(&config.origin, config.removal_delay, rules, store::FILE)
    }

    /// The ranges beside it, if there are any.
    pub fn extra(config: &Cloudflare) -> Option<Self> {
        let origin = config.extra.as_ref()?;
        Some(Self::new(origin, config.removal_delay, Rules::Extra, store::EXTRA_FILE))
    }

    fn new(origin: &ListOrigin, removal_delay: Duration, rules: Rules, file: &'static str) -> Self {
        Self { origin: origin.clone(), removal_delay, rules, file }
    }

    /// Its name in the log.
    pub(super) fn name(&self) -> &'static str {
        match self.rules {
            Rules::Published | Rules::Override => "cloudflare",
            Rules::Extra => "extra",
        }
    }

    /// The source in messages.
    pub(super) fn place(&self) -> String {
        match &self.origin {
            ListOrigin::Published { .. } => self.identity(),
            ListOrigin::File(path) => path.display().to_string(),
            ListOrigin::ConfigMap { namespace, name, key } => format!("{namespace}/{name}/{key}"),
            ListOrigin::Networks(_) => "cloudflare.extra".to_owned(),
        }
    }

    /// What tells the source from others in a kept list: a list that was kept under another URL, or
    /// with the China Network, is not the one that is configured now.
    pub(super) fn identity(&self) -> String {
        match &self.origin {
            ListOrigin::Published { url, jdcloud, .. } => {
                Origin::new(url, *jdcloud, None).identity()
            }
            ListOrigin::File(path) => format!("file:{}", path.display()),
            ListOrigin::ConfigMap { .. } => format!("config_map:{}", self.place()),
            ListOrigin::Networks(_) => "configuration".to_owned(),
        }
    }
}
