//! Change by change, the same comes out as of everything at once, and nothing of what is not used.

use super::every_kind::POOL;
use super::{BASE, objects, options};
use crate::control::manifest;
use crate::control::objects::Objects;
use crate::control::source::Changes;
use crate::control::translate::{ConfigMapKey, Effect, Options, Translator, addresses, translate};
use crate::model::table_order;
use crate::model::{
    BackendId, BackendSpec, BackendState, ClusterAddresses, ConfigText, Diagnostic, HostPattern,
    Model,
};
use crate::model::{HostClients, Kind, TlsSecret};
use crate::routing::{Publisher, Table, compile, recompile};
use proptest::prelude::*;
use std::sync::Arc;

fn with_list() -> Options {
    let key = ConfigMapKey { namespace: "default".into(), name: "l".into(), key: "k".into() };
    let node = Some("n1".into());
    let taken_classes = vec!["traefik".to_owned()];
    let texts = vec![(ConfigText::CloudflareList, key)];
    Options { texts, admits_pods: true, node, taken_classes, ..options() }
}

/// What is in force after all changes so far.
struct InForce {
    objects: Objects,
    translator: Translator,
    model: Model,
    addresses: ClusterAddresses,
    findings: Vec<Diagnostic>,
    certificates: Vec<Shown>,
    clients: Vec<HostClients>,
    publisher: Publisher,
}

/// Name of a Secret, the certificate in it, and its hosts.
type Shown = (Arc<str>, Option<Vec<u8>>, Vec<HostPattern>);

fn shown(certificates: &[TlsSecret]) -> Vec<Shown> {
    let each = certificates.iter().map(|secret| {
        let certificate = secret.certificate.as_ref();
        let own = certificate.map(|certificate| certificate.key().cert[0].to_vec());
        (Arc::clone(&secret.name), own, secret.hosts.clone())
    });
    each.collect()
}

impl InForce {
    fn new() -> Self {
        Self {
            objects: Objects::default(),
            translator: Translator::new(with_list()),
            model: Model::default(),
            addresses: ClusterAddresses::default(),
            findings: Vec::new(),
            certificates: Vec::new(),
            clients: Vec::new(),
            publisher: Publisher::new(Table::empty()),
        }
    }

    /// Goes on to other objects, as the reconciler does.
    fn go_on(&mut self, objects: Objects) -> Effect {
        let changes = objects.changes_from(&self.objects);
        self.objects = objects;
        let effect = self.translator.apply(Changes { objects: changes, findings: None });
        if let Some(model) = &effect.model {
            self.model = Model::clone(model);
            let current = self.publisher.current();
            self.publisher.publish(recompile(model, &effect.delta, &current));
        }
        for (id, backend) in &effect.endpoints {
            self.model.backends.insert(Arc::clone(id), Arc::clone(backend));
        }
        assert!(self.publisher.store_endpoints(&effect.endpoints));
        if let Some(addresses) = &effect.addresses {
            self.addresses = addresses.clone();
        }
        if let Some(certificates) = &effect.certificates {
            self.certificates = shown(certificates);
        }
        if let Some(clients) = &effect.clients {
            self.clients.clone_from(clients);
        }
        if let Some(findings) = &effect.findings {
            self.findings = findings.iter().map(|finding| Diagnostic::clone(finding)).collect();
        }
        effect
    }
}

/// The model without its endpoints.
fn routes_of(model: &Model) -> Model {
    let bare = |(id, backend): (&Arc<BackendId>, &Arc<BackendSpec>)| {
        let backend = match backend.state {
            BackendState::Resolved(_) => {
                BackendSpec { state: BackendState::Resolved([].into()), ..(**backend).clone() }
            }
            BackendState::Broken(_) | BackendState::Named(_) => (**backend).clone(),
        };
        (Arc::clone(id), Arc::new(backend))
    };
    Model { backends: model.backends.entries().map(bare).collect(), ..model.clone() }
}

/// The Ingresses in their order, whatever they ask for.
fn names_of(model: &Model) -> Vec<(Kind, &str, i64, bool)> {
    let all = model.ingresses.iter();
    all.map(|own| (own.kind, &*own.name, own.created, own.has_status)).collect()
}

/// What a table answers: every route with its backend and the endpoints in its cell.
fn served(table: &Table) -> Vec<String> {
    let route = |id| {
        let backend = table.backend(id);
        let endpoints = backend.endpoints();
        let addrs: Vec<_> = endpoints.usable().iter().map(|endpoint| endpoint.addr).collect();
        let counts = crate::model::EndpointState::ALL.map(|state| endpoints.count(state));
        let (key, broken) = (&backend.key, backend.broken);
        let near = |endpoint: &&Arc<_>| endpoints.is_near(endpoint);
        let near = endpoints.usable().iter().filter(near).count();
        let (route, algorithm) = (table.route(id), table.algorithm(id));
        format!("{route:?} -> {key} {broken:?} {addrs:?} {counts:?} {near} {algorithm}")
    };
    let mut all: Vec<String> = table.routes().map(route).collect();
    all.sort();
    all
}

