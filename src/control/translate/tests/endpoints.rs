//! Service ports and EndpointSlices.

use super::{endpoints, lines, mk_backend, mk_ingress, options, run_with};
use crate::control::translate::Options;
use crate::model::{Diagnostic, EndpointSpec, Severity, Why};

/// Service `s` with these fields of its spec, and slices of it.
fn mk_service(spec: &str, slices: &[&str]) -> String {
    let mut yaml =
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {{{spec}}}\n---");
    for (number, slice) in slices.iter().enumerate() {
        let labels = "labels: {kubernetes.io/service-name: s, other: x}";
        yaml.push_str(&format!(
            "\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: s-{number}, {labels}}}\n{slice}\n---"
        ));
    }
    yaml
}

fn mk_slice(ports: &str, endpoints: &str) -> String {
    format!("addressType: IPv4\nports: [{ports}]\nendpoints: [{endpoints}]")
}

fn resolve_with(options: &Options, port: &str, service: &str) -> (Vec<String>, Vec<Diagnostic>) {
    let ingress = mk_ingress(&mk_backend(&format!("{{service: {{name: s, port: {port}}}}}")));
    let (model, findings) = run_with(options, &[service, &ingress].concat());
    (endpoints(&model.backends[0]), findings)
}

/// The endpoints behind this port of Service `s`, with nothing to complain about.
fn resolve(port: &str, service: &str) -> Vec<String> {
    let (endpoints, findings) = resolve_with(&options(), port, service);
    assert_eq!(findings, []);
    endpoints
}

const HTTP: &str = "ports: [{name: http, port: 80, targetPort: 1}]";
const BY_NAME: &str = "{name: http}";

#[test]
fn the_number_comes_from_each_slice_by_the_name_of_the_port() {
    let service = mk_service(
        "ports: [{name: http, port: 80, targetPort: 1}, {name: admin, port: 90}]",
        &[
            &mk_slice(
                "{name: http, port: 8080}, {name: admin, port: 9}",
                "{addresses: [10.0.0.1]}",
            ),
            &mk_slice("{name: http, port: 8081}", "{addresses: [10.0.0.2]}"),
        ],
    );
    assert_eq!(resolve(BY_NAME, &service), ["10.0.0.1:8080 ready", "10.0.0.2:8081 ready"]);
    assert_eq!(resolve("{number: 80}", &service), ["10.0.0.1:8080 ready", "10.0.0.2:8081 ready"]);
    assert_eq!(resolve("{number: 90}", &service), ["10.0.0.1:9 ready"]);
}

#[test]
fn an_unnamed_port_is_the_unnamed_port_of_the_slice() {
    for name in ["", "name: '', "] {
        let slice = mk_slice(&format!("{{{name}port: 8080}}"), "{addresses: [10.0.0.1]}");
        let service = mk_service("ports: [{port: 80}]", &[&slice]);
        assert_eq!(resolve("{number: 80}", &service), ["10.0.0.1:8080 ready"]);
    }
}

#[test]
fn slices_without_ports_or_port_number_or_of_another_protocol_are_passed_over() {
    let endpoint = "{addresses: [10.0.0.1]}";
    let slices = [
        mk_slice("", endpoint),
        format!("addressType: IPv4\nendpoints: [{endpoint}]"),
        mk_slice("{name: http}", endpoint),
        mk_slice("{name: http, port: 8080, protocol: UDP}", endpoint),
    ];
    let service = mk_service(HTTP, &slices.each_ref().map(String::as_str));
    assert_eq!(resolve(BY_NAME, &service), [""; 0]);
}

#[test]
fn conditions_that_are_absent_mean_ready_serving_and_not_terminating() {
    for (conditions, expected) in [
        ("", "ready"),
        (", conditions: {}", "ready"),
        (", conditions: {ready: true, serving: false, terminating: true}", "ready"),
        (", conditions: {ready: false}", "not_ready"),
        (", conditions: {ready: false, serving: true}", "not_ready"),
        (", conditions: {ready: false, serving: true, terminating: true}", "terminating"),
        (", conditions: {ready: false, terminating: true}", "terminating"),
        (", conditions: {ready: false, serving: false, terminating: true}", "not_ready"),
    ] {
        let slice =
            mk_slice("{name: http, port: 8080}", &format!("{{addresses: [10.0.0.1]{conditions}}}"));
        let expected = format!("10.0.0.1:8080 {expected}");
        assert_eq!(resolve(BY_NAME, &mk_service(HTTP, &[&slice])), [expected], "{conditions}");
    }
}

#[test]
fn an_endpoint_in_two_slices_is_taken_once_in_its_better_state() {
    let worse = "{addresses: [10.0.0.1], conditions: {ready: false}}";
    let better = "{addresses: [10.0.0.1]}";
    let port = "{name: http, port: 8080}";
    for order in [[worse, better], [better, worse]] {
        let slices = order.map(|endpoint| mk_slice(port, endpoint));
        let service = mk_service(HTTP, &[&slices[0], &slices[1]]);
        assert_eq!(resolve(BY_NAME, &service), ["10.0.0.1:8080 ready"]);
    }
}

