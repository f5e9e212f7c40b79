//! What is known of Cloudflare's address list: where it is from, how old it is, and how the last
//! attempts to refresh it went. Written by the thread that keeps the list, read by the scrape.

use super::locked::Locked;
use crate::error::labels;

labels! { fn as_str;
    /// Where the list in force is from: label `origin`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ListSource {
        /// There is none yet: a ConfigMap that has not been read. Nobody is in it.
        #[default]
        Nothing = "none",
        /// Compiled in.
        Embedded = "embedded",
        /// The last good one of an earlier process.
        Disk = "disk",
        /// Cloudflare's API, or a mirror of it.
        Api = "api",
        /// The operator's file.
        File = "file",
        /// The operator's ConfigMap.
        ConfigMap = "config_map",
        /// The operator's configuration file itself: further ranges only.
        Configuration = "configuration",
    }
}

labels! { fn as_str;
    /// Why an attempt left the list as it was: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ListFailure {
        /// The name of the server has no address.
        Resolve = "resolve",
        /// No connection.
        Connect = "connect",
        /// The handshake, or the certificate.
        Tls = "tls",
        /// The file with the CAs.
        Authorities = "authorities",
        /// One of the deadlines.
        Timeout = "timeout",
        /// Not HTTP, or broken off.
        Http = "http",
        /// Any status but 200, and 304 where it was asked for.
        Status = "status",
        /// More bytes than a list has.
        TooLarge = "too_large",
        /// A content coding that was not asked for.
        Encoded = "encoded",
        /// Neither JSON nor a list of networks.
        Syntax = "syntax",
        /// The API reported a failure.
        Unsuccessful = "unsuccessful",
        /// A part of the answer, the file or the ConfigMap's key is not there.
        Missing = "missing",
        /// The file cannot be read.
        Unreadable = "unreadable",
        /// No network in it.
        Empty = "empty",
        /// More networks than a list has.
        TooMany = "too_many",
        /// A network that is too broad.
        Broad = "broad",
        /// A network of private, reserved or otherwise special space.
        Reserved = "reserved",
        /// Too little of what is compiled in.
        Short = "short",
        /// Too little of what is in force.
        Shrunk = "shrunk",
        /// Too many addresses.
        Grown = "grown",
    }
}

/// The state of the list. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListCells {
    /// Where the list in force is from.
    pub source: ListSource,
    /// IPv4 ranges in force that do not touch, with those that are about to leave.
    pub v4_ranges: usize,
    /// IPv6 ranges, likewise.
    pub v6_ranges: usize,
    /// Ranges that have left the list and are admitted still.
    pub leaving: usize,
    /// When the source last confirmed the list; for the embedded list, its date.
    pub confirmed: Option<u64>,
    /// When an attempt last succeeded in this process.
    pub succeeded: Option<u64>,
    /// Why the last attempt that failed did, and when.
    pub failed: Option<(ListFailure, u64)>,
    /// Why the last attempt failed, if it did.
    pub failing: Option<ListFailure>,
    /// Attempts that brought another list.
    pub changed: u64,
    /// Attempts that found the list as it was.
    pub unchanged: u64,
    failures: [u64; ListFailure::ALL.len()],
}

impl ListCells {
    /// Counts an attempt that failed at `unix`.
    pub fn fail(&mut self, why: ListFailure, unix: u64) {
        self.failed = Some((why, unix));
        self.failing = Some(why);
        self.failures[why as usize] += 1;
    }

    /// Counts an attempt that succeeded at `unix`.
    pub fn succeed(&mut self, changed: bool, unix: u64) {
        self.succeeded = Some(unix);
        self.failing = None;
        *(if changed { &mut self.changed } else { &mut self.unchanged }) += 1;
    }

    /// Attempts by result: `changed`, `unchanged`, and each reason of a failure.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let failed = ListFailure::ALL.into_iter();
        let failed = failed.map(|why| (why.as_str(), self.failures[why as usize]));
        [("changed", self.changed), ("unchanged", self.unchanged)].into_iter().chain(failed)
    }
}

/// [`ListCells`], shared.
pub type ListMetrics = Locked<ListCells>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_result_is_counted_under_a_label_of_its_own() {
        let metrics = ListMetrics::default();
        for (position, why) in ListFailure::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, position);
            metrics.update(|cells| cells.fail(why, 7));
        }
        assert_eq!(metrics.read().failing, Some(ListFailure::Grown));
        metrics.update(|cells| cells.succeed(true, 7));
        assert_eq!(metrics.read().failing, None);
        metrics.update(|cells| cells.succeed(false, 9));
        let cells = metrics.read();
        let labels: BTreeSet<_> = cells.attempts().collect();
        assert_eq!(labels.len(), ListFailure::ALL.len() + 2);
        assert!(labels.iter().all(|&(_, count)| count == 1));
        assert_eq!((cells.succeeded, cells.failed), (Some(9), Some((ListFailure::Grown, 7))));
    }

    #[test]
    fn sources_have_distinct_labels() {
        let labels: BTreeSet<_> = ListSource::ALL.into_iter().map(ListSource::as_str).collect();
        assert_eq!(labels.len(), ListSource::ALL.len());
    }
}
