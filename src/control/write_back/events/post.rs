//! The requests that write an Event.

use super::Notice;
use crate::control::write_back::failure::{Failure, within};
use crate::model::{Kind, Severity, Why};
use crate::net::beginning::beginning;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;

/// What the API server lets a reporting instance be, in bytes.
const MAX_INSTANCE_BYTES: usize = 128;

/// What is tried, in the sense of the API: `action` of every Event.
const ACTION: &str = "Serve";

/// The reason of an Event about what is right again.
pub(super) const RESOLVED: &str = "Resolved";

/// The annotation that says which installation an Event is of: its Lease. Two can have one controller's
/// name.
pub(super) const SCOPE: &str = "ravelin.dev/lease";

/// The reporter of Events.
#[derive(Clone, Debug)]
pub(in crate::control::write_back) struct Reporter {
    /// A qualified name: `reportingController`, which `kubectl describe` shows as the source.
    pub(in crate::control::write_back) controller: String,
    /// The elected instance: `reportingInstance`.
    pub(in crate::control::write_back) instance: String,
    /// Namespace and name of the Lease.
    pub(in crate::control::write_back) scope: String,
}

/// Its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control::write_back) enum Said {
    /// Created, or counted on.
    Written,
    /// It is there already, from a predecessor, since so long.
    Standing { age: Duration },
}

/// Writes an Event. `again` says that it was written before and is to be counted on; else one that
/// is there is left as it is.
pub(in crate::control::write_back) async fn post(
    client: Client,
    notice: &Notice,
    reporter: &Reporter,
    again: bool,
    limit: Duration,
) -> Result<Said, Failure> {
    let events: Api<Event> = Api::namespaced(client, &notice.key.namespace);
    if !again {
        match create(&events, notice, reporter, limit).await {
            Err(Failure::Conflict) => {}
            other => return other,
        }
        let standing = within(limit, "Event", events.get_opt(&notice.key.name)).await?;
        // Its time was up between the two requests.
        let standing = standing.ok_or(Failure::Conflict)?;
        return Ok(Said::Standing { age: age(&standing, Timestamp::now()) });
    }
    let Some(event) = within(limit, "Event", events.get_opt(&notice.key.name)).await? else {
        return create(&events, notice, reporter, limit).await;
    };
    let count = event.series.as_ref().map_or(1, |series| series.count).saturating_add(1);
    let series = json!({
        "metadata": {"resourceVersion": event.metadata.resource_version},
        "series": {"count": count.max(2), "lastObservedTime": MicroTime(Timestamp::now())},
    });
    // Everything but the series is immutable.
    let patch = Patch::Merge(series);
    let how = PatchParams::default();
    within(limit, "Event", events.patch(&notice.key.name, &how, &patch)).await?;
    Ok(Said::Written)
}

async fn create(
    events: &Api<Event>,
    notice: &Notice,
    reporter: &Reporter,
    limit: Duration,
) -> Result<Said, Failure> {
    let event = event(notice, reporter, Timestamp::now());
    within(limit, "Event", events.create(&PostParams::default(), &event)).await?;
    Ok(Said::Written)
}

/// How long ago an Event was last written, by the clocks of two machines: a difference between them
/// only moves the repetition.
pub(super) fn age(event: &Event, now: Timestamp) -> Duration {
    let last = event.series.as_ref().map(|series| &series.last_observed_time);
    let last = last.or(event.event_time.as_ref()).map(|MicroTime(time)| *time);
    let created = event.metadata.creation_timestamp.as_ref().map(|Time(time)| *time);
    let last = last.or(created).unwrap_or(now);
    Duration::try_from(now.duration_since(last)).unwrap_or_default()
}

pub(super) fn event(notice: &Notice, reporter: &Reporter, now: Timestamp) -> Event {
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut instance = reporter.instance.clone();
    instance.truncate(beginning(&instance, MAX_INSTANCE_BYTES).len());
    let (type_, reason) = match notice.severity {
        _ if notice.is_mended => ("Normal", RESOLVED),
        Severity::Error => ("Warning", reason(notice.why)),
        Severity::Warning | Severity::Info => ("Normal", reason(notice.why)),
    };
    Event {
        metadata: ObjectMeta {
            name: Some(notice.key.name.to_string()),
            namespace: Some(notice.key.namespace.to_string()),
            annotations: Some([(SCOPE.to_owned(), reporter.scope.clone())].into()),
            ..ObjectMeta::default()
        },
        action: Some(ACTION.to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(notice.note.clone()),
        reason: Some(reason.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(api_version(notice.object.kind).to_owned()),
            kind: Some(notice.object.kind.as_str().to_owned()),
            namespace: optional(&notice.object.namespace),
            name: Some(notice.object.name.to_string()),
            uid: notice.uid.as_deref().map(str::to_owned),
            // The note begins with it, and `kubectl describe` of 1.34 puts it before the note again.
            field_path: None,
            resource_version: None,
        }),
        reporting_controller: Some(reporter.controller.clone()),
        reporting_instance: Some(instance),
        type_: Some(type_.to_owned()),
        ..Event::default()
    }
}

