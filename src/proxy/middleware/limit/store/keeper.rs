//! Keeps a store connected: on a thread of its own, because to look a name up, or to connect, may take long.

use super::Store;
use super::link::{Driver, Link};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(1);

/// How long to wait after the first failed attempt, and after many.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Starts to connect. The thread ends with the store.
pub(super) fn spawn(store: &Arc<Store>) {
    let (kept, given_up) = (Arc::downgrade(store), Arc::clone(&store.given_up));
    let thread = std::thread::Builder::new().name("limits".to_owned());
    let spawned = thread.spawn(move || match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(keep(&kept, &given_up)),
        Err(error) => tracing::error!(%error, "no runtime for the store of a rateLimit"),
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for the store of a rateLimit: each process limits alone");
    }
}

async fn keep(store: &Weak<Store>, given_up: &Notify) {
    let mut wait = BACK_OFF.0;
    let mut is_told = false;
    while let Some(open) = store.upgrade() {
        let name = open.name();
        let connecting = tokio::time::timeout(CONNECT, connect(&open)).await;
        let error = match connecting {
            Ok(Ok((link, driver))) => {
                let cells = Arc::clone(&open.cells);
                open.missed.store(0, std::sync::atomic::Ordering::Relaxed);
                open.link.store(Some(Arc::new(link)));
                drop(open);
                cells.stores_connected.add(1);
                tracing::info!(store = %name, "connected to the store of a rateLimit");
                tokio::select! {
                    () = driver => {}
                    () = given_up.notified() => {}
                }
                cells.stores_connected.add(-1);
                if let Some(open) = store.upgrade() {
                    open.link.store(None);
                }
                (wait, is_told) = (BACK_OFF.0, false);
                "it closed the connection, or did not answer in time".to_owned()
            }
            Ok(Err(error)) => {
                drop(open);
                error
            }
            Err(_) => {
                drop(open);
                "it did not answer in time".to_owned()
            }
        };
        if store.strong_count() > 0 && !std::mem::replace(&mut is_told, true) {
            tracing::warn!(
                store = %name, error,
                "no store for a rateLimit: until it answers each process allows the whole rate",
            );
        }
        // New addresses are a reason not to wait.
        let _ = tokio::time::timeout(wait, given_up.notified()).await;
        wait = (wait * 2).min(BACK_OFF.1);
    }
}

/// Connects to the first of the endpoints that answers.
async fn connect(store: &Store) -> Result<(Link, Driver), String> {
    let mut last = "no endpoint is known".to_owned();
    for (host, address) in addresses(store).await.map_err(|error| error.to_string())? {
        match Link::open(&store.settings, address, &host).await {
            Ok(connected) => return Ok(connected),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

/// The addresses of the endpoints, with their hosts: those of the pods of its Service, if it names one.
async fn addresses(store: &Store) -> io::Result<Vec<(String, SocketAddr)>> {
    let mut addresses = Vec::new();
    let pods = store.pods.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for endpoint in &store.settings.endpoints {
        let host = endpoint.rsplit_once(':').map_or(&**endpoint, |(host, _)| host);
        if store.settings.service.is_some() {
            addresses.extend(pods.iter().map(|pod| (host.to_owned(), *pod)));
        } else {
            let found = tokio::net::lookup_host(&**endpoint).await?;
            addresses.extend(found.map(|address| (host.to_owned(), address)));
        }
    }
    Ok(addresses)
}
