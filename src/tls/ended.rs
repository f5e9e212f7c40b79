//! TLS that ends here for a route of connections: with the certificate of its name, and what the route, or the operator, asks
//! of clients.

use super::handshake::{Handshakes, Hello, Terms, Unmet};
use super::policy::Policy;
use super::session::Session;
use super::snapshot::{Shown, Snapshot, TlsPeer};
use crate::model::{TcpRule, TcpTlsEnd};
use crate::telemetry::{HandshakeCells, HandshakeFailure};
use rustls::Error;
use std::cell::RefCell;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The most rules whose policies a worker keeps. One that is met again is made again.
const MOST_KEPT: usize = 256;

/// The policies of the rules that one worker has met.
#[derive(Debug, Default)]
pub(super) struct EndPolicies(RefCell<Vec<EndPolicy>>);

#[derive(Debug)]
struct EndPolicy {
    rule: Arc<TcpRule>,
    /// What the operator demands beyond the rule.
    above: Option<Arc<Policy>>,
    policy: Arc<Policy>,
}

impl EndPolicy {
    fn is_of(&self, rule: &Arc<TcpRule>, above: Option<&Arc<Policy>>) -> bool {
        Arc::ptr_eq(&self.rule, rule)
            && self.above.as_ref().map(Arc::as_ptr) == above.map(Arc::as_ptr)
    }
}

impl EndPolicies {
    fn of(
        &self,
        rule: &Arc<TcpRule>,
        end: &TcpTlsEnd,
        snapshot: &Snapshot,
        host: Option<&str>,
    ) -> Result<Arc<Policy>, Error> {
        let above = snapshot.above(end, host);
        let mut kept = self.0.borrow_mut();
        if let Some(known) = kept.iter().find(|known| known.is_of(rule, above)) {
            return Ok(Arc::clone(&known.policy));
        }
        let policy = Arc::new(snapshot.ending(end, above.map(|above| &**above))?);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        let (rule, above) = (Arc::clone(rule), above.cloned());
        kept.push(EndPolicy { rule, above, policy: Arc::clone(&policy) });
        Ok(policy)
    }
}

impl Handshakes {
    /// Shakes hands for a route at which TLS ends. Has no deadline of its own: dropping the future ends the connection.
    ///
    /// # Errors
    /// As [`Handshakes::shake`].
    pub async fn end(
        &self,
        hello: Hello,
        rule: &Arc<TcpRule>,
        end: &TcpTlsEnd,
        peer: TlsPeer,
        cells: &HandshakeCells,
    ) -> Result<(TlsStream<TcpStream>, Session), Unmet> {
        let snapshot = self.store().load_full();
        let shown = match certificate(&snapshot, &hello, end, peer) {
            Ok(shown) => shown,
            Err(failure) => {
                hello.refuse().await;
                return Err(failure.into());
            }
        };
        let policy = self.end_policies().of(rule, end, &snapshot, hello.server_name());
        let policy = policy.map_err(|error| {
            tracing::error!(%error, "no TLS for a route of connections");
            HandshakeFailure::Other
        })?;
        let terms = Terms {
            config: policy.showing(&shown.certificate),
            certificate: Arc::clone(&shown.certificate),
            policy: Some(policy),
            by_default: false,
        };
        self.agree(hello, terms, cells).await
    }
}

/// The certificate: that of the name, as for routes of HTTP. Where there is none of its own, the one that the route
/// names; and the default one, where it names none.
fn certificate(
    snapshot: &Snapshot,
    hello: &Hello,
    end: &TcpTlsEnd,
    peer: TlsPeer,
) -> Result<Arc<Shown>, HandshakeFailure> {
    let found = snapshot.find(hello.server_name());
    if let (Some(secret), Err(_)) | (Some(secret), Ok(super::Selected { by_default: true, .. })) =
        (&end.secret, found)
    {
        let named = snapshot.of_secret(secret).cloned();
        return named.ok_or(match hello.server_name() {
            None => HandshakeFailure::NoSni,
            Some(_) => HandshakeFailure::UnknownSni,
        });
    }
    found.map(|found| Arc::clone(hello.choose(found, peer)))
}
