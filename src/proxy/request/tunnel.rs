//! A connection that has changed its protocol (RFC 9110 section 7.8): bytes both ways until both
//! sides have ended.
//!
//! Nothing that the client sends behind its request head goes upstream before the pod has agreed:
//! until then it waits in the buffer of the client's connection.

use super::exchange::Exchange;
use super::response_body::ResponseBody;
use crate::error::Reason;
use crate::http::{self as stage, ClientSocket};
use crate::net::fields::Fields;
use crate::net::message::Response;
use crate::proxy::Downstream;
use crate::proxy::relay::{Flow, Patience, Relayed, relay};
use crate::upstream::{PodUpgraded, ReplyBody, upgraded};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

/// The slot in which a request leaves its tunnel for its connection.
pub type TunnelSlot = Rc<RefCell<Option<Tunnel>>>;

/// Both have agreed to change the protocol.
#[derive(Debug)]
pub struct Tunnel {
    exchange: Exchange,
    upstream: PodUpgraded,
}

/// Takes the pod's 101: the answer for the client, and the tunnel into its slot.
///
/// # Errors
/// The pod has agreed to what was not asked for, or was gone before it could take over.
pub(super) async fn switch(
    mut exchange: Exchange,
    mut response: Response<ReplyBody>,
    slot: &TunnelSlot,
) -> Result<Response<ResponseBody>, (Exchange, Reason)> {
    let Some(protocol) = exchange.noted.upgrade.clone() else {
        return Err((exchange, Reason::UpstreamUpgraded));
    };
    let agreed = response.headers().get(header::UPGRADE);
    if !agreed.is_some_and(|agreed| agreed.as_bytes().eq_ignore_ascii_case(protocol.as_bytes())) {
        return Err((exchange, Reason::UpstreamUpgraded));
    }
    let watch = Rc::clone(exchange.watch());
    let Some(Some(upstream)) = watch.guard(pin!(upgraded(&mut response))).await else {
        return Err((exchange, Reason::UpstreamClosed));
    };
    let mut answer = Response::new(ResponseBody::none());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    let status = StatusCode::SWITCHING_PROTOCOLS;
    if let Err(reason) = stage::clean_response(answer.headers_mut(), status, false) {
        return Err((exchange, reason));
    }
    answer.headers_mut().set(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().set(header::UPGRADE, protocol);
    // The answer is through; what follows lasts for as long as both want it to.
    watch.end_after(None);
    exchange.keep_response(answer.headers());
    exchange.answered(StatusCode::SWITCHING_PROTOCOLS);
    slot.replace(Some(Tunnel { exchange, upstream }));
    Ok(answer)
}

impl Tunnel {
    /// Relays until both sides have ended, the tunnel is idle for too long, or the process shuts down.
    /// `early` is what the client sent after its request head.
    pub async fn relay(self, mut client: ClientSocket, early: Bytes) {
        let Self { mut exchange, upstream } = self;
        let downstream = Rc::clone(exchange.downstream());
        let Downstream { worker, listener, .. } = &*downstream;
        // Lowered however this ends.
        let open = worker.cells.listeners[*listener].tunnels.raise();
        let patience =
            Patience { idle: exchange.tunnel_idle(), half_closed: exchange.body_progress() };
        let flow = Flow::new(Rc::clone(exchange.watch()), &worker.aborting, patience);
        let Relayed { from_client, from_pod, cut } =
            relay(&mut client, upstream, early, flow).await;
        drop(open);
        exchange.relayed(from_client, from_pod);
        match cut {
            None => exchange.complete(),
            Some(reason) => exchange.broke_off(reason),
        }
        // Without an error, so that nobody takes the end for a fault of the network.
        client.try_end(&[]);
    }
}
