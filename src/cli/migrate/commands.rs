//! `COMMANDS.md`: the way from Traefik to ravelin and back, for this installation.

use super::chart::TRIALS;
use super::installation::{By, Front};
use super::report::{Overlay, Report, Totals};

/// A command with its check and its way back.
struct Step {
    title: String,
    about: String,
    command: String,
    check: String,
    back: String,
}

impl Step {
    fn new(title: &str, command: &str, check: &str, back: &str) -> Self {
        let [title, command, check, back] = [title, command, check, back].map(str::to_owned);
        Self { title, about: String::new(), command, check, back }
    }

    fn about(self, about: &str) -> Self {
        Self { about: about.to_owned(), ..self }
    }

    fn text(&self, number: usize) -> String {
        let Self { title, about, command, check, back } = self;
        let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
        format!(
            "## {number}. {title}\n\n{about}```sh\n{command}\n```\n\n*Check*: {check}\n*Back*: {back}\n\n"
        )
    }
}

/// The page.
pub(super) fn commands(report: &Report) -> String {
    let overlay = &report.overlay;
    let Totals { not_served, neither, differs, same, .. } = report.totals;
    let mut out = format!(
        "# From Traefik to ravelin and back\n\nWritten by `ravelin migrate`: {not_served} routes are not served, {neither} by \
         neither, {differs} differently, {same} the same (REPORT.md). Read that first: a host that cannot be moved keeps its \
         node's ports with Traefik.\n\nRun the commands in this directory, in their order. Each has a check and a way back. Do \
         **not** begin with `disable: traefik` in k3s' config.yaml: k3s then removes the Helm release traefik-crd as well, and \
         with its CRDs every Middleware and IngressRoute, from which ravelin serves, too.\n\n"
    );
    let mut steps = vec![save(overlay), install(overlay)];
    if !overlay.takes_class {
        steps.push(copies(&report.class));
    }
    steps.extend(move_nodes(overlay, &report.class));
    steps.push(stop(overlay));
    steps.push(last(overlay.installation.front));
    if !overlay.takes_class {
        steps.push(tidy());
    }
    for (number, step) in steps.iter().enumerate() {
        out.push_str(&step.text(number + 1));
    }
    out.push_str(&all_the_way_back(overlay));
    out
}

/// Saves a kind so that it can be applied again.
const KEEP: &str = "keep() { kubectl get \"$@\" -o json | jq 'del((., .items[]?).metadata[\"resourceVersion\", \"uid\", \
                    \"creationTimestamp\", \"managedFields\"])'; }";

fn save(overlay: &Overlay) -> Step {
    let values = match &overlay.installation.by {
        By::K3s { namespace, .. } => {
            let service = match overlay.installation.front {
                // The chart was told to make none, or nothing depends on it.
                Front::HostNetwork => String::new(),
                Front::Balancer | Front::ServiceLb => {
                    format!("\nkeep -n {namespace} service traefik > saved-service.json")
                }
            };
            format!("keep -n {namespace} helmcharts,helmchartconfigs > saved-charts.json{service}")
        }
        By::Helm { namespace } => {
            format!("helm -n {namespace} get values traefik > saved-values.yaml")
        }
        By::Workload { kind, namespace, name } => {
            format!("keep -n {namespace} {kind} {name} > saved-workload.json")
        }
    };
    let command = format!(
        "{KEEP}\n{values}\nkeep -A ingresses,ingressclasses > saved-ingresses.json\nkubectl api-resources --api-group traefik.io -o \
         name | while read -r kind; do keep -A \"$kind\" > \"saved-$kind.json\"; done\nkeep crd $(kubectl get crd -o name | grep \
         traefik.io | cut -d/ -f2) > saved-crds.json"
    );
    let check = "`ls -l saved-*`: no file is empty.";
    Step::new("Save what is there", &command, check, "nothing was changed.")
}

