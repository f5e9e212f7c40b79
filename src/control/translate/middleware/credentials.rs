//! `basicAuth` and `digestAuth`: users out of a Secret with one key of any name. No line of it is ever quoted.

use super::texts::{field_name, field_value};
use super::{Context, Fields, htpasswd};
use crate::control::objects::is_content_left_out;
use crate::control::quote::quote;
use crate::model::Why;
use crate::model::middleware::{BasicAuth, Credential, DigestAuth, DigestUser, PasswordHash, Step};
use http::HeaderName;
use k8s_openapi::api::core::v1::Secret;
use std::borrow::Cow;

/// The realm that Traefik names without `realm`.
const REALM: &str = "traefik";

/// The type of a Secret with one user in clear (core/v1 SecretTypeBasicAuth).
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";

const FIX: &str = "put the lines of an htpasswd file under one key";

/// Where a Secret has its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Lines under its one key, or, of the type [`BASIC_AUTH`], one user in clear.
    OneKey,
    /// Lines under the key `auth`: `auth-file` of ingress-nginx.
    File,
    /// Under each key, which is the user, the hash: `auth-map` of ingress-nginx.
    Map,
}

/// Reads `basicAuth`.
pub(super) fn basic(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Step> {
    read_basic(fields, context, Layout::OneKey)
}

/// Reads it with a Secret as `auth-secret-type: auth-file` has it.
pub(super) fn basic_of_file(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
) -> Option<Step> {
    read_basic(fields, context, Layout::File)
}

/// Reads it with a Secret as `auth-secret-type: auth-map` has it.
pub(super) fn basic_of_map(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
) -> Option<Step> {
    read_basic(fields, context, Layout::Map)
}

fn read_basic(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
    layout: Layout,
) -> Option<Step> {
    fields.know(&["secret", "realm", "removeHeader", "headerField"]);
    let user_field = user_field(fields);
    let remove_header = fields.flag("removeHeader");
    let realm = realm(fields);
    let challenge = format!("Basic realm=\"{realm}\"");
    let challenge = fields.parse("realm", &realm, field_value(&challenge), "write plain text");
    let name = fields.required("secret", "name a Secret with the users")?;
    let secret = secret(fields, context, name)?;
    let read = |line: &str| {
        let (user, hash) = line.split_once(':')?;
        // nginx lets a comment follow, as in /etc/passwd.
        let hash = match (layout, hash.split_once(':')) {
            (Layout::File, Some((hash, _))) => hash,
            (_, Some(_)) => return None,
            (_, None) => hash,
        };
        Some((user.to_owned(), htpasswd::hash(hash)))
    };
    let is_clear = secret.type_.as_deref() == Some(BASIC_AUTH);
    let users = match layout {
        Layout::OneKey if is_clear => in_clear(fields, &secret),
        Layout::OneKey => lines(fields, name, &secret, None, read)?,
        Layout::File => lines(fields, name, &secret, Some("auth"), read)?,
        Layout::Map => {
            let all = values(&secret).into_iter();
            let all = all.map(|(user, hash)| (user, String::from_utf8_lossy(&hash).into_owned()));
            all.map(|(user, hash)| (user.to_owned(), htpasswd::hash(hash.trim()))).collect()
        }
    };
    if users.is_empty() && !fields.is_broken() {
        let reason = format!("Secret {} has no users", quote(name));
        fields.refuse_for(Why::SecretUnusable, "secret", reason, FIX);
    }
    let mut all = Vec::with_capacity(users.len());
    for (number, (user, hash)) in users.into_iter().enumerate() {
        match hash {
            Ok(hash) => all.push(Credential { user: user.into(), hash }),
            Err(problem) => {
                let reason = format!("line {} of Secret {} {problem}", number + 1, quote(name));
                let fix = "write it with `htpasswd -B`";
                fields.refuse_for(Why::SecretUnusable, "secret", reason, fix);
            }
        }
    }
    all.sort_by(|a, b| a.user.cmp(&b.user));
    // Of two lines of one user the later one counts, as in Traefik; the sort is stable.
    all.reverse();
    all.dedup_by(|b, a| a.user == b.user);
    all.reverse();
    let auth = BasicAuth { users: all, challenge: challenge?, user_field, remove_header };
    Some(Step::BasicAuth(Box::new(auth)))
}

/// Reads `digestAuth`.
pub(super) fn digest(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Step> {
    fields.know(&["secret", "realm", "removeHeader", "headerField"]);
    let user_field = user_field(fields);
    let remove_header = fields.flag("removeHeader");
    let realm = realm(fields);
    fields.parse("realm", &realm, field_value(&realm), "write plain text");
    let name = fields.required("secret", "name a Secret with the users")?;
    let secret = secret(fields, context, name)?;
    let read = lines(fields, name, &secret, None, |line| {
        let parts: Vec<&str> = line.split(':').collect();
        let [user, realm, hash] = parts[..] else { return None };
        let is_hash = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| (user.to_owned(), (realm.to_owned(), hash.to_ascii_lowercase())))
    })?;
    let of_all = read.len();
    let ours = read.into_iter().filter(|(_, (of, _))| *of == *realm);
    let mut users: Vec<DigestUser> =
        ours.map(|(user, (_, hash))| DigestUser { user: user.into(), hash: hash.into() }).collect();
    if users.len() < of_all {
        let reason =
            format!("has {} users of other realms than {}", of_all - users.len(), quote(&realm));
        fields.warn("secret", reason, "set `realm` to theirs, or write their lines again");
    }
    users.sort_by(|a, b| a.user.cmp(&b.user));
    users.reverse();
    users.dedup_by(|b, a| a.user == b.user);
    users.reverse();
    let auth = DigestAuth { users, realm: realm.into(), user_field, remove_header };
    Some(Step::DigestAuth(Box::new(auth)))
}

fn user_field(fields: &mut Fields<'_, '_, '_>) -> Option<HeaderName> {
    let text = fields.text("headerField").filter(|text| !text.is_empty())?;
    fields.parse("headerField", text, field_name(text), "write the name of a field")
}

fn realm(fields: &mut Fields<'_, '_, '_>) -> String {
    let realm = fields.text("realm").filter(|realm| !realm.is_empty()).unwrap_or(REALM);
    if realm.contains(['"', '\\']) {
        fields.refuse("realm", "has a quote or a backslash", "write plain text");
    }
    realm.to_owned()
}

/// The Secret of this name, if it is there with its content. Nothing, and told, if not.
pub(super) fn secret(
    fields: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
    name: &str,
) -> Option<std::sync::Arc<Secret>> {
    let namespace = context.namespace.clone();
    // Without objects only the Middleware itself is judged.
    let found = context.secret(name)?;
    let Some(secret) = found else {
        let reason = format!("there is no Secret {} in namespace {namespace}", quote(name));
        fields.refuse_for(Why::SecretUnusable, "secret", reason, "create it");
        return None;
    };
    if is_content_left_out(&secret) {
        let reason = format!("the content of Secret {} is not in the last-good state", quote(name));
        let fix = "it is read when the API server is back; with state.certificates = true it is stored from then on";
        fields.refuse_for(Why::SecretUnusable, "secret", reason, fix);
        return None;
    }
    Some(secret)
}

/// The values of a Secret by their keys. `stringData` overwrites `data`.
pub(super) fn values(secret: &Secret) -> std::collections::BTreeMap<&str, Cow<'_, [u8]>> {
    let bytes = secret.data.iter().flatten().map(|(key, value)| (&**key, Cow::from(&value.0[..])));
    let texts = secret.string_data.iter().flatten();
    let texts = texts.map(|(key, text)| (&**key, Cow::from(text.as_bytes())));
    bytes.chain(texts).collect()
}

