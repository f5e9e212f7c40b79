//! `COMMANDS.md`: the way from Traefik to ravelin and back, for this installation.

use super::chart::TRIALS;
use super::installation::{By, Front};
use super::report::{Overlay, Report, Totals};

/// A command with its check and its way back.
struct Step {
    title: String,
    about: String,
    /// Empty: what is to be done is not done by a command, and stands in `about`.
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
        let command = match command.as_str() {
            "" => String::new(),
            command => format!("```sh\n{command}\n```\n\n"),
        };
        format!("## {number}. {title}\n\n{about}{command}*Check*: {check}\n*Back*: {back}\n\n")
    }
}

/// The page.
pub(super) fn commands(report: &Report) -> String {
    let overlay = &report.overlay;
    let Totals { not_served, neither, differs, same, .. } = report.totals;
    let mut out = format!(
        "# From Traefik to ravelin and back\n\nWritten by `ravelin migrate`: {not_served} routes are not served, {neither} by \
         neither, {differs} differently, {same} the same (REPORT.md). Read that first: the hosts of a zone of Cloudflare can be \
         moved one by one, but a host that ravelin does not serve ends with Traefik.\n\nRun the commands in this directory, in \
         their order. Each has a check and a way back. Until Traefik is stopped, both serve. Do **not** begin with `disable: \
         traefik` in k3s' config.yaml: k3s then removes the Helm release traefik-crd as well, and with its CRDs every Middleware \
         and IngressRoute, from which ravelin serves, too.\n\n"
    );
    let is_led = overlay.beside.is_some();
    let mut steps = vec![save(overlay)];
    if is_led || overlay.installation.front != Front::HostNetwork {
        steps.push(install(overlay));
    }
    if !overlay.takes_class {
        steps.push(copies(&report.class));
    }
    if is_led || overlay.installation.front != Front::HostNetwork {
        steps.push(compare(overlay, &report.class));
    }
    steps.extend(is_led.then(|| lead(overlay)));
    steps.push(stop(overlay));
    steps.extend(ports(overlay));
    steps.extend(is_led.then(lead_again));
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
    let listens = match (overlay.has_stage_beside(), overlay.beside.is_some()) {
        (true, _) => {
            "Traefik's pods have ports 80 and 443 of the nodes, so ravelin listens on 7080 (HTTP) and 7443 (HTTPS) first"
        }
        (false, true) => {
            "ravelin listens on ports 80 and 443 of the nodes, and on 7080 (HTTP) and 7443 (HTTPS)"
        }
        (false, false) => "ravelin listens on the ports of ravelin.toml",
    };
    let reach = match overlay.installation.front {
        Front::HostNetwork => "",
        _ if overlay.beside.is_none() => "",
        Front::Balancer => {
            " In the balancer, add two services: TCP 7080 to port 7080 of the nodes, and 7443 to 7443, with PROXY protocol if \
             proxy_protocol_from in ravelin.toml names the balancer. One that a controller of the cloud has made ends with \
             Traefik's Service: protect it against deletion (for Hetzner's: `hcloud load-balancer enable-protection NAME delete`), and \
             scale that controller to zero until the swap is done, or it undoes what you change."
        }
        Front::ServiceLb => {
            " Connections to 80 and 443 still get to Traefik, because servicelb leads them there by NAT."
        }
    };
    let firewall = match overlay.beside {
        None => "",
        Some(_) => " Where a firewall of the provider is before the nodes, let 7080 and 7443 pass.",
    };
    let about = format!("{listens}, for Cloudflare alone.{reach}{firewall}");
    let command = format!("kubectl apply -k {}", stage(overlay));
    let back = format!("`kubectl delete -k {}`", stage(overlay));
    Step::new(
        "Install ravelin beside Traefik",
        &command,
        "`kubectl -n ravelin rollout status ds/ravelin`.",
        &back,
    )
    .about(&about)
}

