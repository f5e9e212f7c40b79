//! Values of all years, and what becomes of them.

use super::*;
use crate::cli::migrate::documents::Documents;
use crate::config::Config;
use proptest::prelude::*;

fn of(files: &[(&str, &str)]) -> Configuration {
    let mut documents = Documents::default();
    files.iter().for_each(|(file, text)| documents.add_text(file, text));
    configuration(&Told::read(&documents), "traefik", false)
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A HelmChartConfig with these values.
pub(super) fn config_of(values: &str) -> Configuration {
    let values: String = values.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {{name: traefik, namespace: \
         kube-system}}\nspec:\n  valuesContent: |-\n{values}"
    );
    of(&[("t.yaml", &text)])
}

/// The line of a key, without its comment, and the comment.
pub(super) fn line<'c>(
    configuration: &'c Configuration,
    head: &str,
    key: &str,
) -> Option<(&'c str, &'c str)> {
    let (_, table) = configuration.text.split_once(&format!("{head}\n"))?;
    let table = table.split("\n[").next()?;
    let line = table.lines().find(|line| line.starts_with(&format!("{key} = ")))?;
    line.split_once("  # ")
}

pub(super) fn left<'c>(configuration: &'c Configuration, path: &str) -> &'c Left {
    let found = configuration.left.iter().find(|left| left.from.ends_with(path));
    found.unwrap_or_else(|| panic!("{path}: {:#?}", configuration.left))
}

/// Values of which nothing is said: neither a line, nor a reason, nor the patch of the DaemonSet names them.
fn silent(told: &Told, found: &Configuration) -> Vec<String> {
    let is_told = |from: &String| {
        found.text.contains(from.as_str())
            || found.left.iter().any(|left| left.from == *from)
            || found.scheduling.iter().any(|(_, _, place)| from.starts_with(place.as_str()))
    };
    let all = told.flags.values().chain(told.chart.values()).map(|given| &given.from);
    all.filter(|from| !is_told(from)).cloned().collect()
}

#[test]
fn every_spelling_of_the_redirect_becomes_one_line_with_its_place() {
    for values in [
        "ports: {web: {redirectTo: websecure}}",
        "ports: {web: {redirectTo: {port: websecure, priority: 10}}}",
        "ports: {web: {redirections: {entryPoint: {to: websecure, scheme: https, permanent: true}}}}",
        "ports: {web: {http: {redirections: {entryPoint: {to: websecure}}}}}",
        "additionalArguments: ['--entryPoints.web.http.redirections.entryPoint.to=websecure']",
        "additionalArguments: ['--entrypoints.web.http.redirections.entrypoint.to', ':443']",
        "globalArguments: ['--ENTRYPOINTS.WEB.HTTP.REDIRECTIONS.ENTRYPOINT.TO=websecure']",
    ] {
        let found = config_of(values);
        let web = found.config.entry_points.iter().find(|point| *point.name == *"web");
        assert!(web.is_some_and(|web| web.redirects), "{values}\n{}", found.text);
        let place = "# HelmChartConfig kube-system/traefik in t.yaml: spec.valuesContent: ";
        assert!(found.text.contains(&format!("redirect = \"https\"  {place}")), "{}", found.text);
    }
    let plain = config_of("ports: {web: {redirectTo: other}}");
    assert_eq!(plain.config.entry_points.iter().filter(|point| point.redirects).count(), 0);
    assert_eq!(left(&plain, "ports.web.redirectTo").weight, Weight::Differs);
}