#[test]
fn the_same_address_with_two_ports_is_two_endpoints() {
    let slices = [8080, 8081]
        .map(|port| mk_slice(&format!("{{name: http, port: {port}}}"), "{addresses: [10.0.0.1]}"));
    let service = mk_service(HTTP, &[&slices[0], &slices[1]]);
    assert_eq!(resolve(BY_NAME, &service), ["10.0.0.1:8080 ready", "10.0.0.1:8081 ready"]);
}

#[test]
fn only_the_first_address_counts_and_the_result_is_sorted() {
    let endpoints =
        "{addresses: [10.0.0.9, 10.0.0.1]}, {addresses: [10.0.0.10]}, {addresses: [10.0.0.2]}";
    let service = mk_service(HTTP, &[&mk_slice("{name: http, port: 8080}", endpoints)]);
    let expected = ["10.0.0.2:8080 ready", "10.0.0.9:8080 ready", "10.0.0.10:8080 ready"];
    assert_eq!(resolve(BY_NAME, &service), expected);
}

#[test]
fn of_two_families_one_is_used() {
    let v4 = mk_slice("{name: http, port: 8080}", "{addresses: [10.0.0.1]}");
    let v6 = v4.replace("IPv4", "IPv6").replace("10.0.0.1", "'2001:db8::1'");
    let (four, six) = (["10.0.0.1:8080 ready"], ["[2001:db8::1]:8080 ready"]);
    for (families, slices, expected) in [
        ("", vec![&*v4, &v6], four),
        (", ipFamilies: [IPv4, IPv6]", vec![&*v4, &v6], four),
        (", ipFamilies: [IPv6, IPv4]", vec![&*v4, &v6], six),
        (", ipFamilies: [IPv6]", vec![&*v4], four),
        (", ipFamilies: [IPv4]", vec![&*v6], six),
        ("", vec![&*v6], six),
    ] {
        let service = mk_service(&format!("{HTTP}{families}"), &slices);
        assert_eq!(resolve(BY_NAME, &service), expected, "{families} {slices:?}");
    }
}

#[test]
fn node_and_zone_are_kept() {
    let slice =
        mk_slice("{name: http, port: 8080}", "{addresses: [10.0.0.1], nodeName: n1, zone: z1}");
    let ingress = mk_ingress(&mk_backend("{service: {name: s, port: {number: 80}}}"));
    let (model, _) = run_with(&options(), &[mk_service(HTTP, &[&slice]), ingress].concat());
    let crate::model::BackendState::Resolved(endpoints) = &model.backends[0].state else {
        panic!("the Service is resolved");
    };
    let EndpointSpec { addr: _, state: _, node, zone, near: _ } = &endpoints[0];
    assert_eq!((node.as_deref(), zone.as_deref()), (Some("n1"), Some("z1")));
}

#[test]
fn a_slice_of_names_or_of_an_unknown_type_is_reported_and_passed_over() {
    let slice = mk_slice("{name: http, port: 8080}", "{addresses: [web.example]}");
    for (kind, severity, why) in
        [("FQDN", Severity::Warning, Why::Unsupported), ("IPv5", Severity::Error, Why::Invalid)]
    {
        let service = mk_service(HTTP, &[&slice.replace("IPv4", kind)]);
        let (endpoints, findings) = resolve_with(&options(), BY_NAME, &service);
        assert_eq!(endpoints, [""; 0]);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].why), (severity, why));
        assert_eq!(findings[0].object.to_string(), "EndpointSlice default/s-0");
    }
}

#[test]
fn an_address_that_is_none_is_reported_and_the_others_are_used() {
    for bad in ["web.example", "2001:db8::1", "010.0.0.1", ""] {
        let endpoints =
            format!("{{addresses: ['{bad}']}}, {{addresses: [10.0.0.2]}}, {{addresses: []}}");
        let service = mk_service(HTTP, &[&mk_slice("{name: http, port: 8080}", &endpoints)]);
        let (endpoints, findings) = resolve_with(&options(), BY_NAME, &service);
        assert_eq!(endpoints, ["10.0.0.2:8080 ready"]);
        let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
        assert_eq!(fields, ["endpoints[0].addresses[0]", "endpoints[2].addresses"]);
        assert!(findings.iter().all(|f| (f.severity, f.why) == (Severity::Warning, Why::Invalid)));
    }
}

#[test]
fn addresses_that_no_pod_has_are_refused() {
    let cases =
        ["0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1"];
    let local = Options { loopback_endpoints: true, ..options() };
    for bad in cases {
        let mut slice = mk_slice("{name: http, port: 8080}", &format!("{{addresses: ['{bad}']}}"));
        if bad.contains(':') {
            slice = slice.replace("IPv4", "IPv6");
        }
        let (endpoints, findings) = resolve_with(&local, BY_NAME, &mk_service(HTTP, &[&slice]));
        assert_eq!(endpoints, [""; 0], "{bad}");
        assert_eq!(findings.len(), 1, "{bad}");
        assert_eq!((findings[0].severity, findings[0].why), (Severity::Error, Why::Invalid));
    }
}

