//! How the processes that share a listening socket come to terms: who holds its name tells the others whose turn it is.
//!
//! It is the newest process that has said to be ready, or the holder itself. The end of a connection is the end of a
//! process: the holder chooses again, and where it was the holder, one of the others takes the name.

use super::port::Port;
use super::state::{Shared, State};
use crate::transport::admission::trap::Trap;
use crate::transport::listen::share::{self, Joined, Word};
use crate::transport::listen::{self, ACCEPT_PAUSE, GroupIndex, Listing};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener as Name, UnixStream as Link};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

/// How long until a process that shares with nobody tries again to take the name for those that come later.
const AGAIN: Duration = Duration::from_secs(1);

/// At most so many processes share with the holder: a further one listens beside them.
const MOST_SHARERS: usize = 16;

/// What the process tells of itself, and those it shares a port with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) listening: bool,
    pub(super) ready: bool,
    /// It is about to close the socket.
    pub(super) leaving: bool,
    /// The others.
    pub(super) sharers: usize,
}

/// Shares a port from when it listens until the process leaves it. `on_turn` is called when it has become this
/// process's turn to accept.
pub(super) async fn share(port: Arc<Port>, on_turn: impl Fn()) {
    let mut standing = port.standing.subscribe();
    if standing.wait_for(|now| now.listening || now.leaving).await.is_err() {
        return;
    }
    let mut shared = port.take_shared();
    loop {
        match shared {
            Shared::Offered(name) => {
                if let Err(error) = keep(&port, name, &on_turn).await {
                    tracing::debug!(%error, "a listening socket is not shared any more");
                }
            }
            Shared::Joined(link) => {
                follow(&port, link, &on_turn).await;
                port.set_sharers(0);
                // Until another one says otherwise.
                if port.set_turn(true) {
                    on_turn();
                }
            }
            Shared::No => {
                let _ = timeout(AGAIN, standing.wait_for(|now| now.leaving)).await;
            }
        }
        if standing.borrow().leaving {
            return;
        }
        shared = port.offer_again();
    }
}

/// As one to whom the socket was given: until the process that gave it is gone, or this one leaves.
async fn follow(port: &Port, link: Link, on_turn: &impl Fn()) {
    let Ok(mut link) = UnixStream::from_std(link) else { return };
    let mut standing = port.standing.subscribe();
    let (mut said, mut byte) = (false, [0]);
    loop {
        let now = *standing.borrow_and_update();
        if now.leaving {
            return;
        }
        if now.ready && !std::mem::replace(&mut said, true) {
            // The answer, or its absence, says the rest.
            let _ = link.write_all(&[Word::Ready as u8]).await;
        }
        tokio::select! {
            Ok(()) = standing.changed() => {}
            read = link.read(&mut byte) => match read {
                Ok(1..) => match Word::of(byte[0]) {
                    Some(Word::Accept) => {
                        if port.set_turn(true) {
                            on_turn();
                        }
                    }
                    Some(Word::Pause) => {
                        port.set_turn(false);
                    }
                    // Of a later version.
                    Some(Word::Ready) | None => {}
                },
                Ok(0) | Err(_) => return,
            },
        }
    }
}

/// A process that has the socket from the holder.
struct Sharer {
    link: UnixStream,
    ready: bool,
    /// Whether it was told to accept.
    accepts: bool,
}

impl Sharer {
    fn tell(&mut self, accepts: bool) {
        if std::mem::replace(&mut self.accepts, accepts) != accepts {
            let word = if accepts { Word::Accept } else { Word::Pause };
            // One byte always fits. One that is gone is seen to be.
            let _ = self.link.try_write(&[word as u8]);
        }
    }

