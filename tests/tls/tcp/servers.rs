//! Real clients and servers at both ends.

use super::*;

/// A program that ends with the test.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("loopback")
}

/// Starts a server, and waits until it listens.
pub(super) fn server(command: &mut Command, addr: SocketAddr) -> Running {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().expect("it can be run"));
    eventually("the server listens", || TcpStream::connect(addr).ok().map(drop));
    running
}

/// `openssl s_server` that answers each line with its letters in reverse.
fn reversing(folder: &Path, issued: &Issued) -> Option<(Running, SocketAddr)> {
    fs::write(folder.join("pod.crt"), &issued.chain).expect("a folder of ours");
    fs::write(folder.join("pod.key"), &issued.key).expect("a folder of ours");
    let addr = free();
    let mut command = Command::new(program("openssl")?);
    command.args(["s_server", "-rev", "-quiet", "-accept", &addr.to_string(), "-cert"]);
    command.arg(folder.join("pod.crt")).arg("-key").arg(folder.join("pod.key"));
    Some((server(&mut command, addr), addr))
}

/// What `openssl s_client` gets back for a line.
fn reversed(addr: SocketAddr, line: &[&str]) -> Option<String> {
    let mut client = Command::new(program("openssl")?)
        .args(["s_client", "-quiet", "-verify_quiet", "-connect", &addr.to_string()])
        .args(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be run");
    let mut input = client.stdin.take().expect("piped");
    let mut output = client.stdout.take().expect("piped");
    // It may be gone already, where it was refused.
    let _ = input.write_all(b"hello\n");
    let mut answer = [0; 6];
    let read = output.read_exact(&mut answer);
    drop(input);
    let _ = client.kill();
    client.wait().expect("our child");
    Some(read.map_or_else(|_| String::new(), |()| String::from_utf8_lossy(&answer).into_owned()))
}

#[test]
fn openssl_speaks_with_openssl_through_us_and_with_us() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (of_pod, ours) = (Issued::new(&["pod.test"]), Issued::new(&["ended.test"]));
    let Some((_pod, addr)) = reversing(folder.path(), &of_pod) else { return };
    let mut to_pod = route("ended", &json!({"tls": {}}), "HostSNI(`ended.test`)", "pod");
    let service_tls = json!({"name": "pod", "port": "http", "tls": true, "serversTransport": "t"});
    to_pod["spec"]["routes"][0]["services"] = json!([service_tls]);
    let mut plain = to_pod.clone();
    plain["metadata"]["name"] = json!("plain");
    plain["spec"] = json!({"ingressClassName": "ravelin", "entryPoints": ["db"], "routes": [
        {"match": "HostSNI(`*`)", "services": [service_tls]}]});
    let objects = [
        route("passed", &passed(), "HostSNI(`pod.test`)", "pod"),
        to_pod,
        plain,
        json!({"apiVersion": "traefik.io/v1alpha1", "kind": "ServersTransportTCP",
               "metadata": {"namespace": "ns", "name": "t"},
               "spec": {"tls": {"serverName": "pod.test", "rootCAs": [{"secret": "pods"}]}}}),
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
               "metadata": {"namespace": "ns", "name": "pods"},
               "stringData": {"tls.ca": of_pod.chain}}),
        service("pod", addr),
    ];
    let proxy = with(&objects, &[&ours]);
    let trusted = folder.path().join("pod.crt");
    let trusted = trusted.to_str().expect("a path");
    // The pod's own certificate is verified by the client.
    let line = ["-servername", "pod.test", "-CAfile", trusted, "-verify_return_error"];
    assert_eq!(reversed(proxy.addr(), &line).as_deref(), Some("olleh\n"));
    // Ended here, and begun again to the pod.
    let line = ["-servername", "ended.test"];
    assert_eq!(reversed(proxy.addr(), &line).as_deref(), Some("olleh\n"));
    // And begun here for who speaks without.
    let mut socket = TcpStream::connect(proxy.listener(1)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.write_all(b"hello\n").expect("it reads");
    let mut answer = [0; 6];
    socket.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"olleh\n");
    // It serves one after the other.
    drop(socket);
    // A pod with another certificate is not spoken to.
    let other = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ns", "name": "pods"},
        "stringData": {"tls.ca": Issued::new(&["pod.test"]).chain}});
    place(proxy.folder(), "4.json", &other);
    let labels = "listener=\"db\",host=\"*\",route=\"ns/plain\",service=\"ns/pod:http\",end=\"upstream_untrusted\"";
    eventually("the pod is not trusted", || {
        let mut socket = TcpStream::connect(proxy.listener(1)).ok()?;
        let _ = socket.write_all(b"hello\n");
        let _ = socket.read(&mut [0]);
        (proxy.metric(&format!("ravelin_tcp_connections_total{{{labels}}}")) > 0.0).then_some(())
    });
}

#[test]
fn curl_gets_a_page_of_nginx_with_the_certificate_of_nginx() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let issued = Issued::new(&["pod.test"]);
    let (Some(nginx), Some(curl)) = (program("nginx"), program("curl")) else { return };
    fs::write(folder.path().join("pod.crt"), &issued.chain).expect("a folder of ours");
    fs::write(folder.path().join("pod.key"), &issued.key).expect("a folder of ours");
    let addr = free();
    let config = format!(
        "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{ access_log off;\n\
         server {{ listen {addr} ssl proxy_protocol; ssl_certificate pod.crt;\n\
         ssl_certificate_key pod.key; location / {{ return 200 \"for $proxy_protocol_addr\"; }} }} }}\n"
    );
    fs::write(folder.path().join("nginx.conf"), config).expect("a folder of ours");
    let mut command = Command::new(nginx);
    command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
    let _nginx = server(&mut command, addr);
    let mut passed = route("r", &passed(), "HostSNI(`pod.test`)", "pod");
    passed["spec"]["routes"][0]["services"][0]["proxyProtocol"] = json!({"version": 2});
    let proxy = with(&[passed, service("pod", addr)], &[]);
    let port = proxy.addr().port();
    let output = Command::new(curl)
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(folder.path().join("pod.crt"))
        .args(["--connect-to", &format!("pod.test:443:127.0.0.1:{port}"), "https://pod.test/"])
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "for 127.0.0.1", "{said}");
}
