//! What is asked of the clients of which host: by the operator's tables, whose files are followed,
//! and by Ingresses.

use crate::config::{AuthoritySource, ClientCertificate, Config};
use crate::config::{FileIdentity, Followed};
use crate::model::HostPattern;
use crate::model::{HostClients, Issuer};
use crate::pki::certificate::{LoadError, read_bounded};
use crate::pki::client_certificate::{
    Authority, AuthorityError, CLOUDFLARE_FINGERPRINT, Demand, Mode,
};
use crate::tls::HostDemand;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a file is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] LoadError),
    /// What is in it is no good.
    #[error("{path:?} {error}")]
    Content {
        /// As configured.
        path: PathBuf,
        /// What is wrong.
        error: AuthorityError,
    },
}

/// Reads a file, at most 1 MiB.
fn load(path: &Path) -> Result<Authority, AuthorityFileError> {
    let text = read_bounded(path)?;
    Authority::from_pem(&text)
        .map_err(|error| AuthorityFileError::Content { path: path.to_owned(), error })
}

/// One `[[client_certificate]]`.
#[derive(Debug)]
pub(super) struct Group {
    config: ClientCertificate,
    authority: Option<Arc<Authority>>,
    /// Its file, if it has one.
    followed: Followed<FileIdentity>,
}

impl Group {
    /// # Errors
    /// A file that cannot be used: a process that starts is better not started with it.
    pub(super) fn read(config: &ClientCertificate) -> Result<Self, AuthorityFileError> {
        let mut seen = None;
        let authority = match &config.authority {
            None => None,
            Some(AuthoritySource::Cloudflare) => Some(Arc::new(Authority::cloudflare())),
            Some(AuthoritySource::File(path)) => {
                seen = FileIdentity::of(path);
                Some(Arc::new(load(path)?))
            }
        };
        Ok(Self { config: config.clone(), authority, followed: Followed::new(seen) })
    }

    /// Checks the file; returns whether the CA changed.
    pub(super) fn look(&mut self) -> bool {
        let Some(AuthoritySource::File(path)) = &self.config.authority else {
            return false;
        };
        if !self.followed.is_due(FileIdentity::of(path)) {
            return false;
        }
        match load(path) {
            Ok(read) => {
                self.followed.succeed();
                if self.authority.as_deref() == Some(&read) {
                    return false;
                }
                tracing::info!(?path, authority = %read, "the CA for client certificates changed");
                self.authority = Some(Arc::new(read));
                true
            }
            Err(error) => {
                let error = error.to_string();
                if self.followed.fail(&error) {
                    tracing::error!(error, "the last good CA applies");
                }
                false
            }
        }
    }

    /// The file, and whether what is in it now cannot be used; `None` if there is none.
    pub(super) fn file(&self) -> Option<(Arc<str>, bool)> {
        let Some(AuthoritySource::File(path)) = &self.config.authority else {
            return None;
        };
        Some((Arc::from(path.to_string_lossy()), self.followed.is_failing()))
    }

    pub(super) fn demands(&self) -> impl Iterator<Item = HostDemand> {
        let demand = match self.config.mode {
            Mode::Off => Demand::off(),
            mode => Demand {
                mode,
                authority: self.authority.clone(),
                subjects: self.config.subjects.clone(),
                tls13_only: false,
            },
        };
        let all = self.config.hosts.is_empty().then_some(HostPattern::Any);
        let hosts = self.config.hosts.iter().cloned().chain(all);
        let break_glass = self.config.break_glass;
        hosts.map(move |host| HostDemand { host, demand: demand.clone(), break_glass })
    }

    /// Says at the start what is asked, and what that proves.
    pub(super) fn tell(&self) {
        for HostDemand { host, demand, break_glass } in self.demands() {
            let break_glass = break_glass.as_str();
            tracing::info!(%host, %demand, break_glass, "certificates of clients");
        }
        if matches!(self.config.authority, Some(AuthoritySource::Cloudflare)) {
            tracing::warn!(
                fingerprint = CLOUDFLARE_FINGERPRINT,
                "Cloudflare's shared authority proves that a request came through Cloudflare, for \
                 any Cloudflare customer, not your zone; upload a certificate of your own to prove \
                 the zone"
            );
        }
    }
}

/// The demands of the configuration, read once: for `check` and `explain`.
///
/// # Errors
/// The first file that cannot be used.
pub fn of_config(config: &Config) -> Result<Vec<HostDemand>, AuthorityFileError> {
    let mut all = Vec::new();
    for table in &config.client_certificates {
        all.extend(Group::read(table)?.demands());
    }
    Ok(all)
}

/// Demands of Ingresses. With an unusable Secret every certificate is refused.
pub fn of_ingresses(clients: &[HostClients]) -> Vec<HostDemand> {
    let demand = |client: &HostClients| HostDemand {
        host: client.host.clone(),
        demand: client.demand(),
        break_glass: client.break_glass,
    };
    clients.iter().map(demand).collect()
}

/// The last authority of each Secret in use that could be used.
#[derive(Default)]
pub(super) struct LastGoodAuthorities(HashMap<(Arc<str>, Arc<str>), Arc<Authority>>);

impl fmt::Debug for LastGoodAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastGoodAuthorities").field(&self.0.len()).finish()
    }
}

impl LastGoodAuthorities {
    /// Puts the last good authority of a Secret in the place of one that cannot be used, for as long
    /// as an Ingress names it. Returns the Secrets that cannot be used, each once, and whether they
    /// had one.
    pub(super) fn mend(&mut self, clients: &mut [HostClients]) -> Vec<(String, bool)> {
        let mut good = HashMap::new();
        let mut failing = Vec::new();
        for client in clients {
            let Some(Issuer::Secret { namespace, name, authority }) = &mut client.issuer else {
                continue;
            };
            let key = (Arc::clone(namespace), Arc::clone(name));
            if authority.is_none() {
                *authority = self.0.get(&key).cloned();
                failing.push((format!("{namespace}/{name}"), authority.is_some()));
            }
            if let Some(authority) = authority {
                good.insert(key, Arc::clone(authority));
            }
        }
        self.0 = good;
        failing.sort();
        failing.dedup();
        failing
    }
}
