//! DNS for Services of type ExternalName: names are resolved at intervals.
//!
//! On a thread of its own, off the workers: it reads the table in force at intervals, looks up the
//! names that are due, and puts what comes into the cells of their backends. No request ever waits for
//! DNS. A name is asked for again when the answer's time to live is over. Where the servers do not
//! answer, the last good addresses stay; where they say that there is no such name, or no address of
//! it, nothing is left, because its address may belong to another pod by now.
//!
//! Addresses of this node and its link are refused: a name must not lead to what listens there for the
//! node alone, such as the metadata service of a cloud.

use crate::config::Dns;
use crate::model::{EndpointSpec, EndpointState, ExternalName};
use crate::net::addr::{EndpointAddr, special};
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::routing::{Backend, TableHandle};
use crate::telemetry::DnsCells;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the table is looked at: a name that is new has its addresses so soon, and the time that
/// the question takes.
const LOOK: Duration = Duration::from_millis(250);

/// Shortest time between two questions for one name, and that after a failure: some services answer
/// with a time to live of nothing.
const SHORTEST: Duration = Duration::from_secs(5);

/// Longest, whatever the time to live: a name that moves is followed within five minutes.
const LONGEST: Duration = Duration::from_secs(300);

/// Addresses of one name that are used; the first in order, so that all nodes use the same.
const MOST_ADDRESSES: usize = 64;

/// The state of one name.
#[derive(Default)]
struct Known {
    addresses: RefCell<Vec<IpAddr>>,
    due: Cell<Option<Instant>>,
    under_way: Cell<bool>,
    failing: Cell<bool>,
}

/// The result of a query.
enum Answer {
    Addresses { addresses: Vec<IpAddr>, until: Instant },
    Nothing,
    Failed(NetError),
}

/// The resolver of one process.
pub struct Names {
    tables: TableHandle,
    resolver: TokioResolver,
    cells: Arc<DnsCells>,
    known: RefCell<HashMap<Arc<str>, Rc<Known>>>,
}

impl Names {
    /// For the names of the tables in force.
    ///
    /// # Errors
    /// The problem with `/etc/resolv.conf`, if the servers are read from there.
    pub fn new(
        tables: TableHandle,
        config: &Dns,
        cells: Arc<DnsCells>,
    ) -> Result<Rc<Self>, NetError> {
        let mut builder = match config.servers.as_slice() {
            [] => TokioResolver::builder_tokio()?,
            servers => {
                let servers = servers.iter().copied().map(server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        // One family: with both, a host that has both would count twice.
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        // `/etc/hosts` of this node does not count: it is not the owner of the name.
        options.use_hosts_file = ResolveHosts::Never;
        // The time to live is kept here.
        options.cache_size = 0;
        let resolver = builder.build()?;
        Ok(Rc::new(Self { tables, resolver, cells, known: RefCell::default() }))
    }

    /// Resolves names until shutdown. Needs a local runtime.
    pub async fn run(self: Rc<Self>, mut signal: ShutdownSignal) {
        let look = || {
            self.look();
            // Without names there is nothing to do until there is another table.
            (!self.known.borrow().is_empty()).then_some(LOOK)
        };
        signal.look_or_wait(Stage::Aborting, self.tables.changes(), look).await;
    }

    fn look(self: &Rc<Self>) {
        let table = self.tables.load();
        let named =
            || table.backends().filter_map(|backend| Some((backend, backend.external.as_ref()?)));
        let mut known = self.known.borrow_mut();
        known.retain(|name, _| named().any(|(_, external)| external.name == *name));
        for (backend, external) in named() {
            let known = known.entry(Arc::clone(&external.name)).or_default();
            if known.due.get().is_none_or(|due| due <= Instant::now())
                && !known.under_way.replace(true)
            {
                let (this, known) = (Rc::clone(self), Rc::clone(known));
                tokio::task::spawn_local(this.ask(Arc::clone(&external.name), known));
            }
            put(backend, external, &known.addresses.borrow());
        }
    }

    async fn ask(self: Rc<Self>, name: Arc<str>, known: Rc<Known>) {
        let now = Instant::now();
        let wait = match self.lookup(&name).await {
            Answer::Addresses { addresses, until } => {
                self.cells.count(true);
                known.set(&name, addresses);
                until.saturating_duration_since(now)
            }
            Answer::Nothing => {
                self.cells.count(false);
                tracing::warn!(%name, "DNS has no address for the name: requests get 503");
                known.set(&name, Vec::new());
                SHORTEST
            }
            Answer::Failed(error) => {
                self.cells.count(false);
                if !known.failing.replace(true) {
                    tracing::warn!(%name, %error, "DNS does not respond: the last addresses are used");
                }
                SHORTEST
            }
        };
        known.due.set(Some(Instant::now() + wait.clamp(SHORTEST, LONGEST)));
        known.under_way.set(false);
    }

    async fn lookup(&self, name: &str) -> Answer {
        // With the dot at its end no search list is tried: it is a whole name.
        match self.resolver.lookup_ip(format!("{name}.")).await {
            Ok(found) => {
                let addresses = found.iter().map(|ip| ip.to_canonical());
                Answer::Addresses { addresses: addresses.collect(), until: found.valid_until() }
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => Answer::Nothing,
            Err(error) => Answer::Failed(error),
        }
    }
}

impl Known {
    fn set(&self, name: &str, mut addresses: Vec<IpAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.retain(|ip| match special(*ip) {
            None => true,
            Some(what) => {
                tracing::warn!(name, %ip, what, "DNS returned an address that is refused");
                false
            }
        });
        addresses.truncate(MOST_ADDRESSES);
        if *self.addresses.borrow() != addresses {
            tracing::info!(name, ?addresses, "addresses of an external name changed");
        }
        self.failing.set(false);
        self.addresses.replace(addresses);
    }
}

/// Puts addresses in force, if they are others.
fn put(backend: &Backend, external: &ExternalName, addresses: &[IpAddr]) {
    let specs = addresses.iter().map(|ip| EndpointSpec {
        addr: EndpointAddr::new(*ip, external.port),
        state: EndpointState::Ready,
        node: None,
        zone: None,
        near: false,
    });
    backend.resolve(&specs.collect::<Vec<_>>());
}

fn server(addr: SocketAddr) -> NameServerConfig {
    let on_port = |mut connection: ConnectionConfig| {
        connection.port = addr.port();
        connection
    };
    let mut server = NameServerConfig::udp_and_tcp(addr.ip());
    server.connections = server.connections.into_iter().map(on_port).collect();
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_each_once_and_those_in_disguise_are_known() {
        let known = Known::default();
        let parse = |ip: &str| ip.parse::<IpAddr>().expect("an address").to_canonical();
        known.set(
            "a.example",
            ["192.0.2.9", "192.0.2.1", "::ffff:127.0.0.1", "192.0.2.9"].map(parse).into(),
        );
        assert_eq!(*known.addresses.borrow(), ["192.0.2.1", "192.0.2.9"].map(parse));
    }
}
