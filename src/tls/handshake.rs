//! From an accepted socket to a stream of plain bytes.

use super::clients::Attempt;
use super::ended::EndPolicies;
use super::failure::{is_of_name, of_io, of_tls};
use super::policy::{HTTP2, Policy};
use super::session::{self, Session, Standing};
use super::snapshot::{Selected, Shown, SnapshotCell, TlsPeer};
use super::turns::Turns;
use crate::net::stream::Now;
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::{Mode, Verification};
use crate::telemetry::{HandshakeCells, HandshakeFailure};
use rustls::pki_types::CertificateDer;
use rustls::server::{Accepted, AcceptedAlert, Acceptor, ClientHello};
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use std::cell::RefCell;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

/// The alert `unrecognized_name` (112, RFC 6066 section 3), fatal, as a record in the clear. rustls
/// would say `access_denied`, which tells whether the name was looked at.
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 112];

/// The alert `access_denied` (49, RFC 8446 section 6.2), fatal, for a connection that its route refuses.
const ACCESS_DENIED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 49];

/// Bytes of a response that rustls buffers for a client that does not read: one piece of a body, so that
/// it leaves with one send.
const SEND_BUFFER: usize = 32 * 1024;

/// The handshakes of one worker.
#[derive(Debug)]
pub struct Handshakes {
    store: Arc<SnapshotCell>,
    turns: Turns,
    end_policies: EndPolicies,
}

/// Why a handshake gave no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The peer closed the connection without sending a byte, as port checks do.
    Silent,
    /// The handshake failed.
    Failed(HandshakeFailure),
}

impl From<HandshakeFailure> for Unmet {
    fn from(failure: HandshakeFailure) -> Self {
        Self::Failed(failure)
    }
}

impl Handshakes {
    /// At most `most` handshakes compute at a time; one that waits for bytes of its client does not count.
    pub fn new(store: Arc<SnapshotCell>, most: usize) -> Self {
        Self { store, turns: Turns::new(most), end_policies: EndPolicies::default() }
    }

    /// Whether any host requests client certificates: a listener without TLS must check every request for
    /// that.
    pub fn is_asking(&self) -> bool {
        self.store.is_asking()
    }

    /// The client certificate mode of a host for this client.
    pub fn mode(&self, host: &str, peer: TlsPeer) -> Mode {
        self.store.load().policy(Some(host), peer).map_or(Mode::Off, |policy| policy.mode())
    }

    pub(super) fn store(&self) -> &SnapshotCell {
        &self.store
    }

    pub(super) fn end_policies(&self) -> &EndPolicies {
        &self.end_policies
    }

    /// Reads the ClientHello, chooses the certificate and shakes hands. Has no deadline of its own:
    /// dropping the future ends the connection.
    ///
    /// # Errors
    /// The connection is closed, with an alert if there is one to send. It has not been counted.
    pub async fn shake(
        &self,
        socket: TcpStream,
        peer: TlsPeer,
        cells: &HandshakeCells,
    ) -> Result<(TlsStream<TcpStream>, Session), Unmet> {
        let hello = {
            let _in_flight = cells.in_flight.raise();
            hello(socket, None).await?
        };
        self.accept(hello, peer, cells).await
    }

    /// Reads the ClientHello and keeps its bytes, for who decides by it what becomes of the connection.
    ///
    /// # Errors
    /// As [`Handshakes::shake`].
    pub async fn greet(&self, socket: TcpStream, cells: &HandshakeCells) -> Result<Hello, Unmet> {
        let _in_flight = cells.in_flight.raise();
        hello(socket, Some(Vec::new())).await
    }

    /// Goes on from a ClientHello as [`Handshakes::shake`] does.
    ///
    /// # Errors
    /// As [`Handshakes::shake`].
    pub async fn accept(
        &self,
        hello: Hello,
        peer: TlsPeer,
        cells: &HandshakeCells,
    ) -> Result<(TlsStream<TcpStream>, Session), Unmet> {
        let snapshot = self.store.load_full();
        let found = match snapshot.find(hello.server_name()) {
            Ok(found) => found,
            Err(failure) => {
                hello.refuse().await;
                return Err(failure.into());
            }
        };
        let Shown { certificate, config } = &**hello.choose(found, peer);
        let policy = snapshot.policy(hello.server_name(), peer).cloned();
        let terms = Terms {
            config: quiet(policy.as_ref(), certificate, config),
            certificate: Arc::clone(certificate),
            policy,
            by_default: found.by_default,
        };
        self.agree(hello, terms, cells).await
    }

