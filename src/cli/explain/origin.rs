//! `explain --from`: who gets in, by which set, and whom a request is taken to be from. Through the
//! same gate, proof and reading as at work.

use super::refusal;
use crate::app;
use crate::cli::manifests::Read;
use crate::cli::{Failure, USAGE};
use crate::config::{Config, Listener};
use crate::control::cloudflare::check::networks;
use crate::control::cloudflare::{self, Initial, ListSpec, switch};
use crate::control::crowdsec::ban_of;
use crate::error::Reason;
use crate::http::client_ip::{ClientIp, Identity, Scheme, identify};
use crate::model::ConfigText;
use crate::net::addr::AddrRanges;
use crate::net::addr::PeerAddr;
use crate::net::fields::{FieldMap, Fields};
use crate::net::trust::{LiveSets, Speaker, TrustedPeer};
use crate::telemetry::Unnamed;
use crate::tls::TlsPeer;
use crate::transport::admission::Gate;
use clap::Args;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// The client of the explained request.
#[derive(Debug, Args)]
pub(in crate::cli) struct Origin {
    /// Source address of the connection; shows whether and by which set it is admitted. Needs --config or
    /// --admin.
    #[arg(long, value_name = "IP", requires = "configuration_or_process")]
    from: Option<IpAddr>,
    /// The source address in the PROXY header, if --from is a load balancer.
    #[arg(long, value_name = "IP", requires = "from")]
    proxy_source: Option<IpAddr>,
    /// The server name (SNI) of the TLS handshake, if it differs from the URL's host. Needs --config.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(super) sni: Option<String>,
    /// A request header, as NAME: VALUE; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

/// What is known about the origin of the request.
#[derive(Debug, Serialize)]
pub(super) struct OriginReport {
    from: String,
    admission: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    list: String,
    /// Further ranges beside the list, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<String>,
    /// Whether break-glass is on, if it has a switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    break_glass: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    believed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// What CrowdSec says of the client, if it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    crowdsec: Option<String>,
    /// The scheme that the visitor used, where a trusted peer says.
    #[serde(skip)]
    pub(super) scheme: Option<Scheme>,
    /// The other end of the connection.
    #[serde(skip)]
    pub(super) peer: Option<PeerAddr>,
    /// What it is to the handshake.
    #[serde(skip)]
    pub(super) tls_peer: TlsPeer,
    /// The verified visitor as text, where a trusted peer names it.
    #[serde(skip)]
    pub(super) visitor: Option<HeaderValue>,
    /// The response to the client, and why, if no route answers.
    #[serde(skip)]
    pub(super) stopped: Option<(String, String)>,
}

impl OriginReport {
    /// As lines of text.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let always = [("from", &self.from), ("list", &self.list)];
        let admission = Some(self.admission.clone());
        let sometimes = [
            ("extra", &self.extra),
            ("break-glass", &self.break_glass),
            ("admission", &admission),
            ("believed", &self.believed),
            ("client", &self.client),
            ("crowdsec", &self.crowdsec),
        ];
        let sometimes =
            sometimes.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        always.into_iter().chain(sometimes).map(|(name, value)| (name, value.clone())).collect()
    }
}

/// The peer of a connection, or the reason why there is none.
enum Met {
    Peer { peer: IpAddr, set: String, admission: String },
    Nobody { admission: String, answer: &'static str, note: String },
}

impl Origin {
    /// Adds the fields of `--header`.
    pub(super) fn write_fields(&self, headers: &mut FieldMap) -> Result<(), Failure> {
        for field in &self.headers {
            let wrong = || Failure::usage(format!("--header {field:?}: write \"Name: value\""));
            let (name, value) = field.split_once(':').ok_or_else(wrong)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
            headers.append(name, HeaderValue::try_from(value.trim()).map_err(|_| wrong())?);
        }
        Ok(())
    }

    /// The parameters for a process that is asked in the place of manifests: it knows the source, and whom a trusted
    /// source names.
    pub(super) fn asked_of_process(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let Self { from, proxy_source, sni, headers } = self;
        // The source in the PROXY header is the source of the connection to everything behind it.
        let source = proxy_source.or(*from);
        let mut asked: Vec<_> = source.map(|from| ("from", from.to_string())).into_iter().collect();
        if sni.is_some() {
            return Err(Failure::usage(
                "--sni is for --config; a process is asked with --from and --header",
            ));
        }
        for field in headers {
            match field.split_once(':') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("cf-connecting-ip") => {
                    asked.push(("visitor", value.trim().to_owned()));
                }
                _ => {
                    let text = format!(
                        "--header {field:?}: a process is asked with \"CF-Connecting-IP: ADDRESS\" and no other \
                         header; use --config or --kubeconfig for these"
                    );
                    return Err(Failure::usage(text));
                }
            }
        }
        Ok(asked)
    }

