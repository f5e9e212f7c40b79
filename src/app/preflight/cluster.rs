//! The API server: whether it answers, what may be listed, and what its clock says.

use super::PreflightLine;
use crate::app::write_back;
use crate::config::{Config, Kubernetes};
use crate::control::translate::ConfigMapKey;
use crate::control::watch::{ClusterProbe, ClusterWatch, WriteRights, grants};
use crate::control::write_back::{Addresses, WriteBackSettings};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A difference of the clocks that tells nothing: `Date` has whole seconds, and requests take time.
const MOST_SKEW: Duration = Duration::from_secs(30);

pub(super) fn lines(config: &Config, settings: &Kubernetes) -> Vec<PreflightLine> {
    let what = "API server";
    let config_maps = ConfigMapKey::watched(&ConfigMapKey::all(config));
    let watch = match ClusterWatch::new(settings, &config_maps, &Arc::default()) {
        Ok(watch) => watch,
        // Its text has the fix.
        Err(error) => return vec![PreflightLine::fail(what, error.to_string(), "")],
    };
    watch.keep(&config.certificate_secrets);
    match watch.probe() {
        Ok(probe) => vec![
            rights(&probe),
            write_rights(&watch, settings),
            clock(probe.date, SystemTime::now()),
        ],
        Err(error) => vec![PreflightLine::fail(
            what,
            format!("it does not answer as it should: {error}"),
            "see whether kubectl reaches it with these credentials, from this node",
        )],
    }
}

fn rights(probe: &ClusterProbe) -> PreflightLine {
    let ClusterProbe { allowed, forbidden, date: _ } = probe;
    match forbidden.as_slice() {
        [] => {
            PreflightLine::pass("API server", format!("answers; all {allowed} kinds may be listed"))
        }
        kinds => PreflightLine::fail(
            "API server",
            format!("it forbids to list {}", kinds.join("; ")),
            grants(kinds).swap_remove(0).fix,
        ),
    }
}

fn write_rights(watch: &ClusterWatch, settings: &Kubernetes) -> PreflightLine {
    let what = "write-back";
    let Some(config) = &settings.write_back else {
        return PreflightLine::pass(what, "off (source.write_back = false)");
    };
    let WriteBackSettings { election, addresses, .. } =
        write_back::settings(config, &settings.namespaces, watch.namespace(), 0);
    let wanted = WriteRights {
        namespaces: settings.namespaces.clone(),
        own_namespace: election.namespace,
        lease: election.name,
        reads_pods: matches!(addresses, Addresses::ReadyNodes(_)),
    };
    match watch.missing_rights(&wanted) {
        Ok(missing) if missing.is_empty() => PreflightLine::pass(
            what,
            format!(
                "status of Ingresses, Events and Lease {}/{} may be written",
                wanted.own_namespace, wanted.lease
            ),
        ),
        Ok(missing) => PreflightLine::warn(
            what,
            format!("this account may not {}: others see no status or Events", missing.join(", ")),
            "apply the ClusterRole and the Role of deploy/base, or set source.write_back = false",
        ),
        Err(error) => PreflightLine::warn(
            what,
            format!("the API server does not say what may be written: {error}"),
            "allow this account to create selfsubjectaccessreviews (system:basic-user)",
        ),
    }
}

fn clock(theirs: Option<SystemTime>, ours: SystemTime) -> PreflightLine {
    let what = "clock";
    let Some(theirs) = theirs else {
        return PreflightLine::pass(what, "skipped: the API server tells no time");
    };
    let skew = ours.duration_since(theirs).unwrap_or_else(|error| error.duration());
    let seconds = skew.as_secs();
    match skew > MOST_SKEW {
        false => PreflightLine::pass(what, format!("{seconds} s from that of the API server")),
        true => PreflightLine::warn(
            what,
            format!(
                "{seconds} s from that of the API server: end dates of certificates count wrongly"
            ),
            "start a time service (chrony, systemd-timesyncd) on the node",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::preflight::PreflightOutcome;

    #[test]
    fn a_clock_that_is_off_either_way_is_a_warning() {
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let outcome = |ours| clock(Some(theirs), ours).outcome;
        for (seconds, expected) in [(30, PreflightOutcome::Pass), (31, PreflightOutcome::Warn)] {
            let by = Duration::from_secs(seconds);
            assert_eq!([outcome(theirs + by), outcome(theirs - by)], [expected; 2]);
        }
        assert_eq!(clock(None, theirs).outcome, PreflightOutcome::Pass);
    }

    #[test]
    fn kinds_that_may_not_be_listed_are_named() {
        let forbidden = vec!["Secret: secrets is forbidden".to_owned()];
        let line = rights(&ClusterProbe { allowed: 5, forbidden, date: None });
        assert_eq!(line.outcome, PreflightOutcome::Fail);
        assert!(
            line.text.contains("Secret") && line.fix.contains("deploy/k3s/ravelin.yaml"),
            "{line:?}"
        );
    }
}