    /// Shakes hands on these terms.
    pub(super) async fn agree(
        &self,
        hello: Hello,
        terms: Terms,
        cells: &HandshakeCells,
    ) -> Result<(TlsStream<TcpStream>, Session), Unmet> {
        let _in_flight = cells.in_flight.raise();
        let Terms { config, certificate, policy, by_default } = terms;
        let Hello { accepted, socket, server_name, .. } = hello;
        let asking = policy.as_ref().map(|policy| policy.asking(&certificate)).transpose();
        let (config, attempt) = match asking.map_err(|error| of_tls(&error))?.flatten() {
            None => (config, None),
            Some((config, attempt)) => (config, Some(attempt)),
        };
        let asked = policy.as_ref().zip(attempt);
        let asked = asked.map(|(policy, attempt)| Asked { policy, attempt });
        let start = StartHandshake::from_parts(accepted, socket);
        let mut stream =
            self.turns.run(pin!(start.into_stream(config))).await.map_err(|error| {
                tracing::debug!(%error, "TLS handshake");
                let failure = of_io(&error);
                if let (Some(asked), HandshakeFailure::ClientCertificate) = (&asked, failure) {
                    asked.note(asked.attempt.verification(), cells);
                }
                failure
            })?;
        let client = asked.as_ref().map(|asked| asked.verification(stream.get_ref().1));
        if let (Some(asked), Some(verification)) = (&asked, client)
            && !asked.note(verification, cells)
        {
            end_session(stream).await;
            return Err(HandshakeFailure::ClientCertificate.into());
        }
        stream.get_mut().1.set_buffer_limit(Some(SEND_BUFFER));
        let connection = stream.get_ref().1;
        let session = Session {
            standing: Standing::new(proven(connection, client), policy.clone(), client),
            certificate,
            client,
            server_name,
            by_default,
            version: session::version(connection),
            suite: session::suite(connection),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            http2: connection.alpn_protocol() == Some(HTTP2),
            store: Arc::clone(&self.store),
            covered: RefCell::default(),
        };
        Ok((stream, session))
    }
}

/// What a handshake is about, once its ClientHello is read.
pub(super) struct Terms {
    /// For a client that is asked for no certificate.
    pub(super) config: Arc<ServerConfig>,
    pub(super) certificate: Arc<Certificate>,
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) by_default: bool,
}

/// A ClientHello, whole.
pub struct Hello {
    accepted: Accepted,
    socket: TcpStream,
    server_name: Option<Box<str>>,
    /// Everything that has come, if it is kept. rustls bounds it at a little more than 64 KiB.
    read: Vec<u8>,
}

impl Hello {
    /// The name that it has, in lower case and without a dot at its end.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The protocols that are offered inside of TLS (ALPN).
    pub fn protocols(&self) -> Vec<Vec<u8>> {
        let hello = self.accepted.client_hello();
        hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect()
    }

    /// The bytes that are held of it.
    pub fn held(&self) -> usize {
        self.read.len()
    }

    /// The connection as it came: its socket, and what has been read of it.
    pub fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.read)
    }

    /// Ends the connection before a certificate is presented, as one for an unknown name.
    pub async fn refuse(self) {
        refuse(self.socket, &UNRECOGNIZED_NAME).await;
    }

    /// The same, as one that is not allowed.
    pub async fn deny(self) {
        refuse(self.socket, &ACCESS_DENIED).await;
    }

    /// The certificate for this client.
    pub(super) fn choose<'s>(&self, found: Selected<'s>, peer: TlsPeer) -> &'s Arc<Shown> {
        found.for_client(&self.accepted.client_hello(), peer)
    }
}

/// The demand of a handshake.
struct Asked<'s> {
    policy: &'s Arc<Policy>,
    attempt: Arc<Attempt>,
}

