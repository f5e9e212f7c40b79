//! Credentials for the API server: reloaded when they have changed or are refused.
//!
//! Tokens end, certificates are renewed, and a kubeconfig is replaced as a whole. What is open goes on
//! with the old ones; every new request is sent with those that are there by then.

use super::client::{ConnectError, connect};
use super::failure::{Failure, is_of_tls};
use crate::telemetry::WatchFailure;
use http::{Request, Response, StatusCode};
use kube::client::{Body, Client};
use kube::config::{Config, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use std::error::Error;
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout};
use tower::{BoxError, Service};

/// Between two readings of credentials that have changed: files are written in several steps.
const CHANGED: Duration = Duration::from_secs(1);

/// Between two readings of credentials that are refused. It doubles with each, up to [`MOST_REFUSED`]:
/// behind them may be a plug-in that contacts another service.
const REFUSED: Duration = Duration::from_secs(5);
const MOST_REFUSED: Duration = Duration::from_secs(60);

/// How long a request waits for new credentials. A plug-in that takes longer is waited for, and the old
/// ones are used until then.
const WAIT: Duration = Duration::from_secs(5);

/// The files that a service account is mounted as.
const SERVICE_ACCOUNT: [&str; 2] = [
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
];

/// Device, inode, size, and when it was written, in nanoseconds too.
type Stamp = (u64, u64, u64, i64, i64);

/// A client, and the files that it was made of.
struct Read {
    client: Client,
    files: Vec<(PathBuf, Option<Stamp>)>,
}

impl Read {
    fn is_changed(&self) -> bool {
        self.files.iter().any(|(path, seen)| stamp(path) != *seen)
    }
}

/// Requests with the credentials that are there now.
#[derive(Clone)]
pub(super) struct Renewing(Arc<Shared>);

struct Shared {
    kubeconfig: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    read: Read,
    /// How many were read before.
    number: u64,
    /// When they were read last, or that was tried.
    tried: Instant,
    /// Whether they have been refused.
    refused: bool,
    /// How often new ones were refused, one after the other.
    refusals: u32,
    /// A reading that is under way, if it takes long.
    reading: Option<oneshot::Receiver<Result<Read, String>>>,
    /// Why it has failed, once that was said.
    problem: Option<String>,
}

impl Renewing {
    /// Reads them for the first time. Within a runtime.
    pub(super) async fn new(kubeconfig: Option<&Path>) -> Result<(Self, String), ConnectError> {
        let (config, files) = read_config(kubeconfig).await?;
        let client = connect(&config)?;
        let state = State {
            read: Read { client, files },
            number: 0,
            tried: Instant::now(),
            refused: false,
            refusals: 0,
            reading: None,
            problem: None,
        };
        let kubeconfig = kubeconfig.map(Path::to_owned);
        let shared = Shared { kubeconfig, state: Mutex::new(state) };
        Ok((Self(Arc::new(shared)), config.default_namespace))
    }
}

impl Service<Request<Body>> for Renewing {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let (client, number) = shared.current().await;
            let answer = client.send(request).await.map_err(|error| match error {
                kube::Error::Service(error) => error,
                other => other.into(),
            });
            let is_refused = match &answer {
                Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
                Err(error) => is_refused_by_tls(&**error),
            };
            shared.note(number, is_refused).await;
            answer
        })
    }
}

impl Shared {
    /// The client to send with, and which one that is.
    async fn current(&self) -> (Client, u64) {
        let mut state = self.state.lock().await;
        if state.reading.is_none() && state.is_due() {
            let (give, reading) = oneshot::channel();
            let kubeconfig = self.kubeconfig.clone();
            let runtime = tokio::runtime::Handle::current();
            // A plug-in may take its time, and everything else is on this thread.
            tokio::task::spawn_blocking(move || {
                let read = runtime.block_on(read_anew(kubeconfig.as_deref()));
                // The receiver may have given up.
                let _ = give.send(read);
            });
            (state.reading, state.tried) = (Some(reading), Instant::now());
        }
        if let Some(mut reading) = state.reading.take() {
            match timeout(WAIT, &mut reading).await {
                Ok(read) => state.take(read.unwrap_or_else(|_| Err("it has panicked".to_owned()))),
                Err(_) => state.reading = Some(reading),
            }
        }
        (state.read.client.clone(), state.number)
    }

