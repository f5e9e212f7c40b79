//! Facts of the machine that decide how ravelin works on it: read from /proc and the cgroup, as far as they are there.

use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Settings of the kernel, below /proc/sys.
const SETTINGS: [&str; 9] = [
    "kernel/osrelease",
    "kernel/version",
    "net/core/somaxconn",
    "net/core/netdev_max_backlog",
    "net/ipv4/ip_unprivileged_port_start",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_syncookies",
    "fs/file-max",
];

/// Lines of /proc/self/status: who we are to the kernel.
const STATUS: [&str; 4] = ["Uid", "CapEff", "NoNewPrivs", "Seccomp"];

/// Limits of the cgroup, version 2 and 1.
const CGROUP: [&str; 5] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory.high",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
];

/// All facts that could be read.
pub(super) fn facts() -> Value {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let settings: Map<String, Value> = SETTINGS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), read(&format!("/proc/sys/{name}"))?.into())))
        .collect();
    let cgroup: Map<String, Value> =
        CGROUP.iter().filter_map(|path| Some(((*path).to_owned(), read(path)?.into()))).collect();
    let status = read("/proc/self/status").unwrap_or_default();
    let own: Map<String, Value> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| STATUS.contains(name))
        .map(|(name, value)| {
            (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ").into())
        })
        .collect();
    let memory = read("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let files = rlimit::Resource::NOFILE.get().ok();
    json!({
        "architecture": std::env::consts::ARCH,
        "cpus": std::thread::available_parallelism().ok().map(std::num::NonZero::get),
        "memory_total": total.map(str::trim),
        "sysctl": settings,
        "cgroup": cgroup,
        "open_files": files.map(|(soft, hard)| json!({"soft": soft, "hard": hard})),
        "self": own,
        "in_container": Path::new("/var/run/secrets/kubernetes.io").exists() || Path::new("/.dockerenv").exists(),
    })
}