    /// What it has said, `Err` where it is gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Word>>> {
        let mut byte = [0];
        loop {
            std::task::ready!(self.link.poll_read_ready(cx))?;
            match self.link.try_read(&mut byte) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => return Poll::Ready(Ok(Word::of(byte[0]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// As the holder of the name: until the process leaves.
async fn keep(port: &Port, name: Name, on_turn: &impl Fn()) -> io::Result<()> {
    let name = UnixListener::from_std(name)?;
    let mut standing = port.standing.subscribe();
    let mut sharers: Vec<Sharer> = Vec::new();
    while !standing.borrow_and_update().leaving {
        choose(port, &mut sharers, on_turn);
        tokio::select! {
            Ok(()) = standing.changed() => {}
            accepted = name.accept() => {
                let Ok((link, _)) = accepted else {
                    // There are no more files. The links that are there must live.
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let is_welcome = sharers.len() < MOST_SHARERS && share::is_own_user(&link);
                if is_welcome && port.give(&link, sharers.len() + 1).is_ok() {
                    sharers.push(Sharer { link, ready: false, accepts: false });
                }
            }
            (number, said) = next(&mut sharers) => match said {
                Ok(Some(Word::Ready)) => sharers[number].ready = true,
                Ok(_) => {}
                Err(_) => {
                    sharers.remove(number);
                    port.set_sharers(sharers.len());
                }
            },
        }
    }
    // Before the others learn of it: one of them takes the name.
    drop(name);
    drop(sharers);
    Ok(())
}

/// Gives the turn to who is to have it, before it is taken from who had it.
fn choose(port: &Port, sharers: &mut [Sharer], on_turn: &impl Fn()) {
    let newest = sharers.iter().rposition(|sharer| sharer.ready);
    if let Some(newest) = newest {
        sharers[newest].tell(true);
    } else if port.set_turn(true) {
        on_turn();
    }
    for (number, sharer) in sharers.iter_mut().enumerate() {
        if Some(number) != newest {
            sharer.tell(false);
        }
    }
    if newest.is_some() {
        port.set_turn(false);
    }
}

async fn next(sharers: &mut [Sharer]) -> (usize, io::Result<Option<Word>>) {
    poll_fn(|cx| {
        for (number, sharer) in sharers.iter_mut().enumerate() {
            if let Poll::Ready(said) = sharer.poll(cx) {
                return Poll::Ready((number, said));
            }
        }
        Poll::Pending
    })
    .await
}

impl Port {
    /// How other processes come to the socket.
    fn take_shared(&self) -> Shared {
        std::mem::take(&mut self.state().shared)
    }

    /// The same once it is known that nobody else holds the name, or who does shares nothing.
    fn offer_again(&self) -> Shared {
        let state = self.state();
        match state.address.map(share::offer) {
            Some(Ok(name)) => Shared::Offered(name),
            // Who has taken it meanwhile may have the same socket.
            Some(Err(_)) => self.join_again(&state).map_or(Shared::No, Shared::Joined),
            None => Shared::No,
        }
    }

    fn join_again(&self, state: &State) -> Option<Link> {
        let joined = share::join(state.address?).ok()?;
        if listen::inode(&joined.listener).ok() != self.hold.inode() {
            return None;
        }
        self.set_sharers(1);
        Some(joined.link)
    }

    /// How many other processes have the socket, as far as this one knows.
    pub(super) fn set_sharers(&self, sharers: usize) {
        self.standing.send_modify(|now| now.sharers = sharers);
    }

    /// Gives the sockets to a process that has connected, unless this one is about to close them. `sharers` are those
    /// with it.
    fn give(&self, link: &UnixStream, sharers: usize) -> io::Result<()> {
        let state = self.state();
        if state.leaving {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let place = state.place.as_ref().and_then(GroupIndex::index);
        let trap = state.trap.as_ref().map(Trap::socket);
        let given = self.hold.with(|listener| share::give(link, listener, trap, place));
        given.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))?;
        self.set_sharers(sharers);
        Ok(())
    }
}

/// Whether this user listens with the sockets of another process at the address.
pub(super) fn is_believed(joined: &Joined, address: SocketAddr) -> bool {
    let Ok(listing) = Listing::read() else { return false };
    let each = [Some(&joined.listener), joined.trap.as_ref()];
    each.into_iter()
        .flatten()
        .all(|socket| listen::inode(socket).is_ok_and(|inode| listing.is_own(inode, address)))
}