    /// Checks the address against the admission sets and trusted proxies of the listener.
    pub(super) fn judge(
        &self,
        read: &Read,
        listener: Option<&Listener>,
        headers: &FieldMap,
    ) -> Result<Option<OriginReport>, Failure> {
        let (Some(from), Some(config)) = (self.from, &read.config) else {
            return Ok(None);
        };
        let Lists { list, extra } = lists(read, config)?;
        let from = from.to_canonical();
        let mut findings = OriginReport {
            from: from.to_string(),
            admission: "no listener accepts it".to_owned(),
            set: None,
            list: describe(&list),
            extra: extra.as_ref().map(describe_extra),
            break_glass: None,
            believed: None,
            client: None,
            crowdsec: None,
            scheme: None,
            peer: None,
            tls_peer: TlsPeer::Other,
            visitor: None,
            stopped: None,
        };
        let Some(listener) = listener else {
            let note = "no listener serves this scheme and port".to_owned();
            findings.stopped = Some(("refused".to_owned(), note));
            return Ok(Some(findings));
        };
        let addresses = &read.build.addresses;
        let live = LiveSets {
            cloudflare: list.list.in_force(),
            extra: extra.map(|extra| extra.list.in_force()).unwrap_or_default(),
            nodes: AddrRanges::new(&addresses.nodes),
            pods: AddrRanges::new(&addresses.pods),
            break_glass: findings.read_switch(read, config),
        };
        let gate = Gate::of_listener(listener, &live);
        match meet(&gate, listener, from, self.proxy_source) {
            Met::Nobody { admission, answer, note } => {
                findings.admission = admission;
                findings.stopped = Some((answer.to_owned(), note));
            }
            Met::Peer { peer, set, admission } => {
                (findings.set, findings.admission) = (Some(set), admission);
                findings.identify(
                    config,
                    &gate,
                    &live,
                    PeerAddr::new(SocketAddr::new(peer, 0)),
                    headers,
                )?;
            }
        }
        Ok(Some(findings))
    }
}

impl OriginReport {
    /// Whether break-glass is on, which is noted.
    fn read_switch(&mut self, read: &Read, config: &Config) -> bool {
        let Some(switch) = &config.break_glass.switch else { return false };
        let text = read.build.addresses.texts.get(&ConfigText::BreakGlass);
        let found = switch::read(switch, text.map(|text| &**text));
        self.break_glass = Some(match &found {
            Ok(true) => "ON: every address is admitted".to_owned(),
            Ok(false) => "off".to_owned(),
            Err(error) => format!("off, because of its switch: {error}"),
        });
        found == Ok(true)
    }

    /// Whom a request of an admitted peer is from, and whether Cloudflare's rules let it pass.
    fn identify(
        &mut self,
        config: &Config,
        gate: &Gate,
        live: &LiveSets,
        peer: PeerAddr,
        headers: &FieldMap,
    ) -> Result<(), Failure> {
        self.peer = Some(peer);
        let trusted = gate.believed().check(peer);
        let speaker = trusted.map(TrustedPeer::speaker);
        self.tls_peer = TlsPeer::of(speaker, gate.is_stranger(peer.ip()));
        let Some(trusted) = trusted else {
            self.believed = Some("none: headers that name a client are removed".to_owned());
            self.client = Some(ClientIp::of_peer(peer).to_string());
            return self.ask_crowdsec(config, peer.ip(), None);
        };
        self.believed = Some(match trusted.speaker() {
            Speaker::Cloudflare if !live.cloudflare.contains(peer.ip()) => {
                "Cloudflare, by a further range (cloudflare.extra): CF-Connecting-IP names the client"
                    .to_owned()
            }
            Speaker::Cloudflare => "Cloudflare: CF-Connecting-IP names the client".to_owned(),
            Speaker::Proxy => "a trusted proxy: X-Forwarded-For names the client".to_owned(),
        });
        let Identity { client, text, unnamed, via_cloudflare, scheme, .. } =
            identify(peer, trusted, gate.believed(), headers);
        (self.scheme, self.visitor) = (scheme, Some(text));
        self.client = Some(match unnamed {
            None => client.to_string(),
            Some(Unnamed::Absent) => format!("{client} (no header names another)"),
            Some(cause) => {
                format!("{client} (the header was not used: {})", cause.label())
            }
        });
        if via_cloudflare {
            let policy = app::policy(config);
            let policy =
                policy.map_err(|error| Failure { code: USAGE, text: error.to_string() })?;
            if let Err(reason) = policy.check(headers) {
                self.stopped = Some((refusal(reason), reason.text().to_owned()));
                return Ok(());
            }
        }
        // Only Cloudflare's word counts for a country.
        let country = headers.get("cf-ipcountry").filter(|_| via_cloudflare);
        self.ask_crowdsec(config, client.ip(), country.and_then(|country| country.to_str().ok()))
    }

