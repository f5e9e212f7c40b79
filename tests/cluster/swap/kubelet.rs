//! Scheduler and kubelet of the nodes: Pods of Traefik and of ravelin become processes, which are probed, asked to end,
//! and started again, with the pauses of a kubelet.

use super::network::Namespace;
use super::process::{Process, Traefik};
use crate::plane::Plane;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Before the second start of a container that has ended; doubled each time, five minutes at most.
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

/// A node.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
    pub(super) namespace: Namespace,
}

/// Where the Pods of a Deployment of Traefik run.
pub(super) struct Home<'t> {
    pub(super) namespace: &'t Namespace,
    pub(super) address: &'static str,
}

/// A Pod that has been bound to a node.
struct Pod {
    process: Option<Process>,
    folder: TempDir,
    is_ready: bool,
    is_ending: bool,
    starts: u32,
    next_start: Instant,
}

/// All of them.
pub(super) struct Kubelet<'t> {
    pub(super) plane: &'t Plane,
    pub(super) nodes: &'t [Node],
    pub(super) traefik: &'t Traefik,
    /// `None`: it has the network of its node.
    pub(super) home: Option<Home<'t>>,
    pods: BTreeMap<String, Pod>,
    /// Containers that have ended by themselves, for the report.
    pub(super) restarts: u32,
}

impl<'t> Kubelet<'t> {
    pub(super) fn of(
        plane: &'t Plane,
        nodes: &'t [Node],
        traefik: &'t Traefik,
        home: Option<Home<'t>>,
    ) -> Self {
        Self { plane, nodes, traefik, home, pods: BTreeMap::new(), restarts: 0 }
    }

    /// Looks at all Pods once.
    pub(super) fn tend(&mut self) {
        let list = self.plane.get("/api/v1/pods").json();
        for pod in list["items"].as_array().into_iter().flatten() {
            let text = |path: &str| pod.pointer(path).and_then(Value::as_str);
            let (Some(namespace), Some(name)) =
                (text("/metadata/namespace"), text("/metadata/name"))
            else {
                continue;
            };
            let is_ending = text("/metadata/deletionTimestamp").is_some();
            match text("/spec/nodeName") {
                None if !is_ending => self.plane.bind(namespace, name, &self.chosen(pod)),
                None => self.plane.delete(namespace, name),
                Some(_) => self.look_at(pod, &format!("{namespace}/{name}"), is_ending),
            }
        }
    }

    /// The node of a Pod: that which its DaemonSet wants, or the first.
    fn chosen(&self, pod: &Value) -> String {
        const TERM: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/\
                            nodeSelectorTerms/0/matchFields/0/values/0";
        let wanted = pod.pointer(TERM).and_then(Value::as_str);
        wanted.unwrap_or(self.nodes[0].name).to_owned()
    }

    fn look_at(&mut self, object: &Value, key: &str, is_ending: bool) {
        if !self.pods.contains_key(key) {
            let pod = Pod {
                process: None,
                folder: tempfile::tempdir().expect("a temporary folder"),
                is_ready: false,
                is_ending: false,
                starts: 0,
                next_start: Instant::now(),
            };
            self.pods.insert(key.to_owned(), pod);
        }
        let mut pod = self.pods.remove(key).expect("it is there");
        let has_ended = pod.process.as_mut().is_none_or(Process::has_ended);
        let (namespace, name) = key.split_once('/').expect("a key of ours");
        if is_ending {
            if has_ended {
                self.plane.delete(namespace, name);
                return;
            }
            if let Some(process) = pod.process.as_ref().filter(|_| !pod.is_ending) {
                process.terminate();
                pod.is_ending = true;
            }
        } else if has_ended {
            self.begin(object, &mut pod, (namespace, name));
        } else if !pod.is_ready && pod.process.as_ref().is_some_and(Process::is_ready) {
            pod.is_ready = true;
            let ip = self.place(object).1;
            self.plane.ready(namespace, name, ip);
        }
        self.pods.insert(key.to_owned(), pod);
    }

    /// Starts the container of a Pod, or waits until it may be.
    fn begin(&mut self, object: &Value, pod: &mut Pod, (namespace, name): (&str, &str)) {
        if let Some(ended) = pod.process.take() {
            self.restarts += 1;
            say(&format!("{name} has ended by itself:\n{}", ended.last_words()));
            if pod.is_ready {
                pod.is_ready = false;
                self.plane.unready(namespace, name);
            }
            // The first time at once.
            let pause = match pod.starts {
                0 | 1 => Duration::ZERO,
                starts => (BACK_OFF * 2_u32.saturating_pow(starts - 2)).min(LONGEST_BACK_OFF),
            };
            pod.next_start = Instant::now() + pause;
        }
        if Instant::now() < pod.next_start {
            return;
        }
        pod.starts += 1;
        let (home, address) = self.place(object);
        let folder: PathBuf = pod.folder.path().to_owned();
        pod.process = Some(match namespace {
            "ravelin" => Process::ravelin(self.plane, home, object, &folder),
            _ => Process::traefik(self.plane, self.traefik, (home, address), &folder),
        });
    }

    /// Where a Pod runs.
    fn place(&self, pod: &Value) -> (&'t Namespace, &'static str) {
        if let Some(home) = self.home.as_ref().filter(|_| pod["metadata"]["namespace"] != "ravelin")
        {
            return (home.namespace, home.address);
        }
        let node = self.nodes.iter().find(|node| pod["spec"]["nodeName"] == node.name);
        let node = node.expect("a node of ours");
        (&node.namespace, node.address)
    }

    /// The ends of all logs, for a test that has failed.
    pub(super) fn last_words(&self) -> String {
        let words = |(key, pod): (&String, &Pod)| {
            let words = pod.process.as_ref().map(Process::last_words).unwrap_or_default();
            let Pod { is_ready, is_ending, starts, .. } = pod;
            format!(
                "--- {key} (ready: {is_ready}, ending: {is_ending}, starts: {starts}), the end of its log:\n{words}"
            )
        };
        let each = self.pods.iter().map(words);
        let sets = self.plane.get("/apis/apps/v1/namespaces/ravelin/daemonsets").body;
        each.chain([format!("--- DaemonSets:\n{sets}")]).collect::<Vec<_>>().join("\n")
    }
}

/// A word of the output of a test.
#[expect(clippy::print_stdout, reason = "the story of the test, for who asks for its output")]
pub(super) fn say(text: &str) {
    println!("{text}");
}
