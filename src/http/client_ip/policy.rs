//! What a request that came through Cloudflare has to show beside its address, and visitors that are not served.
//!
//! All customers of Cloudflare share its addresses. Anyone with an account can point a record, or a
//! Worker, at this node, and arrives from an admitted address. Two things tell the operator's own
//! zone from theirs: a secret field that only the zone's Transform Rule sets, and `CF-Worker`, which
//! names the zone that owns a Worker. Neither is asked of peers that an own set admits.

use crate::config::{Cloudflare, WorkerZones};
use crate::error::Reason;
use crate::net::addr::DeniedVisitors;
use crate::net::fields::Fields;
use crate::pki::zone_secret::have;
use arc_swap::ArcSwap;
use http::HeaderName;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

const CF_WORKER: HeaderName = HeaderName::from_static("cf-worker");
const CF_IP_COUNTRY: HeaderName = HeaderName::from_static("cf-ipcountry");

/// The policies of `[cloudflare]`.
#[derive(Default)]
pub struct VisitorPolicy {
    worker_zones: Option<Box<[String]>>,
    secret: Option<Secret>,
    /// Visitors that are not served. `None`: nobody asks for that.
    denied: Option<ArcSwap<DeniedVisitors>>,
}

struct Secret {
    name: HeaderName,
    values: Box<[Box<[u8]>]>,
}

/// A file of secrets that holds none.
#[derive(Debug, thiserror::Error)]
#[error("it has no line with a value")]
pub struct NoSecret;

impl VisitorPolicy {
    /// Policies as configured. `secrets` is the text of `cloudflare.secret_file`: a value a line, so
    /// that the next one can be accepted before the zone sends it.
    ///
    /// # Errors
    /// If a secret is asked for and `secrets` has none: every request would be refused.
    pub fn new(cloudflare: &Cloudflare, secrets: &str) -> Result<Self, NoSecret> {
        let worker_zones = match &cloudflare.worker_zones {
            WorkerZones::Any => None,
            WorkerZones::Only(zones) => Some(zones.clone().into()),
        };
        let Some(header) = &cloudflare.secret else {
            return Ok(Self { worker_zones, ..Self::default() });
        };
        let lines = secrets.lines().map(str::trim).filter(|line| !line.is_empty());
        let values: Box<[Box<[u8]>]> = lines.map(|line| line.as_bytes().into()).collect();
        if values.is_empty() {
            return Err(NoSecret);
        }
        let secret = Some(Secret { name: header.name.clone(), values });
        Ok(Self { worker_zones, secret, denied: None })
    }

    /// The same, with a list of visitors that are not served, which is empty yet.
    #[must_use]
    pub fn denying(self) -> Self {
        Self { denied: Some(ArcSwap::default()), ..self }
    }

    /// Puts a list of visitors in force that are not served, if there is one.
    pub fn deny(&self, visitors: DeniedVisitors) {
        if let Some(denied) = &self.denied {
            denied.store(Arc::new(visitors));
        }
    }

    /// Checks a request of a visitor.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(
        &self,
        visitor: IpAddr,
        via_cloudflare: bool,
        headers: &impl Fields,
    ) -> Result<(), Reason> {
        if via_cloudflare {
            self.check(headers)?;
        }
        match &self.denied {
            Some(denied) if is_denied(&denied.load(), visitor, via_cloudflare, headers) => {
                Err(Reason::ClientDenied)
            }
            _ => Ok(()),
        }
    }

    /// The field that carries the secret: for us alone.
    pub fn secret_name(&self) -> Option<&HeaderName> {
        self.secret.as_ref().map(|secret| &secret.name)
    }

    /// Checks a request that came through Cloudflare.
    pub fn check(&self, headers: &impl Fields) -> Result<(), Reason> {
        if let Some(zones) = &self.worker_zones {
            let allowed = |zone: &str| zones.iter().any(|own| own.eq_ignore_ascii_case(zone));
            let mut workers = headers.get_all(CF_WORKER);
            if !workers.all(|zone| zone.to_str().is_ok_and(allowed)) {
                return Err(Reason::WorkerRefused);
            }
        }
        match &self.secret {
            Some(secret) if !secret.is_in(headers) => Err(Reason::SecretMissing),
            _ => Ok(()),
        }
    }
}

/// Only Cloudflare's word counts for a country.
fn is_denied(
    denied: &DeniedVisitors,
    visitor: IpAddr,
    via_cloudflare: bool,
    headers: &impl Fields,
) -> bool {
    denied.has(visitor, || {
        let country = headers.get(CF_IP_COUNTRY).filter(|_| via_cloudflare)?;
        <[u8; 2]>::try_from(country.as_bytes()).ok()
    })
}

