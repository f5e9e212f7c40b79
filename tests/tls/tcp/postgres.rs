//! Clients of PostgreSQL, which ask for TLS before they begin it.

use super::servers::{Running, free, server as started};
use super::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

/// The user and group `nobody`.
const NOBODY: u32 = 65534;
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A pod that has PostgreSQL's answer to the request for TLS, and speaks TLS if it agrees.
fn pod(issued: &Issued, answer: u8) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(issued.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of the provider")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let config = Arc::new(config.expect("a key that fits"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 8];
            if socket.read_exact(&mut request).is_err() || request != SSL_REQUEST {
                continue;
            }
            let _ = socket.write_all(&[answer]);
            let session = ServerConnection::new(Arc::clone(&config)).expect("a configuration");
            // A client that goes away in the middle shows it.
            let _ = StreamOwned::new(session, socket).write_all(b"hello of the pod\n");
        }
    });
    addr
}

/// Asks for TLS in two pieces, and begins it.
fn ask(addr: SocketAddr, name: &str) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let mut socket = TcpStream::connect(addr).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.set_nodelay(true).expect("a socket");
    socket.write_all(&SSL_REQUEST[..5]).expect("it reads");
    socket.write_all(&SSL_REQUEST[5..]).expect("it reads");
    let mut agreed = [0];
    socket.read_exact(&mut agreed).expect("an answer");
    assert_eq!(&agreed, b"S");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(Offer::default().config(), name).expect("a client");
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

fn heard(stream: &mut impl Read) -> String {
    let mut text = String::new();
    // A pod that only closes its socket has said all nevertheless.
    if let Err(error) = stream.read_to_string(&mut text) {
        let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(ends.contains(&error.kind()), "{error}");
    }
    text
}

#[test]
fn tls_that_is_asked_for_as_postgresql_does_has_the_same_routes() {
    let (ended, passed_on) = (Issued::new(&["ended.test"]), Issued::new(&["passed.test"]));
    let echo = Echo::new();
    let at_db = |name: &str, rule: &str, service: &str, tls: &Value| {
        route(name, &json!({"entryPoints": ["db"], "tls": tls}), rule, service)
    };
    let passing = json!({"passthrough": true});
    let objects = [
        at_db("ended", "HostSNI(`ended.test`)", "echo", &json!({})),
        at_db("passed", "HostSNI(`passed.test`)", "agrees", &passing),
        at_db("refused", "HostSNI(`refused.test`)", "refuses", &passing),
        service("echo", echo.addr),
        service("agrees", pod(&passed_on, b'S')),
        service("refuses", pod(&passed_on, b'N')),
        json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRouteTCP",
               "metadata": {"namespace": "ns", "name": "plain"},
               "spec": {"ingressClassName": "ravelin", "entryPoints": ["db"], "routes": [
                   {"match": "HostSNI(`*`)", "services": [{"name": "echo", "port": "http"}]}]}}),
    ];
    let proxy = with(&objects, &[&ended]);
    let addr = proxy.listener(1);
    // Ended here: the pod has what is within.
    let mut stream = ask(addr, "ended.test").expect("TLS");
    stream.write_all(b"twice").expect("it reads");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"twice");
    drop(stream);
    assert_eq!(echo.first(), b"twice");
    // Passed on: the pod is asked, and its answer is not sent twice.
    let mut stream = ask(addr, "passed.test").expect("TLS of the pod");
    assert_eq!(heard(&mut stream), "hello of the pod\n");
    // A pod without TLS, and a name without a route.
    assert!(ask(addr, "refused.test").is_none());
    assert!(ask(addr, "nobody.test").is_none());
    // What only begins like it is a connection without TLS, whole.
    let mut socket = TcpStream::connect(addr).expect("it listens");
    let cancel = [0, 0, 0, 16, 4, 210, 22, 46];
    socket.write_all(&cancel).expect("it reads");
    let mut answer = [1; 8];
    socket.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, cancel);
}

#[test]
fn requests_of_http_do_not_come_within_postgresql() {
    let issued = Issued::new(&["http.test", "tcp.test"]);
    let objects = [
        route("tcp", &json!({"tls": {}}), "HostSNI(`tcp.test`)", "echo"),
        service("echo", Echo::new().addr),
    ];
    let proxy = with(&objects, &[&issued]);
    assert!(ask(proxy.addr(), "http.test").is_none());
    assert!(ask(proxy.addr(), "tcp.test").is_some());
    // Without a route of connections the listener is one of HTTPS alone.
    let proxy = with(&[], &[&issued]);
    let mut socket = TcpStream::connect(proxy.addr()).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.write_all(&SSL_REQUEST).expect("it reads");
    assert!(!heard(&mut socket).starts_with('S'));
}

