//! The buckets of a limit for the whole cluster, in Valkey or Redis.
//!
//! One script on the server takes a token, by the server's clock, so that processes need not agree on the time.
//! A request waits no longer than the budget; without an answer this process decides it alone, which is counted.
//! After some unanswered requests the connection is given up, and none waits until there is another.

mod keeper;
mod link;
#[cfg(test)]
mod tests;

use super::key::Key;
use crate::balance::EndpointSet;
use crate::model::middleware::SharedStore;
use crate::proxy::gcra::Rate;
use crate::telemetry::{StepCells, StoreFailure};
use arc_swap::ArcSwapOption;
use link::Link;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// Requests in a row without an answer in time after which the connection is given up.
const MOST_MISSED: u32 = 3;

/// Timers of a runtime end up to so much late.
const TIMER: Duration = Duration::from_millis(1);

/// A store, and the connection of this process to it.
#[derive(Debug)]
pub(in super::super) struct Store {
    settings: SharedStore,
    link: ArcSwapOption<Link>,
    /// Unanswered requests in a row.
    missed: AtomicU32,
    /// Where the pods of its Service are, and whose set of endpoints that is.
    pods: Mutex<Vec<SocketAddr>>,
    pods_of: AtomicUsize,
    /// Tells the keeper that the connection, or the store, is given up.
    given_up: Arc<Notify>,
    cells: Arc<StepCells>,
}

/// The stores of all limits: limits that say the same share one.
#[derive(Debug, Default)]
pub(in super::super) struct Stores(Mutex<Vec<Weak<Store>>>);

impl Stores {
    /// The store with these settings. One that is new begins to connect, on a thread of its own.
    pub(in super::super) fn get(
        &self,
        settings: &SharedStore,
        cells: &Arc<StepCells>,
    ) -> Arc<Store> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|store| store.strong_count() > 0);
        let known = all.iter().filter_map(Weak::upgrade).find(|store| store.settings == *settings);
        known.unwrap_or_else(|| {
            let store = Store::open(settings.clone(), Arc::clone(cells));
            all.push(Arc::downgrade(&store));
            store
        })
    }
}

impl Store {
    fn open(settings: SharedStore, cells: Arc<StepCells>) -> Arc<Self> {
        let store = Arc::new(Self {
            settings,
            link: ArcSwapOption::empty(),
            missed: AtomicU32::new(0),
            pods: Mutex::default(),
            pods_of: AtomicUsize::new(0),
            given_up: Arc::default(),
            cells,
        });
        keeper::spawn(&store);
        store
    }

    /// Takes a token of a client's from the store. The inner result is that of [`Rate::take`].
    ///
    /// # Errors
    /// If there is no answer in time: this process has to decide.
    pub(super) async fn take(
        &self,
        name: &str,
        key: Key<'_>,
        rate: Rate,
    ) -> Result<Result<(), Duration>, StoreFailure> {
        let answer = self.ask(name, key, rate).await;
        if let Err(failure) = &answer {
            self.cells.store_fallbacks[*failure as usize].add(1);
        }
        answer
    }

    async fn ask(
        &self,
        name: &str,
        key: Key<'_>,
        rate: Rate,
    ) -> Result<Result<(), Duration>, StoreFailure> {
        let link = self.link.load_full().ok_or(StoreFailure::Disconnected)?;
        let budget = self.settings.budget.saturating_sub(TIMER);
        match tokio::time::timeout(budget, link.take(name, key, rate)).await {
            Ok(Ok(answer)) => {
                self.missed.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(is_lost)) => {
                if is_lost {
                    self.give_up(&link);
                }
                Err(StoreFailure::Failed)
            }
            Err(_) => {
                if self.missed.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_MISSED {
                    self.give_up(&link);
                }
                Err(StoreFailure::Timeout)
            }
        }
    }

    /// Gives a connection up, unless it has been already.
    fn give_up(&self, link: &Arc<Link>) {
        let before = self.link.compare_and_swap(link, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, link)) {
            self.given_up.notify_one();
        }
    }

    /// Notes where the pods of its Service are now.
    pub(super) fn point_to(&self, pods: &Arc<EndpointSet>) {
        let address = Arc::as_ptr(pods) as usize;
        if self.pods_of.swap(address, Ordering::Relaxed) == address {
            return;
        }
        let addresses = pods.usable().iter().map(|pod| pod.addr.socket_addr()).collect();
        *self.pods.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
        if self.link.load().is_none() {
            self.given_up.notify_one();
        }
    }

    /// What it is called in messages.
    fn name(&self) -> String {
        self.settings.endpoints.join(", ")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.given_up.notify_one();
    }
}
