//! What Cloudflare says, under Full (strict), of each host that is served with TLS.
//!
//! [`judge_all`] is what `check` and the running process share. The process checks again when the table
//! or the certificates are others, and when the time has come that a verdict changes by itself; on
//! the thread that follows the files of certificates.

use super::verdict_log::VerdictLog;
use crate::model::HostPattern;
use crate::model::TlsSecret;
use crate::pki::certificate::{Authorities, Certificate, Proof};
use crate::pki::full_strict::{Judgement, is_key_supported, judge};
use crate::routing::{Table, TableHandle};
use crate::telemetry::CertificateMetrics;
use crate::tls::{Snapshot, SnapshotCell, TlsPeer};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How long a proof is taken for granted, in seconds: the dates of intermediate certificates are in
/// it. The host's own are looked at each time.
const PROOF_LASTS: i64 = 60 * 60;

/// A host and its verdict under Full (strict).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The host; never [`HostPattern::Any`].
    pub host: HostPattern,
    /// The object behind it: the Ingress of its first route, else the Secret of its `spec.tls`.
    pub object: String,
    /// Where its certificate is from: a file or a Secret. `None`: it has none.
    pub certificate: Option<String>,
    /// The verdict.
    pub judgement: Judgement,
}

/// The routes and certificates in force.
#[derive(Clone, Copy, Debug)]
pub struct Served<'s> {
    /// The rules.
    pub table: &'s Table,
    /// The Secrets that `spec.tls` names.
    pub secrets: &'s [TlsSecret],
    /// The certificates of each host.
    pub snapshot: &'s Snapshot,
}

/// Certificates, and where they are from.
pub type Origins = Vec<(Arc<Certificate>, String)>;

/// Proofs of chains, which cost signatures, and when they were made. By address, which nothing else
/// can have while the certificate is held here.
#[derive(Debug, Default)]
pub struct Proofs(HashMap<usize, (Arc<Certificate>, Proof, i64)>);

/// The text for a Secret.
pub fn of_secret(secret: &TlsSecret) -> String {
    format!("Secret {}/{}", secret.namespace, secret.name)
}

/// Every host that is served with TLS, by what: those of rules and of `spec.tls`, and those of
/// certificates that a rule without host, or with a wildcard, serves.
fn hosts(
    table: &Table,
    secrets: &[TlsSecret],
    snapshot: &Snapshot,
) -> BTreeMap<HostPattern, String> {
    let mut all = BTreeMap::new();
    let mut every = None;
    for route in table.routes().map(|id| table.route(id)) {
        let host = match (route.host, route.wildcard) {
            ("", _) => HostPattern::Any,
            (name, true) => HostPattern::Wildcard(name.into()),
            (name, false) => HostPattern::Exact(name.into()),
        };
        let object = || format!("Ingress {}/{}", route.namespace, route.ingress);
        if host == HostPattern::Any {
            every.get_or_insert_with(object);
        } else {
            all.entry(host).or_insert_with(object);
        }
    }
    let mut more: Vec<(HostPattern, String)> = Vec::new();
    for secret in secrets {
        more.extend(secret.hosts.iter().map(|host| (host.clone(), of_secret(secret))));
    }
    for (name, _) in snapshot.names() {
        let parent = match &name {
            HostPattern::Exact(name) => name.split_once('.').map(|(_, parent)| parent),
            _ => None,
        };
        let wildcard = parent.and_then(|parent| all.get(&HostPattern::Wildcard(parent.into())));
        more.extend(wildcard.or(every.as_ref()).map(|object| (name, object.clone())));
    }
    for (host, object) in more {
        all.entry(host).or_insert(object);
    }
    all.remove(&HostPattern::Any);
    all
}

/// The certificate that a client gets for a host: the first that Cloudflare, and browsers, can check, else the first.
pub fn shown<'s>(
    snapshot: &'s Snapshot,
    host: &HostPattern,
    peer: TlsPeer,
) -> Option<&'s Arc<Certificate>> {
    let mut all = snapshot.for_host(host, peer).map(|shown| shown.certificate());
    all.clone().find(|certificate| is_key_supported(certificate)).or_else(|| all.next())
}

