//! The Events of ours that stand in the cluster when a term begins. A predecessor wrote them; what was
//! resolved since then, while there was no leader, is reported as resolved.

use super::post::{RESOLVED, SCOPE, age};
use super::{CLUSTER_WIDE, EventKey, Notice};
use crate::control::write_back::failure::{Failure, within};
use crate::model::{Kind, ObjectRef, Severity, Why};
use crate::net::beginning::beginning;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ListParams};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Events of a page.
const PAGE: u32 = 500;

/// Longest time for a page: what waits for it is that something is right again.
const ANSWER: Duration = Duration::from_secs(30);

/// A predecessor's Event about a problem.
#[derive(Debug)]
pub(in crate::control::write_back) struct Standing {
    pub(super) notice: Notice,
    /// How long ago.
    pub(super) age: Duration,
    /// Whether it was said to be right again, before that.
    pub(super) was_mended: bool,
}

/// Lists what stands in these namespaces, or everywhere, at most so much of it. Says nothing of what is known to be right again.
pub(in crate::control::write_back) async fn standing(
    client: &Client,
    controller: &str,
    namespaces: &[String],
    scope: &str,
    most: usize,
) -> Result<Vec<Standing>, Failure> {
    let places: Vec<Api<Event>> = match namespaces {
        [] => vec![Api::all(client.clone())],
        namespaces => {
            let all = namespaces.iter().map(String::as_str).chain([CLUSTER_WIDE]);
            let all: BTreeSet<&str> = all.collect();
            all.into_iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
        }
    };
    let mut all = Vec::new();
    for events in places {
        let mut params =
            ListParams::default().limit(PAGE).fields(&format!("reportingController={controller}"));
        while all.len() < most {
            let page = within(ANSWER, "Events", events.list(&params)).await?;
            all.extend(page.items.into_iter().filter(|event| is_of(event, scope)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
    }
    all.truncate(most);
    Ok(unmended(&all, scope, Timestamp::now()))
}

/// Whether an Event is of the installation with this scope.
fn is_of(event: &Event, scope: &str) -> bool {
    let annotations = event.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(SCOPE)).is_some_and(|own| own == scope)
}

/// Those about what is wrong that no later one takes back.
fn unmended(events: &[Event], scope: &str, now: Timestamp) -> Vec<Standing> {
    let ages = |event: &Event| Some((key(event)?, age(event, now)));
    let is_mended = |event: &&Event| event.reason.as_deref() == Some(RESOLVED);
    let mended: HashMap<EventKey, Duration> =
        events.iter().filter(is_mended).filter_map(ages).collect();
    let wrong = events.iter().filter(|event| !is_mended(event)).filter_map(|event| {
        let (notice, age) = (notice(event)?, age(event, now));
        let mended = mended.get(&notice.mended(scope).key);
        let stands = mended.is_none_or(|mended| *mended > age);
        stands.then(|| Standing { notice, age, was_mended: mended.is_some() })
    });
    wrong.collect()
}

fn key(event: &Event) -> Option<EventKey> {
    let namespace = event.metadata.namespace.as_deref()?.into();
    Some(EventKey { namespace, name: event.metadata.name.as_deref()?.into() })
}

/// What an Event says, as far as it takes to take it back.
fn notice(event: &Event) -> Option<Notice> {
    let key = key(event)?;
    let ObjectReference { kind, namespace, name, uid, .. } = event.regarding.as_ref()?;
    let kind = Kind::ALL.into_iter().find(|known| Some(known.as_str()) == kind.as_deref())?;
    let object = ObjectRef::new(kind, namespace.as_deref().unwrap_or_default(), name.as_deref()?);
    let reason = event.reason.as_deref()?;
    let why = Why::ALL.into_iter().find(|why| super::post::reason(*why) == reason)?;
    let severity = match event.type_.as_deref() {
        Some("Warning") => Severity::Error,
        _ => Severity::Warning,
    };
    let note = event.note.as_deref().unwrap_or_default();
    let note = beginning(note, super::MAX_NOTE_BYTES).to_owned();
    let uid = uid.as_deref().map(Into::into);
    Some(Notice { of: key.clone(), key, is_mended: false, object, uid, severity, why, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::write_back::events::post::{Reporter, event};
    use crate::control::write_back::events::tests::mk_finding;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// An Event as it is in the cluster, written then.
    fn written(notice: &Notice, scope: &str, second: i64) -> Event {
        let [controller, instance, scope] = ["c", "i", scope].map(str::to_owned);
        event(notice, &Reporter { controller, instance, scope }, at(second))
    }

    #[test]
    fn what_is_wrong_stands_until_a_later_event_takes_it_back() {
        let wrong = Notice::of(&mk_finding("shop"), "s").expect("an error");
        let right = wrong.mended("s");
        let events = [written(&wrong, "s", 100), written(&right, "s", 200)];
        assert!(unmended(&events, "s", at(300)).is_empty());
        let events = [written(&wrong, "s", 250), written(&right, "s", 200)];
        let standing = unmended(&events, "s", at(300));
        assert_eq!(standing.len(), 1);
        assert_eq!((standing[0].age, standing[0].was_mended), (Duration::from_secs(50), true));
        // Its fix is in the note, but not in the note of the resolution: the keys are those of the finding.
        assert_eq!(standing[0].notice, wrong);
        assert_eq!(standing[0].notice.mended("s"), right);
    }

    #[test]
    fn what_another_installation_says_is_left_to_that() {
        let wrong = Notice::of(&mk_finding("shop"), "s").expect("an error");
        assert!(is_of(&written(&wrong, "s", 1), "s"));
        assert!(!is_of(&written(&wrong, "other", 1), "s"));
        assert!(!is_of(&Event::default(), "s"));
    }
}