    /// Asks CrowdSec for its decisions on a visitor, where ravelin does. An API that cannot be asked from here says nothing
    /// of what is in force there.
    fn ask_crowdsec(
        &mut self,
        config: &Config,
        visitor: IpAddr,
        country: Option<&str>,
    ) -> Result<(), Failure> {
        let Some(crowdsec) = &config.crowdsec else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        self.crowdsec = Some(match runtime.block_on(ban_of(crowdsec, visitor, country)) {
            Ok(None) => "no ban".to_owned(),
            Ok(Some(ban)) => {
                let note = format!("CrowdSec has a {ban}: `cscli decisions list` shows it");
                self.stopped = Some((refusal(Reason::ClientDenied), note));
                ban
            }
            Err(why) => format!("not known here: {why}"),
        });
        Ok(())
    }
}

/// The list, and the further ranges if there are any.
struct Lists {
    list: Initial,
    extra: Option<Initial>,
}

/// What is in force when the process starts with this configuration now.
fn lists(read: &Read, config: &Config) -> Result<Lists, Failure> {
    let initial = |spec: &ListSpec, text: ConfigText| {
        let text = read.build.addresses.texts.get(&text).map(|text| &**text);
        let list = cloudflare::initial(spec, config.state.as_deref(), text);
        list.map_err(|error| Failure::usage(error.to_string()))
    };
    let list = initial(&ListSpec::of(&config.cloudflare), ConfigText::CloudflareList)?;
    let extra = ListSpec::extra(&config.cloudflare);
    let extra = extra.map(|extra| initial(&extra, ConfigText::CloudflareExtra)).transpose()?;
    Ok(Lists { list, extra })
}

fn describe_extra(initial: &Initial) -> String {
    let count = networks(&initial.list.in_force()).len();
    let mut text = format!("{count} further ranges, {}", initial.list.source.as_str());
    if count > 0 {
        text.push_str(&format!(": {}", initial.first_networks()));
    }
    for warning in &initial.warnings {
        text.push_str(&format!("; {warning}"));
    }
    text
}

fn describe(initial: &Initial) -> String {
    let ranges = initial.list.in_force();
    let count = ranges.v4().len() + ranges.v6().len();
    let mut text = format!("Cloudflare: {count} ranges, {}", initial.list.source.as_str());
    if let Some(confirmed) = initial.list.confirmed.and_then(|unix| i64::try_from(unix).ok())
        && let Ok(time) = jiff::Timestamp::from_second(confirmed)
    {
        text.push_str(&format!(", of {time}"));
    }
    for warning in &initial.warnings {
        text.push_str(&format!("; {warning}"));
    }
    text
}

/// The first steps of a connection, as `edge` takes them.
fn meet(gate: &Gate, listener: &Listener, from: IpAddr, source: Option<IpAddr>) -> Met {
    let sets = || gate.sets().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ");
    let admitted = |peer: IpAddr, by: &str| {
        gate.admits(peer).map(|set| Met::Peer {
            peer,
            set: set.to_string(),
            admission: format!("admitted: {by}in the set {set}"),
        })
    };
    if gate.is_balancer(from) {
        let Some(source) = source.map(|source| source.to_canonical()) else {
            return admitted(from, "without a PROXY header, the load balancer is ").unwrap_or_else(
                || Met::Nobody {
                    admission: "a load balancer: it must name a source (--proxy-source)".to_owned(),
                    answer: "closed",
                    note: "without a source, it counts as a health check".to_owned(),
                },
            );
        };
        return admitted(source, "the source in its PROXY header is ").unwrap_or_else(|| {
            Met::Nobody {
                admission: format!("refused: {source} is not in any of the sets {}", sets()),
                answer: "reset",
                note: "the load balancer is admitted, the source in its PROXY header is not"
                    .to_owned(),
            }
        });
    }
    admitted(from, "").unwrap_or_else(|| {
        let (answer, note) = if listener.kernel_filter {
            ("none", "the kernel drops its packets: neither SYN-ACK nor RST")
        } else {
            ("reset", "accepted and reset: kernel_filter is off")
        };
        let admission = format!("refused: not in any of the sets {}", sets());
        Met::Nobody { admission, answer, note: note.to_owned() }
    })
}
