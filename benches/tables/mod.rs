//! The models that the benchmarks compile: hosts with one Ingress each.

use ravelin::model::{
    BackendId, BackendKey, BackendSpec, BackendState, EndpointSpec, EndpointState, HostPattern,
    Https, Ingress, Ingresses, Kind, Model, PathKind, PathPattern, PortKey, Protocol, Rule,
    Treatment,
};
use ravelin::net::addr::EndpointAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The name of a host: as long as names in real clusters are.
pub(crate) fn host(number: usize) -> String {
    format!("shop-{number}.customers.example.com")
}

/// A number that a test stays far below, in the type that positions have elsewhere.
pub(crate) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("benchmarks count to 100 000")
}

/// The Service port of a number, with one ready endpoint. Its namespace is shared, as `translate`
/// shares it between the objects of one namespace.
fn backend(namespace: &Arc<str>, number: usize) -> BackendSpec {
    let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + small(number));
    let endpoint = EndpointSpec {
        addr: EndpointAddr::new(ip.into(), 8080),
        state: EndpointState::Ready,
        node: Some("node-1".into()),
        zone: None,
        near: false,
    };
    BackendSpec {
        key: BackendKey {
            namespace: Arc::clone(namespace),
            service: format!("shop-{number}").into(),
            port: PortKey::Name("http".into()),
            variant: None,
        },
        state: BackendState::Resolved([endpoint].into()),
        protocol: Protocol::Http,
        treatment: Treatment::default(),
    }
}

/// One Ingress with the one path `/` for each host, led to `services` Services in turn.
pub(crate) fn simple(
    hosts: usize,
    services: usize,
    pattern: impl Fn(Arc<str>) -> HostPattern,
) -> Model {
    let namespace: Arc<str> = "shops".into();
    let ingress = |number| Ingress {
        kind: Kind::Ingress,
        has_status: true,
        namespace: Arc::clone(&namespace),
        name: format!("shop-{number}").into(),
        created: 1_700_000_000,
        https: Https::default(),
        timeouts: None,
        balance: None,
        raw_path: false,
        max_body: None,
    };
    let backends: Vec<_> = (0..services).map(|number| backend(&namespace, number)).collect();
    let ids: Vec<_> = backends.iter().map(|one| BackendId::of(one.key.clone())).collect();
    let all: Vec<Arc<Ingress>> = (0..hosts).map(|number| Arc::new(ingress(number))).collect();
    let rule = |number: usize| Rule {
        host: pattern(host(number).into()),
        path: PathPattern::new(PathKind::Prefix, "/").expect("the root is a path"),
        backend: Arc::clone(&ids[number % services]),
        ingress: Arc::clone(&all[number]),
        rule: 0,
        position: 0,
        matching: Default::default(),
        middlewares: None,
    };
    let both = ids.iter().cloned().zip(backends.into_iter().map(Arc::new));
    let mut ingresses = Ingresses::default();
    all.iter().for_each(|ingress| ingresses.insert(Arc::clone(ingress)));
    Model {
        ingresses,
        rules: (0..hosts).map(rule).collect(),
        defaults: Vec::new(),
        tcp: Vec::new(),
        backends: both.collect(),
    }
}

/// Requests in one block of text, so that reading the next one costs the same however many hosts
/// the table has. What is measured beside that is the table.
pub(crate) struct Requests {
    text: String,
    /// End of each host and of its path.
    ends: Vec<(u32, u32)>,
}

impl Requests {
    /// As many as a worker answers in a second. The same number for every table: the block is then
    /// equally far away in each.
    pub(crate) const COUNT: usize = 1 << 16;

    /// Makes each request of a random number below `bound`.
    pub(crate) fn new(bound: usize, request: impl Fn(usize) -> (String, String)) -> Self {
        let mut this = Self { text: String::new(), ends: Vec::with_capacity(Self::COUNT) };
        let mut state = 0x5eed_u64;
        for _ in 0..Self::COUNT {
            let (host, path) = request(random_below(&mut state, bound));
            this.text.push_str(&host);
            let host = small(this.text.len());
            this.text.push_str(&path);
            this.ends.push((host, small(this.text.len())));
        }
        this
    }

    /// Calls `each` with host and path of every request, in order.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&str, &str)) {
        let mut start = 0;
        for &(host, path) in &self.ends {
            let (middle, end) = (host as usize, path as usize);
            each(&self.text[start..middle], &self.text[middle..end]);
            start = end;
        }
    }
}

/// SplitMix64: the same requests in every run.
fn random_below(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bound = u64::from(small(bound));
    usize::try_from((mixed ^ (mixed >> 31)) % bound).expect("below the bound")
}
