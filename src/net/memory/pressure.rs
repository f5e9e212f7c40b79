//! How much of the cgroup's memory is used: the last line, for what the charges miss.
//!
//! The kernel ends the process when the limit is reached. What can be given back for nothing, pages of
//! files that nobody has used lately, does not count, as it does not for the kubelet. Without a limit there
//! is nothing to watch.

use super::Budget;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The fastest growth that was seen, in bytes a second: a gigabyte in three.
const GROWTH: u64 = (1 << 30) / 3;

/// The shortest time between two looks, while the limit is near.
const SHORTEST: Duration = Duration::from_millis(50);

/// The longest, while it is far.
const LONGEST: Duration = Duration::from_secs(1);

/// From this share of the limit on, in percent, nothing new begins.
const HIGH: u64 = 85;

/// Below this share things are as usual again. A gap, so that it does not change with every look.
const LOW: u64 = 75;

/// Where a cgroup says what it may use, and uses.
#[derive(Debug)]
struct Cgroup {
    /// In bytes.
    limit: u64,
    usage: PathBuf,
    stat: PathBuf,
    /// The line of `stat` with what can be given back.
    reclaimable: &'static str,
}

/// A number in a file.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Cgroup {
    /// The cgroup of this process, if it has a limit. `proc_cgroup` is the text of /proc/self/cgroup, `root`
    /// where the hierarchies are mounted.
    fn find(proc_cgroup: &str, root: &Path) -> Option<Self> {
        let lines = proc_cgroup.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?.trim_start_matches('/')))
        });
        lines.filter_map(|(controllers, path)| Self::of(controllers, path, root)).next()
    }

    fn of(controllers: &str, path: &str, root: &Path) -> Option<Self> {
        let is_first = controllers.split(',').any(|controller| controller == "memory");
        let (root, limit, usage, reclaimable) = match controllers {
            "" => (root.to_owned(), "memory.max", "memory.current", "inactive_file"),
            _ if is_first => (
                root.join("memory"),
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            ),
            _ => return None,
        };
        // In a container the path is often the host's, and the mount is the container's own.
        let mut found = [root.join(path), root].into_iter();
        let (place, limit) = found
            .find_map(|place| Some((number(&place.join(limit))?, place)))
            .map(|(limit, place)| (place, limit))?;
        // The first version writes a number near 2^63 for none.
        (limit < 1 << 60).then(|| Self {
            limit,
            usage: place.join(usage),
            stat: place.join("memory.stat"),
            reclaimable,
        })
    }

    /// Bytes in use that cannot be given back; `None` if the kernel does not say.
    fn used(&self) -> Option<u64> {
        let usage = number(&self.usage)?;
        if !self.reaches(usage, LOW) {
            // Not worth a further look.
            return Some(usage);
        }
        let stat = fs::read_to_string(&self.stat).unwrap_or_default();
        let mut values = stat.lines().filter_map(|line| line.split_once(' '));
        let value = values.find(|(name, _)| *name == self.reclaimable).map(|(_, value)| value);
        let reclaimable = value.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        Some(usage.saturating_sub(reclaimable))
    }

    /// When to look again: at half of the time that the fastest growth takes to where nothing new begins.
    fn pause(&self, used: u64) -> Duration {
        let left = (self.limit / 100 * HIGH).saturating_sub(used);
        Duration::from_millis(1_000 * left / GROWTH / 2).clamp(SHORTEST, LONGEST)
    }

    fn reaches(&self, used: u64, percent: u64) -> bool {
        used / 100 >= self.limit / 10_000 * percent
    }
}

/// The watch of the memory of this process's cgroup.
#[derive(Debug)]
pub struct Pressure {
    cgroup: Cgroup,
    budget: Arc<Budget>,
}

