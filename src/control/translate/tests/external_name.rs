//! Services of type ExternalName, where they are served.

use super::{lines, mk_backend, mk_ingress, options, run_with};
use crate::control::translate::Options;
use crate::model::{BackendState, Protocol};

/// Where the Service `out` with this spec leads, by this port; and what is said about it.
fn leads(spec: &str, port: &str) -> (String, Vec<String>) {
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: out}}\nspec: {{type: ExternalName, {spec}}}\n---\n"
    );
    let backend = mk_backend(&format!("{{service: {{name: out, port: {{{port}}}}}}}"));
    let options = Options { external_names: true, ..options() };
    let (model, findings) = run_with(&options, &(service + &mk_ingress(&backend)));
    let backend = &model.backends[0];
    let to = match (&backend.state, &backend.protocol) {
        (BackendState::Named(external), Protocol::Http) => external.to_string(),
        (BackendState::Named(external), protocol) => format!("{external} {protocol}"),
        (state, _) => format!("{state:?}"),
    };
    (to, lines(&findings))
}

#[test]
fn it_leads_to_its_name_by_the_port_of_the_service_or_of_the_rule() {
    let ports = "ports: [{name: web, port: 8080}, {name: secure, port: 443}]";
    for (spec, port, expected) in [
        ("externalName: API.example.com.", "number: 80", "api.example.com:80"),
        (&format!("externalName: a.example, {ports}"), "name: web", "a.example:8080"),
        (
            &format!("externalName: a.example, {ports}"),
            "name: secure",
            "a.example:443 https (a.example, public CAs)",
        ),
        ("externalName: a.example", "number: 443", "a.example:443 https (a.example, public CAs)"),
        (&format!("externalName: a.example, {ports}"), "number: 80", "Broken(PortMissing)"),
        ("externalName: a.example", "name: web", "Broken(PortMissing)"),
    ] {
        assert_eq!(leads(spec, port).0, expected, "{spec} {port}");
    }
}

#[test]
fn what_is_no_name_is_said_to_be_none() {
    for name in ["10.0.0.1", "'a b'", "''", "'*.example'", "'a.example:80'", "'::1'"] {
        let (to, said) = leads(&format!("externalName: {name}"), "number: 80");
        assert_eq!(to, "Broken(Unsupported)", "{name}");
        let name = name.trim_matches('\'');
        let expected = format!(
            "error: Service default/out: spec.externalName: \"{name}\" is not a DNS name (fix: \
                write one such as \"api.example.com\"; until then requests get 503)"
        );
        assert_eq!(said, [expected]);
    }
}
