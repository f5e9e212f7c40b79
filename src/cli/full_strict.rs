//! What Cloudflare says of each host under Full (strict), as lines for people and for programs.

use crate::pki::full_strict::Verdict;
use crate::tls::store::Judged;
use crate::tls::store::time;
use serde::Serialize;

/// A host that is served with TLS.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    host: String,
    /// The object that serves it.
    object: String,
    /// Where its certificate is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// From a closed set.
    verdict: &'static str,
    /// The CA that Cloudflare trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    /// Cloudflare's response to visitors instead of the site: 525 or 526.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    fix: &'static str,
    /// As a sentence without the host.
    #[serde(skip)]
    sentence: String,
}

impl From<Judged> for Row {
    fn from(judged: Judged) -> Self {
        let Judged { host, object, certificate, judgement } = judged;
        Self {
            host: host.to_string(),
            object,
            certificate,
            verdict: judgement.verdict.label(),
            authority: judgement.authority.map(|authority| authority.as_str()),
            until: judgement.until.map(time),
            days_left: judgement.days_left,
            status: judgement.verdict.status(),
            sentence: judgement.text(),
            reason: judgement.reason,
            fix: judgement.fix,
        }
    }
}

impl Row {
    /// Whether it needs action.
    pub(super) fn is_warning(&self) -> bool {
        !self.fix.is_empty()
    }

    /// `Secret namespace/name`, or what else serves it.
    pub(super) fn object(&self) -> &str {
        &self.object
    }

    /// The host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// What visitors get from Cloudflare instead of the site.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether any certificate is presented for it.
    pub(super) fn has_certificate(&self) -> bool {
        self.verdict != Verdict::NoCertificate.label()
    }

    /// The verdict in words, without the fix.
    pub(super) fn words(&self) -> &str {
        let fix = format!("; {}", self.fix);
        self.sentence.strip_suffix(&fix).unwrap_or(&self.sentence)
    }

    /// What to do; empty if nothing.
    pub(super) fn fix(&self) -> &'static str {
        self.fix
    }

    /// As a line.
    pub(super) fn text(&self) -> String {
        let warning = if self.is_warning() { "warning: " } else { "" };
        let Self { host, object, sentence, .. } = self;
        let certificate = self.certificate.as_ref().map(|from| format!(", {from}"));
        let certificate = certificate.unwrap_or_default();
        format!("{warning}full (strict) {host}: {sentence} ({object}{certificate})\n")
    }
}
