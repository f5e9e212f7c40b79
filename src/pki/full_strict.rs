//! What Cloudflare says of a certificate under Full (strict): nothing, or 525 or 526 to visitors.
//!
//! Its rules (documentation, "Full (strict)"): `notBefore < now < notAfter`; issued by a public
//! authority or by Cloudflare Origin CA; a subjectAltName or common name that matches the host. The
//! judgement is pure: a host, a certificate, the proof of its chain, and a time.

use super::certificate::{CaKind, Certificate, Proof};
use crate::error::labels;
use crate::net::host::HostPattern;
use rustls::SignatureScheme;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

const DAY: i64 = 24 * 60 * 60;

/// With fewer days left, and less than [`SOON_SHARE`] of its life, somebody should have renewed it:
/// cert-manager and certbot do with a third of the life left.
const SOON: i64 = 14 * DAY;
/// The share of a certificate's life, as one part of so many: certificates of six days are renewed
/// with two left.
const SOON_SHARE: i64 = 4;

/// The signatures that Cloudflare checks in a handshake: those of BoringSSL, which has neither
/// Ed25519 nor ECDSA on P-521 among its defaults. Its documentation speaks of RSA and ECDSA only
/// ("Cipher suites", origin).
const SCHEMES: [SignatureScheme; 8] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA512,
];

labels! { fn label;
    /// The verdict of Full (strict) on a host's certificate.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Verdict {
        /// It accepts it.
        Ok = "ok",
        /// It accepts it, and not for much longer.
        ExpiresSoon = "expires_soon",
        /// The host has no certificate.
        NoCertificate = "no_certificate",
        /// The key is of a kind that Cloudflare does not offer to check.
        KeyUnsupported = "key_unsupported",
        /// The certificate has signed itself.
        SelfSigned = "self_signed",
        /// Neither a public authority nor Origin CA has issued it.
        UnknownIssuer = "unknown_issuer",
        /// An intermediate certificate is missing.
        IncompleteChain = "incomplete_chain",
        /// It is not for servers.
        NotForServers = "not_for_servers",
        /// A signature of its chain uses an obsolete algorithm.
        WeakSignature = "weak_signature",
        /// It, or an intermediate certificate, has expired.
        Expired = "expired",
        /// It is for later.
        NotYetValid = "not_yet_valid",
        /// It does not name the host.
        NameMismatch = "name_mismatch",
    }
}

impl Verdict {
    /// What visitors get from Cloudflare: 525 where the handshake fails, 526 where the certificate
    /// is not trusted; `None` if all is well.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Ok | Self::ExpiresSoon => None,
            Self::NoCertificate | Self::KeyUnsupported => Some(525),
            _ => Some(526),
        }
    }
}

/// A verdict, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The CA that Cloudflare trusts, if it trusts one.
    pub authority: Option<CaKind>,
    /// Until when the certificate is valid, in seconds since the Unix epoch; `None` without one.
    pub until: Option<i64>,
    /// Whole days until then; less than zero when it is past.
    pub days_left: Option<i64>,
    /// The reason, as text without the host; empty if the certificate is accepted.
    pub reason: String,
    /// The fix; empty if all is well.
    pub fix: &'static str,
    /// When time alone may change the verdict next, in seconds since the Unix epoch.
    pub changes_at: Option<i64>,
}

impl Judgement {
    /// The verdict of a host without a certificate.
    pub fn of_nothing() -> Self {
        let fix = "name a Secret for it in spec.tls of an Ingress, or files in [[certificate]]";
        Self::refused(Verdict::NoCertificate, "it has no certificate".to_owned(), fix)
    }

    /// As a sentence without the host.
    pub fn text(&self) -> String {
        let by = self.authority.map_or("", CaKind::as_str);
        let days = self.days_left.unwrap_or_default();
        match self.verdict.status() {
            None if self.verdict == Verdict::Ok => {
                format!("ok, {days} days left, by {by}")
            }
            None => format!("{}, {days} days left, by {by}; {}", self.verdict.label(), self.fix),
            Some(status) => {
                format!("{status} {}: {}; {}", self.verdict.label(), self.reason, self.fix)
            }
        }
    }

    fn refused(verdict: Verdict, reason: String, fix: &'static str) -> Self {
        Self {
            verdict,
            authority: None,
            until: None,
            days_left: None,
            reason,
            fix,
            changes_at: None,
        }
    }
}

/// Whether Cloudflare can check the signatures of the certificate's key.
pub fn is_key_supported(certificate: &Certificate) -> bool {
    certificate.key().key.choose_scheme(&SCHEMES).is_some()
}

