//! All that is set for one zone, part by part.

use super::answers::{
    AccountDnsAnswer, EnabledAnswer, HostPull, HostPullAnswer, OriginCertificate,
    OriginCertificateAnswer, PullCertificate, PullCertificateAnswer, Record, RecordAnswer,
    SettingAnswer, Zone, ZoneAnswer,
};
use super::api::ZoneApi;
use super::error::ZoneReadError;
use crate::error::labels;
use std::collections::BTreeMap;

/// Zones of a page: the most that the API gives.
const ZONES: usize = 50;
/// Records of a page.
const RECORDS: usize = 1000;
/// Associations of a page: the most that the API gives.
const HOST_PULLS: usize = 1000;
/// Certificates of a page: the most that the API gives.
const CERTIFICATES: usize = 50;

labels! { fn as_str;
    /// A part of a zone that needs a right of the token.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Part {
        /// `settings/ssl`.
        Ssl = "the SSL mode",
        /// `settings/min_tls_version`.
        MinTls = "the minimum TLS version",
        /// `settings/origin_max_http_version`.
        OriginHttp = "HTTP/2 to the origin",
        /// `settings/tls_client_auth`.
        GlobalPulls = "Authenticated Origin Pulls (global)",
        /// `origin_tls_client_auth/settings`.
        ZonePulls = "Authenticated Origin Pulls (zone)",
        /// `origin_tls_client_auth`.
        ZoneCertificates = "the zone's certificates for Authenticated Origin Pulls",
        /// `origin_tls_client_auth/hostnames`.
        HostPulls = "Authenticated Origin Pulls (hosts)",
        /// `dns_records`.
        Records = "the DNS records",
        /// `certificates`.
        OriginCertificates = "the Origin CA certificates",
        /// `accounts/{id}/dns_settings`.
        AccountDns = "enforce_dns_only of the account",
    }
}

impl Part {
    /// The right that the API reference asks for.
    pub fn right(self) -> &'static str {
        match self {
            Self::Ssl | Self::MinTls | Self::OriginHttp | Self::GlobalPulls => "Zone Settings Read",
            Self::ZonePulls
            | Self::ZoneCertificates
            | Self::HostPulls
            | Self::OriginCertificates => "SSL and Certificates Read",
            Self::Records => "DNS Read",
            Self::AccountDns => "Account DNS Settings Read",
        }
    }
}

/// What is set for a zone. A part is `None` if it was not read: why is in [`ZoneState::unread`].
#[derive(Clone, Debug)]
pub struct ZoneState {
    /// The zone.
    pub zone: Zone,
    /// `settings/ssl`: `off`, `flexible`, `full`, `strict` or `origin_pull`.
    pub ssl: Option<String>,
    /// `settings/min_tls_version`: `1.0` to `1.3`, for visitors.
    pub min_tls: Option<String>,
    /// `settings/origin_max_http_version`: `1` or `2`.
    pub origin_http: Option<String>,
    /// `settings/tls_client_auth`: Cloudflare's shared client certificate is presented.
    pub global_pulls: Option<bool>,
    /// `origin_tls_client_auth/settings`: the zone's own client certificate is presented.
    pub zone_pulls: Option<bool>,
    /// The zone's own client certificates.
    pub zone_certificates: Option<Vec<PullCertificate>>,
    /// Hosts with a client certificate of their own.
    pub host_pulls: Option<Vec<HostPull>>,
    /// A, AAAA and CNAME.
    pub records: Option<Vec<Record>>,
    /// The certificates of Origin CA.
    pub origin_certificates: Option<Vec<OriginCertificate>>,
    /// `enforce_dns_only` of the zone's account.
    pub enforce_dns_only: Option<bool>,
    /// What was not read, and why.
    pub unread: Vec<(Part, ZoneReadError)>,
}

impl ZoneApi {
    /// The zones that the token may read.
    ///
    /// # Errors
    /// Why the list cannot be read: then nothing can.
    pub fn zones(&mut self) -> Result<Vec<Zone>, ZoneReadError> {
        let zones: Vec<ZoneAnswer> = self.all("/zones", ZONES)?;
        Ok(zones.into_iter().filter_map(ZoneAnswer::read).collect())
    }

    /// Reads all that is set for a zone. `accounts` keeps what was read of accounts, which zones share.
    pub fn read(
        &mut self,
        zone: Zone,
        accounts: &mut BTreeMap<String, Result<bool, ZoneReadError>>,
    ) -> ZoneState {
        let path = format!("/zones/{}", zone.id);
        let mut unread = Vec::new();
        let mut setting = |part, name: &str| {
            let answer = self.one::<SettingAnswer>(&format!("{path}/settings/{name}"));
            kept(part, answer.map(|answer| answer.value), &mut unread)
        };
        let ssl = setting(Part::Ssl, "ssl");
        let min_tls = setting(Part::MinTls, "min_tls_version");
        let origin_http = setting(Part::OriginHttp, "origin_max_http_version");
        let global_pulls = setting(Part::GlobalPulls, "tls_client_auth").map(|value| value == "on");
        let pulls = format!("{path}/origin_tls_client_auth");
        let zone_pulls = self.one::<EnabledAnswer>(&format!("{pulls}/settings"));
        let zone_pulls = kept(Part::ZonePulls, zone_pulls.map(|it| it.enabled), &mut unread);
        let zone_certificates = self.one::<Vec<PullCertificateAnswer>>(&pulls);
        let zone_certificates =
            zone_certificates.map(|all| all.into_iter().map(PullCertificateAnswer::read).collect());
        let zone_certificates = kept(Part::ZoneCertificates, zone_certificates, &mut unread);
        let host_pulls = self.all::<HostPullAnswer>(&format!("{pulls}/hostnames"), HOST_PULLS);
        let host_pulls = host_pulls.map(|all| all.into_iter().filter_map(HostPullAnswer::read));
        let host_pulls = kept(Part::HostPulls, host_pulls.map(Iterator::collect), &mut unread);
        let records = self.all::<RecordAnswer>(&format!("{path}/dns_records"), RECORDS);
        let records = records.map(|all| all.into_iter().filter_map(RecordAnswer::read).collect());
        let records = kept(Part::Records, records, &mut unread);
        let certificates = format!("/certificates?zone_id={}", zone.id);
        let certificates = self.all::<OriginCertificateAnswer>(&certificates, CERTIFICATES);
        let certificates =
            certificates.map(|all| all.into_iter().map(OriginCertificateAnswer::read).collect());
        let origin_certificates = kept(Part::OriginCertificates, certificates, &mut unread);
        let enforce_dns_only = zone.account.as_ref().and_then(|account| {
            let read = accounts.entry(account.clone());
            let read = read.or_insert_with(|| self.enforces_dns_only(account)).clone();
            kept(Part::AccountDns, read, &mut unread)
        });
        ZoneState {
            zone,
            ssl,
            min_tls,
            origin_http,
            global_pulls,
            zone_pulls,
            zone_certificates,
            host_pulls,
            records,
            origin_certificates,
            enforce_dns_only,
            unread,
        }
    }

    fn enforces_dns_only(&mut self, account: &str) -> Result<bool, ZoneReadError> {
        let answer = self.one::<AccountDnsAnswer>(&format!("/accounts/{account}/dns_settings"))?;
        Ok(answer.enforce_dns_only.unwrap_or(false))
    }
}

/// The value; an error is kept for the report.
fn kept<T>(
    part: Part,
    read: Result<T, ZoneReadError>,
    unread: &mut Vec<(Part, ZoneReadError)>,
) -> Option<T> {
    read.map_err(|error| unread.push((part, error))).ok()
}