/// The verdict of every host at a time, in seconds since the Unix epoch. `origins` name the certificates.
pub fn judge_all(
    served: Served<'_>,
    origins: &Origins,
    authorities: &Authorities,
    proofs: &mut Proofs,
    now: i64,
) -> Vec<Judged> {
    let Served { table, secrets, snapshot } = served;
    let address = |of: &Arc<Certificate>| Arc::as_ptr(of).addr();
    let names: HashMap<usize, &str> =
        origins.iter().map(|(of, name)| (address(of), name.as_str())).collect();
    let mut used = Proofs::default();
    let each = hosts(table, secrets, snapshot).into_iter().map(|(host, object)| {
        let Some(certificate) = shown(snapshot, &host, TlsPeer::Cloudflare) else {
            let judgement = Judgement::of_nothing();
            return Judged { host, object, certificate: None, judgement };
        };
        let at = address(certificate);
        let (_, proof, _) = used.0.entry(at).or_insert_with(|| {
            let kept = proofs.0.remove(&at).filter(|(.., made)| now - made < PROOF_LASTS);
            kept.unwrap_or_else(|| {
                (Arc::clone(certificate), authorities.prove(certificate, now), now)
            })
        });
        let judgement = judge(&host, certificate, proof, now);
        let certificate = names.get(&at).map_or_else(String::new, |name| (*name).to_owned());
        Judged { host, object, certificate: Some(certificate), judgement }
    });
    let judged = each.collect();
    *proofs = used;
    judged
}

/// The last result, and its inputs.
pub(super) struct SelfCheck {
    tables: TableHandle,
    store: Arc<SnapshotCell>,
    authorities: Arc<Authorities>,
    proofs: Proofs,
    metrics: Arc<CertificateMetrics>,
    seen: Option<(u64, Arc<Snapshot>)>,
    /// When a verdict may change by itself, in seconds since the Unix epoch.
    due: i64,
    log: VerdictLog,
}

impl SelfCheck {
    pub(super) fn new(
        tables: TableHandle,
        store: Arc<SnapshotCell>,
        authorities: Arc<Authorities>,
        metrics: &Arc<CertificateMetrics>,
    ) -> Self {
        Self {
            tables,
            store,
            authorities,
            proofs: Proofs::default(),
            metrics: Arc::clone(metrics),
            seen: None,
            due: i64::MIN,
            log: VerdictLog::default(),
        }
    }

