//! What a certificate says of its client, in the words of Traefik's `passTLSClientCert`.

use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// The attributes of a name, in the order in which they are told: what asks for them, their type, and the key.
const ATTRIBUTES: [(&str, &str, &str); 8] = [
    ("domainComponent", "0.9.2342.19200300.100.1.25", "DC"),
    ("country", "2.5.4.6", "C"),
    ("province", "2.5.4.8", "ST"),
    ("locality", "2.5.4.7", "L"),
    ("organization", "2.5.4.10", "O"),
    ("organizationalUnit", "2.5.4.11", "OU"),
    ("serialNumber", "2.5.4.5", "SN"),
    ("commonName", "2.5.4.3", "CN"),
];

/// Attributes that a name has once: of several the last counts.
const SINGLE: [&str; 2] = ["SN", "CN"];

/// What is asked for of a certificate, as one text: `Subject="C=DE,CN=a";NB="1577923200"`. `info` has names as
/// `subject.commonName`. `None` if there is nothing, or if a value with a quote could pass for another one.
pub fn told(certificate: &CertificateDer<'_>, info: &[&str]) -> Option<String> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let is_asked = |name: &str| info.contains(&name);
    let validity = read.validity();
    let mut parts = vec![
        ("Subject", name("subject", read.subject(), info)),
        ("Issuer", name("issuer", read.issuer(), info)),
    ];
    if is_asked("serialNumber") {
        parts.push(("SerialNumber", read.tbs_certificate.serial.to_string()));
    }
    if is_asked("notBefore") {
        parts.push(("NB", validity.not_before.timestamp().to_string()));
    }
    if is_asked("notAfter") {
        parts.push(("NA", validity.not_after.timestamp().to_string()));
    }
    if is_asked("sans") {
        parts.push(("SAN", alternatives(&read).join(",")));
    }
    parts.retain(|(_, value)| !value.is_empty());
    if parts.is_empty() || parts.iter().any(|(_, value)| value.contains('"')) {
        return None;
    }
    let parts = parts.into_iter().map(|(key, value)| format!("{key}=\"{value}\""));
    Some(parts.collect::<Vec<_>>().join(";"))
}

fn name(whose: &str, name: &X509Name<'_>, info: &[&str]) -> String {
    let mut all = Vec::new();
    for (asked, kind, key) in ATTRIBUTES {
        if !info.iter().any(|one| one.split_once('.') == Some((whose, asked))) {
            continue;
        }
        let attributes = name.iter_attributes();
        let ours = attributes.filter(|one| one.attr_type().to_id_string() == kind);
        let mut values: Vec<&str> = ours.filter_map(|one| one.as_str().ok()).collect();
        if SINGLE.contains(&key) {
            values = values.pop().into_iter().collect();
        }
        let values = values.into_iter().filter(|value| !value.is_empty());
        all.extend(values.map(|value| format!("{key}={value}")));
    }
    all.join(",")
}