impl Pressure {
    /// Presses on `budget` when the cgroup's memory is short. `None`: the cgroup has no limit.
    pub fn new(budget: &Arc<Budget>) -> Option<Self> {
        let text = fs::read_to_string("/proc/self/cgroup").ok()?;
        let cgroup = Cgroup::find(&text, Path::new("/sys/fs/cgroup"))?;
        Some(Self { cgroup, budget: Arc::clone(budget) })
    }

    /// Looks at the cgroup. Returns when to look again.
    pub fn look(&self) -> Duration {
        let Self { cgroup, budget } = self;
        let Some(used) = cgroup.used() else { return LONGEST };
        let (is_pressed, limit) = (budget.is_pressed(), cgroup.limit);
        if !is_pressed && cgroup.reaches(used, HIGH) {
            budget.press(true);
            tracing::warn!(
                used,
                limit,
                "the cgroup's memory is nearly used up: new connections and requests are refused"
            );
        } else if is_pressed && !cgroup.reaches(used, LOW) {
            budget.press(false);
            tracing::info!(used, limit, "the cgroup has enough free memory again");
        }
        cgroup.pause(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn the_limit_is_found_in_both_versions_and_from_within_a_container() {
        let second = [
            ("memory.max", "1000000\n"),
            ("memory.current", "900000\n"),
            ("memory.stat", "anon 1\ninactive_file 400000\n"),
        ];
        let root = mk_files(&second);
        let cgroup = Cgroup::find("0::/kubepods/pod1\n", root.path()).expect("a limit");
        assert_eq!((cgroup.limit, cgroup.used()), (1_000_000, Some(500_000)));

        let root = mk_files(&[
            ("memory/pod/memory.limit_in_bytes", "1000000"),
            ("memory/pod/memory.usage_in_bytes", "900000"),
            ("memory/pod/memory.stat", "total_inactive_file 100000\n"),
        ]);
        let text = "5:cpu,cpuacct:/pod\n4:memory:/pod\n0::/\n";
        let cgroup = Cgroup::find(text, root.path()).expect("a limit");
        assert_eq!((cgroup.limit, cgroup.used()), (1_000_000, Some(800_000)));
    }

    #[test]
    fn without_a_limit_there_is_nothing_to_watch() {
        let root = mk_files(&[("memory.max", "max\n")]);
        assert!(Cgroup::find("0::/\n", root.path()).is_none());
        let none = [("memory/memory.limit_in_bytes", "9223372036854771712")];
        let root = mk_files(&none);
        assert!(Cgroup::find("4:memory:/\n", root.path()).is_none());
        assert!(Cgroup::find("", root.path()).is_none());
    }

    #[test]
    fn the_nearer_the_limit_the_sooner_it_looks_again() {
        let root = mk_files(&[("memory.max", "536870912"), ("memory.current", "0")]);
        let cgroup = Cgroup::find("0::/", root.path()).expect("a limit");
        let pauses = [0, 60, 235, 400, 430, 500].map(|mib| cgroup.pause(mib << 20).as_millis());
        assert_eq!(pauses, [637, 549, 293, 51, 50, 50]);
        let root = mk_files(&[("memory.max", "8589934592")]);
        let roomy = Cgroup::find("0::/", root.path()).expect("a limit");
        assert_eq!(roomy.pause(1 << 30), LONGEST);
    }

    #[test]
    fn it_presses_when_memory_is_short_and_lets_go_when_there_is_enough() {
        let root = mk_files(&[("memory.max", "536870912")]);
        let budget = Budget::new(1 << 20);
        let at = |used: u64| {
            fs::write(root.path().join("memory.current"), used.to_string()).expect("a file");
            let cgroup = Cgroup::find("0::/", root.path()).expect("a limit");
            Pressure { cgroup, budget: Arc::clone(&budget) }.look();
            budget.is_pressed()
        };
        let pressed = [420, 460, 420, 380, 420].map(|mib| at(mib << 20));
        assert_eq!(pressed, [false, true, true, false, false]);
    }
}
