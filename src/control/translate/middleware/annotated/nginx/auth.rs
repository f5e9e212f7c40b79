//! Who may ask: `auth-type` with `auth-secret`, and `auth-url`.

use super::super::references::split;
use super::super::{CONSEQUENCE, Draft, Maker, VISITOR};
use crate::control::quote::quote;
use crate::control::translate::middleware::texts::{field_name, field_value, is_of_connection};
use crate::control::translate::middleware::{Reader, credentials, forward_auth};
use crate::model::middleware::{AuthFlavour, Exemption, SignIn, SourceList, Step};
use crate::model::{HostPattern, NamedStep};
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::json;
use std::sync::Arc;

const TYPE: &str = "nginx.ingress.kubernetes.io/auth-type";
/// A Secret with users, possibly of another namespace.
pub(in super::super) const AUTH_SECRET: &str = "nginx.ingress.kubernetes.io/auth-secret";
const SATISFY: &str = "nginx.ingress.kubernetes.io/satisfy";
const SECRET_TYPE: &str = "nginx.ingress.kubernetes.io/auth-secret-type";
const REALM: &str = "nginx.ingress.kubernetes.io/auth-realm";
const URL: &str = "nginx.ingress.kubernetes.io/auth-url";
const METHOD: &str = "nginx.ingress.kubernetes.io/auth-method";
/// A ConfigMap with fields, possibly of another namespace.
pub(in super::super) const SET_HEADERS: &str = "nginx.ingress.kubernetes.io/auth-proxy-set-headers";
const SIGN_IN: &str = "nginx.ingress.kubernetes.io/auth-signin";
const PARAMETER: &str = "nginx.ingress.kubernetes.io/auth-signin-redirect-param";
const RESPONSE_HEADERS: &str = "nginx.ingress.kubernetes.io/auth-response-headers";

/// The parameter of the address to sign in that says where the visitor was.
const DEFAULT_PARAMETER: &str = "rd";

/// Whether one of addresses and authentication is enough: `satisfy: any`, where there are both.
pub(super) fn satisfies_any(maker: &mut Maker<'_, '_>) -> bool {
    let is_any = match maker.get(SATISFY) {
        None | Some("all") => false,
        Some("any") => true,
        Some(other) => {
            let reason = format!("{} is neither \"any\" nor \"all\": both apply", quote(other));
            maker.warn(SATISFY, reason, "write one of them");
            false
        }
    };
    is_any && (maker.get(TYPE).is_some() || maker.get(URL).is_some())
}

/// Exempts the addresses of these lists from the steps that have been added since there were so many.
pub(super) fn exempt(maker: &mut Maker<'_, '_>, before: usize, lists: &[&str]) {
    if maker.resolved.steps.len() == before {
        // Nobody is authenticated: the addresses are all that is left.
        lists.iter().for_each(|name| maker.sources(name, SourceList::Allow));
        return;
    }
    let networks: Vec<_> = lists.iter().flat_map(|name| maker.networks(name)).collect();
    if maker.resolved.steps.len() > before + 1 {
        let reason = "is obeyed for addresses alone: of others both users and the server are asked";
        maker.warn(SATISFY, reason.to_owned(), "use auth-type or auth-url, not both");
    }
    let added = maker.resolved.steps.iter_mut().skip(before);
    for step in added.filter(|_| !networks.is_empty()) {
        let exemption =
            Exemption { networks: networks.clone(), client: VISITOR, step: Arc::clone(step) };
        let name = Arc::clone(&step.name);
        *step = Arc::new(NamedStep { name, step: Step::Exempt(Box::new(exemption)) });
    }
}

/// Adds both.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    basic(maker);
    external(maker);
}