fn install(overlay: &Overlay) -> Step {
    let about = match overlay.installation.front {
        Front::HostNetwork => "No node has the label ravelin.dev/edge yet, so no pod starts.",
        Front::Balancer | Front::ServiceLb => {
            "ravelin listens on the nodes' ports; visitors still reach Traefik, because servicelb or the balancer leads them there."
        }
    };
    let check = "`kubectl -n ravelin get pods -o wide`: each pod is ready, or there is none yet (see above).";
    Step::new(
        "Install ravelin beside Traefik",
        "kubectl apply -k .",
        check,
        "`kubectl delete -k .`",
    )
    .about(about)
}

fn copies(class: &str) -> Step {
    let command = format!(
        "kubectl get ingress -A -o json | jq '.items |= [.[]\n    | select((.spec.ingressClassName // .metadata.annotations[\"kubernetes.io/ingress.class\"] // \"{class}\") == \"{class}\")\n    \
         | {{apiVersion, kind, spec: (.spec + {{ingressClassName: \"ravelin\"}}),\n       metadata: {{namespace: .metadata.namespace, \
         name: (.metadata.name + \"-ravelin\"),\n                  labels: {{\"ravelin.dev/copy\": \"true\"}},\n                  \
         annotations: ((.metadata.annotations // {{}}) | with_entries(select(\n                      .key | \
         test(\"^(traefik[.]ingress[.]kubernetes[.]io|ravelin[.]dev)/\"))))}}}}]' > copies.json\nkubectl apply -f copies.json"
    );
    let about = "An Ingress has one class, and both proxies need the routes for a while. Copies keep the annotations of Traefik, so \
                 that what protects stays.";
    let check = "`ravelin check --kubeconfig FILE`: no errors.";
    let back = "`kubectl delete ingress -A -l ravelin.dev/copy=true`";
    Step::new("Copy the Ingresses", &command, check, back).about(about)
}

/// Where Traefik's workload is.
fn home(overlay: &Overlay) -> &str {
    match &overlay.installation.by {
        By::K3s { namespace, .. } | By::Helm { namespace } | By::Workload { namespace, .. } => {
            namespace
        }
    }
}

/// Both proxies, asked for everything that the rules ask for.
fn compare(overlay: &Overlay, class: &str) -> Step {
    let home = home(overlay);
    let [(.., plain), (.., secure)] = TRIALS;
    let is_host = overlay.installation.front == Front::HostNetwork;
    let (with, about) = match is_host {
        true => (
            "TRAEFIK=ANOTHER-NODE    # the address of a node that Traefik still has".to_owned(),
            "On the first node that has changed: its pod asks ravelin on that node, and Traefik on another one. ",
        ),
        false => (
            format!(
                "TRAEFIK=$(kubectl -n {home} get service traefik -o jsonpath='{{.spec.clusterIP}}')"
            ),
            "A pod of ravelin asks Traefik by its Service, and ravelin on its own node. ",
        ),
    };
    let command = format!(
        "{with}\nkubectl -n ravelin exec ds/ravelin -- /ravelin compare --in-cluster --ingress-class {class} \\\n    --with \
         http://$TRAEFIK --ravelin {plain} --with-https https://$TRAEFIK --ravelin-https {secure}"
    );
    let about = format!(
        "{about}It sends GET and HEAD alone, 20 a second. Differences that are known stand apart with their reason; for each other one there \
         is a command that shows it."
    );
    let check = "the exit code is 0, or you know of each difference why it may stay.";
    Step::new("Compare both", &command, check, "nothing was changed.").about(&about)
}