fn api_version(kind: Kind) -> &'static str {
    match kind {
        Kind::Ingress | Kind::IngressClass => "networking.k8s.io/v1",
        Kind::EndpointSlice => "discovery.k8s.io/v1",
        Kind::Service
        | Kind::Secret
        | Kind::Node
        | Kind::ConfigMap
        | Kind::File
        | Kind::Cluster => "v1",
        _ => crate::control::objects::TRAEFIK_VERSION,
    }
}

/// The cause as the API writes reasons.
pub(super) fn reason(why: Why) -> &'static str {
    match why {
        Why::Unreadable => "Unreadable",
        Why::Invalid => "Invalid",
        Why::UnknownField => "UnknownField",
        Why::Duplicate => "Duplicate",
        Why::ServiceMissing => "ServiceMissing",
        Why::PortMissing => "PortMissing",
        Why::Unsupported => "Unsupported",
        Why::RestrictionUnsupported => "RestrictionUnsupported",
        Why::AnnotationUnsupported => "AnnotationUnsupported",
        Why::AnnotationIgnored => "AnnotationIgnored",
        Why::MiddlewareUnusable => "MiddlewareUnusable",
        Why::UpstreamTls => "UpstreamTls",
        Why::SecretUnusable => "SecretUnusable",
        Why::ConfigMapUnusable => "ConfigMapUnusable",
        Why::BreakGlass => "BreakGlass",
        Why::PodNetworkUnknown => "PodNetworkUnknown",
        Why::Shadowed => "Shadowed",
        Why::ForeignClass => "ForeignClass",
        Why::UnservedKind => "UnservedKind",
        Why::NotRendered => "NotRendered",
        Why::Encrypted => "Encrypted",
        Why::HostShared => "HostShared",
        Why::ClassGone => "ClassGone",
        Why::Vanishing => "Vanishing",
        Why::NothingServed => "NothingServed",
        Why::PortTaken => "PortTaken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::write_back::events::tests::mk_finding;
    use k8s_openapi::api::events::v1::EventSeries;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn an_event_has_what_the_api_server_and_describe_ask_for() {
        let notice = Notice::of(&mk_finding("shop"), "s").expect("an error");
        let reporter = Reporter {
            controller: "ravelin.dev/c".to_owned(),
            instance: "x".repeat(200),
            scope: "n/l".to_owned(),
        };
        let written = event(&notice, &reporter, at(1_700_000_000));
        let name = notice.key.name;
        assert_eq!(
            serde_json::to_value(written).expect("an Event"),
            json!({
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {
                    "name": *name,
                    "namespace": "n",
                    "annotations": {"ravelin.dev/lease": "n/l"},
                },
                "action": "Serve",
                "eventTime": "2023-11-14T22:13:20.000000Z",
                "note": "spec.rules[0]: Service \"web\" does not exist. Fix: create it",
                "reason": "ServiceMissing",
                "regarding": {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "Ingress",
                    "namespace": "n",
                    "name": "shop",
                    "uid": "uid-of-shop",
                },
                "reportingController": "ravelin.dev/c",
                "reportingInstance": "x".repeat(128),
                "type": "Warning",
            })
        );
    }

    #[test]
    fn what_is_right_again_is_a_normal_event_of_its_own_without_a_fix() {
        let wrong = Notice::of(&mk_finding("shop"), "s").expect("an error");
        let mended = wrong.mended("s");
        assert!(mended.key != wrong.key && mended.of == wrong.key);
        let reporter = Reporter {
            controller: "c".to_owned(),
            instance: "i".to_owned(),
            scope: "s".to_owned(),
        };
        let written = event(&mended, &reporter, at(0));
        assert_eq!(
            (written.type_.as_deref(), written.reason.as_deref()),
            (Some("Normal"), Some("Resolved"))
        );
        let note = "resolved: spec.rules[0]: Service \"web\" does not exist";
        assert_eq!(written.note.as_deref(), Some(note));
    }

    #[test]
    fn the_age_is_that_of_the_last_sign_and_never_negative() {
        let mut event = Event { event_time: Some(MicroTime(at(100))), ..Event::default() };
        assert_eq!(age(&event, at(160)), Duration::from_secs(60));
        assert_eq!(age(&event, at(40)), Duration::ZERO, "a clock that is ahead");
        let last_observed_time = MicroTime(at(150));
        event.series = Some(EventSeries { count: 2, last_observed_time });
        assert_eq!(age(&event, at(160)), Duration::from_secs(10));
        assert_eq!(age(&Event::default(), at(160)), Duration::ZERO);
    }

    #[test]
    fn reasons_are_the_causes_without_underscores() {
        for why in Why::ALL {
            let plain = why.as_str().replace('_', "");
            assert_eq!(reason(why).to_ascii_lowercase(), plain);
        }
    }
}
