//! What Nodes and a ConfigMap tell of the cluster.

use super::{lines, objects, options};
use crate::control::translate::{ConfigMapKey, Options, addresses};
use crate::model::{ClusterAddresses, ConfigText};
use ipnet::IpNet;
use proptest::prelude::*;

/// As `kubectl get nodes -o yaml` prints a dual-stack k3s cluster, shortened.
const K3S: &str = "
apiVersion: v1
items:
- apiVersion: v1
  kind: Node
  metadata:
    annotations:
      flannel.alpha.coreos.com/backend-type: wireguard
      k3s.io/internal-ip: 10.0.0.3,fd00:10::3
      node.alpha.kubernetes.io/ttl: \"0\"
    creationTimestamp: \"2025-11-02T09:14:07Z\"
    finalizers:
    - wrangler.cattle.io/node
    labels:
      kubernetes.io/arch: amd64
      kubernetes.io/hostname: edge-2
      node.kubernetes.io/instance-type: k3s
    name: edge-2
    resourceVersion: \"48210954\"
    uid: 0f2d6c8b-5b9e-4a40-9f43-1f4f8e7c9a11
  spec:
    podCIDR: 10.42.1.0/24
    podCIDRs:
    - 10.42.1.0/24
    - fd00:42:0:1::/64
    providerID: k3s://edge-2
    taints:
    - {effect: NoSchedule, key: example.com/edge}
  status:
    addresses:
    - address: 10.0.0.3
      type: InternalIP
    - address: fd00:10::3
      type: InternalIP
    - address: 203.0.113.12
      type: ExternalIP
    - address: edge-2
      type: Hostname
    - address: edge-2.example.com
      type: ExternalDNS
    allocatable: {cpu: \"4\", memory: 7936Mi, pods: \"110\"}
    conditions:
    - lastHeartbeatTime: \"2026-01-10T10:00:00Z\"
      lastTransitionTime: \"2025-11-02T09:14:07Z\"
      message: kubelet is posting ready status
      reason: KubeletReady
      status: \"True\"
      type: Ready
    daemonEndpoints:
      kubeletEndpoint: {Port: 10250}
    images:
    - names: [docker.io/rancher/mirrored-pause:3.6]
      sizeBytes: 301463
    nodeInfo: {architecture: amd64, kubeletVersion: v1.33.4+k3s1}
    runtimeHandlers:
    - features: {recursiveReadOnlyMounts: true}
- apiVersion: v1
  kind: Node
  metadata: {name: edge-1}
  spec: {podCIDR: 10.42.0.0/24}
  status:
    addresses:
    - {address: 10.0.0.2, type: InternalIP}
    - {address: 203.0.113.11, type: ExternalIP}
kind: List
metadata: {resourceVersion: \"\"}
";

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("literal")).collect()
}

fn mk_node(name: &str, cidrs: &str, addresses: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, \
         spec: {{podCIDRs: [{cidrs}]}}, status: {{addresses: [{addresses}]}}}}\n"
    )
}

fn mk_internal(address: &str) -> String {
    format!("{{type: InternalIP, address: {address}}}")
}

/// Addresses and the lines of the findings, where the set `pods` admits somebody.
fn run(yaml: &str) -> (ClusterAddresses, Vec<String>) {
    let options = Options { admits_pods: true, ..options() };
    let (addresses, findings) = addresses(&objects(yaml), &options);
    (addresses, lines(&findings))
}

/// The list under `kube-system/ips`, key `list`, and the lines of the findings.
fn list(yaml: &str) -> (Option<String>, Vec<String>) {
    let key = ConfigMapKey {
        namespace: "kube-system".to_owned(),
        name: "ips".to_owned(),
        key: "list".to_owned(),
    };
    let options = Options { texts: vec![(ConfigText::CloudflareList, key)], ..options() };
    let (addresses, findings) = addresses(&objects(yaml), &options);
    (
        addresses.texts.get(&ConfigText::CloudflareList).map(|text| text.to_string()),
        lines(&findings),
    )
}

