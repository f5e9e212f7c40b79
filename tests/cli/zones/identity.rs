//! Certificates of the tests: of the played API, and of the hosts that are served.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;

/// An authority of that name.
pub(super) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// The API's side, and the authority that clients are told to trust, as PEM.
pub(super) fn server_config() -> (ServerConfig, String) {
    let trusted = authority("of the API");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &trusted);
    let leaf = leaf.expect("a certificate");
    (crate::server_config::server_config(&leaf, &key), trusted.pem())
}

/// A certificate for these names, its key, and the authority that issued it, as PEM.
pub(super) fn issued(names: &[&str]) -> (String, String, String) {
    let issuer = authority("of the hosts");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &issuer);
    (leaf.expect("a certificate").pem(), key.serialize_pem(), issuer.pem())
}