    async fn note(&self, number: u64, is_refused: bool) {
        let mut state = self.state.lock().await;
        if state.number == number {
            state.refused = is_refused;
            state.refusals = if is_refused { state.refusals } else { 0 };
        }
    }
}

impl State {
    fn is_due(&self) -> bool {
        let since = self.tried.elapsed();
        let refused = REFUSED.saturating_mul(1 << self.refusals.min(8)).min(MOST_REFUSED);
        (self.refused && (self.refusals == 0 || since >= refused))
            || (since >= CHANGED && self.read.is_changed())
    }

    fn take(&mut self, read: Result<Read, String>) {
        if self.refused {
            self.refusals = self.refusals.saturating_add(1);
        }
        match read {
            Ok(read) => {
                let why = if self.refused { "refused" } else { "changed" };
                tracing::info!(why, "the credentials for the API server were reloaded");
                self.read = read;
                self.number += 1;
                self.refused = false;
                self.problem = None;
            }
            Err(problem) => {
                if self.problem.as_ref() != Some(&problem) {
                    tracing::warn!(
                        problem,
                        "the credentials for the API server cannot be reloaded; the previous ones are used"
                    );
                }
                self.problem = Some(problem);
            }
        }
    }
}

async fn read_anew(kubeconfig: Option<&Path>) -> Result<Read, String> {
    let read = async {
        let (mut config, files) = read_config(kubeconfig).await?;
        if let Some(plug_in) = &mut config.auth_info.exec {
            // There is no thread to ask.
            plug_in.interactive_mode = Some(ExecInteractiveMode::Never);
        }
        Ok(Read { client: connect(&config)?, files })
    };
    read.await.map_err(|error: ConnectError| error.to_string())
}

/// Where the API server is and who we are, and the files that say so. They are stamped before they are
/// read: what is written in between is read again.
async fn read_config(
    kubeconfig: Option<&Path>,
) -> Result<(Config, Vec<(PathBuf, Option<Stamp>)>), ConnectError> {
    let stamped = |path: PathBuf| {
        let stamp = stamp(&path);
        (path, stamp)
    };
    let Some(path) = kubeconfig else {
        let files = SERVICE_ACCOUNT.map(|path| stamped(path.into())).into();
        let config = Config::incluster().map_err(|error| {
            ConnectError::NoServiceAccount(Failure::of_error(WatchFailure::Connect, &error).words)
        })?;
        return Ok((config, files));
    };
    let failed = |error: kube::config::KubeconfigError| {
        let problem = Failure::of_error(WatchFailure::Connect, &error).words;
        ConnectError::Kubeconfig { path: path.to_owned(), problem }
    };
    let mut files = vec![stamped(path.to_owned())];
    let file = Kubeconfig::read_from(path).map_err(failed)?;
    let clusters = file.clusters.iter().filter_map(|named| named.cluster.as_ref());
    files.extend(
        clusters.filter_map(|of| of.certificate_authority.clone()).map(|path| stamped(path.into())),
    );
    for user in file.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()) {
        let named = [&user.token_file, &user.client_certificate, &user.client_key];
        files.extend(named.into_iter().flatten().map(|path| stamped(path.into())));
    }
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options).await.map_err(failed)?;
    Ok((config, files))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

/// Whether TLS has failed: by a certificate of ours that has ended, or an authority that is another one.
fn is_refused_by_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is_of_tls(error) {
            return true;
        }
        next = error.source();
    }
    false
}
