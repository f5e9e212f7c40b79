//! `passTLSClientCert` and `grpcWeb`.

use super::Fields;
use crate::model::middleware::{ClientCertificateFields, Step};

/// What Traefik tells of a certificate: the place in `info`, and the name.
const OF_CERTIFICATE: [(&str, &str); 4] = [
    ("notAfter", "notAfter"),
    ("notBefore", "notBefore"),
    ("sans", "sans"),
    ("serialNumber", "serialNumber"),
];
const OF_SUBJECT: [(&str, &str); 8] = [
    ("country", "subject.country"),
    ("province", "subject.province"),
    ("locality", "subject.locality"),
    ("organization", "subject.organization"),
    ("organizationalUnit", "subject.organizationalUnit"),
    ("commonName", "subject.commonName"),
    ("serialNumber", "subject.serialNumber"),
    ("domainComponent", "subject.domainComponent"),
];
const OF_ISSUER: [(&str, &str); 7] = [
    ("country", "issuer.country"),
    ("province", "issuer.province"),
    ("locality", "issuer.locality"),
    ("organization", "issuer.organization"),
    ("commonName", "issuer.commonName"),
    ("serialNumber", "issuer.serialNumber"),
    ("domainComponent", "issuer.domainComponent"),
];

/// Reads `passTLSClientCert`.
pub(super) fn pass(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["pem", "info"]);
    let pem = fields.flag("pem");
    let mut info = Vec::new();
    fields.below("info", |of| {
        of.know(&["notAfter", "notBefore", "sans", "serialNumber", "subject", "issuer"]);
        let subject = of.below("subject", |subject| asked(subject, &OF_SUBJECT));
        let issuer = of.below("issuer", |issuer| asked(issuer, &OF_ISSUER));
        info.extend(subject.into_iter().chain(issuer).flatten());
        let own = OF_CERTIFICATE.into_iter().filter(|(key, _)| of.flag(key));
        info.extend(own.map(|(_, name)| name).collect::<Vec<_>>());
    });
    if !pem && info.is_empty() && !fields.is_broken() {
        fields.warn("", "asks for nothing of the certificate", "set pem, or fields of info");
        return None;
    }
    Some(Step::ClientCertificate(Box::new(ClientCertificateFields {
        pem,
        info,
        ..ClientCertificateFields::default()
    })))
}

fn asked(fields: &mut Fields<'_, '_, '_>, names: &[(&str, &'static str)]) -> Vec<&'static str> {
    fields.know(&names.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    names.iter().filter(|(key, _)| fields.flag(key)).map(|(_, name)| *name).collect()
}

/// Reads `grpcWeb`.
pub(super) fn grpc_web(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["allowOrigins"]);
    let origins = fields.texts("allowOrigins").into_iter().map(Into::into);
    Some(Step::GrpcWeb(origins.collect()))
}