fn mk_config_map(name: &str, rest: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: ConfigMap, \
         metadata: {{name: {name}, namespace: kube-system}}, {rest}}}\n"
    )
}

#[test]
fn the_nodes_of_a_dual_stack_cluster_give_sorted_addresses_and_pod_networks() {
    let (addresses, findings) = run(K3S);
    assert_eq!(findings, [""; 0]);
    let expected = ClusterAddresses {
        nodes: nets(&[
            "10.0.0.2/32",
            "10.0.0.3/32",
            "203.0.113.11/32",
            "203.0.113.12/32",
            "fd00:10::3/128",
        ]),
        pods: nets(&["10.42.0.0/24", "10.42.1.0/24", "fd00:42:0:1::/64"]),
        texts: Default::default(),
    };
    assert_eq!(addresses, expected);
}

#[test]
fn nothing_is_known_and_nothing_is_said_without_nodes() {
    assert_eq!(run(""), (ClusterAddresses::default(), vec![]));
}

#[test]
fn what_two_nodes_say_is_there_once() {
    let twice = ["a", "b"].map(|name| mk_node(name, "10.42.0.0/24", &mk_internal("10.0.0.1")));
    let (addresses, findings) = run(&twice.concat());
    assert_eq!(findings, [""; 0]);
    assert_eq!((addresses.nodes.len(), addresses.pods.len()), (1, 1));
}

#[test]
fn a_broken_pod_network_keeps_out_itself_alone() {
    let usual = "write the network of the node's pods, such as \"10.42.0.0/24\"";
    for (cidr, reason, fix) in [
        ("pods", "\"pods\" is not a network", usual),
        ("''", "\"\" is not a network", usual),
        ("10.42.9.1", "\"10.42.9.1\" is not a network", usual),
        ("10.42.9.0/33", "\"10.42.9.0/33\" is not a network", usual),
        ("10.42.9.1/24", "\"10.42.9.1/24\" has host bits set", "the network is \"10.42.9.0/24\""),
        ("0.0.0.0/0", "\"0.0.0.0/0\" is wider than a /8, too wide for one node", usual),
        ("'::/0'", "\"::/0\" is wider than a /32, too wide for one node", usual),
        ("192.0.0.0/3", "\"192.0.0.0/3\" is wider than a /8, too wide for one node", usual),
        ("127.0.0.0/8", "\"127.0.0.0/8\" has loopback addresses", usual),
        ("127.4.0.0/16", "\"127.4.0.0/16\" has loopback addresses", usual),
        ("'::1/128'", "\"::1/128\" has loopback addresses", usual),
        ("169.0.0.0/8", "\"169.0.0.0/8\" has link-local addresses", usual),
        ("224.1.0.0/16", "\"224.1.0.0/16\" has multicast addresses", usual),
        ("'fe80::/64'", "\"fe80::/64\" has link-local addresses", usual),
        ("'::ffff:10.42.9.0/120'", "\"::ffff:10.42.9.0/120\" has reserved addresses", usual),
    ] {
        let broken = mk_node("b", &format!("10.42.1.0/24, {cidr}"), &mk_internal("10.0.0.9"));
        let (addresses, findings) = run(&format!("{K3S}{broken}"));
        let expected = format!(
            "error: Node b: spec.podCIDRs[1]: {reason} (fix: {fix}; this one is not admitted)"
        );
        assert_eq!(findings, [expected]);
        assert_eq!(addresses.pods, run(K3S).0.pods, "{cidr}");
        assert_eq!(addresses.nodes.len(), 6, "{cidr}");
    }
}

