//! The folder of the demo: manifests, certificates and the configuration.

use super::certificates::ThrowAway;
use super::pods::Pod;
use crate::cli::Failure;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The sample manifests, as in `config/demo/` and `config/showcase/`.
const MANIFESTS: [(&str, &str); 7] = [
    ("classes.yaml", include_str!("../../../config/demo/classes.yaml")),
    ("backends.yaml", include_str!("../../../config/demo/backends.yaml")),
    ("sites.yaml", include_str!("../../../config/demo/sites.yaml")),
    ("previews.yaml", include_str!("../../../config/demo/previews.yaml")),
    ("protocols.yaml", include_str!("../../../config/showcase/protocols.yaml")),
    ("middlewares.yaml", include_str!("../../../config/showcase/middlewares.yaml")),
    ("broken.yaml", include_str!("../../../config/showcase/broken.yaml")),
];

/// Where the samples redirect to.
const WRITTEN_HTTPS: &str = "port: \"18443\"";

/// Where the demo listens, with port 0 for one that the kernel chooses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) http: u16,
    pub(super) https: u16,
    /// For what comes through the balancer.
    pub(super) balanced: u16,
    pub(super) admin: u16,
}

/// The folder, removed when the demo ends.
#[derive(Debug)]
pub(super) struct Samples(PathBuf);

impl Samples {
    /// Makes it, with certificates and no manifests.
    pub(super) fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("ravelin-demo-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("manifests"))?;
        let samples = Self(folder);
        let ThrowAway { authority, certificate, key } = ThrowAway::new()?;
        std::fs::write(samples.authority(), authority)?;
        std::fs::write(samples.0.join("tls.crt"), certificate)?;
        std::fs::write(samples.0.join("tls.key"), key)?;
        Ok(samples)
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// The CA that clients have to trust.
    pub(super) fn authority(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// The folder of manifests in it.
    pub(super) fn manifests(&self) -> PathBuf {
        self.0.join("manifests")
    }

    /// The configuration, once it is written.
    pub(super) fn configuration(&self) -> PathBuf {
        self.0.join("ravelin.toml")
    }

    /// Writes the manifests with the ports that pods and listeners really have.
    pub(super) fn write_manifests(&self, pods: &[Pod], https: SocketAddr) -> io::Result<()> {
        for (file, text) in MANIFESTS {
            let mut text = text.replace(WRITTEN_HTTPS, &format!("port: \"{}\"", https.port()));
            for pod in pods {
                let (written, real) = (pod.written, pod.port);
                text = text.replace(&format!("port: {written}"), &format!("port: {real}"));
            }
            std::fs::write(self.manifests().join(file), text)?;
        }
        Ok(())
    }

    /// The text of a configuration.
    pub(super) fn configured(&self, ports: Ports) -> String {
        let Ports { http, https, balanced, admin } = ports;
        let (manifests, folder) = (self.manifests(), &self.0);
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        format!(
            "# What the demo runs with.\n\
             [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:{http}\"\n\
             admit = [\"loopback\"]\n\n\
             [[listener]]\nname = \"websecure\"\naddress = \"127.0.0.1:{https}\"\n\
             protocol = \"https\"\nadmit = [\"loopback\"]\n\n\
             # Behind a balancer, which says in a PROXY header who connects to it.\n\
             [[listener]]\nname = \"cloudflare\"\naddress = \"127.0.0.1:{balanced}\"\n\
             admit = [\"cloudflare\"]\nproxy_protocol_from = [\"127.0.0.1/32\"]\n\n\
             [[certificate]]\ncert_file = {certificate:?}\nkey_file = {key:?}\n\n\
             [cloudflare]\nrefresh = \"off\"\n\n\
             [source]\nkind = \"directory\"\ndirectory = {manifests:?}\n\
             # Middlewares and IngressRoutes are of this class.\n\
             ingress_classes = [\"traefik\"]\n\n\
             [admin]\naddress = \"127.0.0.1:{admin}\"\n\n\
             [log]\naccess = \"off\"\nlevel = \"error\"\n\n\
             # Ctrl-C does not wait for browsers.\n\
             [timeouts]\ndrain = \"3s\"\ndrain_idle = \"200ms\"\n\n\
             [limits]\nconnections = 1000\n"
        )
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        // A few KiB stay in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
