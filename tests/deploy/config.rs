//! The configurations that `deploy/` carries.

use crate::objects::{all, files, one};
use ravelin::config::{Config, ListenerProtocol};
use serde_json::Value;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// The text of the ConfigMap, and that the pod mounts it. `None`: not rendered.
fn embedded<'o>(name: &str, objects: &'o [Value]) -> Option<&'o str> {
    let map = objects.iter().find(|object| object["kind"] == "ConfigMap")?;
    let pod = &one(objects, "DaemonSet")["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().expect("a list").iter();
    let mounted = volumes.filter_map(|volume| volume["configMap"]["name"].as_str());
    // The hash in the name makes a changed configuration a changed pod.
    let mounted: Vec<&str> = mounted.collect();
    assert_eq!(mounted, [map["metadata"]["name"].as_str().expect("a name")], "{name}");
    assert!(mounted[0].len() > "ravelin-".len(), "{name}: no hash");
    let data = map["data"].as_object().expect("data");
    assert_eq!(data.keys().collect::<Vec<_>>(), ["ravelin.toml"], "{name}");
    data["ravelin.toml"].as_str()
}

/// A configuration with a directory in place of the cluster: everything else of it is the same.
fn parse(name: &str, text: &str) -> Config {
    let offline = text.replace("kind = \"kubernetes\"", "kind = \"directory\"\ndirectory = \"x\"");
    assert_ne!(offline, text, "{name} reads no cluster");
    // Of a cluster alone.
    let offline = offline.replace("\ncluster = true\n", "\n");
    Config::parse(&offline, name).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// Name and text of every configuration for a cluster.
fn texts() -> Vec<(String, String)> {
    let own = crate::deploy("systemd");
    let files = files("", "toml").into_iter().filter(|file| !file.starts_with(&own));
    let texts = files.map(|file| {
        let text = fs::read_to_string(&file).expect("a readable file");
        (file.display().to_string(), text)
    });
    texts.collect()
}

#[test]
fn every_configuration_is_accepted() {
    let texts = texts();
    assert!(texts.len() >= 3, "{texts:?}");
    for (name, text) in texts {
        parse(&name, &text);
        // A version without the watch refuses the kind of the source, and that alone.
        if let Err(errors) = Config::parse(&text, &name) {
            for error in &errors {
                assert_eq!(error.key, "source.kind", "{error}");
                assert!(error.problem.contains("not part of this version"), "{error}");
            }
        }
    }
}

#[test]
fn the_objects_carry_what_the_files_say() {
    let texts = texts();
    for (name, objects) in all() {
        let Some(text) = embedded(name, &objects) else {
            assert_eq!(name, "base as written");
            continue;
        };
        assert!(texts.iter().any(|(_, written)| written == text), "{name}");
    }
}

#[test]
fn the_pod_has_what_the_configuration_asks_for() {
    for (name, objects) in all() {
        let Some(text) = embedded(name, &objects) else { continue };
        let config = parse(name, text);
        let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("seconds");
        // On top of a drain: 0.3 s for handshakes that have begun, 0.2 s for tunnels to say that they
        // end, and the kubelet's own time.
        assert!(grace > config.timeouts.drain.as_secs() + 5, "{name}: SIGKILL would come first");
        let container = &pod["containers"][0];
        // What runs before SIGTERM counts against the grace.
        assert!(container.get("lifecycle").is_none(), "{name}");
        let socket = config.admin.socket.as_deref().expect("probes need it");
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let words = container[probe]["exec"]["command"].as_array().expect("an exec probe");
            let asked = words.last().and_then(Value::as_str).expect("text");
            assert_eq!(Path::new(asked), socket, "{name}");
        }
        let mounts = container["volumeMounts"].as_array().expect("a list").iter();
        let mounts: Vec<_> = mounts.filter_map(|mount| mount["mountPath"].as_str()).collect();
        let state = config.state.as_deref().and_then(Path::to_str).expect("a place for the list");
        assert!(mounts.contains(&state), "{name}: {state}");
        assert!(mounts.iter().any(|mount| socket.parent() == Some(Path::new(mount))), "{name}");
        let args: Vec<_> = container["args"].as_array().expect("a list").iter().collect();
        assert_eq!(args, ["run", "--config", "/etc/ravelin/ravelin.toml"], "{name}");
    }
}

