//! What the three swaps have in common: the cluster with its controllers, visitors and strangers.

use super::client::Answer;
use super::cloudflare::{Cloudflare, Figures, Visit};
use super::helm::Helm;
use super::kubelet::{Kubelet, Node, say};
use super::network::{self, Namespace};
use super::objects::{self, Backend};
use super::servicelb::ServiceLb;
use super::stranger::{Met, Stranger, meet};
use super::way::Way;
use crate::eventually;
use crate::plane::Plane;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks of the controllers.
const LOOK: Duration = Duration::from_millis(50);

/// What is different in the three.
pub(super) struct Cluster {
    /// The folder of the fixture.
    pub(super) name: &'static str,
    pub(super) files: &'static [&'static str],
    pub(super) nodes: [(&'static str, &'static str); 2],
    pub(super) backends: &'static [Backend],
    pub(super) visits: &'static [Visit],
    /// What strangers ask for.
    pub(super) host: &'static str,
}

/// Who looks after the objects.
pub(super) struct Controllers<'t> {
    pub(super) kubelet: Kubelet<'t>,
    pub(super) helm: Option<Helm>,
    pub(super) servicelb: Option<ServiceLb<'t>>,
}

/// A swap that goes on.
pub(super) struct Scene<'t> {
    pub(super) plane: &'t Plane,
    pub(super) cluster: &'t Cluster,
    pub(super) cloudflare: &'t Cloudflare,
    pub(super) way: &'t Way<'t>,
    pub(super) stranger: &'t Stranger,
}

/// The nodes, each with its address, and what is in the fixture.
pub(super) fn prepare(plane: &Plane, cluster: &Cluster) -> Vec<Node> {
    network::prepare();
    let nodes = cluster.nodes.map(|(name, address)| {
        let namespace = Namespace::start(plane);
        let last = address.rsplit('.').next().expect("an address");
        namespace.join(None, &format!("node{last}"), address);
        Node { name, address, namespace }
    });
    let folder = objects::folder(cluster.name);
    let files: Vec<PathBuf> = cluster.files.iter().map(|file| folder.join(file)).collect();
    objects::create(plane, &files, &cluster.nodes, cluster.backends);
    Vec::from(nodes)
}

/// Runs a walk while controllers, visitors and strangers are at work: nothing may be lost.
pub(super) fn act(
    plane: &Plane,
    cluster: &Cluster,
    records: &[&str],
    controllers: Controllers<'_>,
    walk: impl FnOnce(&Scene<'_>),
) {
    let (figures, crashes) = play(plane, cluster, records, controllers, walk);
    assert!(figures.breaches.is_empty(), "open: {:#?}", figures.breaches);
    assert!(figures.lost.is_empty(), "lost: {:#?}", figures.lost);
    assert!(figures.elsewhere.is_empty(), "nodes were closed: {:#?}", figures.elsewhere);
    assert_eq!(crashes, 0, "containers that have ended by themselves");
}

/// The same, whatever is lost. Returns also how many containers have ended by themselves.
pub(super) fn play(
    plane: &Plane,
    cluster: &Cluster,
    records: &[&str],
    mut controllers: Controllers<'_>,
    walk: impl FnOnce(&Scene<'_>),
) -> (Figures, u32) {
    let way = Way::write(plane, cluster.name);
    let cloudflare = Cloudflare::of(records);
    let to = cluster.nodes.map(|(_, address)| (at(address, 80), cluster.host));
    let stranger = Stranger::of(Vec::from(to));
    let scene = Scene { plane, cluster, cloudflare: &cloudflare, way: &way, stranger: &stranger };
    let crashes = AtomicU32::default();
    let [stop, has_failed] = [AtomicBool::new(false), AtomicBool::new(false)];
    thread::scope(|scope| {
        let _end = End { stop: &stop, has_failed: &has_failed, scene: &scene };
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                controllers.tend(plane);
                thread::park_timeout(LOOK);
            }
            crashes.store(controllers.kubelet.restarts, Ordering::SeqCst);
            if has_failed.load(Ordering::SeqCst) || !cloudflare.figures().lost.is_empty() {
                say(&controllers.kubelet.last_words());
            }
        });
        for visit in cluster.visits {
            eventually(&format!("{}{} is served", visit.host, visit.path), || {
                // By every node.
                let mut each = records.iter().map(|_| cloudflare.once(visit));
                let is_met = |answer: &Answer| visit.expected.is_met(answer);
                each.all(|answer| answer.as_ref().is_ok_and(is_met)).then_some(())
            });
        }
        scope.spawn(|| stranger.run());
        cloudflare.visit(scope, cluster.visits);
        cloudflare.ask_on(100);
        way.since();
        walk(&scene);
    });
    let figures = cloudflare.figures();
    let [tried, answered] = stranger.counts();
    say(&format!(
        "{}: {} requests asked, {} lost, {} answered by another record, {} guarded ones open; strangers: {tried} \
         attempts, {answered} answered with 200",
        cluster.name,
        figures.asked,
        figures.lost.len(),
        figures.elsewhere.len(),
        figures.breaches.len(),
    ));
    (figures, crashes.into_inner())
}

