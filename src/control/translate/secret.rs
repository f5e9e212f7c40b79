//! Whether a Secret can serve as a certificate, or as the authority of certificates of clients. No bytes of it get into a message.

use super::report::Problem;
use crate::control::objects::is_content_left_out;
use crate::error::Advice;
use crate::model::{Severity, Why};
use crate::pki::ca_bundle::CaBundle;
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::Authority;
use k8s_openapi::api::core::v1::Secret;

/// Type of a Secret that holds a certificate and its key.
const TLS_TYPE: &str = "kubernetes.io/tls";

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The key for the CAs of clients or pods, as cert-manager names it.
const CAS: &str = "ca.crt";

/// Where Traefik looks first.
const TRAEFIKS_CAS: &str = "tls.ca";

/// Reads the Secret that `spec.tls[].secretName` names.
pub(super) fn read(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
) -> Result<Certificate, Problem> {
    let create = format!(
        "tls {name} -n {namespace} --cert=tls.crt --key=tls.key; a Secret of another namespace cannot be named"
    );
    let secret = present(namespace, name, secret, &create)?;
    if is_content_left_out(secret) {
        return Err(left_out(name));
    }
    check(secret).map_err(|problem| of_secret(name, problem))
}

/// Reads the Secret that names the authority of certificates of clients.
pub(super) fn read_authority(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
) -> Result<Authority, Problem> {
    read_cas(namespace, name, secret, Authority::from_pem, ": no certificate is accepted")
}

/// Reads the CAs in a Secret, for the certificates of pods.
pub(super) fn read_ca_bundle(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
) -> Result<CaBundle, Problem> {
    read_cas(namespace, name, secret, CaBundle::from_pem, "")
}

/// Parses the PEM under `ca.crt`. `consequence` ends the reason if it is missing or cannot be parsed.
fn read_cas<T, E: Advice>(
    namespace: &str,
    name: &str,
    secret: Option<&Secret>,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
    consequence: &str,
) -> Result<T, Problem> {
    let create = format!("generic {name} -n {namespace} --from-file={CAS}=ca.pem");
    let secret = present(namespace, name, secret, &create)?;
    // The last-good state leaves the CAs in a Secret, if it has them.
    if is_content_left_out(secret) && value(secret, CAS).is_none() {
        return Err(left_out(name));
    }
    let problem = |reason: &str, fix: &str| {
        let reason = format!("{reason}{consequence}");
        Problem::error(Why::SecretUnusable, "data[ca.crt]", reason, fix)
    };
    let fix = format!("put the CA into it, as PEM under {CAS}");
    let parsed = check_type(secret, &fix).and_then(|()| {
        let pem = value(secret, CAS).or_else(|| value(secret, TRAEFIKS_CAS));
        let pem = pem.ok_or_else(|| problem("is missing", &fix))?;
        parse(pem).map_err(|error| problem(error.reason(), error.fix()))
    });
    parsed.map_err(|problem| of_secret(name, problem))
}

fn unusable(reason: String, fix: String) -> Problem {
    Problem::error(Why::SecretUnusable, "", reason, fix)
}

fn present<'s>(
    namespace: &str,
    name: &str,
    secret: Option<&'s Secret>,
    create: &str,
) -> Result<&'s Secret, Problem> {
    secret.ok_or_else(|| {
        let reason = format!("there is no Secret \"{name}\" in namespace {namespace}");
        unusable(reason, format!("kubectl create secret {create}"))
    })
}

/// The problem, in an object that names the Secret.
fn of_secret(name: &str, problem: Problem) -> Problem {
    let reason = match problem.field {
        "" => format!("Secret \"{name}\" {}", problem.reason),
        field => format!("{field} of Secret \"{name}\" {}", problem.reason),
    };
    unusable(reason, problem.fix)
}

fn left_out(name: &str) -> Problem {
    let reason = format!("the content of Secret \"{name}\" is not in the last-good state");
    let fix = "it is read when the API server is back; with state.certificates = true it is stored from then on";
    Problem::error(Why::SecretUnusable, "", reason, fix).with(Severity::Warning)
}

/// Checks a Secret that says of itself that it is for TLS; any other may hold what it likes.
pub(super) fn check_own_type(secret: &Secret) -> Result<(), Problem> {
    if secret.type_.as_deref() == Some(TLS_TYPE) { check(secret).map(drop) } else { Ok(()) }
}

fn check(secret: &Secret) -> Result<Certificate, Problem> {
    let fix = format!("make it a Secret of type {TLS_TYPE} with PEM in {CERTIFICATE} and {KEY}");
    let problem =
        |field, reason: &str| Problem::error(Why::SecretUnusable, field, reason, fix.clone());
    check_type(secret, &fix)?;
    let certificate =
        value(secret, CERTIFICATE).ok_or_else(|| problem("data[tls.crt]", "is missing"))?;
    let key = value(secret, KEY).ok_or_else(|| problem("data[tls.key]", "is missing"))?;
    if !contains(certificate, b"-----BEGIN CERTIFICATE-----") {
        return Err(problem("data[tls.crt]", "is not a PEM certificate"));
    }
    // PKCS #8, PKCS #1 and SEC 1 keys differ in the word before it (RFC 7468 section 10).
    if !contains(key, b"-----BEGIN ") || !contains(key, b"PRIVATE KEY-----") {
        return Err(problem("data[tls.key]", "is not a PEM private key"));
    }
    Certificate::from_pem(certificate, key).map_err(|error| {
        let field = if error.is_of_key() { "data[tls.key]" } else { "data[tls.crt]" };
        let (reason, fix) = (error.reason(), error.fix());
        Problem::error(Why::SecretUnusable, field, reason, fix)
    })
}

/// Checks that the Secret is not for something else.
fn check_type(secret: &Secret, fix: &str) -> Result<(), Problem> {
    match secret.type_.as_deref() {
        None | Some("" | "Opaque" | TLS_TYPE) => Ok(()),
        Some(other) => {
            Err(Problem::error(Why::SecretUnusable, "type", format!("is {other:?}"), fix))
        }
    }
}

/// A value of the Secret. `stringData` overwrites `data` (core/v1 Secret), and only a manifest
/// that has not been applied yet has it.
pub(super) fn value<'s>(secret: &'s Secret, key: &str) -> Option<&'s [u8]> {
    let text = secret.string_data.as_ref().and_then(|data| data.get(key)).map(String::as_bytes);
    let bytes = || secret.data.as_ref().and_then(|data| data.get(key)).map(|value| &*value.0);
    text.or_else(bytes)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
