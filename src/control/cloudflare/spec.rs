//! Which list is kept: where it is from, and which rules hold for it.

use super::check::Rules;
use super::fetch::Origin;
use super::store;
use crate::config::{Cloudflare, ListOrigin};
use crate::telemetry::ListSource;
use std::time::Duration;

/// A list to keep.
#[derive(Clone, Debug)]
pub struct ListSpec {
    /// The source.
    pub origin: ListOrigin,
    /// How long what has left a published list is admitted still.
    pub removal_delay: Duration,
    pub(super) rules: Rules,
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
        Self { origin: config.origin.clone(), removal_delay: config.removal_delay, rules }
    }

    /// The ranges beside it, if there are any.
    pub fn extra(config: &Cloudflare) -> Option<Self> {
        let origin = config.extra.clone()?;
        Some(Self { origin, removal_delay: config.removal_delay, rules: Rules::Extra })
    }

    /// Its name in the log.
    pub(super) fn name(&self) -> &'static str {
        if self.rules == Rules::Extra { "extra" } else { "cloudflare" }
    }

    /// Name of its file in the state directory.
    pub(super) fn file(&self) -> &'static str {
        if self.rules == Rules::Extra { store::EXTRA_FILE } else { store::FILE }
    }

    /// Where a list is from that the source has given to this process.
    pub(super) fn source(&self) -> ListSource {
        match &self.origin {
            ListOrigin::Published { .. } => ListSource::Api,
            ListOrigin::File(_) => ListSource::File,
            ListOrigin::ConfigMap { .. } => ListSource::ConfigMap,
            ListOrigin::Networks(_) => ListSource::Configuration,
        }
    }

    /// The source in messages.
    pub(super) fn place(&self) -> String {
        match &self.origin {
            ListOrigin::Published { .. } => self.identity(),
            ListOrigin::Networks(_) => "cloudflare.extra".to_owned(),
            ListOrigin::File(_) | ListOrigin::ConfigMap { .. } => self.origin.place(),
        }
    }

    /// What tells the source from others in a kept list: a list that was kept under another URL, or
    /// with the China Network, is not the one that is configured now.
    pub(super) fn identity(&self) -> String {
        match &self.origin {
            ListOrigin::Published { url, jdcloud, .. } => {
                Origin::new(url, *jdcloud, None).identity()
            }
            ListOrigin::File(_) => format!("file:{}", self.origin.place()),
            ListOrigin::ConfigMap { .. } => format!("config_map:{}", self.origin.place()),
            ListOrigin::Networks(_) => "configuration".to_owned(),
        }
    }
}
