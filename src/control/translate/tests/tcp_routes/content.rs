//! What routes ask for, as plain data, and its changes.

use super::*;

#[test]
fn middlewares_services_and_tls_come_to_plain_data() {
    let spec = "entryPoints: [db], tls: {secretName: own, options: {name: strict}}, routes: [{\
         match: 'HostSNI(`a.example`)', middlewares: [{name: list}, {name: few}], services: [\
         {name: api, port: 9000, weight: 3, proxyProtocol: {version: 1}}, \
         {name: web, port: http, tls: true, serversTransport: to-pods}]}]";
    let others = [
        mk_object("MiddlewareTCP", "list", "ipAllowList: {sourceRange: [10.0.0.0/8, '::1']}"),
        mk_object("MiddlewareTCP", "few", "inFlightConn: {amount: 2}"),
        mk_object("TLSOption", "strict", "minVersion: VersionTLS13, alpnProtocols: [mqtt]"),
        mk_object(
            "ServersTransportTCP",
            "to-pods",
            "dialTimeout: 3s, dialKeepAlive: '-1', proxyProtocol: {}, tls: {serverName: pods.test, insecureSkipVerify: true}",
        ),
    ];
    let (model, said) = run(&format!("{}{}", mk_tcp(spec), others.concat()));
    assert!(
        said.iter().all(|line| line.contains("insecureSkipVerify") || line.contains("Secret")),
        "{said:?}"
    );
    let [TcpRoute { rule, backends, .. }] = &model.tcp[..] else { panic!("{:?}", model.tcp) };
    assert_eq!(rule.broken, None);
    let steps: Vec<(&str, bool)> = rule
        .steps
        .iter()
        .map(|step| (&*step.name, matches!(step.step, Step::Source(_) | Step::InFlight(_))))
        .collect();
    assert_eq!(
        steps,
        [
            ("default/list", true),
            ("default/few of IngressRouteTCP default/r, HostSNI(`a.example`)", true)
        ]
    );
    let TcpTls::Ended(end) = &rule.tls else { panic!("{:?}", rule.tls) };
    assert_eq!((end.demand.mode, end.demand.tls13_only), (Mode::Off, true));
    assert_eq!((&*end.protocols[0], end.protocols.len()), (&b"mqtt"[..], 1));
    assert_eq!(end.secret, Some(("default".into(), "own".into())));
    let [first, second] = &rule.services[..] else { panic!("{:?}", rule.services) };
    assert_eq!((first.weight, first.delivery.proxy_protocol), (3, Some(ProxyVersion::V1)));
    assert_eq!((second.weight, second.delivery.proxy_protocol), (1, Some(ProxyVersion::V2)));
    assert_eq!(second.delivery.connect, Some(std::time::Duration::from_secs(3)));
    assert_eq!(second.delivery.keep_alive, crate::model::KeepAlive::Off);
    let backend = |at: usize| &model.backends[&backends[at]];
    assert_eq!(backend(0).protocol, Protocol::Http);
    assert_eq!(backend(1).protocol.to_string(), "https (pods.test, not verified)");
}

#[test]
fn client_certificates_are_asked_of_a_route_whatever_its_names() {
    let spec = |tls: &str| {
        format!("entryPoints: [db], tls: {{{tls}}}, routes: [{}]", mk_route("HostSNI(`*`)", ""))
    };
    let option = |name: &str| {
        let auth = "clientAuth: {secretNames: [ca], clientAuthType: RequireAndVerifyClientCert}";
        mk_object("TLSOption", name, auth)
    };
    let demand = |model: &Model| match &model.tcp[0].rule.tls {
        TcpTls::Ended(end) => end.demand.clone(),
        other => panic!("{other:?}"),
    };
    // The CA is missing: nobody is served.
    let (model, said) =
        run(&format!("{}{}", mk_tcp(&spec("options: {name: strict}")), option("strict")));
    assert!(
        said.iter().any(|line| line.contains("spec.tls.options") && line.contains("ca")),
        "{said:?}"
    );
    assert_eq!((demand(&model).mode, demand(&model).authority), (Mode::Require, None));
    // The default one is for routes that name none.
    let (model, _) = run(&format!("{}{}", mk_tcp(&spec("")), option("default")));
    assert_eq!(demand(&model).mode, Mode::Require);
    // It counts as soon as it is there.
    let mut translator = Translator::new(taking());
    let of = |yaml: &str| Changes {
        objects: objects(yaml).changes_from(&Default::default()).into_iter().collect(),
        ..Changes::default()
    };
    let model = translator.apply(of(&format!("{}{}", BASE, mk_tcp(&spec(""))))).model;
    assert_eq!(demand(&model.expect("the first")).mode, Mode::Off);
    let model = translator.apply(of(&option("default"))).model;
    assert_eq!(demand(&model.expect("another one")).mode, Mode::Require);
    let identity = ObjectRef::new(Kind::TlsOption, "default", "default");
    let gone = Change { identity, object: None };
    let model = translator.apply(Changes { objects: vec![gone], ..Changes::default() }).model;
    assert_eq!(demand(&model.expect("another one")).mode, Mode::Off);
}

#[test]
fn changes_come_to_what_a_translation_from_scratch_comes_to() {
    let spec = "entryPoints: [db], routes: [{match: 'HostSNI(`*`)', middlewares: [{name: list}], services: [{name: late, port: 1}]}]";
    let whole = [
        BASE.to_owned(),
        mk_tcp(spec),
        mk_object("MiddlewareTCP", "list", "ipAllowList: {sourceRange: [10.0.0.0/8]}"),
        "
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {ports: [{port: 1}]}
---"
        .to_owned(),
    ];
    let options = Options { middlewares: MiddlewarePolicy::AnyNamespace, ..taking() };
    let mut translator = Translator::new(options.clone());
    for yaml in &whole {
        let changes = objects(yaml).changes_from(&Default::default()).into_iter().collect();
        translator.apply(Changes { objects: changes, ..Changes::default() });
    }
    let (model, findings) =
        crate::control::translate::translate(&objects(&whole.concat()), &options);
    assert_eq!((&*translator.model(), lines(&findings)), (&model, vec![]));
    let identity = ObjectRef::new(Kind::MiddlewareTcp, "default", "list");
    translator
        .apply(Changes { objects: vec![Change { identity, object: None }], ..Changes::default() });
    assert_eq!(broken(&translator.model()), [Some(Broken::MiddlewareUnusable)]);
    let identity = ObjectRef::new(Kind::IngressRouteTcp, "default", "r");
    translator
        .apply(Changes { objects: vec![Change { identity, object: None }], ..Changes::default() });
    assert_eq!(translator.model().tcp, []);
}
