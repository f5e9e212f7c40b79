//! What a failed handshake is counted as.

use crate::telemetry::HandshakeFailure;
use rustls::{Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use std::io;

/// Classifies an error of rustls.
pub(super) fn of_tls(error: &Error) -> HandshakeFailure {
    match error {
        Error::PeerIncompatible(what) => of_incompatible(what),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => HandshakeFailure::Malformed,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
            HandshakeFailure::ClientCertificate
        }
        Error::AlertReceived(_) => HandshakeFailure::PeerAlert,
        Error::NoApplicationProtocol => HandshakeFailure::NoAlpn,
        // The enum is open, and what is left are faults of ours.
        _ => HandshakeFailure::Other,
    }
}

fn of_incompatible(what: &PeerIncompatible) -> HandshakeFailure {
    match what {
        // A client without signature algorithms is older than TLS 1.2.
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => HandshakeFailure::ProtocolVersion,
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::UncompressedEcPointsRequired => HandshakeFailure::NoSharedCipher,
        _ => HandshakeFailure::Other,
    }
}

/// Classifies an error of the socket, whose cause may be one of rustls.
pub(super) fn of_io(error: &io::Error) -> HandshakeFailure {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match (tls, error.kind()) {
        (Some(error), _) => of_tls(error),
        (
            None,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => HandshakeFailure::Closed,
        (None, _) => HandshakeFailure::Other,
    }
}

/// Whether a ClientHello is only wrong in its name: it is then answered as one with an unknown name,
/// which looks the same from outside.
pub(super) fn is_of_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidMessage(InvalidMessage::InvalidServerName)
            | Error::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName)
    )
}