#[test]
fn values_become_the_keys_of_ravelin() {
    let values = "\
ports:
  web: {exposedPort: 8080, forwardedHeaders: {trustedIPs: [10.0.0.0/8, 173.245.48.0/20]}}
  websecure:
    hostPort: 443
    proxyProtocol: {trustedIPs: ['10.1.2.3']}
    transport:
      respondingTimeouts: {idleTimeout: 1000s, readTimeout: 0}
      lifeCycle: {graceTimeOut: 20}
    middlewares: [kube-system-safe@kubernetescrd]
  ssh: {port: 2222, exposedPort: 22, protocol: TCP}
  game: {port: 7000, protocol: UDP}
logs: {general: {level: WARN}, access: {enabled: true, format: json}}
metrics: {prometheus: {buckets: '0.1,0.3,1.2,5.0'}}
providers:
  kubernetesIngress: {allowExternalNameServices: true, namespaces: [shop]}
nodeSelector: {example.com/Edge: 'true'}
tolerations: [{operator: Exists}]
";
    let found = config_of(values);
    for (head, key, value) in [
        ("name = \"web\"  # its name", "address", "address = \"[::]:8080\""),
        ("name = \"web\"  # its name", "trusted_proxies", "trusted_proxies = [\"10.0.0.0/8\"]"),
        ("name = \"websecure\"  # its name", "protocol", "protocol = \"https\""),
        (
            "name = \"websecure\"  # its name",
            "proxy_protocol_from",
            "proxy_protocol_from = [\"10.1.2.3/32\"]",
        ),
        ("[timeouts]", "downstream_idle", "downstream_idle = \"1000s\""),
        ("[timeouts]", "drain", "drain = \"20s\""),
        ("[log]", "level", "level = \"warn\""),
        ("[log]", "access", "access = \"stdout\""),
        ("[metrics]", "buckets", "buckets = [0.1, 0.3, 1.2, 5.0]"),
        ("[dns]", "external_names", "external_names = true"),
        ("[source]", "namespaces", "namespaces = [\"shop\"]"),
    ] {
        let (line, from) =
            line(&found, head, key).unwrap_or_else(|| panic!("{key}: {}", found.text));
        assert_eq!(line, value);
        assert!(!from.is_empty());
    }
    // Three of Traefik's, and two for `compare`.
    assert_eq!(found.config.listeners.len(), 5, "{}", found.text);
    let middlewares = |point: &&crate::config::EntryPoint| !point.middlewares.is_empty();
    assert_eq!(found.config.entry_points.iter().filter(middlewares).count(), 1);
    assert!(left(&found, "game.protocol").reason.contains("UDP"));
    assert!(left(&found, "web.forwardedHeaders.trustedIPs").reason.contains("Cloudflare's"));
    assert!(left(&found, "readTimeout").reason.contains("body_progress"));
    let scheduling: Vec<_> = found.scheduling.iter().map(|(key, value, _)| (*key, value)).collect();
    let label = serde_json::json!({"example.com/Edge": "true"});
    let all = serde_json::json!([{"operator": "Exists"}]);
    assert_eq!(scheduling, [("nodeSelector", &label), ("tolerations", &all)]);
}

