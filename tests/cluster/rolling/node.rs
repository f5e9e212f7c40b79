//! The node of a Deployment's Pods: what scheduler and kubelet do for them, with a real process for
//! each Pod.
//!
//! It watches the Pods of the namespace. A new one is bound and its process started; one that answers
//! is ready; one that is being deleted is asked to end (SIGTERM), and deleted when its process is
//! gone. A process that dies by itself is started again at the same address.

use crate::PATIENCE;
use crate::plane::{Heard, Plane, Watch};
use crate::rolling::pod::{self, Life, Process};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long nothing is done if nothing is heard.
const TICK: Duration = Duration::from_millis(5);
/// Between two looks at what runs: the kubelet lists containers once a second.
const LOOK: Duration = Duration::from_secs(1);
/// Probes in a row that have to fail until a Pod is not ready, as is the kubelet's default.
const FAILURES: u32 = 3;

/// What a Pod is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    /// Its probes have failed.
    Unready,
    /// It is being deleted.
    Ending,
}

struct Pod {
    process: Process,
    addr: SocketAddr,
    image: String,
    stage: Stage,
    /// When it is looked at next, if it runs.
    look: Instant,
    failures: u32,
}

/// One node.
pub(super) struct Node<'t> {
    plane: &'t Plane,
    namespace: &'t str,
    life: Life,
    watch: Watch,
    pods: BTreeMap<String, Pod>,
}

impl<'t> Node<'t> {
    /// The node of all Pods of a namespace, which is called like it.
    pub(super) fn of(plane: &'t Plane, namespace: &'t str, life: Life) -> Self {
        let watch = plane.api().watch(&format!("/api/v1/namespaces/{namespace}/pods?watch=true"));
        Self { plane, namespace, life, watch, pods: BTreeMap::new() }
    }

    /// Tends the Pods until there is an answer.
    pub(super) fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            self.tend();
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(Instant::now() < end, "never happened: {what}");
        }
    }

    /// Tends the Pods for some time.
    pub(super) fn tend_for(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.tend();
        }
    }

    /// Whether so many Pods are there, ready and of this image, and no others.
    pub(super) fn runs(&self, image: &str, count: usize) -> bool {
        let fits = |pod: &Pod| pod.stage == Stage::Ready && pod.image == image;
        self.pods.len() == count && self.pods.values().all(fits)
    }

    /// Whether a Pod is ready.
    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.pods.get(name).is_some_and(|pod| pod.stage == Stage::Ready)
    }

    /// The name of a Pod that is ready.
    pub(super) fn any_ready(&self) -> String {
        let mut ready = self.pods.iter().filter(|(_, pod)| pod.stage == Stage::Ready);
        ready.next().expect("a Pod that is ready").0.clone()
    }

    /// Kills the process of a Pod without a word. It is gone at the return.
    pub(super) fn kill(&mut self, name: &str) {
        self.pods.get_mut(name).expect("a Pod").process.kill();
    }

    /// Sends the process of a Pod a signal.
    pub(super) fn signal(&self, name: &str, signal: Signal) {
        self.pods[name].process.signal(signal);
    }

    fn tend(&mut self) {
        match self.watch.next(TICK) {
            Heard::Event(event) => self.heard(&event),
            Heard::Silence => {}
            other => panic!("the watch of the Pods ends: {other:?}"),
        }
        let mut gone = Vec::new();
        for (name, pod) in &mut self.pods {
            match pod.stage {
                Stage::Ending if pod.process.has_ended() => gone.push(name.clone()),
                Stage::Ending => {}
                Stage::Starting => {
                    if pod.process.answers() {
                        self.plane.ready(self.namespace, name, &pod.addr.ip().to_string());
                        pod.stage = Stage::Ready;
                    }
                }
                Stage::Ready | Stage::Unready if Instant::now() >= pod.look => {
                    look_at(self.plane, (self.namespace, name), pod, self.life);
                }
                Stage::Ready | Stage::Unready => {}
            }
        }
        for name in gone {
            self.pods.remove(&name);
            self.plane.delete(self.namespace, &name);
        }
    }

    fn heard(&mut self, event: &Value) {
        let object = &event["object"];
        let name = object["metadata"]["name"].as_str().expect("a name");
        if event["type"] == "DELETED" {
            return;
        }
        let is_ending = !object["metadata"]["deletionTimestamp"].is_null();
        match self.pods.get_mut(name) {
            Some(pod) if is_ending && pod.stage != Stage::Ending => {
                pod.process.signal(Signal::TERM);
                pod.stage = Stage::Ending;
            }
            None if !is_ending => {
                let image = object["spec"]["containers"][0]["image"].as_str().expect("an image");
                self.begin(name, image);
            }
            _ => {}
        }
    }

    fn begin(&mut self, name: &str, image: &str) {
        // Pods of a node that is not there become no endpoints.
        self.plane.bind(self.namespace, name, self.namespace);
        let addr = pod::address();
        let pod = Pod {
            process: Process::start(self.plane, addr, name, self.life),
            addr,
            image: image.to_owned(),
            stage: Stage::Starting,
            look: Instant::now() + LOOK,
            failures: 0,
        };
        self.pods.insert(name.to_owned(), pod);
    }
}

/// Looks whether the process of a Pod runs and answers, and says so if that is news.
fn look_at(plane: &Plane, (namespace, name): (&str, &str), pod: &mut Pod, life: Life) {
    pod.look = Instant::now() + LOOK;
    if pod.process.has_ended() {
        plane.unready(namespace, name);
        pod.process = Process::start(plane, pod.addr, name, life);
        pod.stage = Stage::Starting;
        return;
    }
    if pod.process.answers() {
        pod.failures = 0;
        if pod.stage == Stage::Unready {
            plane.ready(namespace, name, &pod.addr.ip().to_string());
            pod.stage = Stage::Ready;
        }
        return;
    }
    pod.failures += 1;
    if pod.failures == FAILURES && pod.stage == Stage::Ready {
        plane.unready(namespace, name);
        pod.stage = Stage::Unready;
    }
}
