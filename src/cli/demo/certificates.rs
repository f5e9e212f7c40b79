//! The certificate of the demo, by a CA whose key exists only while it signs.

use crate::cli::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};

/// Names that the certificate is for. One by one, because OpenSSL takes no wildcard directly below a top-level domain.
const NAMES: [&str; 8] = [
    "localhost",
    "app.localhost",
    "broken.localhost",
    "grpc.localhost",
    "login.localhost",
    "route.localhost",
    "secure.localhost",
    "slow.localhost",
];

/// PEM texts of the certificate, its key, and the CA that clients have to trust.
pub(super) struct ThrowAway {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

impl ThrowAway {
    /// Makes new ones. The CA is allowed to sign for `localhost` and names below it alone (RFC 5280 §4.2.1.10), so
    /// that one that was added to a browser and forgotten there does no harm.
    pub(super) fn new() -> Result<Self, Failure> {
        Self::signed()
            .map_err(|error| Failure { code: 1, text: format!("no certificate: {error}") })
    }

    fn signed() -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "ravelin demo, throw away");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("localhost".to_owned())],
            excluded_subtrees: Vec::new(),
        });
        let authority_key = KeyPair::generate()?;
        let root = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);
        let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
        leaf.distinguished_name.push(DnType::CommonName, "ravelin demo");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?.pem();
        Ok(Self { authority: root, certificate, key: key.serialize_pem() })
    }
}
