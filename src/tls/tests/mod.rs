//! Certificates from PEM, and which one a server name gets.

mod policies;

use super::*;
use crate::model::HostPattern;
use crate::pki::certificate::{Certificate, KeyKind};
use crate::telemetry::HandshakeFailure;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use rcgen::{Issuer as CaIssuer, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm};
use std::path::Path;
use std::sync::Arc;

/// A chain and its key, as PEM.
fn pem(names: &[&str], algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate_for(algorithm).expect("a key");
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn certificate(names: &[&str]) -> Arc<Certificate> {
    of_kind(names, &PKCS_ECDSA_P256_SHA256)
}

fn of_kind(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Arc<Certificate> {
    let (chain, key) = pem(names, algorithm);
    Arc::new(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair"))
}

fn snapshot(entries: &[Entry]) -> Snapshot {
    Snapshot::build(&Policies::new().expect("random numbers"), entries)
}

#[test]
fn a_certificate_tells_its_names_dates_and_kind() {
    let names = ["B.example", "*.a.example", "192.0.2.1", "*", "x.*.example", "b.example"];
    for (algorithm, kind) in [
        (&PKCS_ECDSA_P256_SHA256, KeyKind::Ecdsa),
        (&PKCS_ECDSA_P384_SHA384, KeyKind::Ecdsa),
        (&PKCS_ED25519, KeyKind::Ed25519),
        (&PKCS_RSA_SHA256, KeyKind::Rsa),
    ] {
        let read = of_kind(&names, algorithm);
        let shown: Vec<String> = read.names().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["b.example", "*.a.example"]);
        assert_eq!(read.kind(), kind);
        // What rcgen writes: 1975 to 4096.
        assert_eq!((read.not_before(), read.not_after()), (157_766_400, 67_090_118_400));
    }
}

#[test]
fn debug_shows_no_key() {
    let (chain, key) = pem(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let read = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
    let text = format!("{read:?}");
    assert!(text.contains("a.example") && text.len() < 200, "{text}");
}

#[test]
fn keys_are_read_in_each_of_their_forms() {
    // Of openssl: ecparam -genkey, genrsa -traditional, and the same through pkcs8 -topk8.
    let (chain, key) = pem(&["a.example"], &PKCS_RSA_SHA256);
    assert!(key.contains("BEGIN PRIVATE KEY"));
    for form in ["rsa", "ec"] {
        let algorithm = if form == "rsa" { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
        let (chain, key) = pem(&["a.example"], algorithm);
        let converted = openssl(&[form, "-traditional"], &key)
            .or_else(|| openssl(&[form], &key))
            .unwrap_or(key);
        Certificate::from_pem(chain.as_bytes(), converted.as_bytes()).expect(form);
    }
    Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("PKCS#8");
}

/// What openssl makes of a text; `None` if it is not installed, or does not know how.
fn openssl(line: &[&str], input: &str) -> Option<String> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).expect("PEM"))
}

#[test]
fn what_is_no_pair_is_refused_with_the_file_and_a_fix() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (chain, key) = pem(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let (_, other) = pem(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let (_, other_kind) = pem(&["a.example"], &PKCS_RSA_SHA256);
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let cut = &chain[..chain.len() / 2];
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (chain, key, file, expected) in [
        ("", &*key, "crt", "contains no certificate"),
        (&*key, &*key, "crt", "contains no certificate"),
        (cut, &*key, "crt", "is not valid PEM"),
        (junk, &*key, "crt", "has a first certificate that cannot be parsed"),
        (&*chain, "", "key", "contains no private key"),
        (&*chain, &*chain, "key", "contains no private key"),
        (&*chain, &*encrypted, "key", "is an encrypted key; decrypt it"),
        (&*chain, &key[..key.len() / 2], "key", "is not valid PEM"),
        (&*chain, &*other, "key", "does not match the first certificate"),
        (&*chain, &*other_kind, "key", "does not match the first certificate"),
    ] {
        let (crt_file, key_file) = (folder.path().join("crt"), folder.path().join("key"));
        std::fs::write(&crt_file, chain).expect("a writable folder");
        std::fs::write(&key_file, key).expect("a writable folder");
        let error = Certificate::load(&crt_file, &key_file).expect_err(expected).to_string();
        let start = format!("{:?} {expected}", folder.path().join(file));
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains("; "), "no fix: {error}");
        assert!(!error.contains("MIG"), "a part of the key: {error}");
    }
    let error = Certificate::load(Path::new("absent.crt"), Path::new("absent.key"));
    let error = error.expect_err("no such file").to_string();
    assert!(error.starts_with("\"absent.crt\" cannot be read: "), "{error}");
    let error = Certificate::load(folder.path(), folder.path()).expect_err("a folder").to_string();
    assert!(error.contains("it is not a file"), "{error}");
}

#[test]
fn arbitrary_bytes_are_no_certificate_and_no_panic() {
    let (chain, key) = pem(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    for end in (0..chain.len()).step_by(7) {
        let _ = Certificate::from_pem(&chain.as_bytes()[..end], key.as_bytes());
        let mut changed = chain.clone().into_bytes();
        changed[end] ^= 0x55;
        let _ = Certificate::from_pem(&changed, key.as_bytes());
        let _ = Certificate::from_pem(key.as_bytes(), &changed);
    }
}

#[test]
fn a_name_is_shown_its_own_certificate_then_a_wildcards_then_the_default() {
    let exact = certificate(&["a.example"]);
    let wildcard = certificate(&["*.a.example", "*.example"]);
    let fallback = certificate(&["else.example"]);
    let mut entries = vec![
        Entry::of_names(Arc::clone(&exact), false),
        Entry::of_names(Arc::clone(&wildcard), false),
    ];
    let strict = snapshot(&entries);
    entries.push(Entry::of_names(Arc::clone(&fallback), true));
    let lenient = snapshot(&entries);
    for (name, expected) in [
        (Some("a.example"), Ok(&exact)),
        (Some("A.Example."), Ok(&exact)),
        (Some("b.example"), Ok(&wildcard)),
        (Some("x.a.example"), Ok(&wildcard)),
        (Some("y.x.a.example"), Err(HandshakeFailure::UnknownSni)),
        (Some("example"), Err(HandshakeFailure::UnknownSni)),
        (Some(".example"), Ok(&wildcard)),
        (Some("*.example"), Err(HandshakeFailure::UnknownSni)),
        (Some("a/b"), Err(HandshakeFailure::UnknownSni)),
        (Some(""), Err(HandshakeFailure::UnknownSni)),
        (None, Err(HandshakeFailure::NoSni)),
    ] {
        let found = strict.find(name).map(|found| found.preferred().certificate().clone());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert!(Arc::ptr_eq(&found, expected), "{name:?}"),
            (Err(found), Err(expected)) => assert_eq!(found, expected, "{name:?}"),
            (found, expected) => panic!("{name:?}: {found:?}, not {expected:?}"),
        }
        let found = lenient.find(name).expect("the default at least");
        assert_eq!(found.by_default, expected.is_err(), "{name:?}");
        let expected = expected.unwrap_or(&fallback);
        assert!(Arc::ptr_eq(found.preferred().certificate(), expected), "{name:?}");
    }
}

/// A certificate for a name, issued by an authority with this unit.
fn issued(unit: &str, algorithm: &'static SignatureAlgorithm) -> Arc<Certificate> {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    let issuer = CaIssuer::new(authority, authority_key);
    let key = KeyPair::generate_for(algorithm).expect("a key");
    let own = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    let own = own.signed_by(&key, &issuer).expect("signed");
    let read = Certificate::from_pem(own.pem().as_bytes(), key.serialize_pem().as_bytes());
    Arc::new(read.expect("a pair"))
}

#[test]
fn of_two_issuers_cloudflare_is_shown_its_own_and_others_the_other_one() {
    let ecdsa = &PKCS_ECDSA_P256_SHA256;
    let origin = issued("CloudFlare Origin SSL ECC Certificate Authority", ecdsa);
    let public = issued("Example Trust", ecdsa);
    let second = issued("CloudFlare Origin SSL Certificate Authority", ecdsa);
    for order in [[&origin, &public, &second], [&public, &origin, &second]] {
        let snapshot = snapshot(&order.map(|one| Entry::of_names(Arc::clone(one), false)));
        let found = snapshot.find(Some("a.example")).expect("known");
        for (peer, expected) in [(TlsPeer::Cloudflare, &origin), (TlsPeer::Other, &public)] {
            assert!(Arc::ptr_eq(found.for_peer(peer).certificate(), expected), "{peer:?}");
        }
    }
    // With one alone there is nothing to choose.
    let alone = snapshot(&[Entry::of_names(Arc::clone(&origin), false)]);
    let found = alone.find(Some("a.example")).expect("known");
    assert!(Arc::ptr_eq(found.for_peer(TlsPeer::Other).certificate(), &origin));
}

#[test]
fn of_two_kinds_for_a_name_the_cheaper_is_preferred_and_of_one_kind_the_first() {
    let rsa = of_kind(&["a.example"], &PKCS_RSA_SHA256);
    let ecdsa = of_kind(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let second = of_kind(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let entries = [&rsa, &ecdsa, &second].map(|one| Entry::of_names(Arc::clone(one), false));
    let snapshot = snapshot(&entries);
    let found = snapshot.find(Some("a.example")).expect("known");
    assert!(Arc::ptr_eq(found.preferred().certificate(), &ecdsa));
    let (_, shelf) = snapshot.names().next().expect("a name");
    let kinds: Vec<KeyKind> = shelf.iter().map(|shown| shown.certificate().kind()).collect();
    assert_eq!(kinds, [KeyKind::Ecdsa, KeyKind::Rsa]);
}

#[test]
fn hosts_may_be_others_than_the_names_in_the_certificate() {
    let hosts = vec![HostPattern::Exact("b.example".into()), HostPattern::Any];
    let entry =
        Entry { certificate: certificate(&["a.example"]), hosts, default: false, secret: None };
    let snapshot = snapshot(&[entry]);
    assert!(snapshot.has("b.example") && !snapshot.has("a.example"));
}

#[test]
fn a_connection_is_for_the_hosts_that_its_certificate_covers() {
    let shared = certificate(&["a.example", "*.b.example"]);
    let own = certificate(&["c.example"]);
    let entries =
        [Entry::of_names(Arc::clone(&shared), false), Entry::of_names(Arc::clone(&own), false)];
    let snapshot = snapshot(&entries);
    for (by_default, sni, host, expected) in [
        (false, Some("a.example"), "a.example", true),
        (false, Some("a.example"), "x.b.example", true),
        (false, Some("a.example"), "b.example", false),
        (false, Some("a.example"), "y.x.b.example", false),
        (false, Some("a.example"), "c.example", false),
        (false, Some("a.example"), "unknown.example", false),
        (false, Some("a.example"), "", false),
        (false, Some("a.example"), "192.0.2.1", false),
        // A host of the handshake that the certificate does not name: presented for it anyway.
        (false, Some("other.example"), "other.example", true),
        (true, None, "unknown.example", true),
        (true, None, "", true),
        (true, None, "c.example", false),
        (true, Some("unknown.example"), "c.example", false),
    ] {
        let found = covers(&snapshot, &shared, by_default, sni, host);
        assert_eq!(found, expected, "{sni:?} {host:?}, by default: {by_default}");
    }
}
