use super::{Authorities, CaKind, Certificate, Proof};
use crate::net::host::HostPattern;
use crate::pki::full_strict::{Judgement, Verdict, judge};
use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60;
/// When the certificates of these tests begin, 2026-01-01.
const BEGIN: i64 = 1_767_225_600;
/// When they end, 2027-01-01.
const END: i64 = BEGIN + 365 * DAY;
/// A day in between.
const NOW: i64 = BEGIN + 100 * DAY;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2029, 1, 1));
    params
}

fn root(name: &str, kind: &'static SignatureAlgorithm) -> Ca {
    let key = KeyPair::generate_for(kind).expect("a key");
    Ca::self_signed(ca_params(name), key).expect("a certificate")
}

fn below(issuer: &Ca, params: CertificateParams) -> Ca {
    Ca::signed_by(params, KeyPair::generate().expect("a key"), issuer).expect("a certificate")
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, "CloudFlare Origin Certificate");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
    params
}

/// A certificate of `issuer` with the given certificates after it.
fn issue(
    issuer: &Ca,
    params: &CertificateParams,
    kind: &'static SignatureAlgorithm,
    after: &[&Ca],
) -> Certificate {
    let key = KeyPair::generate_for(kind).expect("a key");
    let own = params.signed_by(&key, issuer).expect("a certificate");
    let after = after.iter().map(|other| other.pem());
    let chain: String = std::iter::once(own.pem()).chain(after).collect();
    Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).expect("a pair")
}

fn ecdsa_leaf(issuer: &Ca, names: &[&str]) -> Certificate {
    issue(issuer, &leaf_params(names), &PKCS_ECDSA_P256_SHA256, &[])
}

/// A certificate that signs itself, and its PEM.
fn self_signed(params: &CertificateParams) -> (Certificate, String) {
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let pair = Certificate::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes());
    (pair.expect("a pair"), pem)
}

/// The roots of a test in the place of those of Origin CA.
fn origin_ca(roots: &[&Ca]) -> Authorities {
    let mut authorities = Authorities::none();
    for root in roots {
        authorities.add(CaKind::OriginCa, root.pem().as_bytes()).expect("a root");
    }
    authorities
}

fn host(name: &str) -> HostPattern {
    HostPattern::parse(Some(name)).expect("a host")
}

fn at(authorities: &Authorities, name: &str, certificate: &Certificate, now: i64) -> Judgement {
    judge(&host(name), certificate, &authorities.prove(certificate, now), now)
}

/// The word and the status that visitors get.
fn said(judgement: &Judgement) -> (&'static str, Option<u16>) {
    (judgement.verdict.label(), judgement.verdict.status())
}

#[test]
fn the_roots_of_origin_ca_are_the_genuine_ones() {
    let all = CertificateDer::pem_slice_iter(include_bytes!("origin_ca.pem"));
    let hex = |der: CertificateDer<'_>| -> String {
        digest(&SHA256, &der).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    };
    let prints: Vec<String> = all.map(|der| hex(der.expect("PEM"))).collect();
    assert_eq!(
        prints,
        [
            "AA63697A22764B67B2134CE14CB5690EA336940B93986113F49545917832D80D",
            "D3C7E85C91707FC0A12ABC5D88266747AA4FA8E7B162F633FFB3C9D989947620",
        ]
    );
}

#[test]
fn an_rsa_and_an_ecdsa_certificate_of_origin_ca_are_fine() {
    let (rsa_root, ecc_root) =
        (root("Origin RSA", &PKCS_RSA_SHA256), root("Origin ECC", &PKCS_ECDSA_P256_SHA256));
    let authorities = origin_ca(&[&rsa_root, &ecc_root]);
    for (issuer, kind) in [
        (&rsa_root, &PKCS_RSA_SHA256),
        (&ecc_root, &PKCS_ECDSA_P256_SHA256),
        (&ecc_root, &PKCS_ECDSA_P384_SHA384),
    ] {
        let params = leaf_params(&["example.com", "*.example.com"]);
        let certificate = issue(issuer, &params, kind, &[]);
        for name in ["example.com", "www.example.com", "*.example.com"] {
            let judgement = at(&authorities, name, &certificate, NOW);
            assert_eq!(said(&judgement), ("ok", None), "{name}: {judgement:?}");
            assert_eq!(judgement.authority, Some(CaKind::OriginCa));
            assert_eq!((judgement.until, judgement.days_left), (Some(END), Some(265)));
            assert_eq!(judgement.text(), "ok, 265 days left, by Cloudflare Origin CA");
        }
    }
}

