//! What a process uses, by /proc.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// CPU time of each thread of a process in ticks of 10 ms (`USER_HZ`), by name; threads of one name
/// are added up, and `worker-N` is `worker`.
pub(super) fn cpu(id: u32) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{id}/task")).expect("it runs") {
        let stat = task.expect("a folder").path().join("stat");
        // A thread may have ended.
        let Ok(stat) = fs::read_to_string(stat) else { continue };
        let (name, rest) = stat.rsplit_once(')').expect("proc(5)");
        let name = name.split_once('(').expect("proc(5)").1;
        let name = name.split('-').next().expect("one at least").to_owned();
        // utime and stime are fields 14 and 15, and the third is the first behind the name.
        let mut fields = rest.split_whitespace().skip(11);
        let mut next = || fields.next().and_then(|text| text.parse::<u64>().ok()).expect("proc(5)");
        *all.entry(name).or_default() += next() + next();
    }
    all
}

/// CPU time of the data workers of a process, by the scheduler's account, which is exact.
pub(super) fn cpu_of_workers(id: u32) -> Duration {
    let mut all = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{id}/task")).expect("it runs") {
        let task = task.expect("a folder").path();
        let read = |name| fs::read_to_string(task.join(name));
        // A thread may have ended.
        let (Ok(name), Ok(spent)) = (read("comm"), read("schedstat")) else { continue };
        if name.starts_with("worker") {
            let first = spent.split_whitespace().next().expect("sched-stats.rst");
            all += Duration::from_nanos(first.parse().expect("nanoseconds"));
        }
    }
    all
}

/// Memory in use (resident set), in MiB.
pub(super) fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<u64>().expect("a number") / 1024
}
