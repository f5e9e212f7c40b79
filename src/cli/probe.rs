//! `ravelin probe`: asks the process of this container, over a socket in the file system.
//!
//! The kubelet runs it (an exec probe). It reads no Kubernetes and starts no runtime: it is run every
//! few seconds, and within the pod's limits.

use super::admin::AdminPlace;
use super::{Failure, say};
use crate::config::Config;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the whole exchange. Shorter than the `timeoutSeconds` of the probes in `deploy/`, so that the
/// reason is told before the kubelet gives up.
const LIMIT: Duration = Duration::from_secs(2);

/// Longest answer that is read, in bytes: a reason is a few lines.
const ANSWER_BYTES: usize = 64 * 1024;

/// The question to the admin port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Question {
    /// May requests be sent here?
    Ready,
    /// Does it run at all?
    Live,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Ready => "/readyz",
            Self::Live => "/livez",
        }
    }
}

/// Prints the answer. 0 for yes, 1 for no.
pub(super) fn probe(
    question: Question,
    socket: Option<PathBuf>,
    config: Option<&Path>,
) -> Result<u8, Failure> {
    let socket = match (socket, config) {
        (Some(socket), _) => socket,
        (None, Some(config)) => configured(config)?,
        (None, None) => {
            return Err(Failure::usage("no socket; name it with --socket PATH or --config FILE"));
        }
    };
    let place = AdminPlace::Socket(socket);
    let answer = place.get(question.path(), LIMIT, ANSWER_BYTES).map_err(|error| Failure {
        code: 1,
        text: format!("no response over {place}: {}", place.words(&error, LIMIT)),
    })?;
    say(&String::from_utf8_lossy(&answer.body))?;
    Ok(u8::from(answer.status != 200))
}

fn configured(config: &Path) -> Result<PathBuf, Failure> {
    let config = Config::load(config).map_err(|errors| super::run::config_failure(&errors))?;
    let missing = "admin.socket is not set in the configuration; set it, or use --socket PATH";
    config.admin.socket.ok_or_else(|| Failure::usage(missing))
}
