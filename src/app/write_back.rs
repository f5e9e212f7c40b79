//! Who we are among the instances, and what we write into the cluster if elected.

use super::settings::variable;
use crate::config::WriteBack;
use crate::control::translate::CONTROLLER;
use crate::control::write_back::{
    Address, Addresses, Election, Pods, Timing, WriteBackSettings, identity,
};

/// The settings for this process. The pod says its name and namespace (the downward API sets these
/// variables in `deploy/base`); outside of one, `namespace` is used. `namespaces` are those that are followed. `number` Apps were before this one in
/// the process: each is another instance, because two of them may be there at a time.
pub(super) fn settings(
    config: &WriteBack,
    namespaces: &[String],
    namespace: &str,
    number: u64,
) -> WriteBackSettings {
    let namespace = variable("POD_NAMESPACE").unwrap_or_else(|| namespace.to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = identity(variable("POD_NAME").as_deref(), host.trim());
    let identity = if number == 0 { name } else { format!("{name}_{number}") };
    let election = Election {
        namespace: namespace.clone(),
        name: config.lease.clone(),
        identity,
        timing: Timing::default(),
    };
    let addresses = if config.addresses.is_empty() {
        Addresses::ReadyNodes(Pods { namespace, selector: config.pod_selector.clone() })
    } else {
        Addresses::Fixed(config.addresses.iter().map(|text| Address::parse(text)).collect())
    };
    let settings = WriteBackSettings::new(election, addresses, CONTROLLER.to_owned());
    WriteBackSettings { namespaces: namespaces.to_vec(), ..settings }
}