#[test]
fn dates_are_judged_at_the_second_as_cloudflare_does() {
    let root = root("Origin ECC", &PKCS_ECDSA_P256_SHA256);
    let authorities = origin_ca(&[&root]);
    let certificate = ecdsa_leaf(&root, &["a.example"]);
    let soon = END - 14 * DAY;
    for (now, expected, days, changes_at) in [
        (BEGIN - 1, ("not_yet_valid", Some(526)), 365, Some(BEGIN + 1)),
        (BEGIN, ("not_yet_valid", Some(526)), 365, Some(BEGIN + 1)),
        (BEGIN + 1, ("ok", None), 364, Some(soon)),
        (soon - 1, ("ok", None), 14, Some(soon)),
        (soon, ("expires_soon", None), 14, Some(END)),
        (END - 1, ("expires_soon", None), 0, Some(END)),
        (END, ("expired", Some(526)), 0, None),
        (END + 3 * DAY, ("expired", Some(526)), -3, None),
    ] {
        let judgement = at(&authorities, "a.example", &certificate, now);
        assert_eq!(said(&judgement), expected, "{now}");
        assert_eq!((judgement.days_left, judgement.changes_at), (Some(days), changes_at), "{now}");
    }
}

#[test]
fn a_root_that_has_expired_itself_is_an_authority_still() {
    let root = root("Origin ECC", &PKCS_ECDSA_P256_SHA256);
    let mut params = leaf_params(&["a.example"]);
    params.not_after = date_time_ymd(2040, 1, 1);
    let certificate = issue(&root, &params, &PKCS_ECDSA_P256_SHA256, &[]);
    let year_2035 = BEGIN + 9 * 365 * DAY;
    let judgement = at(&origin_ca(&[&root]), "a.example", &certificate, year_2035);
    assert_eq!(said(&judgement), ("ok", None));
}

#[test]
fn a_certificate_of_six_days_does_not_expire_soon_all_its_life() {
    let root = root("Short", &PKCS_ECDSA_P256_SHA256);
    let mut params = leaf_params(&["a.example"]);
    params.not_after = date_time_ymd(2026, 1, 7);
    let certificate = issue(&root, &params, &PKCS_ECDSA_P256_SHA256, &[]);
    let verdict = |now| at(&origin_ca(&[&root]), "a.example", &certificate, now).verdict;
    assert_eq!(verdict(BEGIN + 4 * DAY), Verdict::Ok);
    assert_eq!(verdict(BEGIN + 5 * DAY), Verdict::ExpiresSoon);
}

#[test]
fn the_name_of_the_host_has_to_be_in_it_and_a_wildcard_is_one_label() {
    let root = root("Origin ECC", &PKCS_ECDSA_P256_SHA256);
    let authorities = origin_ca(&[&root]);
    let certificate = ecdsa_leaf(&root, &["a.example", "*.b.example"]);
    for (name, fits) in [
        ("a.example", true),
        ("x.b.example", true),
        ("*.b.example", true),
        ("b.example", false),
        ("x.y.b.example", false),
        ("x.a.example", false),
        ("*.a.example", false),
    ] {
        let expected = if fits { ("ok", None) } else { ("name_mismatch", Some(526)) };
        assert_eq!(said(&at(&authorities, name, &certificate, NOW)), expected, "{name}");
    }
}

#[test]
fn a_common_name_counts_only_where_there_is_no_alternative_name() {
    let root = root("Origin ECC", &PKCS_ECDSA_P256_SHA256);
    let authorities = origin_ca(&[&root]);
    for (names, expected) in [(&[][..], "ok"), (&["b.example"], "name_mismatch")] {
        let mut params = leaf_params(names);
        params.distinguished_name.push(DnType::CommonName, "a.example");
        let certificate = issue(&root, &params, &PKCS_ECDSA_P256_SHA256, &[]);
        let judgement = at(&authorities, "a.example", &certificate, NOW);
        assert_eq!(judgement.verdict.label(), expected);
    }
}