/// Names in subjectAltName: DNS names, addresses of mail, IP addresses, URIs.
fn alternatives(read: &X509Certificate<'_>) -> Vec<String> {
    let extension = read.subject_alternative_name().ok().flatten();
    let names: Vec<&GeneralName<'_>> =
        extension.iter().flat_map(|extension| &extension.value.general_names).collect();
    let pick = |of: fn(&GeneralName<'_>) -> Option<String>| {
        names.iter().filter_map(|name| of(name)).collect::<Vec<_>>()
    };
    let dns = pick(|name| match name {
        GeneralName::DNSName(text) => Some((*text).to_owned()),
        _ => None,
    });
    let mail = pick(|name| match name {
        GeneralName::RFC822Name(text) => Some((*text).to_owned()),
        _ => None,
    });
    let addresses = pick(|name| match name {
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    let uris = pick(|name| match name {
        GeneralName::URI(text) => Some((*text).to_owned()),
        _ => None,
    });
    [dns, mail, addresses, uris].concat()
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(address.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    /// As Traefik 3.7.15 passed it on: C, ST, L, O, OU and CN, and one DNS name.
    const OF_LAB: &str = "MIIBsjCCAVmgAwIBAgIEB1vNFTAKBggqhkjOPQQDAjAvMRswGQYDVQQDDBJjbGllbnRzIG9mIHRoZSBsYWIxEDAOBg\
                          NVBAoMB0xhYiBMdGQwHhcNMjAwMTAyMDAwMDAwWhcNNDAwMzA0MDAwMDAwWjBjMQwwCgYDVQQDDANhbm4xCzAJBgNV\
                          BAYMAkRFMQ8wDQYDVQQIDAZCZXJsaW4xDjAMBgNVBAcMBU1pdHRlMRgwFgYDVQQKDA9Bbm4gJiBTb25zLCBJbmMxCz\
                          AJBgNVBAsMAklUMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEocXOrRZmqDXY0WlobvsGD0yu1cQDIpnWjzzwEjUq\
                          Cs11Np0D1lG3gLsF/93pIu8OUJxYH1agQg+wb9E+MxoXQaMvMC0wFgYDVR0RBA8wDYILYW5uLmV4YW1wbGUwEwYDVR\
                          0lBAwwCgYIKwYBBQUHAwIwCgYIKoZIzj0EAwIDRwAwRAIgUPBWB0r7nbnwNOtaih+eKdqyOpiI8c58YK0IlKww3mcC\
                          IEIxnOEWalqCb+uSoibnJec+8+0knIUiQ5datRXVZAPI";

    #[test]
    fn what_traefik_tells_of_a_certificate_is_told_in_its_words() {
        let der = base64::engine::general_purpose::STANDARD.decode(OF_LAB).expect("base64");
        let told = |info: &[&str]| told(&CertificateDer::from(der.clone()), info);
        let all = [
            "subject.country",
            "subject.province",
            "subject.locality",
            "subject.organization",
            "subject.organizationalUnit",
            "subject.commonName",
            "subject.serialNumber",
            "subject.domainComponent",
            "issuer.organization",
            "issuer.commonName",
            "issuer.country",
            "notAfter",
            "notBefore",
            "sans",
            "serialNumber",
        ];
        assert_eq!(
            told(&all).as_deref(),
            Some(
                "Subject=\"C=DE,ST=Berlin,L=Mitte,O=Ann & Sons, Inc,OU=IT,CN=ann\";\
                 Issuer=\"O=Lab Ltd,CN=clients of the lab\";SerialNumber=\"123456789\";\
                 NB=\"1577923200\";NA=\"2214432000\";SAN=\"ann.example\""
            )
        );
        assert_eq!(told(&["subject.commonName"]).as_deref(), Some("Subject=\"CN=ann\""));
        assert_eq!(told(&["issuer.locality"]), None);
        assert_eq!(told(&[]), None);
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn names_of_all_kinds_are_in_one_order_and_a_quote_hides_them_all() {
        let text = |text: &str| text.try_into().expect("ASCII");
        let certificate = made(|params| {
            params.subject_alt_names = vec![
                SanType::URI(text("spiffe://a/b")),
                SanType::IpAddress("2001:db8::1".parse().expect("literal")),
                SanType::IpAddress("192.0.2.1".parse().expect("literal")),
                SanType::Rfc822Name(text("a@b.example")),
                SanType::DnsName(text("b.example")),
            ];
        });
        assert_eq!(
            told(&certificate, &["sans"]).as_deref(),
            Some("SAN=\"b.example,a@b.example,2001:db8::1,192.0.2.1,spiffe://a/b\"")
        );
        let forged = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "a\";SerialNumber=\"1");
        });
        assert_eq!(told(&forged, &["subject.commonName", "notAfter"]), None);
        assert_eq!(told(&CertificateDer::from(vec![1, 2, 3]), &["sans"]), None);
    }
}