fn basic(maker: &mut Maker<'_, '_>) {
    let (kind, secret) = (maker.get(TYPE), maker.get(AUTH_SECRET));
    match (kind, secret) {
        (None, None) => return,
        (Some("basic"), Some(_)) => {}
        (Some("basic"), None) => {
            let fix = "name a Secret in nginx.ingress.kubernetes.io/auth-secret";
            return maker.refuse(TYPE, "asks for users, and no Secret has them", fix);
        }
        (None, Some(_)) => {
            let fix = "add nginx.ingress.kubernetes.io/auth-type: basic, or remove it";
            return maker.refuse(AUTH_SECRET, "names users, and no auth-type asks for them", fix);
        }
        (Some(other), _) => {
            let reason = format!("{} is not supported", quote(other));
            return maker.refuse(TYPE, &reason, "use basic, or a digestAuth Middleware");
        }
    }
    let (namespace, name) = split(secret.unwrap_or_default());
    let realm = maker.get(REALM).unwrap_or("Authentication Required");
    let reader: Reader = match maker.get(SECRET_TYPE) {
        None | Some("auth-file") => credentials::basic_of_file,
        Some("auth-map") => credentials::basic_of_map,
        Some(other) => {
            let reason = format!("{} is not a layout of Secrets", quote(other));
            return maker.refuse(SECRET_TYPE, &reason, "write auth-file or auth-map");
        }
    };
    let fields = [("secret", AUTH_SECRET), ("realm", REALM)];
    // nginx clears it: pods that have users of their own would refuse these.
    let spec = json!({"secret": name, "realm": realm, "removeHeader": true});
    maker.draft(&Draft { reader, spec, annotation: AUTH_SECRET, fields: &fields, namespace });
}

fn external(maker: &mut Maker<'_, '_>) {
    let Some(given) = maker.address(URL) else {
        return;
    };
    let Some(address) = with_host(maker, given) else {
        let reason = format!("{} has a variable that is not known here", quote(given));
        let fix = "write the address of the Service, such as http://auth.default.svc.cluster.local:4180/oauth2/auth";
        return maker.refuse(URL, &reason, fix);
    };
    let method = match maker.get(METHOD).map(|text| (text, method(text))) {
        Some((text, None)) => {
            let reason = format!("{} is not a method that a server is asked with", quote(text));
            return maker.refuse(METHOD, &reason, "write GET or POST");
        }
        method => method.and_then(|(_, method)| method),
    };
    let Some(told) = told_fields(maker) else { return };
    let names = maker.list(RESPONSE_HEADERS);
    let sign_in = maker.get(SIGN_IN).map(|url| sign_in(maker, url));
    let spec = json!({"address": address, "authResponseHeaders": names});
    let fields = [("authResponseHeaders", RESPONSE_HEADERS)];
    let (reader, annotation) = (forward_auth::read, URL);
    let draft = Draft { reader, spec, annotation, fields: &fields, namespace: None };
    maker.draft_with(&draft, |step| {
        if let Step::ForwardAuth(auth) = step {
            auth.flavour = AuthFlavour::Nginx;
            auth.sign_in = sign_in;
            (auth.method, auth.told_fields) = (method, told);
        }
    });
}

/// The methods of ingress-nginx, but for those that no server has an answer for.
fn method(text: &str) -> Option<Method> {
    let known =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    known.into_iter().chain([Method::OPTIONS]).find(|method| method.as_str() == text)
}

/// The fields of `auth-proxy-set-headers`. Nothing if they cannot be told: the server could decide otherwise without
/// them.
fn told_fields(maker: &mut Maker<'_, '_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    if maker.get(SET_HEADERS).is_none() {
        return Some(Vec::new());
    }
    let Some(config_map) = maker.config_map(SET_HEADERS, CONSEQUENCE) else {
        maker.resolved.is_broken = true;
        return None;
    };
    let mut told = Vec::new();
    for (key, text) in config_map.data.iter().flatten() {
        let (name, value) = (field_name(key), field_value(text));
        let is_ours = |name: &HeaderName| is_of_connection(name) || *name == header::HOST;
        match (name, value) {
            (Ok(name), Ok(value)) if !is_ours(&name) && !text.contains('$') => {
                told.push((name, value));
            }
            _ => {
                let reason = format!("{} is a field that is not sent", quote(key));
                maker.refuse(
                    SET_HEADERS,
                    &reason,
                    "write plain names and values, without variables",
                );
                return None;
            }
        }
    }
    Some(told)
}

/// An address with the host of the Ingress in the place of `$host`, if it has one host alone.
fn with_host(maker: &Maker<'_, '_>, address: &str) -> Option<String> {
    let address = match maker.subject.hosts {
        [HostPattern::Exact(host)] => address.replace("$http_host", host).replace("$host", host),
        _ => address.to_owned(),
    };
    (!address.contains('$')).then_some(address)
}

fn sign_in(maker: &mut Maker<'_, '_>, url: &str) -> SignIn {
    let parameter = maker.get(PARAMETER).unwrap_or(DEFAULT_PARAMETER);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let has_it = query.split('&').any(|pair| pair.split('=').next() == Some(parameter));
    SignIn { url: url.into(), parameter: (!has_it).then(|| parameter.into()) }
}