#[test]
fn one_that_signs_itself_is_refused_unless_it_is_in_the_trust_store() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = leaf_params(&["a.example"]);
        params.is_ca = is_ca;
        let (certificate, pem) = self_signed(&params);
        let mut authorities = Authorities::of_cloudflare();
        // Whatever else is wrong with it.
        for now in [NOW, END + DAY] {
            let judgement = at(&authorities, "b.example", &certificate, now);
            assert_eq!(said(&judgement), ("self_signed", Some(526)));
        }
        authorities.add(CaKind::TrustStore, pem.as_bytes()).expect("a certificate");
        let judgement = at(&authorities, "a.example", &certificate, NOW);
        assert_eq!(said(&judgement), ("ok", None));
        assert_eq!(judgement.authority, Some(CaKind::TrustStore));
    }
}

#[test]
fn a_chain_by_an_intermediate_is_fine_and_without_it_incomplete() {
    let root = root("Public", &PKCS_RSA_SHA256);
    let mut authorities = Authorities::none();
    authorities.add(CaKind::Public, root.pem().as_bytes()).expect("a root");
    let middle = below(&root, ca_params("Intermediate"));
    let params = leaf_params(&["a.example"]);
    let whole = issue(&middle, &params, &PKCS_ECDSA_P256_SHA256, &[&middle]);
    assert_eq!(authorities.prove(&whole, NOW), Proof::Trusted(CaKind::Public));
    // That the root comes along, too, does no harm.
    let more = issue(&middle, &params, &PKCS_ECDSA_P256_SHA256, &[&middle, &root]);
    assert_eq!(authorities.prove(&more, NOW), Proof::Trusted(CaKind::Public));
    for after in [&[][..], &[&root]] {
        let alone = issue(&middle, &params, &PKCS_ECDSA_P256_SHA256, after);
        let judgement = at(&authorities, "a.example", &alone, NOW);
        assert_eq!(said(&judgement), ("incomplete_chain", Some(526)));
        assert!(judgement.reason.contains("CN=Intermediate"), "{}", judgement.reason);
    }
}

#[test]
fn an_authority_of_ones_own_is_unknown_until_it_is_in_the_trust_store() {
    let root = root("Company", &PKCS_ECDSA_P256_SHA256);
    let params = leaf_params(&["a.example"]);
    let certificate = issue(&root, &params, &PKCS_ECDSA_P256_SHA256, &[&root]);
    let mut authorities = Authorities::of_cloudflare();
    let judgement = at(&authorities, "a.example", &certificate, NOW);
    assert_eq!(said(&judgement), ("unknown_issuer", Some(526)));
    assert!(judgement.reason.contains("CN=Company"), "{}", judgement.reason);
    authorities.add(CaKind::TrustStore, root.pem().as_bytes()).expect("a root");
    let judgement = at(&authorities, "a.example", &certificate, NOW);
    assert_eq!(said(&judgement), ("ok", None));
    assert_eq!(judgement.text(), "ok, 265 days left, by the Custom Origin Trust Store");
}

#[test]
fn the_name_of_origin_ca_without_its_signature_is_worth_nothing() {
    let place =
        [(DnType::StateOrProvinceName, "California"), (DnType::LocalityName, "San Francisco")];
    let [state, city] = place;
    let (us, company) =
        ((DnType::CountryName, "US"), (DnType::OrganizationName, "CloudFlare, Inc."));
    let unit = |name| (DnType::OrganizationalUnitName, name);
    let ecc = unit("CloudFlare Origin SSL ECC Certificate Authority");
    let rsa = unit("CloudFlare Origin SSL Certificate Authority");
    // As in the genuine roots, letter by letter; a key of the same kind, and one of the other.
    let ecc = [us.clone(), state.clone(), city.clone(), company.clone(), ecc];
    let rsa = [us, company, rsa, city, state];
    for (name, kind) in
        [(&ecc, &PKCS_ECDSA_P256_SHA256), (&rsa, &PKCS_RSA_SHA256), (&rsa, &PKCS_ECDSA_P256_SHA256)]
    {
        let mut params = ca_params("");
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in name.clone() {
            let text = rcgen::DnValue::PrintableString(text.try_into().expect("printable"));
            params.distinguished_name.push(kind, text);
        }
        let key = KeyPair::generate_for(kind).expect("a key");
        let thief = Ca::self_signed(params, key).expect("a certificate");
        let certificate = ecdsa_leaf(&thief, &["a.example"]);
        let proof = Authorities::of_cloudflare().prove(&certificate, NOW);
        assert!(matches!(proof, Proof::Forged { .. }), "{proof:?}");
        let judgement = judge(&host("a.example"), &certificate, &proof, NOW);
        assert_eq!(said(&judgement), ("unknown_issuer", Some(526)));
    }
}

