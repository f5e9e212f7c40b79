//! The server's side of a connection: its preface, its requests, its end.

use super::reply;
use crate::http::{FollowedFrames, Streams, server_http2};
use crate::proxy::Downstream;
use crate::proxy::request::TunnelSlot;
use crate::upstream::body::Piece;
use h2::server::{Connection, Handshake};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A connection, from its first byte on.
pub(super) struct Server {
    downstream: Rc<Downstream>,
    streams: Rc<Streams>,
    state: State,
    /// Its client is told to open no further streams.
    leaves: bool,
    /// Nobody asks for one: HTTP/2 has no upgrades (RFC 9113 section 8.6).
    tunnel: TunnelSlot,
}

enum State {
    /// The client's preface is still to come.
    Begins(Handshake<FollowedFrames, Piece>),
    Serves(Connection<FollowedFrames, Piece>),
}

impl Server {
    /// Of a connection of which nothing was read.
    pub(super) fn new(
        downstream: &Rc<Downstream>,
        streams: &Rc<Streams>,
        frames: FollowedFrames,
    ) -> Self {
        let config = &downstream.worker.config;
        let builder = server_http2(&config.http2, config.limits.header_block);
        Self {
            downstream: Rc::clone(downstream),
            streams: Rc::clone(streams),
            state: State::Begins(builder.handshake(frames)),
            leaves: false,
            tunnel: TunnelSlot::default(),
        }
    }

    /// Whether its client is told to open no further streams.
    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }

    /// Tells the client to open no further streams, once. Those that it has go on to their ends.
    pub(super) fn leave(&mut self) {
        let is_first = !std::mem::replace(&mut self.leaves, true);
        if let State::Serves(connection) = &mut self.state
            && is_first
        {
            connection.graceful_shutdown();
        }
    }

    /// Reads and writes frames, and has each request answered, until the connection ends.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.state {
                State::Begins(handshake) => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    if self.leaves {
                        connection.graceful_shutdown();
                    }
                    self.state = State::Serves(connection);
                }
                State::Serves(connection) => match ready!(connection.poll_accept(cx)) {
                    Some(accepted) => {
                        let (request, sender) = accepted?;
                        let stream = self.streams.begin();
                        reply::begin(&self.downstream, stream, &self.tunnel, request, sender);
                    }
                    None => return Poll::Ready(Ok(())),
                },
            }
        }
    }
}
