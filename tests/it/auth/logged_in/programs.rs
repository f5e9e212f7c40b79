//! The programs behind the log-in, built once by tests/support/go_program.

use crate::support::{Client, eventually, go_program};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

/// A provider of OpenID Connect; killed when dropped.
pub(super) struct Provider {
    child: Child,
    issuer: String,
    client: String,
    secret: String,
}

impl Provider {
    pub(super) fn start() -> Option<Self> {
        let program = go_program("tests/it/auth/logged_in/oidc_provider")?;
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line);
        told.expect("a line");
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let [issuer, client, secret] = words.try_into().expect("three words");
        Some(Self { child, issuer, client, secret })
    }
}

/// oauth2-proxy; killed when dropped.
pub(super) struct OauthProxy {
    child: Child,
    addr: SocketAddr,
}

impl OauthProxy {
    /// Starts it before a provider, with further options.
    pub(super) fn start(provider: &Provider, options: &[&str]) -> Option<Self> {
        let program = go_program("tests/it/auth/logged_in/oauth2_proxy")?;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        // It gets its socket as systemd hands one over, so that the port is nobody else's before it listens.
        let activated = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
        let child = Command::new("sh")
            .args(["-c", activated])
            .arg(program)
            .arg("--http-address=fd:3")
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .args(["--provider=oidc", "--email-domain=*", "--reverse-proxy=true"])
            .args(["--cookie-secure=false", "--cookie-secret=0123456789abcdef0123456789abcdef"])
            .args(["--set-xauthrequest=true", "--whitelist-domain=app.example"])
            .arg("--redirect-url=http://app.example/oauth2/callback")
            .arg(format!("--oidc-issuer-url={}", provider.issuer))
            .arg(format!("--client-id={}", provider.client))
            .arg(format!("--client-secret={}", provider.secret))
            .args(options)
            .spawn()
            .expect("it can be run");
        let mut this = Self { child, addr };
        eventually("oauth2-proxy answers", || {
            assert_eq!(this.child.try_wait().expect("our child"), None, "it has ended");
            let mut client = Client::connect(addr);
            (client.get("a", "/ping").status() == 200).then_some(())
        });
        Some(this)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Drop for OauthProxy {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