#[test]
fn the_older_field_counts_only_without_the_newer_one() {
    let old =
        "---\n{apiVersion: v1, kind: Node, metadata: {name: edge}, spec: {podCIDR: 10.42.7.0/4}}";
    let (addresses, findings) = run(old);
    assert_eq!(addresses.pods, []);
    assert!(
        findings[0].starts_with("error: Node edge: spec.podCIDR: \"10.42.7.0/4\" "),
        "{findings:?}"
    );
    let both = old.replace("podCIDR:", "podCIDRs: [10.42.8.0/24], podCIDR:");
    assert_eq!(
        run(&both),
        (ClusterAddresses { pods: nets(&["10.42.8.0/24"]), ..Default::default() }, vec![])
    );
}

#[test]
fn a_broken_node_address_keeps_out_itself_alone() {
    for (address, reason) in [
        ("edge-9", "\"edge-9\" is not an IP address"),
        ("''", "\"\" is not an IP address"),
        ("10.0.0.0/24", "\"10.0.0.0/24\" is not an IP address"),
        ("127.0.0.1", "\"127.0.0.1\" is loopback"),
        ("0.0.0.0", "\"0.0.0.0\" is unspecified"),
        ("169.254.169.254", "\"169.254.169.254\" is link-local"),
        ("'ff02::1'", "\"ff02::1\" is multicast"),
    ] {
        let yaml = mk_node(
            "edge",
            "10.42.0.0/24",
            &format!("{}, {}", mk_internal("10.0.0.1"), mk_internal(address)),
        );
        let (addresses, findings) = run(&yaml);
        let expected = format!(
            "error: Node edge: status.addresses[1].address: {reason} (fix: use the address of an \
                interface of the node; this one is not admitted)"
        );
        assert_eq!(findings, [expected]);
        assert_eq!(addresses.nodes, nets(&["10.0.0.1/32"]));
        let named = yaml.replace("InternalIP", "Hostname");
        assert_eq!(run(&named).1, [""; 0], "a name may be anything");
    }
}

#[test]
fn a_mapped_address_of_a_node_is_ipv4() {
    let (addresses, findings) =
        run(&mk_node("edge", "10.42.0.0/24", &mk_internal("'::ffff:192.0.2.1'")));
    assert_eq!((addresses.nodes, findings), (nets(&["192.0.2.1/32"]), vec![]));
}

#[test]
fn a_node_of_a_directory_may_be_on_this_machine_and_its_pods_may_not() {
    let yaml = mk_node("edge", "127.0.0.0/8", &mk_internal("127.0.0.1"));
    let options = Options { loopback_endpoints: true, ..options() };
    let (addresses, findings) = addresses(&objects(&yaml), &options);
    assert_eq!(addresses.nodes, nets(&["127.0.0.1/32"]));
    assert_eq!((addresses.pods.len(), findings.len()), (0, 1));
}

#[test]
fn nodes_without_pod_networks_are_one_line_and_only_where_pods_admit() {
    let yaml = ["b", "a"].map(|name| mk_node(name, "", "")).concat();
    let fix = "(fix: define the pod network as a set of your own under [admit], and name it besides \"pods\")";
    let line = format!(
        "info: Node a: spec.podCIDRs: is empty in every Node, so the set \"pods\" is empty {fix}"
    );
    assert_eq!(run(&yaml), (ClusterAddresses::default(), vec![line]));
    assert_eq!(addresses(&objects(&yaml), &options()).1, []);
    // One among others is a Node that lacks what they have.
    let (_, findings) = run(&format!("{yaml}{}", mk_node("c", "10.42.0.0/24", "")));
    let line = |name: &str| {
        format!(
            "info: Node {name}: spec.podCIDRs: is empty, so the set \"pods\" lacks the pods of this \
             Node {fix}"
        )
    };
    assert_eq!(findings, [line("a"), line("b")]);
}