    /// Checks again if an input has changed or the check is due.
    /// `sources` are the Secrets and the names of all certificates.
    pub(super) fn look(&mut self, sources: impl FnOnce() -> (Vec<TlsSecret>, Origins), now: i64) {
        let (table, snapshot) = (self.tables.load(), self.store.load_full());
        let same = self.seen.as_ref().is_some_and(|(generation, seen)| {
            *generation == table.generation() && Arc::ptr_eq(seen, &snapshot)
        });
        if same && now < self.due {
            return;
        }
        let (secrets, origins) = sources();
        let served = Served { table: &table, secrets: &secrets, snapshot: &snapshot };
        let judged = judge_all(served, &origins, &self.authorities, &mut self.proofs, now);
        let moments = judged.iter().filter_map(|judged| judged.judgement.changes_at);
        self.due = moments.min().unwrap_or(i64::MAX).min(now.saturating_add(PROOF_LASTS));
        self.seen = Some((table.generation(), snapshot));
        self.log.write(&judged);
        let cells = judged.into_iter().map(|Judged { host, judgement, .. }| {
            let until = judgement.until.filter(|_| judgement.verdict.status().is_none());
            (host.to_string(), judgement.verdict, until)
        });
        let cells = cells.collect();
        self.metrics.update(|all| all.full_strict = cells);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BackendId, BackendKey, BackendSpec, BackendState, CertificateRole, Ingress, Model,
        PathKind, PathPattern, PortKey, Protocol, Rule, Treatment,
    };
    use crate::pki::full_strict::Verdict;
    use crate::routing::{Publisher, compile};
    use crate::tls::{Entry, Policies};
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm};

    fn host(name: &str) -> HostPattern {
        HostPattern::parse(Some(name).filter(|name| *name != "*")).expect("a host")
    }

    fn certificate(names: &[&str], kind: &'static SignatureAlgorithm) -> Arc<Certificate> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate_for(kind).expect("a key");
        let signed = CertificateParams::new(names).expect("names").self_signed(&key);
        let (chain, key) = (signed.expect("a certificate").pem(), key.serialize_pem());
        Arc::new(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair"))
    }

    fn snapshot(certificates: &[&Arc<Certificate>]) -> Snapshot {
        let all = certificates.iter().map(|one| Entry::of_names(Arc::clone(one), false));
        Snapshot::build(&Policies::new().expect("random numbers"), &all.collect::<Vec<_>>())
    }

    fn table(hosts: &[&str]) -> Table {
        compile(&model(hosts), None)
    }

    /// A rule for each host, of the Ingress shop/web.
    fn model(hosts: &[&str]) -> Model {
        let key = BackendKey {
            namespace: "shop".into(),
            service: "s".into(),
            port: PortKey::Number(80),
            variant: None,
        };
        let ingress = Ingress::mk_plain("shop", "web", 0);
        let rule = |(number, name): (usize, &&str)| Rule {
            host: host(name),
            path: PathPattern::new(PathKind::Prefix, "/").expect("a path"),
            backend: BackendId::of(key.clone()),
            ingress: Arc::new(ingress.clone()),
            rule: number,
            position: 0,
            matching: Default::default(),
            middlewares: None,
        };
        let backend = BackendSpec {
            key: key.clone(),
            state: BackendState::Resolved([].into()),
            protocol: Protocol::Http,
            treatment: Treatment::default(),
        };
        Model {
            ingresses: [ingress.clone()].into_iter().collect(),
            rules: hosts.iter().enumerate().map(rule).collect(),
            backends: [backend].into_iter().collect(),
            ..Model::default()
        }
    }

    fn secret(hosts: &[&str]) -> TlsSecret {
        TlsSecret {
            namespace: "shop".into(),
            name: "cert".into(),
            certificate: None,
            hosts: hosts.iter().map(|name| host(name)).collect(),
            role: CertificateRole::Routes,
        }
    }

    #[test]
    fn the_hosts_are_those_of_rules_and_secrets_and_of_certificates_that_a_rule_serves() {
        let one =
            certificate(&["x.wild.example", "y.other.example", "*.more.example"], &PKCS_RSA_SHA256);
        let (shown, secrets) = (snapshot(&[&one]), [secret(&["s.example", "a.example"])]);
        let all = |rules: &[&str]| {
            let all = hosts(&table(rules), &secrets, &shown);
            all.iter().map(|(host, object)| format!("{host} {object}")).collect::<Vec<_>>()
        };
        let some = [
            "a.example Ingress shop/web",
            "s.example Secret shop/cert",
            "x.wild.example Ingress shop/web",
            "*.wild.example Ingress shop/web",
        ];
        assert_eq!(all(&["a.example", "*.wild.example"]), some);
        let any = all(&["*", "a.example", "*.wild.example"]);
        assert_eq!(any.len(), 6);
        assert!(some.iter().all(|line| any.iter().any(|found| found == line)), "{any:?}");
        assert!(any.contains(&"*.more.example Ingress shop/web".to_owned()), "{any:?}");
    }

    #[test]
    fn cloudflare_is_shown_the_certificate_that_it_can_check() {
        let (ed25519, rsa) = (
            certificate(&["a.example"], &PKCS_ED25519),
            certificate(&["a.example"], &PKCS_RSA_SHA256),
        );
        let both = snapshot(&[&ed25519, &rsa]);
        let shown = |snapshot, name| shown(snapshot, &host(name), TlsPeer::Cloudflare);
        assert!(Arc::ptr_eq(shown(&both, "a.example").expect("one"), &rsa));
        let alone = snapshot(&[&ed25519]);
        assert!(Arc::ptr_eq(shown(&alone, "a.example").expect("one"), &ed25519));
        assert!(shown(&alone, "b.example").is_none());
    }

    #[test]
    fn nothing_is_judged_anew_before_something_changes_or_a_verdict_may() {
        let mut publisher = Publisher::new(table(&["a.example"]));
        let store = Arc::<SnapshotCell>::default();
        let one = certificate(&["a.example"], &PKCS_RSA_SHA256);
        store.publish(snapshot(&[&one]));
        let metrics = Arc::default();
        let authorities = Arc::new(Authorities::none());
        let mut check =
            SelfCheck::new(publisher.handle(), Arc::clone(&store), authorities, &metrics);
        let judged = |check: &mut SelfCheck, now| {
            let mut asked = false;
            check.look(
                || {
                    asked = true;
                    (Vec::new(), Vec::new())
                },
                now,
            );
            asked
        };
        let now = one.not_before() + 1_000_000;
        assert!(judged(&mut check, now));
        assert!(!judged(&mut check, now + PROOF_LASTS - 1));
        assert!(judged(&mut check, now + PROOF_LASTS), "a proof is old");
        let next = compile(&model(&["a.example", "b.example"]), Some(&publisher.current()));
        publisher.publish(next);
        assert!(judged(&mut check, now + PROOF_LASTS));
        let hosts = metrics.read().full_strict;
        let words: Vec<_> = hosts.iter().map(|(host, verdict, _)| (&**host, *verdict)).collect();
        let expected = [("a.example", Verdict::SelfSigned), ("b.example", Verdict::NoCertificate)];
        assert_eq!(words, expected);
        store.publish(snapshot(&[]));
        assert!(judged(&mut check, now + PROOF_LASTS));
        assert!(!judged(&mut check, now + PROOF_LASTS));
        store.publish(snapshot(&[&one]));
        assert!(judged(&mut check, one.not_after() - 1));
        assert!(judged(&mut check, one.not_after()), "it expires");
    }
}
