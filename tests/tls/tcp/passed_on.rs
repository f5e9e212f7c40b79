//! What is passed on byte for byte, and what goes elsewhere.

use super::*;

#[test]
fn a_pod_gets_the_client_hello_as_it_came_in_whatever_pieces() {
    let long = (0..200).map(|number| format!("{number:0>100}").into_bytes()).collect();
    for (offer, pieces) in [
        (Offer::default(), 1),
        (Offer::default(), 100),
        // Of several records.
        (Offer { alpn: long, ..Offer::default() }, 5000),
    ] {
        let pod = Echo::new();
        let routes = [route("r", &passed(), "HostSNI(`db.test`)", "db"), service("db", pod.addr)];
        let proxy = with(&routes, &[]);
        let mut sent = hello("db.test", offer);
        let mut socket = TcpStream::connect(proxy.addr()).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        socket.set_nodelay(true).expect("a socket");
        for piece in sent.chunks(pieces) {
            socket.write_all(piece).expect("it reads");
        }
        // It comes back from the pod.
        let mut back = vec![0; sent.len()];
        socket.read_exact(&mut back).expect("all of it");
        assert!(back == sent);
        socket.write_all(b"and more").expect("it reads");
        sent.extend(b"and more");
        socket.shutdown(Shutdown::Write).expect("open");
        assert!(pod.first() == sent);
        let line = proxy.await_log(1).remove(0);
        for (field, expected) in [
            ("sni", json!("db.test")),
            ("end", "complete".into()),
            ("route", "ns/r".into()),
            ("bytes_in", sent.len().into()),
            ("bytes_out", sent.len().into()),
        ] {
            assert_eq!(line[field], expected, "{field}: {line}");
        }
    }
}

#[test]
fn a_hello_of_the_size_of_post_quantum_keys_is_decided_by_as_well() {
    let pod = Echo::new();
    let objects = [route("r", &passed(), "HostSNI(`db.test`)", "db"), service("db", pod.addr)];
    let proxy = with(&objects, &[]);
    let provider = aws_lc_rs::default_provider();
    let kx_groups = vec![kx_group::X25519MLKEM768];
    let provider = CryptoProvider { kx_groups, ..provider };
    let sent = hello("db.test", Offer { provider, ..Offer::default() });
    assert!(sent.len() > 1300, "{}", sent.len());
    let mut socket = TcpStream::connect(proxy.addr()).expect("it listens");
    socket.write_all(&sent).expect("it reads");
    socket.shutdown(Shutdown::Write).expect("open");
    assert!(pod.first() == sent);
}

#[test]
fn what_has_no_route_goes_on_to_http_and_names_of_http_come_first() {
    let pod = Echo::new();
    let web = Issued::new(&["web.test", "both.test"]);
    let both = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "ns", "name": "both"},
        "spec": {"ingressClassName": "ravelin", "rules": [{"host": "both.test", "http": {"paths": [
            {"path": "/", "pathType": "Prefix",
             "backend": {"service": {"name": "all", "port": {"name": "http"}}}}]}}]}});
    let objects = [
        route("named", &passed(), "HostSNI(`db.test`)", "db"),
        route("both", &passed(), "HostSNI(`both.test`)", "db"),
        route("any", &passed(), "HostSNI(`*`)", "db"),
        both,
        service("db", pod.addr),
    ];
    let proxy = with(&objects, &[&web]);
    // An Ingress is for all names: the catch-all has none.
    for name in ["web.test", "both.test"] {
        assert_eq!(Client::connect(proxy.addr(), name).get(name).status(), "200", "{name}");
    }
    let sent = hello("db.test", Offer::default());
    let mut socket = TcpStream::connect(proxy.addr()).expect("it listens");
    socket.write_all(&sent).expect("it reads");
    socket.shutdown(Shutdown::Write).expect("open");
    assert!(pod.first() == sent);
    proxy.await_metric(
        "ravelin_tls_handshakes_total{listener=\"tls\",version=\"1.3\",resumed=\"false\"}",
        2.0,
    );
}

#[test]
fn a_route_that_cannot_be_used_keeps_its_name_from_others() {
    let pod = Echo::new();
    let shown = Issued::new(&["db.test", "good.test"]);
    let db = json!({"entryPoints": ["db"], "tls": {"options": {"name": "gone"}}});
    let any = json!({"entryPoints": ["db"], "tls": {}});
    let mut refused = route("broken", &db, "HostSNI(`db.test`)", "db");
    refused["spec"]["routes"][0]["middlewares"] = json!([]);
    let objects = [refused, route("any", &any, "HostSNI(`*`)", "db"), service("db", pod.addr)];
    let proxy = with(&objects, &[&shown]);
    let addr = proxy.listener(1);
    assert!(echoes(addr, "good.test", Offer::default()));
    let error = Client::offer(addr, "db.test", &Offer::default().config()).err();
    assert!(error.is_some_and(|error| error.to_string().contains("AccessDenied")));
    let labels = "listener=\"db\",host=\"db.test\",route=\"ns/broken\",service=\"_\",end=\"restriction_unsupported\"";
    proxy.await_metric(&format!("ravelin_tcp_connections_total{{{labels}}}"), 1.0);
}

#[test]
fn a_listener_for_connections_tells_tls_from_what_has_none() {
    let (plain, secured) = (Echo::new(), Echo::new());
    let shown = Issued::new(&["db.test"]);
    let at = |more: &Value| {
        let mut spec = json!({"entryPoints": ["db"]});
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        spec
    };
    let objects = [
        route("plain", &at(&json!({})), "HostSNI(`*`)", "plain"),
        route("tls", &at(&json!({"tls": {}})), "HostSNI(`db.test`)", "secured"),
        service("plain", plain.addr),
        service("secured", secured.addr),
    ];
    let proxy = with(&objects, &[&shown]);
    let addr = proxy.listener(1);
    assert!(echoes(addr, "db.test", Offer::default()));
    let mut socket = TcpStream::connect(addr).expect("it listens");
    socket.write_all(b"plain text").expect("it reads");
    socket.shutdown(Shutdown::Write).expect("open");
    assert_eq!(plain.first(), b"plain text");
    // A name without a route is refused before a certificate is presented.
    assert!(Client::try_connect(addr, "other.test").is_none());
    let labels = "listener=\"db\",host=\"_\",route=\"_\",service=\"_\",end=\"no_route\"";
    proxy.await_metric(&format!("ravelin_tcp_connections_total{{{labels}}}"), 1.0);
}