/// Reads the lines of one value of a Secret: under a key, or under its only one. Nothing, and told, if one of them is
/// none.
fn lines<T>(
    fields: &mut Fields<'_, '_, '_>,
    name: &str,
    secret: &Secret,
    key: Option<&str>,
    read: impl Fn(&str) -> Option<(String, T)>,
) -> Option<Vec<(String, T)>> {
    let values = values(secret);
    let mut refuse = |reason: String| {
        let reason = format!("Secret {} {reason}", quote(name));
        fields.refuse_for(Why::SecretUnusable, "secret", reason, FIX);
    };
    let value = match key {
        Some(key) => values.get(key).ok_or_else(|| format!("has no key {}", quote(key))),
        None if values.len() == 1 => Ok(values.values().next().unwrap_or(&Cow::Borrowed(&[]))),
        None => Err(format!("has {} keys, and not one", values.len())),
    };
    let text = value.map_err(&mut refuse).ok().map(|value| String::from_utf8_lossy(value))?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // nginx has comments, and only its Secrets have a key that is known.
        if line.is_empty() || (key.is_some() && line.starts_with('#')) {
            continue;
        }
        match read(line.trim_end_matches('\r')).filter(|(user, _)| !user.is_empty()) {
            Some(user) => all.push(user),
            None => {
                refuse(format!("has no user and hash in line {}", number + 1));
                return None;
            }
        }
    }
    if all.is_empty() {
        refuse("has no users".to_owned());
        return None;
    }
    Some(all)
}

/// The one user of a Secret with a password in clear.
fn in_clear(
    fields: &mut Fields<'_, '_, '_>,
    secret: &Secret,
) -> Vec<(String, Result<PasswordHash, &'static str>)> {
    let values = values(secret);
    let text = |key: &str| {
        let value = values.get(key).filter(|value| !value.is_empty())?;
        String::from_utf8(value.to_vec()).ok()
    };
    match (text("username").filter(|user| !user.contains(':')), text("password")) {
        (Some(user), Some(password)) => vec![(user, Ok(PasswordHash::Clear(password.into())))],
        _ => {
            let reason = format!("has type {BASIC_AUTH} and not both `username` and `password`");
            fields.refuse_for(Why::SecretUnusable, "secret", reason, "add both");
            Vec::new()
        }
    }
}