/// The directory of the overlay that runs beside Traefik.
fn stage(overlay: &Overlay) -> &'static str {
    if overlay.has_stage_beside() { "beside" } else { "." }
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
    let with = match overlay.installation.front {
        Front::HostNetwork => "TRAEFIK=127.0.0.1".to_owned(),
        Front::Balancer | Front::ServiceLb => format!(
            "TRAEFIK=$(kubectl -n {home} get service traefik -o jsonpath='{{.spec.clusterIP}}')"
        ),
    };
    let about = "A pod of ravelin asks Traefik, and ravelin on its own node. ";
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

/// Cloudflare chooses who serves: what is on its way ends where it is, and nothing has to be drained.
fn lead(overlay: &Overlay) -> Step {
    let front = match overlay.installation.front {
        Front::Balancer => " (of the balancer)",
        Front::HostNetwork | Front::ServiceLb => "",
    };
    let about = format!(
        "In Cloudflare, for each zone: Rules, Origin Rules (every plan has them), *Destination port*, *Rewrite to*. On mode Flexible \
         one rule for all requests, to 7080. On Full and Full (strict) two: `ssl` to 7443, `not ssl` to 7080. Cloudflare then \
         connects to these ports{front} and to ravelin; connections to Traefik are not used for further requests, so that none is \
         cut. Begin with one host, if you like: `http.host eq \"app.example.com\" and ssl`."
    );
    let check = "a loop of requests to your hosts through Cloudflare goes on without errors, and `curl -s \
                 http://127.0.0.1:9180/metrics | grep ^ravelin_requests_total` on the nodes increases. Then wait for two minutes: \
                 that is as long as Cloudflare waits for an answer from Traefik. Hosts whose records are not proxied do not \
                 follow: for them, the next steps are an interruption.";
    Step::new("Lead Cloudflare to ravelin", "", check, "delete the rules.").about(&about)
}

fn lead_again() -> Step {
    let about = "Two minutes after Traefik has ended, delete the Origin Rules: Cloudflare knows by then which of its old connections \
                 to ports 80 and 443 are dead (it probes idle ones after 30 s). Once all is well, delete the listeners `*-beside` \
                 from ravelin.toml (and what was opened for them), and apply it again: the DaemonSet rolls without a lost connection.";
    let check =
        "the loop goes on without errors, and `ravelin check --kubeconfig FILE` has no errors.";
    Step::new("Lead Cloudflare to ports 80 and 443 again", "", check, "make the rules again.")
        .about(about)
}

/// ravelin gets the ports of the nodes.
fn ports(overlay: &Overlay) -> Option<Step> {
    let title = "Give ravelin ports 80 and 443";
    let status = "`kubectl -n ravelin rollout status ds/ravelin`.";
    match overlay.installation.front {
        Front::HostNetwork if overlay.has_stage_beside() => {
            let about = "New pods take the ports that Traefik has left, and serve 7080 and 7443 as well. The old ones leave when \
                         the new ones are ready.";
            let back = "`kubectl apply -k beside`";
            Some(Step::new(title, "kubectl apply -k .", status, back).about(about))
        }
        Front::HostNetwork => {
            let about = "Cloudflare connects to ports 80 and 443, and not both are entry points of Traefik here, or others have 7080 \
                         and 7443: the two cannot run side by side, and between the last step and this one nobody serves.";
            Some(
                Step::new(title, "kubectl apply -k .", status, "`kubectl delete -k .`")
                    .about(about),
            )
        }
        Front::Balancer if overlay.installation.balancer.is_some() => {
            let about = "In the balancer, let the services for 80 and 443 lead to ports 80 and 443 of the nodes, with PROXY protocol as \
                         above. Then let its controller run again: it finds the balancer by the name that the Service has, keeps \
                         its address, and leads it to ravelin from then on, by 7080 and 7443 as well until you delete these ports from \
                         balancer-service.yaml.";
            let back = "`kubectl delete -f balancer-service.yaml`, with the controller at zero; then the targets of before.";
            let check = "the balancer finds its targets healthy.";
            Some(
                Step::new(title, "kubectl apply -f balancer-service.yaml", check, back)
                    .about(about),
            )
        }
        Front::Balancer => {
            let about = "In the balancer, let the services for 80 and 443 lead to ports 80 and 443 of the nodes, in the place of the \
                         ports of Traefik's Service, with PROXY protocol as above.";
            let back = "the targets of before.";
            Some(Step::new(title, "", "the balancer finds its targets healthy.", back).about(about))
        }
        // Only the chart takes the Service away.
        Front::ServiceLb if matches!(overlay.installation.by, By::Workload { .. }) => {
            let about = "Where Traefik has a Service of type LoadBalancer, servicelb leads these ports to it: save the Service \
                         (`kubectl get service -o json`), and delete it.";
            let check = "`kubectl get ds -A | grep svclb-` shows none for it.";
            Some(Step::new(title, "", check, "apply the saved Service.").about(about))
        }
        // Without Traefik's Service nothing leads them elsewhere.
        Front::ServiceLb => None,
    }
}