#[test]
fn every_value_has_a_line_or_a_reason() {
    let values = include_str!("every_value.yaml");
    let found = of(&[("traefik-values.yaml", values)]);
    let unknown: Vec<_> = found
        .left
        .iter()
        .filter(|left| left.reason.contains("that `ravelin migrate` knows"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let mut documents = Documents::default();
    documents.add_text("traefik-values.yaml", values);
    assert_eq!(silent(&Told::read(&documents), &found), Vec::<String>::new(), "{}", found.text);
}

#[test]
fn later_sources_win_and_null_takes_away() {
    let chart = "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: traefik, namespace: kube-system}\n\
                 spec:\n  chart: https://%{KUBERNETES_API}%/static/charts/traefik-37.1.0.tgz\n  set: {logs.general.level: ERROR}\n  valuesContent: |-\n    \
                 ports: {web: {exposedPort: 81}, websecure: {exposedPort: 444}}\n    logs: {general: {level: INFO}}\n";
    let config = "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: traefik, namespace: kube-system}\n\
                  spec:\n  valuesContent: |-\n    ports: {web: {exposedPort: 82}, websecure: {exposedPort: null}}\n";
    let crds = "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: traefik-crd}\nspec: {chart: traefik-crd, valuesContent: 'x: 1'}\n";
    let found = of(&[("b.yaml", config), ("a.yaml", chart), ("c.yaml", crds)]);
    let (own, _) = listeners(&found.config);
    assert_eq!(own, [("web", 82), ("websecure", 443)], "{}", found.text);
    assert!(found.text.contains("level = \"error\"  # HelmChart kube-system/traefik in a.yaml: spec.set.logs.general.level"), "{}", found.text);
    assert_eq!(found.sources.len(), 2);
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    for (values, path, reason) in [
        (
            "ports: {web: {redirectTo: '{{ .Values.to }}'}}",
            "ports.web.redirectTo",
            "filled in later",
        ),
        (
            "additionalArguments: ['--log.level=${LEVEL}', '--ping']",
            "additionalArguments[0]",
            "filled in later",
        ),
        ("{{- if .Values.a }}\nports: {}\n{{- end }}", "spec.valuesContent", "template"),
        ("a: [", "spec.valuesContent", "not YAML"),
        ("- a", "spec.valuesContent", "not a mapping"),
        ("logs: {general: {level: A}}\nlogs: {}", "spec.valuesContent", "repeats"),
        ("additionalArguments: --ping", "additionalArguments", "not a list"),
        ("logs: {general: {level: LOUD}}", "logs.general.level", "cannot be level"),
        ("ports: {web: {exposedPort: many}}", "ports.web.exposedPort", "not a port"),
        ("ports: {extra: {exposedPort: 9180}}", "ports.extra.exposedPort", "cannot be a listener"),
        ("ports: {Web_2: {exposedPort: 90}}", "ports.Web_2.exposedPort", "cannot be a listener"),
        ("nonsense: {a: 1}", "nonsense.a", "not a key of the chart"),
    ] {
        let found = config_of(values);
        let left = left(&found, path);
        assert!(left.reason.contains(reason), "{values}: {}", left.reason);
        assert_eq!(left.weight, Weight::Differs, "{values}");
    }
    let anchors = config_of(
        "a: &a {enabled: true}\nlogs: {access: *a}\nports:\n  web:\n    <<: {exposedPort: 85}",
    );
    assert_eq!(anchors.config.listeners[0].address.port(), 85);
}

#[test]
fn without_values_the_entry_points_are_those_of_the_chart() {
    let found = of(&[("deploy.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")]);
    let (all, counts) = listeners(&found.config);
    assert_eq!(counts, [3, 3], "one of each is for `compare`");
    let own = [("web", 80), ("web-beside", 7080)];
    assert_eq!(all, [own, [("websecure", 443), ("websecure-beside", 7443)]].concat());
    assert!(found.config.has_tls());
    assert!(found.text.contains("no values of Traefik's chart"));
}

#[test]
fn a_workload_is_read_where_no_chart_is() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: edge, namespace: t}\nspec: {template: {spec: {containers: \
                [{image: 'docker.io/library/traefik:v3.7', args: ['--entrypoints.http.address=:80', '--entrypoints.https.address=:443', \
                '--entrypoints.https.http.tls', '--entrypoints.web.address=:8000', '--api.insecure']}]}}}\n";
    let found = of(&[("d.yaml", text)]);
    let all: Vec<_> = found
        .config
        .listeners
        .iter()
        .filter(|one| !one.name.starts_with("trial"))
        .map(|one| (&*one.name, one.address.port(), one.protocol.as_str()))
        .collect();
    let of_https = [("https", 443, "https"), ("https-beside", 7443, "https")];
    let own = [("http", 80, "http"), ("http-beside", 7080, "http")];
    assert_eq!(all[..4], [own, of_https].concat());
    assert!(left(&found, "args[4]").reason.contains("dashboard"));
    // The port of a container that has no Service in the input is taken by `http`.
    assert!(
        left(&found, "the port of web in Traefik's chart").reason.contains("already the address")
    );
}

#[test]
fn values_are_found_in_flux_argo_cd_and_umbrella_charts() {
    let flux = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: edge, namespace: flux}\nspec:\n  chart: {spec: \
                {chart: traefik}}\n  valuesFrom: [{kind: ConfigMap, name: more}]\n  values: {ports: {web: {exposedPort: 81}}}\n";
    let argo = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: edge}\nspec: {source: {chart: traefik, helm: {values: \
                'ports: {web: {exposedPort: 81}}'}}}\n";
    let object = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: edge}\nspec: {sources: [{chart: traefik}], source: {helm: \
                  {valuesObject: {ports: {web: {exposedPort: 81}}}}}}\n";
    let umbrella = "redis: {a: 1}\ntraefik: {ports: {web: {exposedPort: 81}}}\n";
    for (text, place) in [
        (flux, "HelmRelease flux/edge in a.yaml: spec.values.ports.web.exposedPort"),
        (
            argo,
            "Application default/edge in a.yaml: spec.source.helm.values: ports.web.exposedPort",
        ),
        (
            object,
            "Application default/edge in a.yaml: spec.source.helm.valuesObject.ports.web.exposedPort",
        ),
        (umbrella, "a.yaml: traefik.ports.web.exposedPort"),
    ] {
        let found = of(&[("a.yaml", text)]);
        assert!(
            found.text.contains(&format!("address = \"[::]:81\"  # {place}\n")),
            "{}",
            found.text
        );
    }
    assert!(left(&of(&[("a.yaml", flux)]), "spec.valuesFrom").reason.contains("from elsewhere"));
}

#[test]
fn values_of_other_charts_are_not_taken_for_those_of_traefik() {
    for text in [
        "ports: {web: {port: 8080, protocol: TCP}}\nimage: x\n",
        "ingressRoute: {enabled: true, host: a.example}\n",
        "additionalArguments: ['--log.level=debug']\n",
        "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: traefik}\nspec: {chart: traefik-forward-auth, valuesContent: \
         'ports: {web: {exposedPort: 81}}'}\n",
    ] {
        let found = of(&[("values.yaml", text)]);
        assert_eq!(found.sources, Vec::<String>::new(), "{text}");
    }
}

