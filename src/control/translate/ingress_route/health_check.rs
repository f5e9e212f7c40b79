//! `healthCheck` of a service: how its pods are checked.
//!
//! Traefik has it for Services of type ExternalName alone, and drops the routes of others; here the pods of any
//! Service are checked.

use crate::control::quote::quote;
use crate::control::translate::middleware::Fields;
use crate::model::{CheckKind, HealthCheck, PlainCheck};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// Traefik's defaults (`pkg/config/dynamic/http_config.go`, ServerHealthCheck).
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads it, if it is there.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Option<Arc<HealthCheck>> {
    fields.below("healthCheck", check).flatten().map(Arc::new)
}

fn check(fields: &mut Fields<'_, '_, '_>) -> Option<HealthCheck> {
    fields.know(&[
        "scheme",
        "mode",
        "path",
        "method",
        "status",
        "port",
        "interval",
        "unhealthyInterval",
        "timeout",
        "hostname",
        "followRedirects",
        "headers",
    ]);
    let kind = match fields.text("mode") {
        None | Some("" | "http") => CheckKind::Http,
        Some("grpc") => CheckKind::Grpc,
        Some(other) => {
            let reason = format!("{} is not a mode", quote(other));
            fields.refuse("mode", reason, "write http or grpc");
            CheckKind::Http
        }
    };
    let written = fields.text("path").filter(|path| !path.is_empty()).unwrap_or("/");
    let path = match written.strip_prefix('/') {
        Some(_) => written.to_owned(),
        None => format!("/{written}"),
    };
    let path = PathAndQuery::try_from(path).map_err(|_| "is not a path".to_owned());
    let path = fields.parse("path", written, path, "write one such as /healthz");
    let method = fields.text("method").filter(|method| !method.is_empty()).and_then(|text| {
        let method = Method::from_bytes(text.as_bytes()).map_err(|_| "is not a method".to_owned());
        fields.parse("method", text, method, "write GET or HEAD")
    });
    let interval = interval(fields, "interval").unwrap_or(INTERVAL);
    let timeout = fields.duration("timeout").filter(|timeout| !timeout.is_zero());
    let check = HealthCheck {
        kind,
        path: path?.as_str().into(),
        method: method.unwrap_or(Method::GET),
        host: host(fields),
        fields: headers(fields).into(),
        status: status(fields),
        port: port(fields),
        plain: plain(fields),
        follows: fields.flag_if_any("followRedirects").unwrap_or(true),
        interval,
        failing_interval: self::interval(fields, "unhealthyInterval").unwrap_or(interval),
        timeout: timeout.unwrap_or(TIMEOUT),
    };
    (!fields.is_broken()).then_some(check)
}

/// A time between checks; 0 is as good as none, as in Traefik.
fn interval(fields: &mut Fields<'_, '_, '_>, key: &str) -> Option<Duration> {
    let interval = fields.duration(key).filter(|interval| !interval.is_zero())?;
    if interval < HealthCheck::SHORTEST {
        let reason = "is less than a second, which is taken in its place";
        fields.warn(key, reason, "write 1s or more");
    }
    Some(interval.max(HealthCheck::SHORTEST))
}

fn host(fields: &mut Fields<'_, '_, '_>) -> Option<Arc<str>> {
    let text = fields.text("hostname").filter(|host| !host.is_empty())?;
    let is_host = Authority::try_from(text).is_ok_and(|host| !host.as_str().contains('@'));
    let host = is_host.then_some(text).ok_or_else(|| "is not a host".to_owned());
    fields.parse("hostname", text, host, "write a DNS name").map(Into::into)
}

fn headers(fields: &mut Fields<'_, '_, '_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in fields.pairs("headers") {
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value).ok());
        let parsed = parsed.ok_or_else(|| "is not a field with a value".to_owned());
        let read = fields.parse("headers", name, parsed, "write a name and its value");
        // Of the others Traefik sends none either.
        headers.extend(read.filter(|(name, _)| name != header::HOST && !is_framing(name)));
    }
    headers
}

/// Whether a field says how a message is framed.
fn is_framing(name: &HeaderName) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE]
        .contains(name)
}

fn status(fields: &mut Fields<'_, '_, '_>) -> Option<StatusCode> {
    let number = fields.number("status").filter(|number| *number != 0)?;
    let status = u16::try_from(number).ok().and_then(|code| StatusCode::from_u16(code).ok());
    if status.is_none() {
        fields.refuse("status", "is not a status", "write one such as 200");
    }
    status
}

fn port(fields: &mut Fields<'_, '_, '_>) -> Option<NonZeroU16> {
    let number = fields.number("port").filter(|number| *number != 0)?;
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    if port.is_none() {
        fields.refuse("port", "is not a port", "write one from 1 to 65535");
    }
    port
}

fn plain(fields: &mut Fields<'_, '_, '_>) -> Option<PlainCheck> {
    match fields.text("scheme")? {
        "" => None,
        "http" => Some(PlainCheck::Http),
        "h2c" => Some(PlainCheck::H2c),
        "https" => {
            fields.tell("scheme", "pods are asked with TLS where requests are sent with it");
            None
        }
        other => {
            let reason = format!("{} is not a scheme", quote(other));
            fields.refuse("scheme", reason, "write http, https or h2c");
            None
        }
    }
}
