//! TLS that ends here.

use super::*;

#[test]
fn tls_ends_here_with_the_certificate_of_the_name_or_of_the_route() {
    let pod = Echo::new();
    let (wide, own) = (Issued::new(&["db.test"]), Issued::new(&["other.test"]));
    let tls = json!({"entryPoints": ["db"], "tls": {"secretName": "own"}});
    let objects = [
        route("r", &tls, "HostSNI(`*`)", "db"),
        secret("ns", "own", &own),
        service("db", pod.addr),
    ];
    let proxy = with(&objects, &[&wide]);
    let addr = proxy.listener(1);
    for (name, shown) in [("db.test", &wide), ("other.test", &own), ("unknown.test", &own)] {
        let client =
            Client::offer(addr, name, &Offer { alpn: Vec::new(), ..Offer::default() }.config());
        assert_eq!(client.expect("a handshake").shown(), shown.der(), "{name}");
        assert!(echoes(addr, name, Offer { alpn: Vec::new(), ..Offer::default() }), "{name}");
    }
    // Without a name as well.
    let client = Client::offer(addr, "127.0.0.1", &Offer::default().config());
    assert_eq!(client.expect("a handshake").shown(), own.der());
    let lines = proxy.await_log(4);
    let line = lines.iter().find(|line| line["sni"] == "other.test").expect("it is logged");
    assert_eq!((&line["tls"], &line["listener"]), (&"1.3".into(), &"db".into()), "{line}");
    // Where there never was a Secret, names that nothing covers are refused.
    let objects = [route("r", &tls, "HostSNI(`*`)", "db"), service("db", pod.addr)];
    let proxy = with(&objects, &[&wide]);
    let addr = proxy.listener(1);
    assert!(echoes(addr, "db.test", Offer::default()), "one that is covered is served");
    assert!(Client::try_connect(addr, "unknown.test").is_none());
    proxy.await_metric(
        "ravelin_tls_handshake_failures_total{listener=\"db\",reason=\"unknown_sni\"}",
        1.0,
    );
}

#[test]
fn the_option_of_a_route_says_which_protocols_and_whose_certificates() {
    let pod = Echo::new();
    let (shown, authority) = (Issued::new(&["db.test", "mqtt.test"]), Authority::new("clients"));
    let ca = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ns", "name": "ca"}, "stringData": {"ca.crt": authority.pem()}});
    let auth = json!({"clientAuth": {"secretNames": ["ca"], "clientAuthType": "RequireAndVerifyClientCert"}});
    let tls = |option: &str| json!({"tls": {"options": {"name": option}}});
    let objects = [
        route("mqtt", &tls("mqtt"), "HostSNI(`mqtt.test`)", "db"),
        route("db", &tls("strict"), "HostSNI(`db.test`)", "db"),
        option("mqtt", &json!({"alpnProtocols": ["mqtt"], "minVersion": "VersionTLS13"})),
        option("strict", &auth),
        ca,
        service("db", pod.addr),
    ];
    let proxy = with(&objects, &[&shown]);
    let addr = proxy.addr();
    let offering = |name: &[u8]| Offer { alpn: vec![name.to_vec()], ..Offer::default() };
    assert!(echoes(addr, "mqtt.test", offering(b"mqtt")));
    assert!(!echoes(addr, "mqtt.test", offering(b"amqp")));
    let old = Offer { alpn: Vec::new(), ..Offer::version(&rustls::version::TLS12) };
    assert!(!echoes(addr, "mqtt.test", old), "TLS 1.2 is refused");
    // Client certificates.
    assert!(!echoes(addr, "db.test", Offer::default()));
    let identity = authority.issue("ann", 4096);
    let speaks = |identity| {
        let config = identified(&TLS13, Some(identity));
        let client = Client::offer(addr, "db.test", &config);
        client.is_ok_and(|mut client| {
            client.send("twice");
            client.stream.read_exact(&mut [0; 5]).is_ok()
        })
    };
    assert!(speaks(&identity));
    let stranger = Authority::new("others").issue("ann", 4096);
    assert!(!speaks(&stranger));
    fs::remove_file(proxy.folder().join("manifests/4.json")).expect("it is there");
    eventually("nobody is served without the CA", || (!speaks(&identity)).then_some(()));
}

#[test]
fn what_the_operator_demands_of_clients_holds_for_tls_that_ends_here() {
    let pod = Echo::new();
    let shown = Issued::new(&["db.test", "free.test", "own.test"]);
    let [all, own] = ["all", "own"].map(Authority::new);
    let ca = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ns", "name": "ca"}, "stringData": {"ca.crt": own.pem()}});
    let clients = json!({"clientAuth": {"secretNames": ["ca"], "clientAuthType": "RequireAndVerifyClientCert"}});
    let rule = "HostSNI(`db.test`) || HostSNI(`free.test`)";
    let objects = [
        route("all", &json!({"tls": {}}), rule, "db"),
        route("own", &json!({"tls": {"options": {"name": "own"}}}), "HostSNI(`own.test`)", "db"),
        option("own", &clients),
        ca,
        service("db", pod.addr),
    ];
    let mut builder = proxy().certificate(&shown);
    let file = builder.folder().join("ca.pem");
    fs::write(&file, all.pem()).expect("a folder of ours");
    let rest = "[[client_certificate]]\nhosts = [\"free.test\", \"own.test\"]\npolicy = \"off\"\n";
    builder = builder.sections(&format!(
        "{TABLES}[[client_certificate]]\npolicy = \"require\"\nca_file = {file:?}\n{rest}"
    ));
    for (number, object) in objects.iter().enumerate() {
        place(builder.folder(), &format!("{number}.json"), object);
    }
    let proxy = builder.start();
    let speaks = |name: &str, authority: Option<&Authority>| {
        let identity = authority.map(|authority| authority.issue("ann", 4096));
        let config = identified(&TLS13, identity.as_ref());
        let client = Client::offer(proxy.addr(), name, &config);
        client.is_ok_and(|mut client| {
            client.send("twice");
            client.stream.read_exact(&mut [0; 5]).is_ok()
        })
    };
    assert!(!speaks("db.test", None) && !speaks("db.test", Some(&own)));
    assert!(speaks("db.test", Some(&all)));
    assert!(speaks("free.test", None), "the same rule, and nothing is demanded for this name");
    assert!(!speaks("own.test", None) && !speaks("own.test", Some(&all)));
    assert!(speaks("own.test", Some(&own)));
}