#[test]
fn the_list_is_the_text_under_the_key_of_the_named_config_map() {
    let found = |text: &str| (Some(text.to_owned()), vec![]);
    let other = mk_config_map("other", "data: {list: wrong}");
    let data = mk_config_map("ips", "data: {list: \"192.0.2.0/24\\n\", more: x}");
    assert_eq!(list(&format!("{other}{data}")), found("192.0.2.0/24\n"));
    let binary = mk_config_map("ips", "binaryData: {list: MTkyLjAuMi4wLzI0Cg==}");
    assert_eq!(list(&binary), found("192.0.2.0/24\n"));
    assert_eq!(list(&mk_config_map("ips", "data: {list: ''}")), found(""));
    let (addresses, findings) = addresses(&objects(&data), &options());
    assert_eq!((addresses, findings), (ClusterAddresses::default(), vec![]), "nobody names it");
}

#[test]
fn a_list_that_is_not_there_is_told_without_the_content() {
    let absent = "warning: ConfigMap kube-system/ips: is set in cloudflare.config_map, but does not \
        exist or cannot be read";
    let lacks = "error: ConfigMap kube-system/ips: data[list]: is missing, but set in cloudflare.config_map";
    for (yaml, expected) in [
        (String::new(), format!("{absent} (fix: create it with the key \"list\")")),
        (
            mk_config_map("ips", "data: {list: hunter2}").replace("kube-system", "default"),
            format!("{absent} (fix: create it with the key \"list\")"),
        ),
        (
            mk_config_map("ip", "data: {list: hunter2}"),
            format!("{absent} (fix: did you mean \"ip\"?)"),
        ),
        (mk_config_map("ips", "data: {}"), format!("{lacks} (fix: put the text there)")),
        (
            mk_config_map("ips", "data: {lists: hunter2}"),
            format!("{lacks} (fix: did you mean \"lists\"?)"),
        ),
        (
            // hunter2 and a byte that is no UTF-8.
            mk_config_map("ips", "binaryData: {list: aHVudGVyMv8=}"),
            "error: ConfigMap kube-system/ips: binaryData[list]: is not UTF-8 text (fix: put it \
             as text under `data`)"
                .to_owned(),
        ),
    ] {
        assert_eq!(list(&yaml), (None, vec![expected]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_order_of_nodes_changes_nothing(
        shuffled in Just(["d", "c", "b", "a"]).prop_shuffle(),
        reversed in any::<bool>(),
    ) {
        let node = |name: &&str| {
            let (number, extra) = (name.as_bytes()[0], if *name == "b" { ", x" } else { "" });
            let address = mk_internal(&format!("10.0.{}.1", number % 3));
            mk_node(name, &format!("10.42.{}.0/24{extra}", number % 3), &address)
        };
        let expected = run(&["a", "b", "c", "d"].iter().map(node).collect::<String>());
        prop_assert_eq!((expected.0.pods.len(), expected.1.len()), (3, 1));
        let mut nodes: Vec<String> = shuffled.iter().map(node).collect();
        if reversed {
            nodes.reverse();
        }
        prop_assert_eq!(run(&nodes.concat()), expected);
    }

    #[test]
    fn whatever_a_node_says_admits_no_loopback_and_no_half_of_the_world(
        cidr in "[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}|[0-9a-f:]{2,20}/[0-9]{1,3}|\\PC{0,8}",
        address in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-f:]{2,20}|\\PC{0,8}",
    ) {
        let quoted = |text: &str| serde_json::to_string(text).expect("a string is JSON");
        let (addresses, findings) =
            run(&mk_node("edge", &quoted(&cidr), &mk_internal(&quoted(&address))));
        prop_assert_eq!(addresses.nodes.len() + addresses.pods.len() + findings.len(), 2);
        for net in addresses.pods {
            let least = if net.addr().is_ipv4() { 8 } else { 32 };
            prop_assert!(net.prefix_len() >= least && net.trunc() == net, "{net}");
            prop_assert!(!net.network().is_loopback() && !net.broadcast().is_loopback(), "{net}");
        }
    }
}