/// Cloudflare's verdict on a certificate that is presented for a host; `proof` is that of its chain, and
/// `now` in seconds since the Unix epoch. For a wildcard: for the names that it stands for.
pub fn judge(host: &HostPattern, certificate: &Certificate, proof: &Proof, now: i64) -> Judgement {
    let (begin, end) = (certificate.not_before(), certificate.not_after());
    let soon = end.saturating_sub(SOON.min(end.saturating_sub(begin) / SOON_SHARE));
    let verdict = refusal(host, certificate, proof, now);
    let mut judgement = verdict.unwrap_or_else(|| {
        let mut accepted = Judgement::refused(Verdict::Ok, String::new(), "");
        if now >= soon {
            let fix = "renew it, or find out why it was not renewed";
            accepted = Judgement::refused(Verdict::ExpiresSoon, "it expires soon".to_owned(), fix);
        }
        if let Proof::Trusted(authority) = proof {
            accepted.authority = Some(*authority);
        }
        accepted
    });
    judgement.until = Some(end);
    judgement.days_left = Some(end.saturating_sub(now).div_euclid(DAY));
    let moments = [begin.saturating_add(1), soon, end];
    judgement.changes_at = moments.into_iter().filter(|moment| *moment > now).min();
    judgement
}

/// Why Cloudflare refuses it, if it does. A fix for several faults comes first.
fn refusal(
    host: &HostPattern,
    certificate: &Certificate,
    proof: &Proof,
    now: i64,
) -> Option<Judgement> {
    let refused = Judgement::refused;
    if !is_key_supported(certificate) {
        let reason = "its key type is not one that Cloudflare verifies".to_owned();
        let fix = "use an ECDSA key on P-256 or P-384, or an RSA key";
        return Some(refused(Verdict::KeyUnsupported, reason, fix));
    }
    if let Some(refusal) = distrust(proof) {
        return Some(refusal);
    }
    if now >= certificate.not_after() {
        return Some(refused(Verdict::Expired, "it has expired".to_owned(), "renew it"));
    }
    if now <= certificate.not_before() {
        let reason = "it is not valid yet".to_owned();
        return Some(refused(
            Verdict::NotYetValid,
            reason,
            "wait, or correct the clock of its issuer",
        ));
    }
    (!names(host, certificate)).then(|| {
        let fix = "use one for this name (subjectAltName); a wildcard covers one label";
        refused(Verdict::NameMismatch, "it is not valid for this name".to_owned(), fix)
    })
}

/// Why Cloudflare does not trust the chain.
fn distrust(proof: &Proof) -> Option<Judgement> {
    let origin_ca = "use one of Cloudflare Origin CA or of a public CA";
    let (verdict, reason, fix) = match proof {
        Proof::Trusted(_) => return None,
        Proof::SelfSigned => (Verdict::SelfSigned, "it is self-signed".to_owned(), origin_ca),
        Proof::Incomplete { issuer } => (
            Verdict::IncompleteChain,
            format!("its issuer, {issuer}, is neither in the chain nor a known CA"),
            "put the intermediate certificates after it; for a CA of your own, see cloudflare.trust_store_file",
        ),
        Proof::UnknownIssuer { issuer } => (
            Verdict::UnknownIssuer,
            format!("its chain ends at {issuer}, which is not a CA that Cloudflare trusts"),
            "use one of Cloudflare Origin CA or of a public CA; for a CA of your own, see \
                cloudflare.trust_store_file",
        ),
        Proof::Forged { issuer } => (
            Verdict::UnknownIssuer,
            format!("a signature in its chain does not match the issuer, {issuer}"),
            origin_ca,
        ),
        Proof::IntermediateDates => (
            Verdict::Expired,
            "an intermediate certificate of its chain is expired or not yet valid".to_owned(),
            "use the current intermediate certificates of its CA",
        ),
        Proof::NotForServers => (
            Verdict::NotForServers,
            "it is not a server certificate".to_owned(),
            "use one with serverAuth in its extended key usage that is not a CA (CA:FALSE)",
        ),
        Proof::WeakSignature => (
            Verdict::WeakSignature,
            "its chain has a signature with an obsolete algorithm, such as SHA-1".to_owned(),
            origin_ca,
        ),
    };
    Some(Judgement::refused(verdict, reason, fix))
}

/// Whether it names the host; the common name counts only where there is no subjectAltName (RFC
/// 6125 section 6.4.4).
fn names(host: &HostPattern, certificate: &Certificate) -> bool {
    if certificate.names().is_empty() {
        return common_name(certificate).is_some_and(|name| stands_for(&name, host));
    }
    certificate.names().iter().any(|name| stands_for(name, host))
}

fn stands_for(name: &HostPattern, host: &HostPattern) -> bool {
    match (name, host) {
        (HostPattern::Wildcard(suffix), HostPattern::Exact(host)) => {
            host.split_once('.').is_some_and(|(_, parent)| parent == &**suffix)
        }
        _ => name == host,
    }
}

fn common_name(certificate: &Certificate) -> Option<HostPattern> {
    let (_, read) = X509Certificate::from_der(certificate.key().cert.first()?).ok()?;
    let name = read.subject().iter_common_name().next()?.as_str().ok()?;
    HostPattern::parse(Some(name)).ok().filter(|pattern| *pattern != HostPattern::Any)
}
