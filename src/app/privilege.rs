//! Capabilities (capabilities(7)): raised for what needs them, given up where clients are read.
//!
//! Two are of use: NET_BIND_SERVICE to bind ports below 1024, NET_ADMIN to filter in the kernel. An
//! image had better grant them as permitted and not as effective (`setcap ...=+p`): a binary with
//! effective ones cannot even be started where the pod's bounding set lacks one of them. So they are
//! raised here. Capabilities belong to threads: those that read what clients send have none.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Makes the two effective for this thread and those that it starts, as far as it is permitted.
pub(super) fn raise() {
    let wanted = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::NET_ADMIN;
    let raised = capabilities(None).and_then(|held| {
        let effective = held.effective | (held.permitted & wanted);
        if effective == held.effective {
            return Ok(());
        }
        set_capabilities(None, CapabilitySets { effective, ..held })
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "capabilities stay as they are");
    }
}

/// Gives up all capabilities of this thread for good.
pub(super) fn give_up() {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    if let Err(error) = set_capabilities(None, sets) {
        tracing::warn!(%error, "a thread cannot give up its capabilities");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_gives_up_others_keep() {
        let before = capabilities(None).expect("always readable").permitted;
        let given_up = std::thread::spawn(|| {
            give_up();
            // What is not permitted any more cannot be raised.
            raise();
            capabilities(None).expect("always readable")
        });
        let given_up = given_up.join().expect("no panic");
        assert!(given_up.effective.is_empty() && given_up.permitted.is_empty());
        assert_eq!(capabilities(None).expect("always readable").permitted, before);
    }

    #[test]
    fn what_is_permitted_becomes_effective() {
        let raised = std::thread::spawn(|| {
            let held = capabilities(None).expect("always readable");
            let none = CapabilitySet::empty();
            set_capabilities(None, CapabilitySets { effective: none, ..held }).expect("less");
            raise();
            capabilities(None).expect("always readable")
        });
        let raised = raised.join().expect("no panic");
        let wanted = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::NET_ADMIN;
        assert_eq!(raised.effective, raised.permitted & wanted);
    }
}
