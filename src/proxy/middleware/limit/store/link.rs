//! A connection to a store, and the script that takes a token there.

use super::super::key::Key;
use crate::model::middleware::SharedStore;
use crate::pki::endpoint_tls::{Alpn, EndpointTls, TlsDetails, TlsSettings, Trust};
use crate::proxy::gcra::Rate;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind,
};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::net::TcpStream;

/// The generic cell rate algorithm, in microseconds of the server's clock: see `gcra`. A bucket that is full again
/// is forgotten. Answers how long it is until there is a token, 0 if one was taken.
const SCRIPT: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = full - now - tonumber(ARGV[2])
if wait > tonumber(ARGV[3]) then return math.ceil(wait) end
full = full + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
return 0";

/// SHA-1 of the script, by which the server knows it once it has been there.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, SCRIPT.as_bytes());
    hex(digest.as_ref())
});

/// Requests that may be on their way at once; more wait within their budget.
const PIPELINE: usize = 1024;

/// What moves the bytes of a connection.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()>>>;

/// A connection, used by all workers at once.
#[derive(Debug)]
pub(super) struct Link(MultiplexedConnection);

impl Link {
    /// Connects to the first address that answers. The future is to be run for as long as it goes on.
    pub(super) async fn open(
        settings: &SharedStore,
        address: SocketAddr,
        host: &str,
    ) -> Result<(Self, Driver), RedisError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut info = RedisConnectionInfo::default().set_db(settings.database);
        if let Some(username) = &settings.username {
            info = info.set_username(username);
        }
        if let Some(password) = &settings.password {
            info = info.set_password(&password.0);
        }
        // Ours is the budget of a request.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE);
        let stream: Box<dyn Stream> = match settings.tls {
            None => Box::new(stream),
            Some(verifies) => Box::new(secured(stream, host, verifies).await?),
        };
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&info, stream, config).await?;
        Ok((Self(connection), Box::pin(driver)))
    }

    /// Takes a token. An error tells whether the connection is lost.
    pub(super) async fn take(
        &self,
        name: &str,
        key: Key<'_>,
        rate: Rate,
    ) -> Result<Result<(), Duration>, bool> {
        let key = format!("ravelin:rate:{name}:{}", hex(&key.digest()));
        let mut connection = self.0.clone();
        let known = call("EVALSHA", &DIGEST, &key, rate).query_async::<i64>(&mut connection).await;
        let wait = match known {
            // The server was restarted, or its scripts were flushed.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                call("EVAL", SCRIPT, &key, rate).query_async::<i64>(&mut connection).await
            }
            answer => answer,
        };
        match wait {
            Ok(wait) if wait > 0 => Ok(Err(Duration::from_micros(wait.unsigned_abs()))),
            Ok(_) => Ok(Ok(())),
            Err(error) => Err(error.is_connection_dropped() || error.is_io_error()),
        }
    }
}

fn call(verb: &str, script: &str, key: &str, rate: Rate) -> Cmd {
    let mut call = redis::cmd(verb);
    call.arg(script).arg(1).arg(key);
    for argument in rate.in_microseconds() {
        call.arg(argument);
    }
    call
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for S {}

async fn secured(
    stream: TcpStream,
    host: &str,
    verifies: bool,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = host.trim_matches(['[', ']']).to_owned();
    let server_name = ServerName::try_from(name).map_err(io::Error::other)?;
    let trust = if verifies { Trust::Public } else { Trust::Anybody };
    let details = TlsDetails::default();
    let settings =
        TlsSettings { server_name: server_name.clone(), trust, alpn: Alpn::Http1, details };
    let tls = EndpointTls::new(Arc::new(settings));
    let config = tls.config().ok_or_else(|| io::Error::other("no authorities"))?;
    tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(server_name, stream).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
        text
    })
}
