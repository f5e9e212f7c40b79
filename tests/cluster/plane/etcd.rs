//! What is done to etcd: an older state brought back, an empty one, its history compacted.

use crate::plane::Plane;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A state of etcd that was kept. It lies in the plane's folder and ends with it.
pub(crate) struct Snapshot(PathBuf);

impl Plane {
    /// Keeps the state of etcd as it is now. etcd is away for about half a second.
    pub(crate) fn etcd_snapshot(&self) -> Snapshot {
        self.kill_etcd();
        let kept = (0_usize..).map(|number| self.folder.join(format!("snapshot-{number}")));
        let kept = kept.into_iter().find(|path| !path.exists()).expect("some number is free");
        copy(&self.etcd_data(), &kept);
        self.restart_etcd();
        Snapshot(kept)
    }

    /// Brings a state back, by SIGKILL and a swap of folders, while the API server runs on: it does
    /// not notice and goes on telling of its cache until it is restarted.
    pub(crate) fn etcd_restore(&self, snapshot: &Snapshot) {
        self.kill_etcd();
        fs::remove_dir_all(self.etcd_data()).expect("a folder of ours");
        copy(&snapshot.0, &self.etcd_data());
        self.restart_etcd();
    }

    /// Brings etcd back with nothing in it.
    pub(crate) fn etcd_empty(&self) {
        self.kill_etcd();
        fs::remove_dir_all(self.etcd_data()).expect("a folder of ours");
        self.restart_etcd();
    }

    /// Compacts etcd to its present revision, which is returned. Continue tokens and exact lists are
    /// 410 only after a restart of the API server, which answers from its cache until then.
    pub(crate) fn compact(&self) -> u64 {
        let range = self.etcd_api.request("POST", "/v3/kv/range", Some(&json!({"key": "AA=="})));
        let revision = range.json()["header"]["revision"].as_str().expect("a revision").to_owned();
        let order = json!({"revision": &revision, "physical": true});
        let done = self.etcd_api.request("POST", "/v3/kv/compaction", Some(&order));
        assert_eq!(done.status, 200, "{}", done.body);
        revision.parse().expect("a number")
    }
}

/// `cp -a`, which keeps the holes of preallocated files.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp(1)");
    assert!(status.success(), "{} is not copied", from.display());
}