fn move_nodes(overlay: &Overlay, class: &str) -> Vec<Step> {
    let loads = "a loop of requests to one of your hosts through Cloudflare goes on without errors, and \
                 `curl -s http://127.0.0.1:9180/metrics | grep ^ravelin_requests_total` on the node increases.";
    match overlay.installation.front {
        Front::HostNetwork => vec![keep_off(overlay),
            Step::new(
                "Move the nodes, one by one",
                "kubectl label node NODE ravelin.dev/edge=true",
                loads,
                "`kubectl label node NODE ravelin.dev/edge-`",
            )
            .about("Do the next step after the first of them. For some seconds the ports of the node are closed, and Cloudflare takes the next record: have more than one."),
            compare(overlay, class),
        ],
        Front::Balancer if overlay.installation.balancer.is_some() => {
            let moved = overlay.installation.balancer.iter().map(|it| take_balancer(overlay, &it.name, loads));
            std::iter::once(compare(overlay, class)).chain(moved).collect()
        }
        Front::Balancer => vec![compare(overlay, class), Step::new(
            "Let the balancer lead to ravelin, one node at a time",
            "kubectl -n ravelin get pods -o wide    # the nodes that are ready",
            loads,
            "add the targets of Traefik again.",
        )
        .about(
            "In the balancer, replace the targets (ports of nodes of Traefik's Service) by ports 80 and 443 of the nodes, with PROXY \
             protocol switched on if proxy_protocol_from in ravelin.toml names the balancer. A balancer that a controller of the \
             cloud has made: protect it against deletion first.",
        )],
        Front::ServiceLb => vec![
            compare(overlay, class),
            Step::new(
                "Let servicelb keep only nodes with a label",
                "kubectl label node --all svccontroller.k3s.cattle.io/enablelb=true",
                "`kubectl -n kube-system get pods -o wide | grep svclb-traefik`: as before.",
                "`kubectl label node --all svccontroller.k3s.cattle.io/enablelb-`",
            ),
            Step::new(
                "Move the nodes, one by one, all but the last",
                "kubectl label node NODE svccontroller.k3s.cattle.io/enablelb-",
                loads,
                "`kubectl label node NODE svccontroller.k3s.cattle.io/enablelb=true`",
            )
            .about("Without any labelled node servicelb would take all of them again: the last one keeps its label."),
        ],
    }
}

/// A balancer of Hetzner's cloud, which its controller leads to the Service that has its name.
fn take_balancer(overlay: &Overlay, name: &str, loads: &str) -> Step {
    let home = home(overlay);
    let command = format!(
        "hcloud load-balancer enable-protection {name} delete\nkubectl apply -f balancer-service.yaml"
    );
    let back = format!(
        "`kubectl -n {home} annotate service traefik ravelin.dev/back=1 --overwrite` gives it to Traefik's Service again; then \
         `kubectl -n ravelin delete service balancer`."
    );
    Step::new("Let the balancer lead to ravelin", &command, loads, &back).about(
        "Hetzner's controller finds the balancer by its name, and leads it to ravelin, with its address: from then on it is not deleted \
         with Traefik's Service. For a moment both Services have its name: go on with the next step at once, because the controller \
         gives it back to Traefik's Service when that or the nodes change.",
    )
}

fn keep_off(overlay: &Overlay) -> Step {
    let home = home(overlay);
    let kind = if overlay.installation.is_daemonset { "daemonset" } else { "deployment" };
    let command = format!(
        "kubectl -n {home} patch {kind} traefik --type merge -p '{{\"spec\":{{\"template\":{{\"spec\":{{\"affinity\":\n  \
         {{\"nodeAffinity\":{{\"requiredDuringSchedulingIgnoredDuringExecution\":{{\"nodeSelectorTerms\":[{{\"matchExpressions\":\n  \
         [{{\"key\":\"ravelin.dev/edge\",\"operator\":\"DoesNotExist\"}}]}}]}}}}}}}}}}}}}}'"
    );
    let check = format!("`kubectl -n {home} rollout status {kind}/traefik`.");
    let back = format!("`kubectl -n {home} rollout undo {kind}/traefik`");
    Step::new("Keep Traefik off nodes with the label", &command, &check, &back)
}