impl Asked<'_> {
    /// Counts what was found, and says whether the client is served.
    fn note(&self, verification: Verification, cells: &HandshakeCells) -> bool {
        cells.judge(self.policy.mode(), verification);
        self.policy.mode() != Mode::Require || verification == Verification::Valid
    }

    /// What was found. A session is resumed only by a ticket that stands for a good certificate.
    fn verification(&self, connection: &ServerConnection) -> Verification {
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        match connection.peer_certificates() {
            Some([_, ..]) if resumed => Verification::Valid,
            Some([_, ..]) => self.attempt.verification(),
            _ => Verification::None,
        }
    }
}

/// The certificates of a client that has their key.
fn proven(
    connection: &ServerConnection,
    client: Option<Verification>,
) -> Vec<CertificateDer<'static>> {
    match client {
        None | Some(Verification::Unproven) => Vec::new(),
        Some(_) => connection.peer_certificates().unwrap_or_default().to_vec(),
    }
}

/// The settings of a handshake that asks for no certificate. Those that were made with the certificate are for hosts of
/// whom nothing is demanded.
fn quiet(
    policy: Option<&Arc<Policy>>,
    certificate: &Certificate,
    made: &Arc<ServerConfig>,
) -> Arc<ServerConfig> {
    match policy.filter(|policy| policy.demand().tls13_only) {
        Some(policy) => policy.showing(certificate),
        None => Arc::clone(made),
    }
}

/// The name in a ClientHello, in lower case (rustls), as rules and requests have it: without the dot
/// of the root.
fn asked_for(hello: &ClientHello<'_>) -> Option<Box<str>> {
    hello.server_name().map(|name| name.strip_suffix('.').unwrap_or(name).into())
}

/// Reads until the ClientHello is whole, in however many records and segments it comes: with
/// X25519MLKEM768 it takes two of these at least. rustls bounds it at 64 KiB. What is read is added to `kept`.
async fn hello(socket: TcpStream, mut kept: Option<Vec<u8>>) -> Result<Hello, Unmet> {
    let mut acceptor = Acceptor::default();
    let mut begun = false;
    loop {
        let read = match &mut kept {
            None => acceptor.read_tls(&mut Now(&socket)),
            Some(kept) => acceptor.read_tls(&mut Keeping { socket: Now(&socket), kept }),
        };
        match read {
            Ok(0) if begun => return Err(HandshakeFailure::Closed.into()),
            Ok(0) => return Err(Unmet::Silent),
            Ok(_) => begun = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.readable().await.map_err(|error| of_io(&error))?;
                continue;
            }
            Err(error) => return Err(of_io(&error).into()),
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let server_name = asked_for(&accepted.client_hello());
                let read = kept.unwrap_or_default();
                return Ok(Hello { accepted, socket, server_name, read });
            }
            Ok(None) => {}
            Err((error, _)) if is_of_name(&error) => {
                refuse(socket, &UNRECOGNIZED_NAME).await;
                return Err(HandshakeFailure::UnknownSni.into());
            }
            Err((error, alert)) => {
                tracing::debug!(%error, "TLS ClientHello");
                end(socket, alert).await;
                return Err(of_tls(&error).into());
            }
        }
    }
}

/// A socket of which everything that is read is kept.
struct Keeping<'s, 'k> {
    socket: Now<'s>,
    kept: &'k mut Vec<u8>,
}

impl Read for Keeping<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// Ends a connection before a certificate is presented.
async fn refuse(mut socket: TcpStream, alert: &[u8]) {
    // Seven bytes fit a socket that nothing was written to. Who is gone already misses nothing.
    let _ = socket.try_write(alert);
    let _ = socket.shutdown().await;
}

/// Ends a connection after its handshake.
async fn end_session(mut stream: TlsStream<TcpStream>) {
    let _ = stream.shutdown().await;
}

/// Ends a connection with what rustls has to say.
async fn end(mut socket: TcpStream, mut alert: AcceptedAlert) {
    let _ = alert.write_all(&mut Now(&socket));
    let _ = socket.shutdown().await;
}