/// A scalar that somebody may write.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9./:, -]{0,12}".prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        Just(Value::from(vec!["10.0.0.1/8", "0.0.0.0/0", "::1", "x"])),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("web"), Just("websecure"), Just("a b"), Just("traefik"), Just("")];
    let keys = vec![
        "exposedPort",
        "port",
        "hostPort",
        "expose",
        "protocol",
        "redirectTo",
        "redirections.entryPoint.to",
        "tls.enabled",
        "http.tls.options",
        "forwardedHeaders.trustedIPs",
        "proxyProtocol.trustedIPs",
        "transport.lifeCycle.graceTimeOut",
        "transport.respondingTimeouts.idleTimeout",
        "middlewares",
        "asDefault",
        "http.maxHeaderBytes",
        "http2.maxConcurrentStreams",
        "address",
    ];
    let globals = vec![
        "logs.general.level",
        "logs.access.enabled",
        "metrics.prometheus.buckets",
        "hostNetwork",
        "service.loadBalancerSourceRanges",
        "providers.kubernetesIngress.namespaces",
        "nodeSelector.a",
        "providers.kubernetesIngress.ingressEndpoint.ip",
        "serversTransport.maxIdleConnsPerHost",
        "serversTransport.forwardingTimeouts.dialTimeout",
        "env",
        "additionalArguments",
        "ports",
        "ports.web",
    ];
    prop_oneof![
        (name, prop::sample::select(keys)).prop_map(|(name, key)| format!("ports.{name}.{key}")),
        prop::sample::select(globals).prop_map(str::to_owned),
        "[a-zA-Z.]{0,10}",
    ]
}

proptest! {
    #[test]
    fn whatever_the_values_are_the_file_is_read_without_error(
        values in prop::collection::vec((path(), scalar()), 0..12),
    ) {
        let set: serde_json::Map<String, Value> = values.into_iter().collect();
        let chart = serde_json::json!({"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart",
            "metadata": {"name": "traefik"}, "spec": {"set": set}});
        let mut documents = Documents::default();
        documents.add_object(chart);
        let told = Told::read(&documents);
        let found = configuration(&told, "traefik", true);
        let found = found.map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        prop_assert!(Config::parse(&found.text, "x").is_ok());
        prop_assert_eq!(silent(&told, &found), Vec::<String>::new(), "{}", found.text);
    }
}

/// The name and port of each listener but those for `compare`, and the number of listeners of each entry point.
fn listeners(config: &Config) -> (Vec<(&str, u16)>, Vec<usize>) {
    let each = |one: &crate::config::Listener| one.address.port();
    let all = config.listeners.iter().filter(|one| !one.name.starts_with("trial"));
    let names = all.map(|one| (&*one.name, each(one))).collect();
    (names, config.entry_points.iter().map(|point| point.listeners.len()).collect())
}

#[test]
fn beside_traefik_the_second_listeners_are_alone_and_their_entry_points_are_the_same() {
    let values = "ports: {web: {redirectTo: websecure, proxyProtocol: {trustedIPs: [10.1.2.3]}}, smtp: {exposedPort: 25}}\n";
    let found = config_of(values);
    let beside = found.beside.as_deref().expect("both ports of Cloudflare");
    let beside = Config::parse(beside, "ravelin.toml").expect("a file of ours");
    let (names, counts) = listeners(&beside);
    assert_eq!(names, [("web-beside", 7080), ("websecure-beside", 7443)]);
    assert_eq!(counts, [2, 2], "with those for `compare`; smtp has no listener there");
    assert!(beside.entry_points[0].redirects);
    let web = found.config.listeners.iter().find(|one| &*one.name == "web").expect("it has one");
    assert!(!web.proxy_protocol_from.is_empty());
    assert_eq!(beside.listeners[0].proxy_protocol_from, web.proxy_protocol_from);
    let (names, counts) = listeners(&found.config);
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(counts, [1, 3, 3]);
}

#[test]
fn there_is_no_second_listener_if_its_port_is_an_entry_point_or_cloudflare_has_no_way_to_the_first()
{
    for values in ["ports: {web: {exposedPort: 8080}}", "ports: {zeta: {exposedPort: 7443}}"] {
        let found = config_of(values);
        assert_eq!(found.beside, None, "{values}");
        assert!(!found.text.contains("-beside"), "{values}: {}", found.text);
    }
}
