//! The certificates in files, the CAs for client certificates, and the secret of tickets: read at
//! the start, and followed.
//!
//! A thread of its own checks them every few seconds. An unusable file leaves the last good
//! certificate in force; it is told at the second look, because a pair of files is not replaced in
//! one step.

use super::TlsFileError;
use super::cert_store::CertStore;
use super::client_authorities::Group;
use super::self_check::{Origins, SelfCheck, of_secret};
use super::ticket_file::TicketFile;
use crate::config::{CertificateFiles, Config};
use crate::config::{FileIdentity, Followed};
use crate::model::TlsSecret;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::pki::certificate::{Authorities, Certificate, CertificateError, LoadError};
use crate::routing::TableHandle;
use crate::telemetry::CertificateMetrics;
use crate::tls::{Policies, TicketKeys};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often the files are looked at. Two `stat` calls each: cheap enough to do without inotify,
/// which network file systems do not have.
const LOOK: Duration = Duration::from_secs(2);

/// The CAs that Cloudflare trusts under Full (strict): reads the trust store.
///
/// # Errors
/// `cloudflare.trust_store_file` cannot be used.
pub fn authorities(config: &Config) -> Result<Authorities, TlsFileError> {
    let mut authorities = Authorities::of_cloudflare();
    if let Some(path) = &config.cloudflare.trust_store {
        let failed = |problem| TlsFileError::TrustStore { path: path.clone(), problem };
        authorities.load_trust_store(path).map_err(failed)?;
    }
    Ok(authorities)
}

/// Reads a pair of files. One without a DNS name can only be the default.
pub fn certificate(files: &CertificateFiles) -> Result<Certificate, LoadError> {
    let certificate = Certificate::load(&files.cert_file, &files.key_file)?;
    if certificate.names().is_empty() && !files.default {
        let path = files.cert_file.clone();
        return Err(LoadError::Content { path, error: CertificateError::NoName });
    }
    Ok(certificate)
}

/// Seconds since the Unix epoch.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// The problem with the dates of a certificate now, if there is one. It is presented anyway:
/// only the client can say whether it minds.
pub fn dates(certificate: &Certificate) -> Option<String> {
    let now = now();
    if now > certificate.not_after() {
        return Some(format!("expired at {}", time(certificate.not_after())));
    }
    let early = now < certificate.not_before();
    early.then(|| format!("not valid before {}", time(certificate.not_before())))
}

/// Seconds since the Unix epoch as text, or as they are, where no calendar has them.
pub fn time(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(stamp) => stamp.to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}

/// Follows the certificate files as long as the process runs.
pub struct TlsFiles {
    pairs: Vec<Pair>,
    groups: Vec<Group>,
    tickets: Option<TicketFile>,
    keys: Arc<TicketKeys>,
    shown: Arc<CertStore>,
    metrics: Arc<CertificateMetrics>,
    /// The CAs that Cloudflare trusts.
    authorities: Arc<Authorities>,
    /// Whether Cloudflare has anything to judge.
    has_https: bool,
}

struct Pair {
    files: CertificateFiles,
    followed: Followed<[FileIdentity; 2]>,
    good: Arc<Certificate>,
}

impl TlsFiles {
    /// Reads the files and puts them in force in a new [`crate::tls::SnapshotCell`].
    ///
    /// # Errors
    /// Any file that cannot be used, the trust store's too: a process that starts is better not
    /// started with it.
    pub fn new(
        config: &Config,
        metrics: &Arc<CertificateMetrics>,
        keys: Arc<TicketKeys>,
    ) -> Result<Self, TlsFileError> {
        let has_tls = config.has_tls();
        let pairs = config.certificates.iter().filter(|_| has_tls).map(|files| {
            let followed = Followed::new(stamps(files));
            let good = Arc::new(certificate(files)?);
            tell(&files.cert_file, &good);
            Ok(Pair { files: files.clone(), followed, good })
        });
        let pairs = pairs.collect::<Result<_, LoadError>>()?;
        let groups = config.client_certificates.iter().map(Group::read);
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        groups.iter().for_each(Group::tell);
        let tickets = TicketFile::read(config, &keys)?;
        let policies = Policies::sealing(Arc::clone(&keys)).map_err(std::io::Error::other)?;
        let shown = Arc::new(CertStore::new(has_tls, policies, metrics));
        let authorities = Arc::new(authorities(config)?);
        let metrics = Arc::clone(metrics);
        let has_https = config.has_https();
        let this = Self { pairs, groups, tickets, keys, shown, metrics, authorities, has_https };
        this.publish();
        this.note();
        Ok(this)
    }

