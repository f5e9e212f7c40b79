//! Whether a Secret can serve as a certificate, or as the authority of certificates of clients. No bytes of it get into a message.

use super::report::Flaw;
use crate::control::objects::is_content_left_out;
use crate::error::Advice;
use crate::model::{Severity, Why};
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::Authority;
use crate::pki::endpoint_tls::Authorities;
use k8s_openapi::api::core::v1::Secret;

/// Type of a Secret that holds a certificate and its key.
const TLS_TYPE: &str = "kubernetes.io/tls";

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The key for the CAs of clients or pods, as cert-manager names it.
const AUTHORITIES: &str = "ca.crt";

/// Reads the Secret that `spec.tls[].secretName` names.
pub(super) fn read(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
) -> Result<Certificate, Flaw> {
    let create = format!("tls {name} -n {namespace} --cert=tls.crt --key=tls.key");
    let secret = present(namespace, name, secret, &create)?;
    if is_content_left_out(secret) {
        return Err(left_out(name));
    }
    check(secret).map_err(|flaw| of_secret(name, flaw))
}

/// Reads the Secret that names the authority of certificates of clients: PEM under `ca.crt`.
pub(super) fn read_authority(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
) -> Result<Authority, Flaw> {
    let create = format!("generic {name} -n {namespace} --from-file={AUTHORITIES}=ca.pem");
    let secret = present(namespace, name, secret, &create)?;
    let flaw = |field, reason: &str, fix: &str| {
        Flaw::error(
            Why::SecretUnusable,
            field,
            format!("{reason}: no certificate is accepted"),
            fix,
        )
    };
    let fix = format!("put the CA into it, as PEM under {AUTHORITIES}");
    // The last-good state leaves the authority in a Secret, if it has one.
    if value(secret, AUTHORITIES).is_none() && is_content_left_out(secret) {
        return Err(left_out(name));
    }
    let checked = check_type(secret, &fix).and_then(|()| {
        let text =
            value(secret, AUTHORITIES).ok_or_else(|| flaw("data[ca.crt]", "is missing", &fix))?;
        Authority::from_pem(text).map_err(|error| {
            let (reason, fix) = (error.reason(), error.fix());
            flaw("data[ca.crt]", reason, fix)
        })
    });
    checked.map_err(|flaw| of_secret(name, flaw))
}

fn unusable(reason: String, fix: String) -> Flaw {
    Flaw::error(Why::SecretUnusable, "", reason, fix)
}

fn present<'s>(
    namespace: &str,
    name: &str,
    secret: Option<&'s Secret>,
    create: &str,
) -> Result<&'s Secret, Flaw> {
    secret.ok_or_else(|| {
        let reason = format!("there is no Secret \"{name}\" in namespace {namespace}");
        unusable(reason, format!("kubectl create secret {create}"))
    })
}

/// The problem, in an object that names the Secret.
fn of_secret(name: &str, flaw: Flaw) -> Flaw {
    let reason = match flaw.field {
        "" => format!("Secret \"{name}\" {}", flaw.reason),
        field => format!("{field} of Secret \"{name}\" {}", flaw.reason),
    };
    unusable(reason, flaw.fix)
}

/// Reads the CAs in a Secret, for the certificates of pods.
pub(super) fn authorities(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
) -> Result<Authorities, Flaw> {
    let fix = format!("create one with the CAs in PEM under the key {AUTHORITIES}");
    let flaw = |reason: String| Flaw::error(Why::SecretUnusable, "", reason, fix.clone());
    let Some(secret) = secret else {
        let reason = format!("there is no Secret \"{name}\" in namespace {namespace}");
        return Err(flaw(reason));
    };
    check_type(secret, &fix).map_err(|flaw| of_secret(name, flaw))?;
    let pem = value(secret, AUTHORITIES).ok_or_else(|| {
        if is_content_left_out(secret) {
            return left_out(name);
        }
        flaw(format!("Secret \"{name}\" has no {AUTHORITIES}"))
    })?;
    Authorities::from_pem(pem)
        .map_err(|what| flaw(format!("data[{AUTHORITIES}] of Secret \"{name}\" {what}")))
}

fn left_out(name: &str) -> Flaw {
    let reason = format!("the content of Secret \"{name}\" is not in the last-good state");
    let fix = "it is read when the API server is back; with state.certificates = true it is stored from then on";
    Flaw::error(Why::SecretUnusable, "", reason, fix).with(Severity::Warning)
}

/// Checks a Secret that says of itself that it is for TLS; any other may hold what it likes.
pub(super) fn check_own_type(secret: &Secret) -> Result<(), Flaw> {
    if secret.type_.as_deref() == Some(TLS_TYPE) { check(secret).map(drop) } else { Ok(()) }
}

fn check(secret: &Secret) -> Result<Certificate, Flaw> {
    let fix = format!("make it a Secret of type {TLS_TYPE} with PEM in {CERTIFICATE} and {KEY}");
    let flaw = |field, reason: &str| Flaw::error(Why::SecretUnusable, field, reason, fix.clone());
    check_type(secret, &fix)?;
    let certificate =
        value(secret, CERTIFICATE).ok_or_else(|| flaw("data[tls.crt]", "is missing"))?;
    let key = value(secret, KEY).ok_or_else(|| flaw("data[tls.key]", "is missing"))?;
    if !contains(certificate, b"-----BEGIN CERTIFICATE-----") {
        return Err(flaw("data[tls.crt]", "is not a PEM certificate"));
    }
    // PKCS #8, PKCS #1 and SEC 1 keys differ in the word before it (RFC 7468 section 10).
    if !contains(key, b"-----BEGIN ") || !contains(key, b"PRIVATE KEY-----") {
        return Err(flaw("data[tls.key]", "is not a PEM private key"));
    }
    Certificate::from_pem(certificate, key).map_err(|error| {
        let field = if error.is_of_key() { "data[tls.key]" } else { "data[tls.crt]" };
        let (reason, fix) = (error.reason(), error.fix());
        Flaw::error(Why::SecretUnusable, field, reason, fix)
    })
}

/// Checks that the Secret is not for something else.
fn check_type(secret: &Secret, fix: &str) -> Result<(), Flaw> {
    match secret.type_.as_deref() {
        None | Some("" | "Opaque" | TLS_TYPE) => Ok(()),
        Some(other) => Err(Flaw::error(Why::SecretUnusable, "type", format!("is {other:?}"), fix)),
    }
}

/// A value of the Secret. `stringData` overwrites `data` (core/v1 Secret), and only a manifest
/// that has not been applied yet has it.
fn value<'s>(secret: &'s Secret, key: &str) -> Option<&'s [u8]> {
    let text = secret.string_data.as_ref().and_then(|data| data.get(key)).map(String::as_bytes);
    let bytes = || secret.data.as_ref().and_then(|data| data.get(key)).map(|value| &*value.0);
    text.or_else(bytes)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