#[test]
fn mapped_addresses_cannot_hide_what_they_are() {
    let slice = mk_slice("{name: http, port: 8080}", "{addresses: ['::ffff:169.254.169.254']}");
    let service = mk_service(HTTP, &[&slice.replace("IPv4", "IPv6")]);
    let (endpoints, findings) = resolve_with(&options(), BY_NAME, &service);
    assert_eq!((endpoints.len(), findings.len()), (0, 1));
}

#[test]
fn loopback_is_for_directories_alone() {
    let slice = mk_slice("{name: http, port: 8080}", "{addresses: [127.0.0.1]}");
    let service = mk_service(HTTP, &[&slice]);
    let local = Options { loopback_endpoints: true, ..options() };
    let expected = (vec!["127.0.0.1:8080 ready".to_owned()], vec![]);
    assert_eq!(resolve_with(&local, BY_NAME, &service), expected);
    let (endpoints, findings) = resolve_with(&options(), BY_NAME, &service);
    assert_eq!(endpoints, [""; 0]);
    assert_eq!(
        lines(&findings),
        ["error: EndpointSlice default/s-0: endpoints[0].addresses[0]: \"127.0.0.1\" is a \
          loopback address (fix: use the address of a pod)"]
    );
}

#[test]
fn a_service_without_endpoints_is_resolved_and_empty() {
    assert_eq!(resolve(BY_NAME, &mk_service(HTTP, &[])), [""; 0]);
}

#[test]
fn a_headless_service_and_hand_made_slices_are_resolved_like_any_other() {
    let slice = mk_slice("{name: http, port: 8080}", "{addresses: [10.0.0.1]}");
    let service = mk_service(&format!("clusterIP: None, {HTTP}"), &[&slice]);
    assert_eq!(resolve(BY_NAME, &service), ["10.0.0.1:8080 ready"]);
}

#[test]
fn external_name_is_not_supported_wherever_it_points() {
    for target in ["web.example", "localhost"] {
        let spec = format!("type: ExternalName, externalName: {target}, ports: [{{port: 80}}]");
        let (endpoints, findings) =
            resolve_with(&options(), "{number: 80}", &mk_service(&spec, &[]));
        assert_eq!(endpoints, ["Unsupported"]);
        assert_eq!(findings[0].why, Why::Unsupported);
    }
}

#[test]
fn a_number_for_two_protocols_means_the_tcp_one() {
    let slice = mk_slice("{name: t, port: 8080}", "{addresses: [10.0.0.1]}");
    let udp = "{name: u, port: 80, protocol: UDP}";
    let service = mk_service(&format!("ports: [{udp}, {{name: t, port: 80}}]"), &[&slice]);
    assert_eq!(resolve("{number: 80}", &service), ["10.0.0.1:8080 ready"]);
    let service = mk_service(&format!("ports: [{udp}]"), &[&slice]);
    let (endpoints, findings) = resolve_with(&options(), "{number: 80}", &service);
    assert_eq!(endpoints, ["Unsupported"]);
    assert_eq!(findings[0].reason, "port 80 of Service \"s\" is not TCP");
}

#[test]
fn a_port_that_has_another_name_in_the_slices_is_told() {
    let told = |service: &str, port: &str| {
        let (endpoints, findings) = resolve_with(&options(), port, service);
        assert_eq!(endpoints, [""; 0]);
        lines(&findings)
    };
    let fix = "(fix: use the same port name in both; a named targetPort must exist in every pod)";
    let named = mk_slice("{name: web, port: 8080}", "{addresses: [10.0.0.1]}");
    let unnamed = mk_slice("{name: '', port: 8080}", "{addresses: [10.0.0.1]}");
    assert_eq!(
        told(&mk_service("ports: [{port: 80}]", &[&named]), "{number: 80}"),
        [format!(
            "warning: Service default/s: spec.ports[0].name: is not set, but its EndpointSlices \
                name their ports \"web\": the names differ, so no endpoint is used {fix}"
        )]
    );
    assert_eq!(
        told(&mk_service(HTTP, &[&named, &unnamed]), BY_NAME),
        [format!(
            "warning: Service default/s: spec.ports[0].name: is \"http\", but its EndpointSlices \
                name their ports \"\", \"web\": the names differ, so no endpoint is used {fix}"
        )]
    );
    // No pod is ready for either.
    assert_eq!(
        told(&mk_service(HTTP, &[&mk_slice("", "{addresses: [10.0.0.1]}")]), BY_NAME),
        [""; 0]
    );
    assert_eq!(told(&mk_service(HTTP, &[&mk_slice("{name: x, port: 1}", "")]), BY_NAME), [""; 0]);
}