fn from_scratch(objects: &Objects) -> (Model, ClusterAddresses, Vec<Diagnostic>) {
    let (model, mut findings) = translate(objects, &with_list());
    let (addresses, more) = addresses(objects, &with_list());
    findings.extend(more);
    findings.sort();
    findings.dedup();
    (model, addresses, findings)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sequence_of_changes_leads_where_everything_at_once_does(
        batches in prop::collection::vec(
            prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 1..6), 1..16,
        ),
    ) {
        let mut in_force = InForce::new();
        in_force.go_on(Objects::default());
        for batch in batches {
            let mut objects = in_force.objects.clone();
            for (index, action) in batch {
                let object = index.get(&POOL).clone();
                if action == 0 {
                    objects.remove(&object.identity());
                } else {
                    objects.insert(object);
                }
            }
            let before = routes_of(&in_force.model);
            let effect = in_force.go_on(objects.clone());
            let (model, addresses, findings) = from_scratch(&objects);
            prop_assert_eq!(&in_force.model, &model);
            prop_assert_eq!(&in_force.addresses, &addresses);
            prop_assert_eq!(&in_force.findings, &findings);
            let changes = objects.changes_from(&Objects::default());
            let changes = Changes { objects: changes, findings: None };
            let fresh = Translator::new(with_list()).apply(changes);
            prop_assert_eq!(
                &in_force.certificates, &shown(&fresh.certificates.unwrap_or_default())
            );
            prop_assert_eq!(&in_force.clients, &fresh.clients.unwrap_or_default());
            prop_assert_eq!(
                served(&in_force.publisher.current()), served(&compile(&model, None))
            );
            prop_assert_eq!(effect.model.is_some(), before != routes_of(&model));
            prop_assert_eq!(effect.ingresses, names_of(&before) != names_of(&model));
            prop_assert!(model.rules.iter().is_sorted_by(|a, b| table_order(a, b).is_lt()));
            prop_assert!(model.backends.iter().is_sorted_by(|a, b| a.key <= b.key));
        }
    }
}

/// A change of one object after all of `yaml`: what it comes to.
fn effect_of(yaml: &str, change: &str) -> Effect {
    let mut in_force = InForce::new();
    let mut all = objects(&format!("{BASE}{yaml}"));
    in_force.go_on(all.clone());
    let parsed = manifest::parse("change.yaml", change);
    assert_eq!((parsed.objects.len(), parsed.findings), (1, Vec::new()), "{change}");
    all.insert(parsed.objects[0].clone());
    in_force.go_on(all)
}

fn mk_slice(name: &str, service: &str, address: &str) -> String {
    format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}, labels: \
         {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4, ports: [{{name: http, \
         port: 8080}}], endpoints: [{{addresses: [{address}]}}]}}"
    )
}

#[test]
fn a_slice_of_a_service_in_use_changes_endpoints_and_no_route() {
    let ingress = super::mk_ingress(&super::mk_paths(&[("Prefix", "/")]));
    let effect = effect_of(&ingress, &mk_slice("web-2", "web", "10.0.0.2"));
    assert!(effect.model.is_none() && effect.addresses.is_none() && effect.findings.is_none());
    let [(id, backend)] = effect.endpoints.as_slice() else { panic!("{effect:?}") };
    assert_eq!((id.broken, id.key.to_string()), (None, "default/web:http".to_owned()));
    assert_eq!(super::endpoints(backend), ["10.0.0.1:8080 ready", "10.0.0.2:8080 ready"]);
}

#[test]
fn what_is_not_used_has_no_effect() {
    let ingress = super::mk_ingress(&super::mk_paths(&[("Prefix", "/")]));
    for change in [
        mk_slice("api-1", "api", "10.0.0.2"),
        mk_slice("none-1", "none", "10.0.0.2"),
        mk_slice("web-1", "web", "10.0.0.1").replace("web-1", "web-1, annotations: {a: b}"),
        "{apiVersion: v1, kind: Service, metadata: {name: new}, spec: {ports: [{port: 1}]}}".into(),
        "{apiVersion: v1, kind: Service, metadata: {name: api}, spec: {ports: [{port: 1}]}}".into(),
        "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {tls.crt: eA==}}".into(),
        ingress.replace("name: x", "name: x, annotations: {a: b}"),
    ] {
        let effect = effect_of(&ingress, &change);
        assert!(effect.model.is_none() && effect.endpoints.is_empty(), "{change}: {effect:?}");
        assert!(effect.addresses.is_none() && effect.findings.is_none(), "{change}: {effect:?}");
    }
}

#[test]
fn an_ingress_of_another_class_is_a_finding_and_no_new_model() {
    let ours = super::mk_ingress(&super::mk_paths(&[("Prefix", "/")]));
    let other = super::mk_named("other", &super::mk_paths(&[("Prefix", "/")]));
    let effect = effect_of(&ours, &other.replace("ravelin", "other"));
    assert!(effect.model.is_none() && effect.endpoints.is_empty());
    let findings = effect.findings.expect("they are other than before");
    assert!(findings.iter().any(|finding| &*finding.object.name == "other"), "{findings:?}");
}

#[test]
fn a_new_service_mends_the_suggestion_for_one_that_is_missing() {
    let ingress =
        super::mk_ingress(&super::mk_backend("{service: {name: payments, port: {number: 1}}}"));
    let service = "{apiVersion: v1, kind: Service, metadata: {name: paymets}, spec: {}}";
    let effect = effect_of(&ingress, service);
    assert!(effect.model.is_none(), "the rule stays broken");
    let findings = effect.findings.expect("they are other than before");
    let fix =
        &findings.iter().find(|finding| finding.field.ends_with("service.name")).expect("one").fix;
    assert!(fix.starts_with("did you mean \"paymets\"?"), "{fix}");
}
