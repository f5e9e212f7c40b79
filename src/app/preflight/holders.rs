//! Which process holds a port, as far as /proc tells it: all of it to root on the node, and nothing of other
//! pods within one.

use std::fmt;
use std::fs;
use std::path::Path;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// `comm`: the name of its program, at most 15 bytes.
    pub(super) name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The processes below `proc` (`/proc`), in the order of their numbers.
fn processes(proc: &Path) -> Vec<u32> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

fn holder(proc: &Path, pid: u32) -> Holder {
    let name = fs::read_to_string(proc.join(pid.to_string()).join("comm")).unwrap_or_default();
    // A process may give itself any name.
    let name = name.trim().replace(char::is_control, " ");
    Holder { pid, name }
}

/// A process that has one of these sockets open, other than `own`.
pub(super) fn of_sockets(proc: &Path, inodes: &[u64], own: Option<u32>) -> Option<Holder> {
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let has_one = |pid: &u32| {
        let files = fs::read_dir(proc.join(pid.to_string()).join("fd")).into_iter().flatten();
        let mut targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target.to_str().is_some_and(|it| wanted.iter().any(|one| one == it)))
    };
    let mut others = processes(proc).into_iter().filter(|pid| Some(*pid) != own);
    others.find(has_one).map(|pid| holder(proc, pid))
}

/// k3s's servicelb for a port. It does not listen: its pod (klipper-lb) has a host port, to which iptables
/// leads packets before they meet any socket. Known by the variables that its DaemonSet sets.
pub(super) fn servicelb(proc: &Path, port: u16) -> Option<Holder> {
    let source = format!("SRC_PORT={port}");
    let takes_it = |pid: &u32| {
        let environment = fs::read(proc.join(pid.to_string()).join("environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let has = |name: &[u8]| variables.clone().any(|variable| variable.starts_with(name));
        has(b"DEST_PORT=") && has(b"DEST_IPS=") && variables.any(|it| it == source.as_bytes())
    };
    let pid = processes(proc).into_iter().find(takes_it)?;
    Some(Holder { pid, name: "servicelb (klipper-lb, a pod svclb-...)".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn holders_are_found_by_socket_and_servicelb_by_its_variables() {
        let folder = tempfile::tempdir().expect("a folder");
        let proc = folder.path();
        let process = |pid: u32, name: &str, socket: u64, environment: &[u8]| {
            let own = proc.join(pid.to_string());
            fs::create_dir_all(own.join("fd")).expect("a folder of ours");
            fs::write(own.join("comm"), format!("{name}\n")).expect("a file of ours");
            fs::write(own.join("environ"), environment).expect("a file of ours");
            symlink(format!("socket:[{socket}]"), own.join("fd/7")).expect("a link of ours");
        };
        process(12, "traefik", 4711, b"A=b\0");
        process(7, "entry", 9, b"SRC_PORT=80\0DEST_PROTO=TCP\0DEST_PORT=80\0DEST_IPS=10.43.0.9\0");
        fs::write(proc.join("uptime"), "1").expect("a file of ours");
        let found = of_sockets(proc, &[1, 4711], None).map(|holder| holder.to_string());
        assert_eq!(found.as_deref(), Some("traefik (process 12)"));
        assert_eq!(of_sockets(proc, &[471], None), None);
        assert_eq!(of_sockets(proc, &[4711], Some(12)), None, "it is us");
        assert_eq!(servicelb(proc, 80).map(|holder| holder.pid), Some(7));
        assert_eq!([servicelb(proc, 8), servicelb(proc, 443)], [None, None]);
        assert_eq!(of_sockets(Path::new("/nonexistent"), &[1], None), None);
    }
}
