//! Whether the API server lets this account write what it has to, asked for without a write.

use super::ClusterWatch;
use super::client::Api;
use super::failure::Failure;
use crate::control::write_back::CLUSTER_WIDE;
use serde_json::{Value, json};
use std::fmt;

/// Where reviews of one's own rights are posted (Kubernetes API, SelfSubjectAccessReview v1). Every account may.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// The most bytes of a review.
const MOST_BYTES: usize = 64 * 1024;

/// The most namespaces that are asked about.
const MOST_NAMESPACES: usize = 10;

/// What the write-back writes.
#[derive(Clone, Debug)]
pub struct WriteRights {
    /// Namespaces of Ingresses and Events; all of them if empty.
    pub namespaces: Vec<String>,
    /// Namespace of the Lease and of the pods.
    pub own_namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Whether it reads pods, to know the ready nodes.
    pub reads_pods: bool,
}

/// One right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    namespace: String,
    name: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, resource, subresource, namespace, .. } = self;
        let slash = if subresource.is_empty() { "" } else { "/" };
        write!(f, "{verb} {resource}{slash}{subresource}")?;
        if namespace.is_empty() { Ok(()) } else { write!(f, " in namespace {namespace}") }
    }
}

impl Right {
    fn review(&self) -> Value {
        let Self { verb, group, resource, subresource, namespace, name } = self;
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                "namespace": namespace, "name": name,
            }},
        })
    }
}

impl WriteRights {
    /// Those of `deploy/base/rbac.yaml`.
    fn all(&self) -> Vec<Right> {
        let everywhere = [String::new()];
        let namespaces =
            if self.namespaces.is_empty() { &everywhere[..] } else { &self.namespaces };
        let mut all = Vec::new();
        for namespace in namespaces.iter().take(MOST_NAMESPACES) {
            let within = || Right { namespace: namespace.clone(), ..Right::default() };
            let (group, resource) = ("networking.k8s.io", "ingresses");
            all.push(Right { verb: "patch", group, resource, subresource: "status", ..within() });
            let (group, resource) = ("events.k8s.io", "events");
            let verbs = ["get", "list", "create", "patch"];
            all.extend(verbs.map(|verb| Right { verb, group, resource, ..within() }));
        }
        if !self.namespaces.is_empty() && !self.namespaces.iter().any(|it| it == CLUSTER_WIDE) {
            let (group, resource) = ("events.k8s.io", "events");
            let within = || Right { namespace: CLUSTER_WIDE.to_owned(), ..Right::default() };
            let verbs = ["get", "list", "create", "patch"];
            all.extend(verbs.map(|verb| Right { verb, group, resource, ..within() }));
        }
        let own = || Right { namespace: self.own_namespace.clone(), ..Right::default() };
        let (group, resource) = ("coordination.k8s.io", "leases");
        all.push(Right { verb: "create", group, resource, ..own() });
        let named = || Right { group, resource, name: self.lease.clone(), ..own() };
        all.extend(["get", "update"].map(|verb| Right { verb, ..named() }));
        if self.reads_pods {
            all.extend(["list", "watch"].map(|verb| Right { verb, resource: "pods", ..own() }));
        }
        all
    }
}

impl ClusterWatch {
    /// The rights that are missing, in words.
    ///
    /// # Errors
    /// The API server cannot be asked.
    pub fn missing_rights(&self, wanted: &WriteRights) -> Result<Vec<String>, String> {
        let mut missing = Vec::new();
        for right in wanted.all() {
            let may = self.runtime.block_on(review(&self.api, &right));
            if !may.map_err(|failure| failure.words)? {
                missing.push(right.to_string());
            }
        }
        Ok(missing)
    }
}

async fn review(api: &Api, right: &Right) -> Result<bool, Failure> {
    let request = http::Request::post(REVIEWS)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(right.review().to_string().into_bytes());
    let request = request.expect("a constant path makes a valid request");
    let bytes = api.read(api.send(request).await?.into_body(), MOST_BYTES).await?;
    let review: Result<Value, _> = serde_json::from_slice(&bytes);
    let review = review.map_err(|error| Failure::of_decoding(&error))?;
    Ok(review.pointer("/status/allowed") == Some(&Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_those_of_the_manifests_and_of_the_namespaces_that_are_served() {
        let mut wanted = WriteRights {
            namespaces: Vec::new(),
            own_namespace: "edge".to_owned(),
            lease: "ravelin".to_owned(),
            reads_pods: true,
        };
        let words: Vec<String> = wanted.all().iter().map(Right::to_string).collect();
        assert_eq!(
            words,
            [
                "patch ingresses/status",
                "get events",
                "list events",
                "create events",
                "patch events",
                "create leases in namespace edge",
                "get leases in namespace edge",
                "update leases in namespace edge",
                "list pods in namespace edge",
                "watch pods in namespace edge",
            ]
        );
        (wanted.namespaces, wanted.reads_pods) = (vec!["a".to_owned(), "b".to_owned()], false);
        // Events of cluster-wide objects are in `default`.
        assert_eq!(wanted.all().len(), 17);
        let review = wanted.all()[16].review();
        assert_eq!(review["spec"]["resourceAttributes"]["name"], "ravelin");
        assert_eq!(review["spec"]["resourceAttributes"]["verb"], "update");
    }
}
