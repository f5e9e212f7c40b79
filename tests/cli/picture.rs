//! `ravelin top` and `ravelin logs` in a terminal, beside pods that answer: what both show, and pictures of it.
//!
//! `RAVELIN_TEST_PICTURES=DIR cargo test --test cli picture` writes the pictures, which chromium makes of the screen.

use crate::admin::BALANCED;
use crate::running::{Running, folder};
use crate::terminal::InTerminal;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use vt100::{Color, Screen};

/// A folder for pictures, for people to look at.
const PICTURES: &str = "RAVELIN_TEST_PICTURES";

/// Pods: Service, status, and milliseconds until the response.
const PODS: [(&str, u16, u64); 6] = [
    ("shop", 200, 2),
    ("shop", 200, 6),
    ("api", 200, 1),
    ("api", 500, 20),
    ("blog", 301, 1),
    ("login", 200, 40),
];

/// Hosts, and paths that are asked for.
const VISITS: [(&str, &str); 8] = [
    ("shop.example", "/"),
    ("shop.example", "/cart/7"),
    ("api.example", "/v1/orders"),
    ("shop.example", "/static/app.js"),
    ("blog.example", "/2026/january"),
    ("soon.example", "/"),
    ("login.example", "/session"),
    ("nobody.example", "/wp-login.php"),
];

/// Where visitors' requests come through.
const COLOS: [&str; 3] = ["FRA", "AMS", "WAW"];

