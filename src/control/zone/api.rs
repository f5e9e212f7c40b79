//! GETs of Cloudflare's API with a token, one after another, within bounds.

use super::error::ZoneReadError;
use super::token::Token;
use crate::control::cloudflare::fetch::{FetchError, Origin};
use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The base of the public API.
pub const PUBLIC_API: &str = "https://api.cloudflare.com/client/v4";

/// Largest answer, in bytes: a page of 1000 records has about 0.5 MB.
const MOST_BYTES: usize = 4 << 20;
/// Most pages of a list.
const MOST_PAGES: u32 = 100;
/// Most requests of a run. The API blocks a user for five minutes after 1200 in five minutes ("Rate limits").
const MOST_REQUESTS: u32 = 1000;
/// Longest wait that `Retry-After` may ask for. Beyond it the run ends and tells when to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Most waits of a run.
const MOST_WAITS: u32 = 3;

/// Why no request can be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneApiError {
    /// Not a URL that a token may be sent to.
    #[error("--cloudflare-api must be a URL with https and a host, such as {PUBLIC_API}")]
    Url,
    /// No runtime.
    #[error("cannot start: {0}")]
    Runtime(String),
}

/// A client of the API.
pub struct ZoneApi {
    runtime: Runtime,
    base: Uri,
    /// The path of the base, without a slash at its end.
    prefix: String,
    ca_file: Option<PathBuf>,
    token: Token,
    sent: u32,
    waits: u32,
    /// Why nothing is sent any more.
    stopped: Option<ZoneReadError>,
}

/// The envelope of every answer. Unknown fields are ignored.
#[derive(Deserialize)]
struct Envelope<T> {
    success: bool,
    result: Option<T>,
    result_info: Option<ResultInfo>,
}

#[derive(Deserialize)]
struct ResultInfo {
    per_page: Option<usize>,
    total_pages: Option<u32>,
}

impl ZoneApi {
    /// Prepares requests. `ca_file`: the only CAs to trust; the public CAs if absent.
    ///
    /// # Errors
    /// If `base` is not a URL with https.
    pub fn new(base: &str, ca_file: Option<PathBuf>, token: Token) -> Result<Self, ZoneApiError> {
        let base: Uri = base.parse().map_err(|_| ZoneApiError::Url)?;
        if base.scheme() != Some(&Scheme::HTTPS) || base.host().is_none() || base.query().is_some()
        {
            return Err(ZoneApiError::Url);
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ZoneApiError::Runtime(error.to_string()))?;
        let prefix = base.path().trim_end_matches('/').to_owned();
        Ok(Self { runtime, base, prefix, ca_file, token, sent: 0, waits: 0, stopped: None })
    }

    /// One object.
    pub(super) fn one<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ZoneReadError> {
        let envelope: Envelope<T> = self.envelope(path)?;
        envelope.result.ok_or(ZoneReadError::NoResult)
    }

    /// A list, page by page.
    pub(super) fn all<T: DeserializeOwned>(
        &mut self,
        path: &str,
        per_page: usize,
    ) -> Result<Vec<T>, ZoneReadError> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = format!("{path}{sign}page={page}&per_page={per_page}");
            let envelope: Envelope<Vec<T>> = self.envelope(&path)?;
            let items = envelope.result.ok_or(ZoneReadError::NoResult)?;
            let (count, info) = (items.len(), envelope.result_info);
            all.extend(items);
            let full = info.as_ref().and_then(|info| info.per_page).unwrap_or(per_page);
            let is_last = match info.and_then(|info| info.total_pages) {
                Some(pages) => page >= pages,
                None => count < full.min(per_page),
            };
            if is_last || count == 0 {
                return Ok(all);
            }
        }
        Err(ZoneReadError::TooManyPages(MOST_PAGES))
    }

    fn envelope<T: DeserializeOwned>(&mut self, path: &str) -> Result<Envelope<T>, ZoneReadError> {
        let body = self.get(path)?;
        let envelope: Envelope<T> =
            serde_json::from_slice(&body).map_err(|error| ZoneReadError::Json(error.line()))?;
        if envelope.success { Ok(envelope) } else { Err(ZoneReadError::NoResult) }
    }

    fn get(&mut self, path: &str) -> Result<Vec<u8>, ZoneReadError> {
        let result = self.stopped.clone().map_or_else(|| self.send(path), Err);
        if let Err(error) = &result
            && error.is_final()
        {
            self.stopped = Some(error.clone());
        }
        result
    }

    /// Sends it, again after a 429 with a wait that is short enough.
    fn send(&mut self, path: &str) -> Result<Vec<u8>, ZoneReadError> {
        loop {
            if self.sent == MOST_REQUESTS {
                return Err(ZoneReadError::TooManyRequests(MOST_REQUESTS));
            }
            self.sent += 1;
            let target = format!("{}{path}", self.prefix);
            let origin = Origin::at(&self.base, target, self.ca_file.clone(), "--cloudflare-ca")
                .up_to(MOST_BYTES)
                .with_secret("authorization", self.token.field());
            match self.runtime.block_on(origin.get()) {
                Ok(body) => return Ok(body),
                Err(FetchError::Limited(Some(after)))
                    if after <= LONGEST_WAIT && self.waits < MOST_WAITS =>
                {
                    self.waits += 1;
                    self.runtime.block_on(async { tokio::time::sleep(after).await });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl fmt::Debug for ZoneApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneApi").field("base", &self.base).finish_non_exhaustive()
    }
}