fn stop(overlay: &Overlay) -> Step {
    let check = "`kubectl get crd | grep traefik.io` and `kubectl get middlewares.traefik.io -A` show what they showed before.";
    let is_daemonset = overlay.installation.is_daemonset;
    let (command, back) = match &overlay.installation.by {
        By::K3s { namespace, values } => {
            let back = match values {
                Some(_) => "`kubectl apply -f traefik-on.yaml`".to_owned(),
                None => format!("`kubectl -n {namespace} delete helmchartconfig traefik`"),
            };
            ("kubectl apply -f traefik-off.yaml".to_owned(), back)
        }
        By::Helm { namespace } => {
            let off =
                if is_daemonset { "deployment.enabled=false" } else { "deployment.replicas=0" };
            (
                format!(
                    "helm -n {namespace} upgrade traefik traefik/traefik --reuse-values --set {off} --set service.enabled=false"
                ),
                format!("`helm -n {namespace} rollback traefik`"),
            )
        }
        By::Workload { kind, namespace, name } if kind == "daemonset" => (
            format!(
                "kubectl -n {namespace} patch {kind} {name} --type merge -p \
                 '{{\"spec\":{{\"template\":{{\"spec\":{{\"nodeSelector\":{{\"ravelin.dev/none\":\"true\"}}}}}}}}}}'"
            ),
            format!("`kubectl -n {namespace} rollout undo {kind} {name}`"),
        ),
        By::Workload { kind, namespace, name } => (
            format!("kubectl -n {namespace} scale {kind} {name} --replicas 0"),
            format!(
                "`kubectl -n {namespace} scale {kind} {name} --replicas 1`, or as many as there were"
            ),
        ),
    };
    let about = "Its release stays, and with it the CRDs, the IngressClass and everything that ravelin serves from. If the values \
                 are in Git (Flux, Argo CD), change them there. Instead of this, k3s can be told to leave the chart alone: `touch \
                 /var/lib/rancher/k3s/server/manifests/traefik.yaml.skip` on every server, then `kubectl -n kube-system delete \
                 helmchart traefik`; never delete the HelmChart traefik-crd.";
    Step::new("Stop Traefik, and keep its release", &command, check, &back).about(about)
}

fn last(front: Front) -> Step {
    let (command, back) = match front {
        Front::HostNetwork => (
            "kubectl label node --all ravelin.dev/edge=true",
            "`kubectl label node NODE ravelin.dev/edge-`",
        ),
        Front::Balancer => ("kubectl -n ravelin rollout status ds/ravelin", "nothing was changed."),
        Front::ServiceLb => (
            "kubectl label node --all svccontroller.k3s.cattle.io/enablelb-",
            "`kubectl label node --all svccontroller.k3s.cattle.io/enablelb=true`",
        ),
    };
    let check = "every node answers, and `ravelin check --kubeconfig FILE` has no errors.";
    Step::new("The last node", command, check, back)
}

fn tidy() -> Step {
    let command = "jq -r '.items[].metadata | \"\\(.namespace) \\(.name | rtrimstr(\"-ravelin\"))\"' copies.json |\nwhile read -r namespace \
                   name; do\n    kubectl -n \"$namespace\" patch ingress \"$name\" --type merge -p \
                   '{\"spec\":{\"ingressClassName\":\"ravelin\"}}'\ndone\nkubectl delete ingress -A -l ravelin.dev/copy=true";
    let check = "the loop goes on, and `kubectl get ingress -A` shows the class ravelin.";
    let back = "`kubectl apply -f copies.json`, then `kubectl apply -f saved-ingresses.json`";
    Step::new("Give the Ingresses the class of ravelin", command, check, back)
        .about("After a day without complaints. Where the Ingresses are in Git, change them there.")
}

fn all_the_way_back(overlay: &Overlay) -> String {
    let copies = match overlay.takes_class {
        true => "",
        false => "4. `kubectl delete ingress -A -l ravelin.dev/copy=true`\n",
    };
    format!(
        "## All the way back\n\nThe ways back of the steps, from the last to the first; nodes last:\n\n1. Start Traefik: the way back \
         of the step that stopped it. `kubectl get pods -A | grep traefik` until it is ready.\n2. Give it the nodes, one by one: \
         the way back of the step that moved them, with the same check.\n3. `kubectl delete -k .`\n{copies}\nShould the CRDs be \
         gone: `kubectl apply -f saved-crds.json`, then the other files of step 1. Meanwhile ravelin keeps serving what it knows.\n"
    )
}
