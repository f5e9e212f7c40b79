//! Handshakes as a case wants them: another server name or none, one version of TLS, one suite, a certificate of the
//! client. What came of them is told beside the answer, as fields `(certificate)` and `(version)`; a connection that
//! gave no answer has status 0 and the body `refused`, whoever of the two ended it and how.

use crate::certificates::Certificates;
use crate::client::{Response, connect, converse};
use crate::tls_client::{AnyCertificate, handshake};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What a case wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    /// The name in SNI: `none`, or another one than the host of the case.
    name: Option<String>,
    /// `1.2` or `1.3`.
    version: Option<String>,
    /// The only suite.
    suite: Option<String>,
    /// The certificate of the client: `good`, or `other`, which nobody has signed.
    certificate: Option<String>,
}

impl Handshake {
    /// Reads `name=a.example version=1.2 suite=TLS13_AES_128_GCM_SHA256 certificate=other`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut wanted = Self::default();
        for word in text.split_whitespace() {
            let (key, value) = word.split_once('=').ok_or(format!("{word:?} has no value"))?;
            let place = match key {
                "name" => &mut wanted.name,
                "version" => &mut wanted.version,
                "suite" => &mut wanted.suite,
                "certificate" => &mut wanted.certificate,
                _ => return Err(format!("{key:?} is not known")),
            };
            *place = Some(value.to_owned());
        }
        Ok(wanted)
    }

    /// Sends a message, and reads the answer.
    pub(crate) fn exchange(
        &self,
        to: SocketAddr,
        from: Option<Ipv4Addr>,
        host: &str,
        message: &[u8],
        certificates: &Certificates,
    ) -> Response {
        let answer = self.try_exchange(to, from, host, message, certificates);
        answer.unwrap_or_else(|error| {
            let body = match error.kind() {
                // A name that is none, or a side that says nothing, is no refusal.
                ErrorKind::InvalidInput | ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    format!("no answer: {error}").into_bytes()
                }
                _ => b"refused".to_vec(),
            };
            Response { body, ..Response::default() }
        })
    }

    fn try_exchange(
        &self,
        to: SocketAddr,
        from: Option<Ipv4Addr>,
        host: &str,
        message: &[u8],
        certificates: &Certificates,
    ) -> io::Result<Response> {
        let name = self.name.as_deref().filter(|name| *name != "none").unwrap_or(host);
        let socket = connect(to, from).expect("both listen");
        let stream = handshake(socket, &Arc::new(self.config(certificates)), name)?;
        let own = stream.conn.peer_certificates().and_then(<[_]>::first);
        let certificate = own.map_or("none", |own| certificates.label(own)).to_owned();
        let version = match stream.conn.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "another",
        };
        let mut response = converse(stream, message, false)?;
        response.fields.push(("(certificate)".to_owned(), certificate));
        response.fields.push(("(version)".to_owned(), version.to_owned()));
        Ok(response)
    }

    fn config(&self, certificates: &Certificates) -> ClientConfig {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(suite) = &self.suite {
            provider.cipher_suites.retain(|one| format!("{:?}", one.suite()) == *suite);
            assert!(!provider.cipher_suites.is_empty(), "{suite} is no suite");
        }
        let versions: &[_] = match self.version.as_deref() {
            Some("1.2") => &[&TLS12],
            Some("1.3") => &[&TLS13],
            None => &[&TLS12, &TLS13],
            Some(other) => panic!("{other} is no version"),
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("suites for the version")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::default()));
        let mut config = match self.certificate.as_deref() {
            None => builder.with_no_client_auth(),
            Some(which) => {
                let (chain, key) = certificates.of(which);
                builder.with_client_auth_cert(chain, key).expect("a key that fits")
            }
        };
        config.enable_sni = self.name.as_deref() != Some("none");
        config
    }
}
