//! From the control thread to the workers: the one `ArcSwap`.
//!
//! The writer is a single [`Publisher`]; workers read through a [`TableCache`] of their own, whose
//! common case is the comparison of one pointer. A table is freed by the publisher, never by a
//! worker: freeing a large one takes milliseconds that belong to requests.

use super::{Gone, Table};
use crate::balance::EndpointSet;
use crate::model::{self, BackendId, BackendState, Broken};
use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// Where tables can be read.
#[derive(Clone, Debug)]
pub struct TableHandle {
    shared: Arc<ArcSwap<Table>>,
    published: watch::Sender<()>,
}

impl TableHandle {
    /// The table in force. For the request path see [`TableCache`].
    pub fn load(&self) -> Arc<Table> {
        self.shared.load_full()
    }

    /// Puts a table in force beside the publisher, until that has another: for tests of what no manifest
    /// says. What a publisher keeps of older tables is not touched.
    pub fn replace(&self, table: Table) {
        self.shared.store(Arc::new(table));
        self.published.send_replace(());
    }

    /// Tells of every table that comes into force from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.published.subscribe()
    }
}

/// The only writer of the table, but for tests.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<ArcSwap<Table>>,
    published: watch::Sender<()>,
    /// Tables that some worker may still hold.
    retired: Vec<Arc<Table>>,
}

impl Publisher {
    /// Starts with `table`.
    pub fn new(table: Table) -> Self {
        let shared = Arc::new(ArcSwap::from_pointee(table));
        Self { shared, published: watch::Sender::new(()), retired: Vec::new() }
    }

    /// A handle for a reader.
    pub fn handle(&self) -> TableHandle {
        TableHandle { shared: Arc::clone(&self.shared), published: self.published.clone() }
    }

    /// The table in force.
    pub fn current(&self) -> Arc<Table> {
        self.shared.load_full()
    }

    /// Puts a table in force: requests that begin from now on see it, those in flight keep theirs.
    /// The endpoints of backends that both tables have change for all of them at this moment.
    pub fn publish(&mut self, mut table: Table) {
        for update in std::mem::take(&mut table.updates) {
            update.backend.store(update.endpoints);
        }
        for (backend, limits) in std::mem::take(&mut table.limits) {
            backend.limit(limits);
        }
        let gone = table.gone.take();
        let table = Arc::new(table);
        let old = self.shared.swap(Arc::clone(&table));
        // Of the table that it was compiled after.
        match gone.filter(|_| table.generation == old.generation + 1) {
            Some(gone) => gone.iter().for_each(Gone::leave),
            None => leave(&old, &table),
        }
        self.published.send_replace(());
        self.retired.push(old);
        self.collect();
    }

    /// Stores new endpoints in the cells of the table in force: for every request from now on, in any
    /// table. No table is built or replaced.
    ///
    /// Returns whether all of them were put. Backends that this table does not have, with this
    /// state, are left alone: they need a table of their own.
    pub fn store_endpoints<'b>(
        &self,
        backends: impl IntoIterator<Item = &'b (Arc<BackendId>, Arc<model::BackendSpec>)>,
    ) -> bool {
        let table = self.shared.load();
        let mut all = true;
        for (id, backend) in backends {
            match (table.backends.get(&**id), &backend.state) {
                (Some(cell), BackendState::Resolved(specs))
                    if matches!(cell.broken, None | Some(Broken::ProtocolUnusable)) =>
                {
                    let old = cell.endpoints();
                    if !old.is_of(specs) {
                        let set = EndpointSet::new(specs, Some(&old));
                        cell.store(Arc::new(set));
                    }
                }
                _ => all = false,
            }
        }
        all
    }

    /// Frees retired tables without readers; returns how many are left.
    pub fn collect(&mut self) -> usize {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
        self.retired.len()
    }
}

impl Gone {
    /// Notes that its endpoints have gone, but for those that the next one has. With another protocol it is
    /// another backend, with the same endpoints.
    fn leave(&self) {
        let next = self.next.as_ref().map(|next| next.endpoints());
        self.old.endpoints().leave_for(next.as_deref().map(|set| &**set));
    }
}

/// Notes which endpoints have gone with the backends that the new table does not have.
fn leave(old: &Table, new: &Table) {
    for (id, old) in old.backends.iter() {
        let next = new.backends.get(&**id);
        if next.is_none_or(|next| !Arc::ptr_eq(old, next)) {
            Gone { old: Arc::clone(old), next: next.cloned() }.leave();
        }
    }
}

/// A table as one request holds it, from its first lookup to its log line.
pub type Held = Rc<Arc<Table>>;

/// One worker's view of the table.
#[derive(Debug)]
pub struct TableCache(RefCell<Cached>);

#[derive(Debug)]
struct Cached {
    shared: Cache<Arc<ArcSwap<Table>>, Arc<Table>>,
    // Requests count their references here, on a line that no other core writes.
    held: Held,
}

impl TableCache {
    /// A cache over `handle`.
    pub fn new(handle: &TableHandle) -> Self {
        let mut shared = Cache::new(Arc::clone(&handle.shared));
        let held = Rc::new(Arc::clone(shared.load()));
        Self(RefCell::new(Cached { shared, held }))
    }

    /// The table in force now.
    pub fn load(&self) -> Held {
        let cached = &mut *self.0.borrow_mut();
        let now = cached.shared.load();
        if !Arc::ptr_eq(now, &cached.held) {
            cached.held = Rc::new(Arc::clone(now));
        }
        Rc::clone(&cached.held)
    }
}