#[test]
fn psql_and_openssl_ask_for_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (Some(psql), Some(openssl)) = (program("psql"), program("openssl")) else { return };
    let (ended, passed_on) = (Issued::new(&["ended.test"]), Issued::new(&["passed.test"]));
    let mut at_db = route("ended", &json!({"tls": {}}), "HostSNI(`ended.test`)", "error");
    at_db["spec"]["entryPoints"] = json!(["db"]);
    let objects = [
        at_db,
        route("passed", &passed(), "HostSNI(`passed.test`)", "agrees"),
        service("agrees", pod(&passed_on, b'S')),
        service("error", refusing()),
    ];
    let proxy = with(&objects, &[&ended]);
    let [ours, of_pod] = [("ours.crt", ended), ("pod.crt", passed_on)].map(|(name, issued)| {
        let path = folder.path().join(name);
        fs::write(&path, issued.chain).expect("a folder of ours");
        path.to_str().expect("a path").to_owned()
    });
    let port = proxy.listener(1).port();
    let to = format!(
        "host=ended.test hostaddr=127.0.0.1 port={port} user=ann dbname=a sslmode=verify-full \
         sslrootcert={ours} connect_timeout=20"
    );
    let output = Command::new(psql).arg(to).stdin(Stdio::null()).output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("hello of the pod"), "{said}");
    let output = Command::new(openssl)
        .args(["s_client", "-starttls", "postgres", "-servername", "passed.test", "-quiet"])
        .args(["-CAfile", &of_pod, "-verify_return_error", "-connect"])
        .arg(proxy.addr().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello of the pod\n", "{said}");
}

/// PostgreSQL itself, which does not run as root.
fn server(folder: &Path, issued: &Issued) -> Option<(Running, SocketAddr)> {
    let (initdb, postgres) = (program("initdb")?, program("postgres")?);
    let is_root = fs::metadata("/proc/self").expect("a file").uid() == 0;
    let as_user = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().stdin(Stdio::null());
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    for (name, text) in [("pod.crt", &issued.chain), ("pod.key", &issued.key)] {
        fs::write(folder.join(name), text).expect("a folder of ours");
    }
    fs::set_permissions(folder.join("pod.key"), Permissions::from_mode(0o600)).expect("a file");
    if is_root {
        for path in [folder.to_owned(), folder.join("pod.crt"), folder.join("pod.key")] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("a file");
        }
    }
    let mut making = as_user(&initdb);
    let made = making.args(["-D", "data", "-U", "ann", "-A", "trust", "--no-sync"]).output();
    let made = made.expect("it can be run");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let addr = free();
    let mut command = as_user(&postgres);
    command.args([
        "-D",
        "data",
        "-p",
        &addr.port().to_string(),
        "-c",
        "listen_addresses=127.0.0.1",
    ]);
    command.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "ssl=on"]);
    for (key, name) in [("ssl_cert_file", "pod.crt"), ("ssl_key_file", "pod.key")] {
        command.arg("-c").arg(format!("{key}={}", folder.join(name).display()));
    }
    Some((started(&mut command, addr), addr))
}

#[test]
fn psql_speaks_with_postgresql_through_us_and_with_us() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (of_pod, ours) = (Issued::new(&["passed.test"]), Issued::new(&["ended.test"]));
    let Some(psql) = program("psql") else { return };
    let Some((_pod, addr)) = server(folder.path(), &of_pod) else { return };
    let objects = [
        route("passed", &passed(), "HostSNI(`passed.test`)", "db"),
        route("ended", &json!({"tls": {}}), "HostSNI(`ended.test`)", "db"),
        service("db", addr),
    ];
    let proxy = with(&objects, &[&ours]);
    let trusted = folder.path().join("trusted.crt");
    let port = proxy.addr().port();
    // Whether PostgreSQL has TLS on its own side.
    for (host, issued, has_tls) in [("passed.test", &of_pod, "t"), ("ended.test", &ours, "f")] {
        fs::write(&trusted, &issued.chain).expect("a folder of ours");
        let to = format!(
            "host={host} hostaddr=127.0.0.1 port={port} user=ann dbname=postgres \
             sslmode=verify-full sslrootcert={} connect_timeout=20",
            trusted.display()
        );
        let asking = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
        let output = Command::new(&psql).args(["-At", "-c", asking]).arg(to).output();
        let output = output.expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), has_tls, "{said}");
    }
}

/// A server of PostgreSQL, without TLS, that refuses everybody with a text.
fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut length = [0; 4];
            if socket.read_exact(&mut length).is_err() {
                continue;
            }
            let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
            let _ = socket.read_exact(&mut startup);
            let fields = b"SFATAL\0C28000\0Mhello of the pod\0\0";
            let length = u32::try_from(fields.len() + 4).expect("a short text").to_be_bytes();
            let _ = socket.write_all(&[b"E", &length[..], fields].concat());
        }
    });
    addr
}
