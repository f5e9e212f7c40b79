//! What a cluster has of kinds that ask an edge for something and that are not served: IngressRouteUDPs,
//! HTTPRoutes. Read once, for a verdict; nothing is watched, and no right is needed to run.

use super::client::{Api, MAX_PAGE_BYTES};
use super::failure::Failure;
use super::scope::definition_path;
use crate::control::manifest::{self, Note};
use crate::control::objects::TRAEFIK_KINDS;
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// IngressRouteUDPs whose Services are asked for.
const MOST_UDP: usize = 50;

/// Objects of a page.
const PAGE: u32 = 500;

/// What was found.
#[derive(Debug, Default)]
pub struct Others {
    /// About the objects.
    pub notes: Vec<Note>,
    /// Kinds that could not be listed.
    pub findings: Vec<Diagnostic>,
}

/// `meta/v1` APIGroupList.
#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    preferred_version: Version,
}

impl Group {
    /// Group and version, as paths have it.
    fn version(&self) -> &str {
        &self.preferred_version.group_version
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: String,
}

/// `meta/v1` APIResourceList.
#[derive(Deserialize)]
pub(super) struct Resources {
    pub(super) resources: Vec<Resource>,
}

#[derive(Deserialize)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) kind: String,
    namespaced: bool,
    pub(super) verbs: Vec<String>,
}

/// A page of objects of any kind.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// Lists them in these namespaces, or in all.
pub(super) async fn list(api: &Api, namespaces: &[String]) -> Others {
    let mut others = Others::default();
    let groups = match get::<Groups>(api, "/apis").await {
        Ok(Groups { groups }) => groups,
        Err(failure) => {
            others.unread("kinds of other controllers", "", &failure);
            return others;
        }
    };
    for group in groups.iter().filter(|group| manifest::is_of_edges(&group.name)) {
        match get::<Resources>(api, &format!("/apis/{}", group.version())).await {
            Ok(Resources { resources }) => {
                others.list_group(api, group, &resources, namespaces).await;
            }
            Err(failure) => others.unread("its kinds", &group.name, &failure),
        }
    }
    if groups.iter().any(|group| group.name == "traefik.io") {
        others.add_releases(api).await;
    }
    others.add_udp_services(api).await;
    others.notes.sort();
    others.notes.dedup();
    others
}

impl Others {
    async fn list_group(
        &mut self,
        api: &Api,
        group: &Group,
        resources: &[Resource],
        namespaces: &[String],
    ) {
        let version = group.version();
        let mut unread: Vec<&str> = Vec::new();
        let mut first = None;
        let is_listed = |resource: &&Resource| {
            let is_read = manifest::is_read(&resource.kind, version);
            let is_object = !resource.name.contains('/');
            !is_read && is_object && resource.verbs.iter().any(|verb| verb == "list")
        };
        for resource in resources.iter().filter(is_listed) {
            let Resource { name, kind, namespaced, .. } = resource;
            let paths = match *namespaced && !namespaces.is_empty() {
                false => vec![format!("/apis/{version}/{name}")],
                true => {
                    let path = |namespace| format!("/apis/{version}/namespaces/{namespace}/{name}");
                    namespaces.iter().map(path).collect()
                }
            };
            for path in paths {
                match pages(api, &path).await {
                    Ok(items) => {
                        let notes = items.iter().map(|item| manifest::note(kind, version, item));
                        self.notes.extend(notes.flatten());
                    }
                    Err(failure) => {
                        unread.push(name);
                        first.get_or_insert(failure);
                    }
                }
            }
        }
        unread.dedup();
        if let Some(failure) = first {
            self.unread(&unread.join(", "), &group.name, &failure);
        }
    }

    /// Whose the definitions of Traefik's kinds are. Those that cannot be read are nobody's.
    async fn add_releases(&mut self, api: &Api) {
        for (kind, plural) in TRAEFIK_KINDS {
            let Ok(definition) = get::<Value>(api, &definition_path(plural)).await else {
                continue;
            };
            if let Some(release) = manifest::release(&definition) {
                self.notes.push(Note::Released { kind: kind.as_str().to_owned(), release });
            }
        }
    }

    /// The Services that IngressRouteUDPs name, whole: what is served is kept without its selector.
    async fn add_udp_services(&mut self, api: &Api) {
        let routes = self.notes.iter().filter_map(|note| match note {
            Note::Udp { namespace, spec, .. } => Some((namespace.clone(), spec.clone())),
            _ => None,
        });
        let routes: Vec<(String, String)> = routes.collect();
        for (of, spec) in routes.into_iter().take(MOST_UDP) {
            let spec: Value = serde_json::from_str(&spec).unwrap_or_default();
            let mut named = Vec::new();
            manifest::udp_services(&of, "", &spec, |namespace, name| {
                named.push((namespace.to_owned(), name.to_owned()));
                None
            });
            for (namespace, name) in named {
                let is_name = |text: &str| {
                    !text.is_empty()
                        && text
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
                };
                if !is_name(&namespace) || !is_name(&name) {
                    continue;
                }
                let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
                if let Ok(service) = get::<Value>(api, &path).await
                    && let Some(spec) = service.get("spec").map(Value::to_string)
                {
                    self.notes.push(Note::Service { namespace, name, spec });
                }
            }
        }
    }

    /// Logs kinds that could not be listed and are not counted: routes are not affected.
    fn unread(&mut self, what: &str, group: &str, failure: &Failure) {
        self.findings.push(unread(what, group, failure));
    }
}

/// That objects could not be listed, which touches no route.
pub(super) fn unread(what: &str, group: &str, failure: &Failure) -> Diagnostic {
    let of_group = if group.is_empty() { String::new() } else { format!(" ({group})") };
    let (why, words) = (failure.why.as_str(), &failure.words);
    Diagnostic {
        severity: Severity::Info,
        object: ObjectRef::new(Kind::Cluster, "", ""),
        field: String::new(),
        why: Why::UnservedKind,
        reason: format!("{what}{of_group} could not be counted: {why}: {words}"),
        fix: "use credentials that may list them, if they matter".to_owned(),
    }
}

pub(super) async fn pages(api: &Api, path: &str) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut next = String::new();
    loop {
        let page: Page = get(api, &format!("{path}?limit={PAGE}{next}")).await?;
        all.extend(page.items);
        match page.metadata.next.filter(|token| !token.is_empty()) {
            // A token is of base64 without padding (apiserver, pkg/storage/continue.go).
            Some(token) => next = format!("&continue={token}"),
            None => return Ok(all),
        }
    }
}

pub(super) async fn get<T: DeserializeOwned>(api: &Api, path: &str) -> Result<T, Failure> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request.expect("a path of names makes a valid request");
    let answer = api.send(request).await?;
    let bytes = api.read(answer.into_body(), MAX_PAGE_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::of_decoding(&error))
}