/// Answers on each connection until the test ends.
fn pod(status: u16, milliseconds: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                while let Some(Ok(line)) = lines.next() {
                    if !line.is_empty() {
                        continue;
                    }
                    thread::park_timeout(Duration::from_millis(milliseconds));
                    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                    if (&stream).write_all(head.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An Ingress for each Service, and the slices of its pods. `soon` has none.
fn manifests() -> String {
    let mut text = String::new();
    for service in ["shop", "api", "blog", "login", "soon"] {
        write!(
            text,
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{namespace: web, name: {service}}}\n\
             spec:\n  ingressClassName: ravelin\n  rules:\n    - host: {service}.example\n      http: {{paths: [{{path: /, \
             pathType: Prefix, backend: {{service: {{name: {service}, port: {{name: http}}}}}}}}]}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{namespace: web, name: {service}}}\n\
             spec: {{ports: [{{name: http, port: 80}}]}}\n---\n"
        )
        .expect("a String");
    }
    for (position, (service, status, milliseconds)) in PODS.into_iter().enumerate() {
        let port = pod(status, milliseconds).port();
        write!(
            text,
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{namespace: web, name: {service}-{position}, \
             labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\n\
             ports: [{{name: http, port: {port}}}]\nendpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n---\n"
        )
        .expect("a String");
    }
    text
}

/// A request through Cloudflare.
fn ask(address: SocketAddr, count: usize) -> std::io::Result<usize> {
    let (host, path) = VISITS[count % VISITS.len()];
    let colo = COLOS[count % 7 % COLOS.len()];
    let request = format!(
        "PROXY TCP4 104.16.0.1 127.0.0.1 40000 80\r\nGET {path} HTTP/1.1\r\nHost: {host}\r\nCF-Ray: {:016x}-{colo}\r\n\
         CF-Connecting-IP: 203.0.113.{}\r\nConnection: close\r\n\r\n",
        0x8f2b_3c4d_5e6f_0000_u64 + count as u64,
        count % 250 + 1,
    );
    let mut client = TcpStream::connect(address)?;
    client.write_all(request.as_bytes())?;
    client.read_to_end(&mut Vec::new())
}

/// The screen as HTML, with its colours.
fn html(screen: &Screen) -> String {
    let (lines, columns) = screen.size();
    let mut body = String::new();
    for y in 0..lines {
        for x in 0..columns {
            let Some(cell) = screen.cell(y, x) else { continue };
            let text = if cell.has_contents() { cell.contents() } else { " " };
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let mut colors = [color(cell.fgcolor(), "#d8dee9"), color(cell.bgcolor(), "#12161c")];
            if cell.inverse() {
                colors.swap(0, 1);
            }
            let weight = if cell.bold() { ";font-weight:bold" } else { "" };
            let dim = if cell.dim() { ";opacity:.65" } else { "" };
            let [front, back] = colors;
            write!(
                body,
                "<span style=\"color:{front};background:{back}{weight}{dim}\">{text}</span>"
            )
            .expect("a String");
        }
        body.push('\n');
    }
    format!(
        "<!doctype html><meta charset=utf-8><style>body{{margin:12px;background:#12161c}}pre{{margin:0;font:14px/18px \
         'DejaVu Sans Mono',monospace}}</style><pre>{body}</pre>"
    )
}

fn color(color: Color, default: &'static str) -> &'static str {
    // The first of xterm's colours, of which no others are used.
    const NAMED: [&str; 8] =
        ["#000000", "#ff6b68", "#8fce6e", "#e6c34a", "#6ca8ee", "#c78ae0", "#5cc6cc", "#eeeeee"];
    match color {
        Color::Idx(index) => NAMED[usize::from(index) % NAMED.len()],
        Color::Default | Color::Rgb(..) => default,
    }
}

/// Writes a picture of the screen, if that is asked for.
fn keep(page: &str, name: &str, size: (u16, u16)) {
    let Some(to) = std::env::var_os(PICTURES).map(PathBuf::from) else { return };
    fs::create_dir_all(&to).expect("a folder for pictures");
    let work = tempfile::tempdir().expect("a temporary folder");
    let file = work.path().join("screen.html");
    fs::write(&file, page).expect("a new file");
    let (columns, lines) = size;
    let status = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", work.path().join("profile").display()))
        .arg(format!(
            "--window-size={},{}",
            u32::from(columns) * 9 + 24,
            u32::from(lines) * 18 + 24
        ))
        .arg(format!("--screenshot={}", to.join(format!("{name}.png")).display()))
        .arg(format!("file://{}", file.display()))
        .env("HOME", work.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("chromium makes the pictures").success());
}

/// Whether a character of the line with this text is red.
fn is_red(screen: &Screen, text: &str) -> bool {
    let (lines, columns) = screen.size();
    let mut rows = (0..lines).zip(screen.rows(0, columns));
    rows.any(|(y, row)| {
        let red = |x: u16| screen.cell(y, x).is_some_and(|cell| cell.fgcolor() == Color::Idx(1));
        row.contains(text) && (0..columns).any(red)
    })
}

/// A busy process with pods, and the end of its visitors.
fn busy() -> (Running, Arc<AtomicBool>) {
    let folder = folder("");
    let config = folder.path().join("ravelin.toml");
    let more = format!(
        "{BALANCED}[log]\naccess = {:?}\n[metrics]\nper_route = \"all\"\n",
        folder.path().join("access.log")
    );
    let text = fs::read_to_string(&config).expect("a file of ours") + &more;
    fs::write(&config, text).expect("a file of ours");
    fs::write(folder.path().join("manifests/all.yaml"), manifests()).expect("a new file");
    let mut running = Running::begin(folder, Stdio::null());
    running.listener();
    let address = running.listener();
    let ended = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&ended);
    thread::spawn(move || {
        for count in 0.. {
            if until.load(Ordering::Relaxed) || ask(address, count).is_err() {
                return;
            }
        }
    });
    (running, ended)
}

#[test]
fn a_busy_process_is_seen_by_host_and_pod_and_its_log_in_colours() {
    let (running, ended) = busy();
    let path = |name: &str| running.folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (socket, config) = (path("admin.sock"), path("ravelin.toml"));
    let top = InTerminal::start(&["top", "--admin", &socket, "--interval", "1"], |_| {});
    top.resize(100, 30);
    let page = top.until("hosts, pods and their durations", |screen| {
        let contents = screen.contents();
        let row = |name: &str| -> Option<Vec<&str>> {
            let line = contents.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().collect())
        };
        let (shop, pod) = (row("shop.example")?, row("web/shop:http")?);
        let is_rate = |text: &str| text.parse::<f64>().is_ok_and(|rate| rate > 0.0);
        let shown = is_rate(shop[1])
            && shop[6].ends_with("ms")
            && is_rate(pod[3])
            && pod[5].ends_with("ms");
        let colos = COLOS.iter().all(|colo| contents.contains(&format!("  {colo} ")));
        (shown && colos && contents.contains("_ (no rule)") && is_red(screen, "soon.example"))
            .then(|| html(screen))
    });
    keep(&page, "top", (100, 30));
    let line = ["logs", "--config", &config, "--tail", "30", "--explain"];
    let logs = InTerminal::start(&line, |_| {});
    logs.resize(160, 30);
    let expected = format!("ravelin explain --admin {socket} --ray 8f2b");
    let page = logs.until("lines with what explains them", |screen| {
        (screen.contents().contains(&expected) && is_red(screen, "soon.example/"))
            .then(|| html(screen))
    });
    keep(&page, "logs", (160, 30));
    ended.store(true, Ordering::Relaxed);
}