/// What stops Traefik, and what starts it again.
fn stop_commands(overlay: &Overlay) -> (String, String) {
    let is_daemonset = overlay.installation.is_daemonset;
    match &overlay.installation.by {
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
    }
}

fn stop(overlay: &Overlay) -> Step {
    let check = "`kubectl get crd | grep traefik.io` and `kubectl get middlewares.traefik.io -A` show what they showed before.";
    let (command, back) = stop_commands(overlay);
    let about = "Its release stays, and with it the CRDs, the IngressClass and everything that ravelin serves from. If the values \
                 are in Git (Flux, Argo CD), change them there. Instead of this, k3s can be told to leave the chart alone: `touch \
                 /var/lib/rancher/k3s/server/manifests/traefik.yaml.skip` on every server, then `kubectl -n kube-system delete \
                 helmchart traefik`; never delete the HelmChart traefik-crd.";
    Step::new("Stop Traefik, and keep its release", &command, check, &back).about(about)
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

/// How to see that Traefik has its routes: it admits everybody.
fn answers(front: Front) -> &'static str {
    match front {
        Front::HostNetwork | Front::ServiceLb => {
            "`curl -si -H 'Host: app.example.com' http://ADDRESS-OF-NODE/ | head -n 1`, for your hosts, no longer says 404"
        }
        Front::Balancer => {
            "`kubectl -n TRAEFIK-NAMESPACE logs -l app.kubernetes.io/name=traefik` has no new errors about your routes, and a minute \
             has passed"
        }
    }
}

fn all_the_way_back(overlay: &Overlay) -> String {
    let mut steps = Vec::new();
    let is_led = overlay.beside.is_some();
    if is_led {
        steps.push("Make the Origin Rules again, and wait for two minutes.".to_owned());
    }
    if overlay.has_stage_beside() {
        steps.push(
            "`kubectl apply -k beside`, and `kubectl -n ravelin rollout status ds/ravelin`: ravelin leaves ports 80 and 443."
                .to_owned(),
        );
    } else if overlay.installation.front == Front::HostNetwork {
        steps.push("`kubectl delete -k .`".to_owned());
    }
    let (_, back) = stop_commands(overlay);
    let service = match (&overlay.installation.by, overlay.installation.front) {
        (By::Workload { .. }, Front::ServiceLb) => " Apply its saved Service.",
        _ => "",
    };
    steps.push(format!(
        "Start Traefik: {back}.{service} `kubectl get pods -A | grep traefik` until it is ready; and until it has read its routes, which is \
         later: {}.",
        answers(overlay.installation.front)
    ));
    if overlay.installation.front == Front::Balancer {
        steps.push(
            "In the balancer, let the services for 80 and 443 lead to Traefik's Service."
                .to_owned(),
        );
    }
    if is_led {
        steps.push("Delete the Origin Rules, and wait for two minutes.".to_owned());
    }
    if is_led || overlay.installation.front != Front::HostNetwork {
        steps.push(format!("`kubectl delete -k {}`", stage(overlay)));
    }
    if !overlay.takes_class {
        steps.push("`kubectl delete ingress -A -l ravelin.dev/copy=true`".to_owned());
    }
    let mut out = "## All the way back\n\n".to_owned();
    for (number, step) in steps.iter().enumerate() {
        out.push_str(&format!("{}. {step}\n", number + 1));
    }
    out.push_str(
        "\nShould the CRDs be gone: `kubectl apply -f saved-crds.json`, then the other files of step 1. Meanwhile ravelin keeps \
         serving what it knows.\n",
    );
    out
}
