//! What outlives a table: endpoints with their load, and tables that somebody still reads.

use super::{compile, mk_backend, mk_endpoints, mk_model, mk_rule};
use crate::balance::InFlight;
use crate::model::{BackendSpec, BackendState, Broken, Model, Prefer, Protocol};
use crate::pki::ca_bundle::CaBundle;
use crate::pki::endpoint_tls::{Alpn, TlsDetails, TlsSettings, Trust};
use crate::routing::{Backend, Publisher, Table, TableCache};
use std::sync::Arc;

/// One rule to one Service in this state.
fn mk_served(state: BackendState) -> Model {
    let mut model = mk_model(1);
    model.rules = [mk_rule("a.example", "Prefix /", 0, 0, 0)].into_iter().collect();
    model.backends = [mk_backend("web", state)].into_iter().collect();
    model
}

fn backend(table: &Table) -> &Arc<Backend> {
    table.backend(table.lookup("a.example", "/").expect("a route"))
}

fn addresses(backend: &Backend) -> Vec<String> {
    backend.endpoints().usable().iter().map(|endpoint| endpoint.addr.to_string()).collect()
}

#[test]
fn endpoints_that_stay_keep_their_load_across_tables() {
    let old = compile(&mk_served(mk_endpoints(&[1, 2])), None);
    let request = InFlight::begin(&backend(&old).endpoints().usable()[1]);
    let mut publisher = Publisher::new(old);
    let old = publisher.current();
    let new = compile(&mk_served(mk_endpoints(&[2, 3])), Some(&old));
    publisher.publish(new);
    let new = publisher.current();
    assert_eq!(addresses(backend(&new)), ["10.0.0.2:8080", "10.0.0.3:8080"]);
    let load = |table: &Table| {
        let endpoints = backend(table).endpoints();
        endpoints.usable().iter().map(|endpoint| endpoint.in_flight()).collect::<Vec<_>>()
    };
    assert_eq!(load(&new), [1, 0]);
    drop(request);
    assert_eq!(load(&new), [0, 0]);
}

#[test]
fn endpoints_change_for_the_old_table_too_but_not_before_publishing() {
    let mut publisher = Publisher::new(compile(&mk_served(mk_endpoints(&[1])), None));
    // A request that began with this table and is yet to pick its endpoint.
    let held = publisher.current();
    let new = compile(&mk_served(mk_endpoints(&[2])), Some(&held));
    assert!(Arc::ptr_eq(backend(&held), backend(&new)), "the cell is shared");
    assert_eq!(addresses(backend(&held)), ["10.0.0.1:8080"]);
    publisher.publish(new);
    assert_eq!(addresses(backend(&held)), ["10.0.0.2:8080"]);
}

#[test]
fn a_table_that_is_never_published_changes_nothing() {
    let publisher = Publisher::new(compile(&mk_served(mk_endpoints(&[1])), None));
    drop(compile(&mk_served(mk_endpoints(&[])), Some(&publisher.current())));
    assert_eq!(addresses(backend(&publisher.current())), ["10.0.0.1:8080"]);
}

#[test]
fn the_same_endpoints_again_replace_nothing() {
    let model = mk_served(mk_endpoints(&[1, 2]));
    let old = compile(&model, None);
    let set = Arc::clone(&backend(&old).endpoints());
    let mut publisher = Publisher::new(old);
    publisher.publish(compile(&model, Some(&publisher.current())));
    assert!(Arc::ptr_eq(&set, &backend(&publisher.current()).endpoints()));
}

