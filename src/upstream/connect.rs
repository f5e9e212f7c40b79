//! A new connection to an endpoint.

use super::pool::Connection;
use super::stream::EndpointStream;
use crate::addr::EndpointAddr;
use crate::error::Reason;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// Largest response head, in bytes: what nginx takes with its largest usual settings, and twice what
/// Cloudflare passes on.
const RESPONSE_HEAD_BYTES: usize = 256 * 1024;

/// Connects within `limit`, and starts the task that drives the connection.
pub(super) async fn connect(addr: EndpointAddr, limit: Duration) -> Result<Connection, Reason> {
    let connecting = TcpStream::connect(addr.socket_addr());
    let socket = match tokio::time::timeout(limit, connecting).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => {
            tracing::debug!(%addr, %error, "connection to an endpoint failed");
            return Err(Reason::ConnectFailed);
        }
        Err(_) => return Err(Reason::ConnectTimeout),
    };
    // A small request must not wait for the acknowledgement of another. Without it all still works.
    let _ = socket.set_nodelay(true);
    let handshake = http1::Builder::new()
        .max_buf_size(RESPONSE_HEAD_BYTES)
        .handshake(TokioIo::new(EndpointStream(socket)))
        .await;
    let (sender, connection) = handshake.map_err(|_| Reason::ConnectFailed)?;
    let driver = tokio::task::spawn_local(async move {
        // Whoever waits for a response on it learns of the error by that.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%addr, %error, "connection to an endpoint ended");
        }
    });
    Ok(Connection { sender, driver: driver.abort_handle() })
}
