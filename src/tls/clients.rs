//! Certificates of clients: asked for in the handshake, judged, and remembered in tickets.
//!
//! Each handshake has an [`Attempt`], in which the verifier and the ticketer of its configuration
//! note what they see. A session gets a ticket only if its certificate was good, and the ticket has
//! in it until when the certificate is valid: after that the session is not resumed, and the client
//! has to show a certificate again. So what a resumed session stands for is as good as what a full
//! handshake would have said.

use crate::pki::client_certificate::{Demand, Mode, Verification, validity};
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use webpki::{EndEntityCert, KeyUsage};

/// No certificate stands behind the ticket.
const NEVER: i64 = i64::MIN;

/// The verifier of a policy's demand, ready for handshakes.
#[derive(Debug)]
pub(super) struct Asking {
    demand: Demand,
    /// Checks the chain; `None` without a usable authority.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Asking {
    pub(super) fn new(demand: Demand, provider: &Arc<CryptoProvider>) -> Self {
        let roots = demand.authority.as_ref().map(|authority| Arc::clone(authority.roots()));
        let provider = Arc::clone(provider);
        let algorithms = provider.signature_verification_algorithms;
        let build =
            |roots| WebPkiClientVerifier::builder_with_provider(roots, provider).build().ok();
        Self { demand, chain: roots.and_then(build), algorithms }
    }

    /// Judges a chain now, the client's own certificate first.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> Verification {
        match chain {
            [] => Verification::None,
            [own, rest @ ..] => self.judge_at(own, rest, UnixTime::now()),
        }
    }

    /// The certificates that lead from a client's own to the authority, in the order in which they certify each other,
    /// without either; `None` if it is not led to the authority.
    pub(super) fn path(
        &self,
        chain: &[CertificateDer<'static>],
    ) -> Option<Vec<CertificateDer<'static>>> {
        let (own, rest) = chain.split_first()?;
        let roots = &self.demand.authority.as_ref()?.roots().roots;
        let own = EndEntityCert::try_from(own).ok()?;
        let (now, usage) = (UnixTime::now(), KeyUsage::client_auth());
        let all = self.algorithms.all;
        let path = own.verify_for_usage(all, roots, rest, now, usage, None, None).ok()?;
        Some(path.intermediate_certificates().map(|one| one.der().into_owned()).collect())
    }

    fn judge_at(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Verification {
        let Some(chain) = &self.chain else {
            return Verification::NoAuthority;
        };
        match chain.verify_client_cert(own, rest, now) {
            Ok(_) if self.demand.subjects.include(own) => Verification::Valid,
            Ok(_) => Verification::WrongSubject,
            Err(error) => of_error(&error),
        }
    }
}

/// Classifies a certificate that rustls refuses.
fn of_error(error: &Error) -> Verification {
    let Error::InvalidCertificate(error) = error else {
        return Verification::Malformed;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Verification::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Verification::NotYetValid
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Verification::WrongPurpose
        }
        CertificateError::BadEncoding => Verification::Malformed,
        // A CA with the same name and another key is none of ours.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Verification::Untrusted,
        // Other faults of a chain: constraints, versions, algorithms.
        _ => Verification::Malformed,
    }
}

/// The error that ends a handshake, and with it the alert.
fn refusal(verification: Verification) -> Error {
    let error = match verification {
        Verification::Expired => CertificateError::Expired,
        Verification::NotYetValid => CertificateError::NotValidYet,
        Verification::Untrusted | Verification::NoAuthority => CertificateError::UnknownIssuer,
        Verification::WrongPurpose => CertificateError::InvalidPurpose,
        Verification::Malformed => CertificateError::BadEncoding,
        Verification::Valid
        | Verification::None
        | Verification::WrongSubject
        | Verification::Unproven
        | Verification::Plaintext => CertificateError::ApplicationVerificationFailure,
    };
    Error::InvalidCertificate(error)
}

/// The progress of a handshake. It belongs to one worker; atomic because rustls requires it.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The result for the client's certificate, as its position in [`Verification::ALL`].
    shown: AtomicUsize,
    /// Until when the chain behind the next ticket is valid, or [`NEVER`].
    until: AtomicI64,
}