#[test]
fn a_signature_with_sha_1_is_not_believed() {
    let root = root("Old", &PKCS_RSA_SHA256);
    let mut certificate = ecdsa_leaf(&root, &["a.example"]);
    // sha256WithRSAEncryption becomes sha1WithRSAEncryption (RFC 8017 appendix A.2.4).
    let [sha256, sha1] = [11, 5].map(|last| [42, 134, 72, 134, 247, 13, 1, 1, last]);
    let mut der = certificate.key.cert[0].to_vec();
    let places: Vec<usize> =
        (0..der.len()).filter(|&place| der[place..].starts_with(&sha256)).collect();
    assert_eq!(places.len(), 2);
    for place in places {
        der[place..place + sha1.len()].copy_from_slice(&sha1);
    }
    let key = CertifiedKey::new(vec![der.into()], certificate.key.key.clone());
    certificate.key = Arc::new(key);
    let judgement = at(&origin_ca(&[&root]), "a.example", &certificate, NOW);
    assert_eq!(said(&judgement), ("weak_signature", Some(526)));
}

#[test]
fn an_intermediate_that_has_expired_is_told_apart() {
    let root = root("Public", &PKCS_ECDSA_P256_SHA256);
    let mut params = ca_params("Intermediate");
    params.not_after = date_time_ymd(2026, 2, 1);
    let middle = below(&root, params);
    let params = leaf_params(&["a.example"]);
    let certificate = issue(&middle, &params, &PKCS_ECDSA_P256_SHA256, &[&middle]);
    let judgement = at(&origin_ca(&[&root]), "a.example", &certificate, NOW);
    assert_eq!(said(&judgement), ("expired", Some(526)));
    assert!(judgement.reason.contains("intermediate"), "{}", judgement.reason);
}

#[test]
fn one_for_clients_or_of_an_authority_is_not_for_servers() {
    let root = root("Origin ECC", &PKCS_ECDSA_P256_SHA256);
    let mut client = leaf_params(&["a.example"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut authority = leaf_params(&["a.example"]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [client, authority] {
        let certificate = issue(&root, &params, &PKCS_ECDSA_P256_SHA256, &[]);
        let judgement = at(&origin_ca(&[&root]), "a.example", &certificate, NOW);
        assert_eq!(said(&judgement), ("not_for_servers", Some(526)));
    }
}

#[test]
fn a_key_that_cloudflare_cannot_check_ends_the_handshake() {
    let root = root("Origin ECC", &PKCS_ECDSA_P256_SHA256);
    for kind in [&PKCS_ED25519, &PKCS_ECDSA_P521_SHA512] {
        let certificate = issue(&root, &leaf_params(&["a.example"]), kind, &[]);
        let judgement = at(&origin_ca(&[&root]), "a.example", &certificate, NOW);
        assert_eq!(said(&judgement), ("key_unsupported", Some(525)));
    }
}

#[test]
fn no_certificate_is_525_and_every_verdict_has_a_word_of_its_own() {
    let nothing = Judgement::of_nothing();
    assert_eq!(said(&nothing), ("no_certificate", Some(525)));
    assert!(nothing.text().starts_with("525 no_certificate: "), "{}", nothing.text());
    let words: std::collections::BTreeSet<_> = Verdict::ALL.map(Verdict::label).into();
    assert_eq!(words.len(), Verdict::ALL.len());
    for (position, verdict) in Verdict::ALL.into_iter().enumerate() {
        assert_eq!(verdict as usize, position);
    }
}

#[test]
fn a_trust_store_is_a_file_with_certificates() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("store.pem");
    let mut authorities = Authorities::none();
    let mut problem = |text: Option<&[u8]>| {
        if let Some(text) = text {
            std::fs::write(&file, text).expect("a folder of ours");
        }
        authorities.load_trust_store(&file).map_err(|error| error.to_string())
    };
    assert!(problem(None).expect_err("no file").starts_with("cannot be read: "));
    for (text, expected) in [
        (&b"nothing"[..], "contains no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAA", "is not valid PEM"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "contains a certificate that cannot be parsed",
        ),
    ] {
        let said = problem(Some(text)).expect_err(expected);
        assert!(said.starts_with(expected) && said.contains("; "), "{said}");
    }
    let root = root("Company", &PKCS_ECDSA_P256_SHA256);
    assert_eq!(problem(Some(root.pem().as_bytes())), Ok(()));
}