#[test]
fn memory_allows_for_all_connections() {
    // What an idle connection with TLS takes, in bytes: 39 KiB were measured, 23 without.
    const EACH: usize = 40 * 1024;
    for (name, objects) in all() {
        let Some(text) = embedded(name, &objects) else { continue };
        let config = parse(name, text);
        let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
        let limit = pod["containers"][0]["resources"]["limits"]["memory"].as_str().expect("one");
        let limit: usize = limit.strip_suffix("Mi").and_then(|n| n.parse().ok()).expect("MiB");
        let left = (limit << 20).checked_sub(config.limits.connections.get() * EACH);
        // For the table, and for what is in flight.
        assert!(left.is_some_and(|left| left >= 64 << 20), "{name}: {left:?}");
    }
}

#[test]
fn strangers_get_neither_pages_nor_metrics() {
    for (name, text) in texts() {
        let config = parse(&name, &text);
        for listener in &config.listeners {
            let admitted: Vec<&str> = listener.admit.sets.iter().map(|set| &*set.name).collect();
            let local = listener.address.ip().is_loopback();
            assert_eq!(admitted, [if local { "loopback" } else { "cloudflare" }], "{name}");
            assert!(listener.kernel_filter, "{name}");
        }
        let admitted: Vec<&str> = config.admin.admit.sets.iter().map(|set| &*set.name).collect();
        assert_eq!(admitted, ["loopback", "nodes", "pods"], "{name}");
    }
}

#[test]
fn both_ports_of_the_node_are_taken_and_443_speaks_tls_without_a_certificate_at_the_start() {
    for (name, text) in texts() {
        let config = parse(&name, &text);
        let public =
            config.listeners.iter().filter(|listener| !listener.address.ip().is_loopback());
        let public: Vec<_> = public
            .map(|listener| {
                assert_eq!(listener.address.ip(), IpAddr::from([0u16; 8]), "{name}: dual stack");
                (&*listener.name, listener.address.port(), listener.protocol)
            })
            .collect();
        let expected =
            [("web", 80, ListenerProtocol::Http), ("websecure", 443, ListenerProtocol::Https)];
        assert_eq!(public, expected, "{name}");
        // They come as Secrets: a pod that needs a file to start would need a mount for it.
        assert!(config.certificates.is_empty() && config.client_certificates.is_empty(), "{name}");
    }
}

#[test]
fn ports_below_1024_are_bound_by_a_capability_and_declared_to_nobody() {
    for (name, objects) in all() {
        let Some(text) = embedded(name, &objects) else { continue };
        let config = parse(name, text);
        let low = config.listeners.iter().filter(|listener| listener.address.port() < 1024);
        assert_eq!(low.count(), 2, "{name}");
        let container = &one(&objects, "DaemonSet")["spec"]["template"]["spec"]["containers"][0];
        let granted = container["securityContext"]["capabilities"]["add"].as_array();
        assert!(granted.is_some_and(|all| all.contains(&"NET_BIND_SERVICE".into())), "{name}");
        assert!(container.get("ports").is_none(), "{name}: no two pods of a node could have it");
    }
}

#[test]
fn only_behind_a_balancer_is_the_word_of_one_taken_and_then_on_both_ports() {
    for (name, text) in texts() {
        let config = parse(&name, &text);
        // No balancer leads to those for the node itself.
        let is_public =
            |listener: &&ravelin::config::Listener| !listener.address.ip().is_loopback();
        let public = config.listeners.iter().filter(is_public);
        let balancers: Vec<_> = public.map(|listener| &listener.proxy_protocol_from).collect();
        let is_behind_one = name.ends_with("overlays/balancer/ravelin.toml");
        assert!(balancers.iter().all(|each| each.is_empty() != is_behind_one), "{name}");
        assert!(balancers.windows(2).all(|two| two[0] == two[1]), "{name}: one balancer");
    }
}
