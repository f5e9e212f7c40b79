//! With which flags the servers are started.

use crate::plane::authority::Authority;
use std::net::SocketAddr;
use std::path::Path;

/// What the controllers are that turn a Deployment into an EndpointSlice, and that tidy up. Those
/// that expect living nodes and garbage-collect Pods are left out.
const CONTROLLERS: [&str; 8] = [
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "endpoints-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "garbage-collector-controller",
];
/// What makes Pods of DaemonSets, for those who play the nodes.
pub(crate) const DAEMONS: &str = "daemonset-controller";

/// Flags of etcd. Data in a folder that is thrown away need not be safe from a crash of the machine.
pub(crate) fn etcd(data: &Path, addr: SocketAddr) -> Vec<String> {
    vec![
        "--name=default".to_owned(),
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls=http://{addr}"),
        format!("--advertise-client-urls=http://{addr}"),
        // Of a cluster of one nobody is a peer.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

/// Flags of kube-apiserver.
pub(crate) fn api_server(authority: &Authority, etcd: SocketAddr, addr: SocketAddr) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", authority.path(name).display());
    vec![
        format!("--etcd-servers=http://{etcd}"),
        format!("--bind-address={}", addr.ip()),
        format!("--secure-port={}", addr.port()),
        // There is no other interface, and no Service has to reach this server.
        format!("--advertise-address={}", addr.ip()),
        "--endpoint-reconciler-type=none".to_owned(),
        file("tls-cert-file", "server.crt"),
        file("tls-private-key-file", "server.key"),
        file("client-ca-file", "ca.crt"),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("service-account-key-file", "accounts.pub"),
        file("service-account-signing-key-file", "accounts.key"),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // Pods may be made before the account `default` of their namespace is.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ]
}

/// Flags of kube-controller-manager.
pub(crate) fn controllers(
    authority: &Authority,
    kubeconfig: &Path,
    addr: SocketAddr,
    more: &[&str],
) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", authority.path(name).display());
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        format!("--bind-address={}", addr.ip()),
        format!("--secure-port={}", addr.port()),
        file("tls-cert-file", "server.crt"),
        file("tls-private-key-file", "server.key"),
        format!("--controllers={}", [&CONTROLLERS, more].concat().join(",")),
    ]
}