impl Secret {
    /// Compares in a time that depends on the lengths alone, with every value.
    fn is_in(&self, headers: &impl Fields) -> bool {
        let mut sent = headers.get_all(&self.name);
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return false;
        };
        have(&self.values, value.as_bytes())
    }
}

impl fmt::Debug for VisitorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisitorPolicy")
            .field("worker_zones", &self.worker_zones)
            .field("secret", &self.secret_name())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::net::addr::AddrRanges;
    use crate::net::fields::FieldMap;
    use http::HeaderValue;

    fn policy(settings: &str, secrets: &str) -> Result<VisitorPolicy, NoSecret> {
        let text = format!(
            "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n[cloudflare]\n{settings}\n\
             [source]\nkind = \"directory\"\ndirectory = \"x\"\n"
        );
        let config = Config::parse(&text, "test").expect("a valid configuration");
        VisitorPolicy::new(&config.cloudflare, secrets)
    }

    fn check(policy: &VisitorPolicy, fields: &[(&'static str, &str)]) -> Option<Reason> {
        let mut headers = FieldMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).expect("a value");
            headers.append(HeaderName::from_static(name), value);
        }
        policy.check(&headers).err()
    }

    #[test]
    fn workers_are_known_by_the_zone_that_owns_them() {
        let own = policy("worker_zones = [\"Example.com\"]", "").expect("no secret asked for");
        assert_eq!(check(&own, &[]), None);
        assert_eq!(check(&own, &[("cf-worker", "example.COM")]), None);
        let refused = Some(Reason::WorkerRefused);
        assert_eq!(check(&own, &[("cf-worker", "evil.example")]), refused);
        assert_eq!(check(&own, &[("cf-worker", "sub.example.com")]), refused);
        let two = [("cf-worker", "example.com"), ("cf-worker", "evil.example")];
        assert_eq!(check(&own, &two), refused);
        let none = policy("worker_zones = []", "").expect("no secret asked for");
        assert_eq!(check(&none, &[("cf-worker", "example.com")]), refused);
        let any = policy("", "").expect("no secret asked for");
        assert_eq!(check(&any, &[("cf-worker", "evil.example")]), None);
    }

    #[test]
    fn a_secret_is_one_field_with_one_of_the_values() {
        let settings = "secret_header = \"x-edge\"\nsecret_file = \"secret\"";
        let policy = policy(settings, "\n old \nnew\n\n").expect("two secrets");
        let missing = Some(Reason::SecretMissing);
        assert_eq!(check(&policy, &[("x-edge", "old")]), None);
        assert_eq!(check(&policy, &[("x-edge", "new")]), None);
        assert_eq!(check(&policy, &[]), missing);
        for wrong in ["", "ne", "newer", "old,new", "NEW"] {
            assert_eq!(check(&policy, &[("x-edge", wrong)]), missing, "{wrong:?}");
        }
        assert_eq!(check(&policy, &[("x-edge", "new"), ("x-edge", "new")]), missing);
        assert!(!format!("{policy:?}").contains("old"));
    }

    #[test]
    fn who_is_denied_is_told_by_the_address_and_by_the_country_that_cloudflare_names() {
        let policy = policy("", "").expect("no secret asked for").denying();
        let ranges = ["192.0.2.0/24".parse().expect("a network")];
        let judge = |ip: [u8; 4], via_cloudflare, country: &'static str| {
            let mut headers = FieldMap::new();
            headers.set("cf-ipcountry", HeaderValue::from_static(country));
            policy.judge(ip.into(), via_cloudflare, &headers)
        };
        assert_eq!(judge([192, 0, 2, 1], true, "DE"), Ok(()), "nobody is denied yet");
        policy.deny(DeniedVisitors::new(AddrRanges::new(&ranges), vec![*b"AA"]));
        let denied = Err(Reason::ClientDenied);
        assert_eq!(judge([192, 0, 2, 1], false, "DE"), denied);
        assert_eq!(judge([198, 51, 100, 1], true, "AA"), denied);
        assert_eq!(judge([198, 51, 100, 1], true, "DE"), Ok(()));
        assert_eq!(judge([198, 51, 100, 1], false, "AA"), Ok(()), "anybody could say so");
    }

    #[test]
    fn a_file_without_a_secret_is_refused() {
        let settings = "secret_header = \"x-edge\"\nsecret_file = \"secret\"";
        assert!(policy(settings, " \n\n").is_err());
        assert!(policy("", "").is_ok());
    }
}