/// An address of a node.
pub(super) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

impl Controllers<'_> {
    fn tend(&mut self, plane: &Plane) {
        if let Some(helm) = &mut self.helm {
            helm.tend(plane);
        }
        if let Some(servicelb) = &mut self.servicelb {
            servicelb.tend();
        }
        self.kubelet.tend();
    }
}

impl Scene<'_> {
    /// Walks a step of the page.
    pub(super) fn step(&self, title: &str) {
        self.cloudflare.during(title);
        self.way.step(title);
        self.cloudflare.ask_on(60);
    }

    /// Waits for the pods of the DaemonSet as the page's checks do. Its controller has stood still here once, with both
    /// pods of a node ready: where it has read an old state it tries again, and its queue then forgets that it was to
    /// look after `minReadySeconds`. In a cluster the next event of a pod wakes it; here nothing else happens.
    pub(super) fn rolled_out(&self) {
        let script = "for turn in 1 2 3 4 5 6 7 8 9 10 11 12; do\n\
             kubectl -n ravelin rollout status ds/ravelin --timeout 20s && exit 0\n\
             kubectl -n ravelin annotate --overwrite ds/ravelin looked-at=$turn\n\
             done\nexit 1";
        self.plane.shell(&self.way.mine, script);
    }

    /// Does what a step says about Origin Rules.
    pub(super) fn rule(&self, title: &str, has_rules: bool) {
        self.cloudflare.during(title);
        self.way.act(title);
        self.cloudflare.rule(has_rules);
        self.cloudflare.ask_on(200);
    }

    /// Waits until Traefik has no pod any more, or so many that are ready.
    pub(super) fn traefiks(&self, count: usize) {
        eventually("the pods of Traefik", || {
            let list = self.plane.get("/api/v1/pods?labelSelector=app.kubernetes.io/name=traefik");
            let list = list.json();
            let pods = list["items"].as_array().expect("a list");
            let is_ready = |pod: &&Value| {
                let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
                let mut ready = conditions.filter(|one| one["type"] == "Ready");
                ready.any(|one| one["status"] == "True")
            };
            (pods.len() == count && pods.iter().filter(is_ready).count() == count).then_some(())
        });
    }

    /// Waits until Traefik answers for a host of the cluster on every node, to anybody: it is ready before it has read
    /// its routes.
    pub(super) fn traefik_answers(&self) {
        for (_, address) in self.cluster.nodes {
            eventually("Traefik answers", || {
                let met = meet(Ipv4Addr::new(203, 0, 113, 8), at(address, 80), self.cluster.host);
                (met == Met::Answer(200)).then_some(())
            });
        }
    }

    /// Whether strangers meet silence at the ports of all nodes, from now on: the kernel keeps them out.
    pub(super) fn is_silent(&self, ports: &[u16]) {
        for (_, address) in self.cluster.nodes {
            for &port in ports {
                let met = meet(Ipv4Addr::new(203, 0, 113, 7), at(address, port), self.cluster.host);
                assert_eq!(met, Met::Silence, "{address}:{port}");
            }
        }
    }

    /// What strangers who try all the time have met at port 80 since a moment.
    pub(super) fn strangers_since(&self, since: Instant) -> Vec<Met> {
        let now = Instant::now();
        let all = self.cluster.nodes.iter();
        all.flat_map(|(_, address)| self.stranger.met(at(address, 80), since, now)).collect()
    }

    /// The end of the way there, which is the same everywhere.
    pub(super) fn after(&self) {
        self.cloudflare.forget();
        self.rule("Lead Cloudflare to ports 80 and 443 again", false);
        self.way.is_walked();
        self.tell("there");
        let since = Instant::now();
        self.is_silent(&[80, 443]);
        self.cloudflare.ask_on(400);
        let met = self.strangers_since(since);
        assert!(!met.is_empty() && met.iter().all(|met| *met == Met::Silence), "{met:?}");
        self.way.since();
    }

    /// The end of the way back.
    pub(super) fn back(&self) {
        self.way.act_back("Delete the Origin Rules");
        self.cloudflare.rule(false);
        self.cloudflare.ask_on(100);
        self.way.back("kubectl delete -k");
        self.cloudflare.ask_on(200);
        self.tell("back");
    }

    /// Tells how a way was: commands, seconds, requests.
    pub(super) fn tell(&self, way: &str) {
        let (commands, seconds) = self.way.since();
        let figures = self.cloudflare.figures();
        say(&format!(
            "{} {way}: {commands} commands and actions, {seconds:.1} s; so far {} requests, {} lost",
            self.cluster.name,
            figures.asked,
            figures.lost.len(),
        ));
    }
}

/// Ends everybody when the walk ends, also if it fails.
struct End<'e> {
    stop: &'e AtomicBool,
    has_failed: &'e AtomicBool,
    scene: &'e Scene<'e>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.has_failed.store(thread::panicking(), Ordering::SeqCst);
        self.stop.store(true, Ordering::SeqCst);
        self.scene.cloudflare.stop();
        self.scene.stranger.stop();
    }
}
