//! The answers of the API server: pages of a list, and lines of a watch.
//!
//! Decoded from bytes of ours and not by kube's own calls, because those write what they cannot
//! decode into the log, and it may be a Secret.

use super::failure::{Failure, Status};
use super::trim::Trim;
use crate::control::objects::{Object, TraefikObject};
use crate::control::write_back::IngressRef;
use crate::model::{Kind, ObjectRef};
use crate::telemetry::WatchFailure;
use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery, networking::v1 as net};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// One page of a list.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Object>,
    /// The addresses in the statuses of Ingresses.
    pub(super) standings: Vec<IngressRef>,
    /// The resourceVersion of the list.
    pub(super) version: String,
    /// The token for the next page.
    pub(super) next: Option<String>,
    /// Objects in this page and after it, if the API server says so.
    pub(super) total: Option<usize>,
}

/// One line of a watch.
#[derive(Debug)]
pub(super) enum Event {
    /// An object is there, or other than before; of an Ingress also what its status says.
    Applied(Object, Option<IngressRef>),
    /// An object is gone.
    Deleted(ObjectRef),
    /// Nothing has happened.
    Bookmark,
}

#[derive(Deserialize)]
struct RawPage<K> {
    metadata: RawListMeta,
    // Go writes an empty slice as null.
    items: Option<Vec<K>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
    remaining_item_count: Option<i64>,
}

#[derive(Deserialize)]
struct RawType {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct RawEvent<K> {
    object: K,
}

#[derive(Deserialize)]
struct RawVersion {
    metadata: RawListMeta,
}

/// The size of what is kept of the objects in one page of a list, and of the statuses of Ingresses.
///
/// # Errors
/// Why it is no page of this kind.
pub fn kept_of_page(kind: Kind, bytes: &[u8]) -> Result<(Vec<Object>, Vec<IngressRef>), String> {
    let Page { items, standings, .. } = page(kind, bytes).map_err(|failure| failure.words)?;
    Ok((items, standings))
}

/// Decodes one page of this kind.
pub(super) fn page(kind: Kind, bytes: &[u8]) -> Result<Page, Failure> {
    match kind {
        Kind::Ingress => typed_page::<net::Ingress>(bytes),
        Kind::IngressClass => typed_page::<net::IngressClass>(bytes),
        Kind::Service => typed_page::<core::Service>(bytes),
        Kind::EndpointSlice => typed_page::<discovery::EndpointSlice>(bytes),
        Kind::Secret => typed_page::<core::Secret>(bytes),
        Kind::Node => typed_page::<core::Node>(bytes),
        Kind::ConfigMap | Kind::File | Kind::Cluster => typed_page::<core::ConfigMap>(bytes),
        _ => typed_page::<TraefikObject>(bytes),
    }
}

/// Decodes one line of a watch of this kind, with its resourceVersion.
///
/// # Errors
/// Also for a line that reports an error.
pub(super) fn event(kind: Kind, line: &[u8]) -> Result<(Event, String), Failure> {
    match kind {
        Kind::Ingress => typed_event::<net::Ingress>(line),
        Kind::IngressClass => typed_event::<net::IngressClass>(line),
        Kind::Service => typed_event::<core::Service>(line),
        Kind::EndpointSlice => typed_event::<discovery::EndpointSlice>(line),
        Kind::Secret => typed_event::<core::Secret>(line),
        Kind::Node => typed_event::<core::Node>(line),
        Kind::ConfigMap | Kind::File | Kind::Cluster => typed_event::<core::ConfigMap>(line),
        _ => typed_event::<TraefikObject>(line),
    }
}

fn typed_page<K>(bytes: &[u8]) -> Result<Page, Failure>
where
    K: DeserializeOwned + Trim + Clone + Into<Object>,
{
    let RawPage::<K> { metadata, items } = read(bytes)?;
    let mut standings = Vec::new();
    let kept = |item: K| {
        standings.extend(item.standing());
        kept(item)
    };
    let items: Vec<Object> = items.unwrap_or_default().into_iter().map(kept).collect();
    let next = metadata.next.filter(|token| !token.is_empty());
    let after = match (&next, metadata.remaining_item_count) {
        (None, _) => Some(0),
        (Some(_), Some(count)) => usize::try_from(count).ok(),
        (Some(_), None) => None,
    };
    let total = after.map(|after| items.len() + after);
    Ok(Page { items, standings, version: version(metadata.resource_version)?, next, total })
}

fn typed_event<K>(line: &[u8]) -> Result<(Event, String), Failure>
where
    K: DeserializeOwned + Trim + Clone + Into<Object>,
{
    match read::<RawType>(line)?.kind.as_str() {
        "ADDED" | "MODIFIED" => {
            let RawEvent::<K> { object } = read(line)?;
            let standing = object.standing();
            let (object, version) = versioned(object)?;
            Ok((Event::Applied(object, standing), version))
        }
        "DELETED" => {
            let RawEvent::<K> { object } = read(line)?;
            let (object, version) = versioned(object)?;
            Ok((Event::Deleted(object.identity()), version))
        }
        "BOOKMARK" => {
            let event: RawEvent<RawVersion> = read(line)?;
            Ok((Event::Bookmark, version(event.object.metadata.resource_version)?))
        }
        "ERROR" => {
            let event: RawEvent<Status> = read(line)?;
            Err(Failure::of_status(event.object.code, &event.object.message))
        }
        _ => Err(Failure::new(WatchFailure::Decode, "a watch event of an unknown type")),
    }
}

/// The stored part of an object, and its resourceVersion.
fn versioned<K: Trim + Clone + Into<Object>>(mut object: K) -> Result<(Object, String), Failure> {
    let version = version(object.metadata().resource_version.take())?;
    Ok((kept(object), version))
}

/// A copy of what is left: what was decoded has grown by doubling, and the spare room would be more
/// than what is in it.
fn kept<K: Trim + Clone + Into<Object>>(mut object: K) -> Object {
    object.trim();
    object.clone().into()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| Failure::of_decoding(&error))
}

fn version(version: Option<String>) -> Result<String, Failure> {
    version
        .filter(|version| !version.is_empty())
        .ok_or_else(|| Failure::new(WatchFailure::Decode, "the response has no resourceVersion"))
}
