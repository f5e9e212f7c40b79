//! `run` where it cannot start: one line that names the thing and the way out.

use crate::program::{config, ravelin};
use std::net::TcpListener;

fn text(listener: &str, directory: &str) -> String {
    format!(
        "[[listener]]\nname = \"web\"\naddress = \"{listener}\"\nadmit = [\"loopback\"]\n\
         [source]\nkind = \"directory\"\ndirectory = \"{directory}\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n"
    )
}

/// The one line it says, and that it fails.
fn complaint(text: &str) -> String {
    let file = config(text);
    let ran = ravelin(&["run", "--config", file.path().to_str().expect("UTF-8")]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    ran.err.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn without_the_directory_it_names_the_key() {
    let line = complaint(&text("127.0.0.1:0", "/nonexistent/manifests"));
    assert_eq!(
        line,
        "source.directory \"/nonexistent/manifests\" cannot be read: No such file or directory \
         (os error 2); name an existing directory"
    );
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let address = other.local_addr().expect("it is bound");
    let line = complaint(&text(&address.to_string(), "config/demo"));
    assert_eq!(
        line,
        format!(
            "cannot bind {address} for listener \"web\": Address already in use (os error 98); stop the process that listens there, or \
             use another port: on the node, `ss -ltnp 'sport = :{}'` names it (Traefik in the host network: \
             deploy/swap-from-traefik.md)",
            address.port()
        )
    );
}

#[test]
fn an_address_of_another_machine_is_named() {
    // RFC 5737: never an address of ours.
    let line = complaint(&text("192.0.2.1:8080", "config/demo"));
    assert!(line.starts_with("cannot bind 192.0.2.1:8080 for listener \"web\": "), "{line}");
    assert!(line.ends_with("; no interface has this address"), "{line}");
}

#[test]
fn a_privileged_port_without_the_right_names_the_capability() {
    const FIRST: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let first = std::fs::read_to_string(FIRST).expect("Linux");
    let first: u16 = first.trim().parse().expect("a number");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let owner =
        std::os::unix::fs::MetadataExt::uid(&file.as_file().metadata().expect("it is open"));
    if owner == 0 || first <= 81 {
        eprintln!("skipped: this user may bind port 81");
        return;
    }
    let line = complaint(&text("127.0.0.1:81", "config/demo"));
    assert!(line.starts_with("cannot bind 127.0.0.1:81 for listener \"web\": "), "{line}");
    assert!(
        line.contains("NET_BIND_SERVICE") && line.contains("ip_unprivileged_port_start"),
        "{line}"
    );
}
