//! Why a request to the API server got no answer, in plain words: the layers of a client wrap the cause
//! in names of their own types, which say nothing to an operator.

use std::error::Error;
use std::io;

/// What an error comes to. The addresses and names in it are those of the configuration.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let (mut next, mut words) = (Some(error), None);
    while let Some(level) = next {
        if let Some(known) = plain(level) {
            return known;
        }
        let text = level.to_string();
        // A level that only names its cause, or none.
        let is_wrapper =
            ["ServiceError", "client error ("].iter().any(|word| text.starts_with(word));
        if !is_wrapper && !text.is_empty() {
            words = Some(text);
        }
        next = level.source();
    }
    words.unwrap_or_else(|| "the request failed".to_owned())
}

/// The cause, if it is one that an operator meets often.
fn plain(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return Some(of_tls(inner));
        }
        let words = match error.kind() {
            io::ErrorKind::ConnectionRefused => "the server refuses connections",
            io::ErrorKind::ConnectionReset => "the server reset the connection",
            io::ErrorKind::TimedOut => "the server did not respond in time",
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                "no route to the server"
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                "the server closed the connection"
            }
            _ => return None,
        };
        return Some(words.to_owned());
    }
    let text = error.to_string();
    text.starts_with("dns error").then(|| "the server's name cannot be resolved".to_owned())
}

fn of_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        UnknownIssuer,
    };
    let why = match error {
        rustls::Error::InvalidCertificate(why) => why,
        rustls::Error::AlertReceived(alert) => {
            return format!("the server ended the TLS handshake with the alert {alert:?}");
        }
        _ => return format!("the TLS handshake with the server failed: {error}"),
    };
    let why = match why {
        UnknownIssuer | BadSignature => "was not issued by the configured CA",
        Expired | ExpiredContext { .. } => "has expired, or the clock of this node is wrong",
        NotValidForName | NotValidForNameContext { .. } => "is not valid for this name",
        _ => return format!("the server's certificate is not accepted: {error}"),
    };
    format!("the server's certificate {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;
    use std::fmt;

    /// A client's layer.
    #[derive(Debug)]
    struct Layer(&'static str, Box<dyn Error + 'static>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.1)
        }
    }

    fn wrapped(error: impl Error + 'static) -> String {
        cause(&Layer("ServiceError", Box::new(Layer("client error (Connect)", Box::new(error)))))
    }

    #[test]
    fn what_operators_meet_is_said_without_the_names_of_layers() {
        let refused = io::Error::from_raw_os_error(111);
        let tcp = Layer("tcp connect error", Box::new(refused));
        assert_eq!(wrapped(tcp), "the server refuses connections");
        let stranger = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let words = "the server's certificate was not issued by the configured CA";
        assert_eq!(wrapped(io::Error::other(stranger)), words);
        let dns = Layer("dns error", Box::new(io::Error::other("Name or service not known")));
        assert_eq!(wrapped(dns), "the server's name cannot be resolved");
        let odd = io::Error::other("something else");
        assert_eq!(wrapped(odd), "something else");
    }
}