    /// Whether there is something to check: a file, or, with a TLS listener, the verdicts on certificates,
    /// which may all come from Secrets.
    pub fn has_work(&self) -> bool {
        self.shown.has_tls() || self.groups.iter().any(|group| group.file().is_some())
    }

    /// The store in force.
    pub fn shown(&self) -> Arc<CertStore> {
        Arc::clone(&self.shown)
    }

    /// Checks the files, and Cloudflare's verdict on the certificates, until the process
    /// leaves.
    pub async fn run(mut self, tables: TableHandle, mut shutdown: ShutdownSignal) {
        let authorities = Arc::clone(&self.authorities);
        let mut strict = SelfCheck::new(tables, self.shown.store(), authorities, &self.metrics);
        loop {
            if self.has_https {
                strict.look(|| self.sources(), now());
            }
            tokio::select! {
                biased;
                () = shutdown.reached(Stage::Draining) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            // Each of them, and not only to the first that has changed.
            let pairs = self.pairs.iter_mut().filter_map(|pair| pair.look().then_some(()));
            let groups = self.groups.iter_mut().filter_map(|group| group.look().then_some(()));
            if pairs.count() + groups.count() > 0 {
                self.publish();
            }
            if let Some(tickets) = &mut self.tickets {
                tickets.look(&self.keys);
            }
            self.note();
        }
    }

    fn publish(&self) {
        let pairs = self.pairs.iter();
        let files = pairs.map(|pair| (Arc::clone(&pair.good), pair.files.default));
        let demands = self.groups.iter().flat_map(Group::demands);
        self.shown.set_files(files.collect(), demands.collect());
    }

    /// The Secrets, and where each certificate is from.
    fn sources(&self) -> (Vec<TlsSecret>, Origins) {
        let secrets = self.shown.secrets();
        let files = self.pairs.iter().map(|pair| {
            (Arc::clone(&pair.good), pair.files.cert_file.to_string_lossy().into_owned())
        });
        let of_secrets = secrets.iter().filter_map(|secret| {
            Some((Arc::clone(secret.certificate.as_ref()?), of_secret(secret)))
        });
        let origins = files.chain(of_secrets).collect();
        (secrets, origins)
    }

    fn note(&self) {
        let files = self.pairs.iter().map(|pair| {
            (Arc::from(pair.files.cert_file.to_string_lossy()), pair.followed.is_failing())
        });
        let files = files.chain(self.groups.iter().filter_map(Group::file));
        let files = files.chain(self.tickets.iter().map(TicketFile::status)).collect();
        self.metrics.update(|cells| cells.files = files);
    }
}

impl Pair {
    /// Checks the files; returns whether a certificate changed.
    fn look(&mut self) -> bool {
        if !self.followed.is_due(stamps(&self.files)) {
            return false;
        }
        let path = &self.files.cert_file;
        match certificate(&self.files) {
            Ok(read) => {
                if self.followed.succeed() {
                    tracing::info!(?path, "the certificate can be used again");
                }
                let changed = !read.is_same(&self.good);
                if changed {
                    tracing::info!(?path, until = time(read.not_after()), "certificate changed");
                    tell(path, &read);
                    self.good = Arc::new(read);
                }
                changed
            }
            Err(error) => {
                let error = error.to_string();
                if self.followed.fail(&error) {
                    let until = time(self.good.not_after());
                    tracing::error!(error, until, "the last good certificate is presented");
                }
                false
            }
        }
    }
}

/// Warns of dates that are none of today's.
fn tell(path: &Path, certificate: &Certificate) {
    if let Some(problem) = dates(certificate) {
        tracing::warn!(?path, problem, "certificate; presented anyway");
    }
}

fn stamps(files: &CertificateFiles) -> Option<[FileIdentity; 2]> {
    Some([FileIdentity::of(&files.cert_file)?, FileIdentity::of(&files.key_file)?])
}
