//! What a request has to show of the way that it came: `ravelin.dev/secret-header`, `ravelin.dev/worker-zones` and
//! `ravelin.dev/max-cdn-passes`. And what pods are told of the certificate that proves it.
//!
//! They restrict: whatever is wrong with a value, an empty one too, leaves the routes with 503. They come before all
//! other steps of the Ingress, so that a stranger is neither redirected nor counted by a limit.

use super::references::split;
use super::{Draft, Maker};
use crate::control::quote::quote;
use crate::control::translate::middleware::secret_header;
use crate::model::middleware::{
    CertificateHeaders, ClientCertificateFields, PassRule, Step, WorkerRule, zone_name,
};
use serde_json::json;
use std::num::NonZeroU32;

/// The field.
pub(super) const HEADER: &str = "ravelin.dev/secret-header";
/// A Secret with its values, possibly of another namespace.
pub(super) const SECRET: &str = "ravelin.dev/secret-header-secret";
pub(super) const WORKERS: &str = "ravelin.dev/worker-zones";
pub(super) const PASSES: &str = "ravelin.dev/max-cdn-passes";
pub(super) const CLIENT_HEADERS: &str = "ravelin.dev/client-certificate-headers";

/// Most zones of one annotation.
const MOST_ZONES: usize = 64;

/// Most passes that may be written, as in the configuration.
const MOST_PASSES: u32 = 100;

/// Reads them. What is asked for first comes first.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    client_headers(maker);
    passes(maker);
    workers(maker);
    secret(maker);
}

fn secret(maker: &mut Maker<'_, '_>) {
    match (maker.present(HEADER), maker.present(SECRET)) {
        (None, None) => {}
        (Some(_), None) => {
            let fix = "name a Secret with the accepted values in ravelin.dev/secret-header-secret";
            maker.refuse(HEADER, "has no values to compare with", fix);
        }
        (None, Some(_)) => {
            let fix = "name the field in ravelin.dev/secret-header, such as X-Origin-Secret";
            maker.refuse(SECRET, "has no effect without ravelin.dev/secret-header", fix);
        }
        (Some(header), Some(secret)) => {
            let (namespace, name) = split(secret);
            let draft = Draft {
                reader: secret_header::read,
                spec: json!({"header": header, "secret": name}),
                annotation: HEADER,
                fields: &[("secret", SECRET)],
                namespace,
            };
            match maker.read(&draft) {
                Some((step, _)) => maker.push_first(HEADER, step),
                // Whatever was said of it.
                None => maker.resolved.is_broken = true,
            }
        }
    }
}

fn workers(maker: &mut Maker<'_, '_>) {
    const FIX: &str =
        "write zones with commas, such as \"example.com, example.workers.dev\", or none, or any";
    let Some(value) = maker.present(WORKERS) else { return };
    let names: Vec<&str> =
        value.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let zones = match names[..] {
        ["any"] => return,
        ["none"] => Vec::new(),
        [] => return maker.refuse(WORKERS, "names no zone", FIX),
        _ if names.len() > MOST_ZONES => {
            return maker.refuse(WORKERS, "has more than 64 zones", FIX);
        }
        _ => {
            // Either word means all of them, or none.
            let is_zone = |name: &&str| !["any", "none"].contains(name);
            let read: Result<Vec<_>, &str> = names
                .iter()
                .map(|name| zone_name(name).ok().filter(|_| is_zone(name)).ok_or(*name))
                .collect();
            match read {
                Ok(zones) => zones,
                Err(name) => {
                    let reason = format!("{} is not a zone", quote(name));
                    return maker.refuse(WORKERS, &reason, FIX);
                }
            }
        }
    };
    maker.push_first(WORKERS, Step::WorkerZones(Box::new(WorkerRule { zones, hosts: Vec::new() })));
}

fn passes(maker: &mut Maker<'_, '_>) {
    let Some(value) = maker.present(PASSES) else { return };
    let most = value.parse().ok().filter(|most| *most <= MOST_PASSES).and_then(NonZeroU32::new);
    match most {
        Some(most) => {
            let rule = PassRule { most, hosts: Vec::new() };
            maker.push_first(PASSES, Step::CdnPasses(Box::new(rule)));
        }
        None => {
            let reason = format!("{} is not a whole number from 1 to {MOST_PASSES}", quote(value));
            let fix = "write how often a request may have passed Cloudflare, such as \"1\"";
            maker.refuse(PASSES, &reason, fix);
        }
    }
}

fn client_headers(maker: &mut Maker<'_, '_>) {
    let Some(value) = maker.present(CLIENT_HEADERS) else { return };
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    match CertificateHeaders::parse(names) {
        Ok(standard) => {
            let fields = ClientCertificateFields { standard: Some(standard), ..Default::default() };
            maker.push_first(CLIENT_HEADERS, Step::ClientCertificate(Box::new(fields)));
        }
        Err(problem) => {
            let reason = format!("{} {problem}", quote(value));
            let fix = "write \"Client-Cert\", or \"Client-Cert, Client-Cert-Chain\"";
            maker.refuse(CLIENT_HEADERS, &reason, fix);
        }
    }
}
