//! The certificates: an authority, the API server's, and an administrator's.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The authority of one control plane. Server and clients believe it and nothing else.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server_key: KeyPair,
    folder: PathBuf,
}

impl Authority {
    /// Makes the authority and all files in a folder: `ca.crt`, `server.crt`, `server.key`,
    /// `admin.crt`, `admin.key`, and `accounts.key`, which signs the tokens of service accounts, with
    /// `accounts.pub`.
    pub(crate) fn create(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "plane");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("plain parameters");
        let authority = Self { issuer, server_key: key(), folder: folder.to_owned() };
        authority.write("ca.crt", &authority.issuer.pem());
        let accounts = key();
        authority.write("accounts.key", &accounts.serialize_pem());
        // The server takes no public key out of PKCS#8.
        authority.write("accounts.pub", &accounts.public_key_pem());
        authority.write("server.key", &authority.server_key.serialize_pem());
        authority.renew_server();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.distinguished_name.push(DnType::CommonName, "admin");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let admin = key();
        authority.write("admin.key", &admin.serialize_pem());
        authority.certify("admin", &params, &admin);
        authority
    }

    /// Replaces the server's certificate, for the same key: a running API server reads it by itself,
    /// and would not try again if it met a certificate with another one's key.
    pub(crate) fn renew_server(&self) {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.certify("server", &params, &self.server_key);
    }

    /// A client's TLS: with the administrator's certificate, or with none.
    pub(crate) fn client(&self, as_admin: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of the provider")
            .with_root_certificates(roots);
        if !as_admin {
            return without_tickets(builder.with_no_client_auth());
        }
        let certificate = CertificateDer::from_pem_file(self.path("admin.crt"));
        let key = PrivatePkcs8KeyDer::from_pem_file(self.path("admin.key"));
        let chain = vec![certificate.expect("written above")];
        let key = key.expect("rcgen writes PKCS#8");
        let config = builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key));
        without_tickets(config.expect("a key that fits"))
    }

    /// The administrator as a kubeconfig says it.
    pub(crate) fn admin_user(&self) -> String {
        let [certificate, key] = ["admin.crt", "admin.key"].map(|name| self.path(name));
        let (certificate, key) = (certificate.display(), key.display());
        format!("client-certificate: {certificate}\n    client-key: {key}")
    }

    /// Writes a file with a certificate for a user of this name, good for so long, and its key.
    pub(crate) fn certify_user(&self, file: &str, user: &str, lifetime: Duration) -> PathBuf {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + lifetime;
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("plain parameters");
        self.write(file, &(certificate.pem() + &key.serialize_pem()));
        self.path(file)
    }

    /// One of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn certify(&self, name: &str, params: &CertificateParams, key: &KeyPair) {
        let certificate = params.signed_by(key, &self.issuer).expect("plain parameters");
        self.write(&format!("{name}.crt"), &certificate.pem());
    }

    /// Whole at once, because a running server watches the files.
    fn write(&self, name: &str, text: &str) {
        let next = self.path(&format!("{name}.next"));
        fs::write(&next, text).expect("a folder of ours");
        fs::rename(&next, self.path(name)).expect("a folder of ours");
    }
}

/// A session that is resumed shows the certificate that it began with.
fn without_tickets(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key on P-256")
}
