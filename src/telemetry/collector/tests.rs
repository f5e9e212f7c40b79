//! The labels of series, and the routes that they lead back to.

use super::*;
use crate::model::{
    BackendId, BackendKey, BackendSpec, BackendState, HostPattern, Ingress, Model, PathKind,
    PathPattern, PortKey, Protocol, Rule, Treatment,
};
use crate::routing::compile;

#[test]
fn the_host_of_a_label_leads_back_to_that_of_its_route() {
    let key = BackendKey {
        namespace: "ns".into(),
        service: "s".into(),
        port: PortKey::Number(80),
        variant: None,
    };
    let ingress = Arc::new(Ingress::mk_plain("ns", "i", 0));
    let backend = BackendSpec {
        key: key.clone(),
        state: BackendState::Resolved([].into()),
        protocol: Protocol::Http,
        treatment: Treatment::default(),
    };
    let mut rules = Vec::new();
    for (rule, host) in [Some("a.example"), Some("*.b.example"), None].into_iter().enumerate() {
        let host = HostPattern::parse(host).expect("a host");
        let path = PathPattern::new(PathKind::Prefix, "/").expect("a path");
        rules.push(Rule {
            host,
            path,
            backend: BackendId::of(key.clone()),
            ingress: Arc::clone(&ingress),
            rule,
            position: 0,
            matching: Default::default(),
            middlewares: None,
        });
    }
    let (rules, backends) = (rules.into_iter().collect(), [backend].into_iter().collect());
    let table = compile(&Model { rules, backends, ..Model::default() }, None);
    assert_eq!(table.route_count(), 3);
    for route in table.routes().map(|id| table.route(id)) {
        assert_eq!(bare(&route.host_pattern()), route.host);
    }
}