impl Default for Attempt {
    fn default() -> Self {
        Self { shown: AtomicUsize::new(Verification::None as usize), until: AtomicI64::new(NEVER) }
    }
}

impl Attempt {
    /// The result for the certificate of this handshake; [`Verification::None`] without one.
    pub(super) fn verification(&self) -> Verification {
        let position = self.shown.load(Ordering::Relaxed);
        Verification::ALL.get(position).copied().unwrap_or(Verification::None)
    }

    fn note(&self, verification: Verification, until: i64) {
        self.shown.store(verification as usize, Ordering::Relaxed);
        self.until.store(until, Ordering::Relaxed);
    }
}

/// The two that note in `attempt` what a handshake shows. `sealed` makes the tickets.
pub(super) fn of(
    asking: &Arc<Asking>,
    attempt: &Arc<Attempt>,
    sealed: Arc<dyn ProducesTickets>,
) -> (Arc<dyn ClientCertVerifier>, Arc<dyn ProducesTickets>) {
    let verifier = Verifier { asking: Arc::clone(asking), attempt: Arc::clone(attempt) };
    let tickets = Tickets { sealed, attempt: Arc::clone(attempt) };
    (Arc::new(verifier), Arc::new(tickets))
}

/// Judges what the client shows. With [`Mode::Request`] nothing that it finds ends the handshake.
#[derive(Debug)]
struct Verifier {
    asking: Arc<Asking>,
    attempt: Arc<Attempt>,
}

impl Verifier {
    fn requires(&self) -> bool {
        self.asking.demand.mode == Mode::Require
    }

    /// What to make of the proof that the client has the key.
    fn proven(
        &self,
        result: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if result.is_ok() || self.requires() {
            return result.inspect_err(|_| self.attempt.note(Verification::Unproven, NEVER));
        }
        // It stands for nothing then, and the connection goes on as one without.
        if self.attempt.verification() == Verification::Valid {
            self.attempt.note(Verification::Unproven, NEVER);
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ClientCertVerifier for Verifier {
    /// Asked in full handshakes alone: a ticket that was good, and was not used, counts for nothing.
    fn offer_client_auth(&self) -> bool {
        self.attempt.until.store(NEVER, Ordering::Relaxed);
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.requires()
    }

    /// None: a client then shows what it has, and the verification says what is wrong with it. Nor does
    /// a client learn which CAs we trust.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verification = self.asking.judge_at(own, rest, now);
        let until = match verification {
            Verification::Valid => until(own, rest),
            _ => NEVER,
        };
        self.attempt.note(verification, until);
        if verification != Verification::Valid && self.requires() {
            return Err(refusal(verification));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.asking.algorithms;
        self.proven(verify_tls12_signature(message, own, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.asking.algorithms;
        self.proven(verify_tls13_signature(message, own, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.asking.algorithms.supported_schemes()
    }
}

/// Until when every certificate of a chain is valid; [`NEVER`] if one does not say.
fn until(own: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> i64 {
    let ends = [std::slice::from_ref(own), rest].map(|chain| Some(validity(chain)?.1));
    let [Some(own), Some(rest)] = ends else {
        return NEVER;
    };
    own.min(rest)
}

/// Tickets of a policy, with the end of the certificate behind each in front of its content.
#[derive(Debug)]
struct Tickets {
    sealed: Arc<dyn ProducesTickets>,
    attempt: Arc<Attempt>,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.sealed.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let until = self.attempt.until.load(Ordering::Relaxed);
        if until == NEVER {
            return None;
        }
        self.sealed.encrypt(&[&until.to_be_bytes(), plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let whole = self.sealed.decrypt(cipher)?;
        let (until, plain) = whole.split_first_chunk()?;
        let until = i64::from_be_bytes(*until);
        if i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX) > until {
            return None;
        }
        self.attempt.until.store(until, Ordering::Relaxed);
        Some(plain.to_vec())
    }
}