#[test]
fn a_backend_that_breaks_gets_a_cell_of_its_own() {
    let missing = || mk_served(BackendState::Broken(Broken::ServiceMissing));
    let mut publisher = Publisher::new(compile(&mk_served(mk_endpoints(&[1])), None));
    let held = publisher.current();
    publisher.publish(compile(&missing(), Some(&held)));
    assert_eq!(backend(&publisher.current()).broken, Some(Broken::ServiceMissing));
    // What is in flight goes on with what it began with.
    assert_eq!(backend(&held).broken, None);
    assert_eq!(addresses(backend(&held)), ["10.0.0.1:8080"]);
    let healed = compile(&mk_served(mk_endpoints(&[1])), Some(&publisher.current()));
    publisher.publish(healed);
    assert_eq!(backend(&publisher.current()).broken, None);
    assert_eq!(addresses(backend(&publisher.current())), ["10.0.0.1:8080"]);
}

#[test]
fn generations_count_up() {
    let first = compile(&Model::default(), None);
    let second = compile(&Model::default(), Some(&first));
    assert_eq!((first.generation(), second.generation()), (0, 1));
}

#[test]
fn the_publisher_frees_a_table_when_its_last_reader_is_through() {
    let mut publisher = Publisher::new(Table::empty());
    let reader = publisher.handle().load();
    let weak = Arc::downgrade(&reader);
    publisher.publish(compile(&Model::default(), Some(&reader)));
    assert_eq!(publisher.collect(), 1);
    drop(reader);
    assert!(weak.upgrade().is_some(), "a reader frees nothing");
    assert_eq!(publisher.collect(), 0);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_cache_follows_and_lets_go() {
    let mut publisher = Publisher::new(Table::empty());
    let cache = TableCache::new(&publisher.handle());
    let request = cache.load();
    assert!(std::rc::Rc::ptr_eq(&request, &cache.load()), "requests share one reference");
    publisher.publish(compile(&Model::default(), Some(&publisher.current())));
    assert_eq!(cache.load().generation(), 1);
    assert_eq!(request.generation(), 0, "a request keeps what it began with");
    assert_eq!(publisher.collect(), 1);
    drop(request);
    assert_eq!(publisher.collect(), 0);
}

#[test]
fn missing_authorities_leave_those_that_were_in_use_and_another_setting_does_not() {
    let authorities = || {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        CaBundle::from_pem(pem.as_bytes()).expect("PEM")
    };
    let mk = |authorities: Option<CaBundle>, alpn| {
        let server_name = "a.example".try_into().expect("a name");
        let trust = Trust::Secret { name: "ca".into(), authorities };
        let details = TlsDetails::default();
        let settings = TlsSettings { server_name, trust, alpn, details };
        let mut model = mk_served(mk_endpoints(&[1]));
        let protocol = Protocol::Https(Arc::new(settings));
        let backend = BackendSpec { protocol, ..model.backends[0].clone() };
        model.backends = [backend].into_iter().collect();
        model
    };
    let good = mk(Some(authorities()), Alpn::Either);
    let mut publisher = Publisher::new(compile(&mk(None, Alpn::Either), None));
    assert_eq!(backend(&publisher.current()).broken, Some(Broken::ProtocolUnusable));
    let mut go_on = |model: &Model| {
        publisher.publish(compile(model, Some(&publisher.current())));
        let table = publisher.current();
        let backend = backend(&table);
        assert_eq!(addresses(backend), ["10.0.0.1:8080"]);
        (backend.broken, backend.protocol.id())
    };
    let (broken, id) = go_on(&good);
    assert_eq!(broken, None);
    // The same settings, and then none of their CAs: the same sessions and connections.
    let mut other_balancing = good.clone();
    let mut backend = other_balancing.backends[0].clone();
    backend.treatment.balancing.prefer = Prefer::SameNode;
    other_balancing.backends = [backend].into_iter().collect();
    assert_eq!(go_on(&other_balancing), (None, id));
    for _ in 0..2 {
        assert_eq!(go_on(&mk(None, Alpn::Either)), (None, id));
    }
    assert_eq!(go_on(&mk(None, Alpn::Http2)).0, Some(Broken::ProtocolUnusable));
    assert_eq!(go_on(&mk(None, Alpn::Either)).0, Some(Broken::ProtocolUnusable));
}
