//! The nodes whose ravelin is ready, by the pods of the DaemonSet.
//!
//! Only the leader watches them: a thousand instances that watch a thousand pods would cost the API
//! server a million events for one roll-out. A watch can be silent forever although things change
//! (a stopped server, a restored etcd), so it is restarted with a list at intervals, whatever it
//! says.

use super::failure::words;
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Error, Event};
use kube::{Api, Client};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long one watch is trusted: nothing goes unnoticed for longer than two minutes.
const BELIEVED: Duration = Duration::from_secs(100);

/// How long the API server is asked to keep a watch open, in seconds.
const WATCH_SECONDS: u32 = 60;

/// Which pods are ravelin's.
#[derive(Clone, Debug)]
pub struct Pods {
    /// The namespace of the DaemonSet.
    pub namespace: String,
    /// A label selector, such as `app.kubernetes.io/name=ravelin`.
    pub selector: String,
}

/// Names of nodes with a ready ravelin; `None` until the first list is complete.
pub(super) type Ready = Option<BTreeSet<Arc<str>>>;

/// Keeps `ready` up to date, forever.
pub(super) async fn follow(client: Client, pods: &Pods, ready: &watch::Sender<Ready>) {
    let api: Api<Pod> = Api::namespaced(client, &pods.namespace);
    loop {
        let config = watcher::Config::default().labels(&pods.selector).timeout(WATCH_SECONDS);
        let events = watcher::watcher(api.clone(), config).default_backoff();
        // The stream never ends by itself; the timeout is expected and not an error.
        let _ = tokio::time::timeout(BELIEVED, read(events, ready)).await;
    }
}

async fn read(
    events: impl Stream<Item = watcher::Result<Event<Pod>>>,
    ready: &watch::Sender<Ready>,
) {
    let mut events = pin!(events);
    let mut known = BTreeMap::new();
    let mut complete = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {
                known.clear();
                complete = false;
            }
            Ok(Event::InitApply(pod) | Event::Apply(pod)) => {
                known.insert(name(&pod), ready_node(&pod));
            }
            Ok(Event::Delete(pod)) => {
                known.remove(&name(&pod));
            }
            Ok(Event::InitDone) => complete = true,
            Err(error) => {
                let words = match &error {
                    Error::InitialListFailed(error)
                    | Error::WatchStartFailed(error)
                    | Error::WatchFailed(error) => words(error),
                    other => other.to_string(),
                };
                tracing::warn!(what = "pods", words, "cannot see which nodes are ready");
            }
        }
        if complete {
            let now: BTreeSet<_> = known.values().flatten().cloned().collect();
            ready.send_if_modified(|before| {
                let changed = before.as_ref() != Some(&now);
                *before = Some(now);
                changed
            });
        }
    }
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

/// The pod's node, if it serves there: a pod that terminates is about to close its listeners.
fn ready_node(pod: &Pod) -> Option<Arc<str>> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True");
    let node = pod.spec.as_ref()?.node_name.as_deref()?;
    (ready && pod.metadata.deletion_timestamp.is_none()).then(|| node.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use serde_json::json;
    use tokio::runtime::Builder;

    fn mk_pod(name: &str, node: &str, ready: &str, deleted: Option<&str>) -> Pod {
        let pod = json!({
            "metadata": {"name": name, "deletionTimestamp": deleted},
            "spec": {"nodeName": node, "containers": []},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        });
        serde_json::from_value(pod).expect("a pod")
    }

    /// What is known after each of the events.
    fn after(events: Vec<Event<Pod>>) -> Vec<Option<Vec<String>>> {
        let (sender, receiver) = watch::channel(None);
        let mut seen = Vec::new();
        let see = events.into_iter().map(Some).chain([None]).filter_map(|event| {
            let now: Ready = receiver.borrow().clone();
            seen.push(now.map(|nodes| nodes.iter().map(ToString::to_string).collect()));
            event.map(Ok)
        });
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(read(stream::iter(see), &sender));
        seen.split_off(1)
    }

    #[test]
    fn nodes_are_known_from_the_first_complete_list_and_kept_through_the_next() {
        let seen = after(vec![
            Event::Init,
            Event::InitApply(mk_pod("x", "a", "True", None)),
            Event::InitApply(mk_pod("y", "b", "False", None)),
            Event::InitDone,
            Event::Apply(mk_pod("y", "b", "True", None)),
            Event::Init,
            Event::InitApply(mk_pod("z", "b", "True", None)),
            Event::InitDone,
            Event::Delete(mk_pod("z", "b", "True", None)),
        ]);
        let [a, ab, b] = [vec!["a"], vec!["a", "b"], vec!["b"]]
            .map(|nodes| Some(nodes.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        let expected = [None, None, None, a, ab.clone(), ab.clone(), ab, b, Some(vec![])];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_pod_that_terminates_is_not_ready_and_its_successor_on_the_node_is() {
        let old = mk_pod("x", "a", "True", Some("2026-01-01T00:00:00Z"));
        assert_eq!(ready_node(&old), None);
        let seen = after(vec![
            Event::Init,
            Event::InitDone,
            Event::Apply(mk_pod("x", "a", "True", None)),
            Event::Apply(mk_pod("y", "a", "True", None)),
            Event::Apply(old),
        ]);
        assert_eq!(seen[2..], [(); 3].map(|()| Some(vec!["a".to_owned()])));
    }
}
