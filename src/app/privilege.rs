//! Capabilities (capabilities(7)): raised for what needs them, given up where clients are read.
//!
//! Two are of use: NET_BIND_SERVICE to bind ports below 1024, NET_ADMIN to filter in the kernel. An
//! image should grant them as permitted and not as effective (`setcap ...=+p`): a binary with
//! effective ones cannot even be started where the pod's bounding set lacks one of them. So they are
//! raised here. Capabilities belong to threads: those that read what clients send have none.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::{io, thread};

/// Makes the two effective for this thread and those that it starts, as far as it is permitted.
fn raise() {
    let wanted = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::NET_ADMIN;
    let raised = capabilities(None).and_then(|held| {
        let effective = held.effective | (held.permitted & wanted);
        if effective == held.effective {
            return Ok(());
        }
        set_capabilities(None, CapabilitySets { effective, ..held })
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "cannot drop capabilities; the process keeps them");
    }
}

/// Gives up all capabilities of this thread for good.
///
/// # Errors
/// It keeps some: it must not read what clients send.
pub(super) fn give_up() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let given_up = set_capabilities(None, sets);
    // A process that was never granted any has nothing to give up, whatever a filter of its system calls
    // says to this one.
    let left = capabilities(None)?;
    match given_up {
        Err(error) if !(left.effective | left.permitted).is_empty() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes the capabilities that binding and filtering need effective for this thread and those it starts.
///
/// # Errors
/// Threads cannot drop them again, so none may be raised.
pub(super) fn set_up() -> io::Result<()> {
    rehearse()?;
    raise();
    Ok(())
}

/// Whether threads of this process can drop their capabilities: tried on one that does nothing else.
fn rehearse() -> io::Result<()> {
    let thread = thread::Builder::new().name("privilege".to_owned()).spawn(give_up)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}

/// Runs what reads from clients, if the thread has given up its capabilities.
pub(super) fn run_without(thread: &str, given_up: io::Result<()>, run: impl FnOnce()) {
    match given_up {
        Ok(()) => run(),
        Err(error) => tracing::error!(
            thread,
            %error,
            "the thread cannot drop its capabilities and does not run; allow the system call \
                capset, or run the process without capabilities"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_gives_up_others_keep() {
        let before = capabilities(None).expect("always readable").permitted;
        let given_up = thread::spawn(|| {
            give_up().expect("this thread's own");
            // A capability that is no longer permitted cannot be raised.
            raise();
            capabilities(None).expect("always readable")
        });
        let given_up = given_up.join().expect("no panic");
        assert!(given_up.effective.is_empty() && given_up.permitted.is_empty());
        assert_eq!(capabilities(None).expect("always readable").permitted, before);
    }

    #[test]
    fn a_thread_that_keeps_its_capabilities_reads_from_nobody() {
        let ran = |given_up| {
            let mut ran = false;
            run_without("worker", given_up, || ran = true);
            ran
        };
        assert!(ran(Ok(())));
        assert!(!ran(Err(io::ErrorKind::PermissionDenied.into())));
        rehearse().expect("nothing forbids it here");
    }

    #[test]
    fn what_is_permitted_becomes_effective() {
        let raised = thread::spawn(|| {
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
