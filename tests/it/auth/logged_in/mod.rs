//! `forwardAuth` and ingress-nginx's `auth-url` before the real oauth2-proxy, with a real provider of OpenID Connect behind
//! it: a browser that knows nothing is sent to log in, and ends where it wanted to go, in the three ways that the
//! documentation of oauth2-proxy has (Traefik with `errors`, Traefik with a static upstream, ingress-nginx).

mod browser;
mod programs;

use crate::support::{Edge, Message, Upstream, edge, ingress, rule, service, slice};
use browser::Browser;
use programs::{OauthProxy, Provider};
use serde_json::{Value, json};

/// Where the visitor wants to go.
const WANTED: &str = "http://app.example/a?b=c&d";

/// What the provider says of its user.
const EMAIL: &str = "jane.doe@example.com";

/// Everything there is, with these options of oauth2-proxy.
struct Login {
    edge: Edge,
    pod: Upstream,
    _oauth: OauthProxy,
    _provider: Provider,
}

impl Login {
    /// `None`: the programs are not built, which is said.
    fn start(options: &[&str], objects: &[Value]) -> Option<Self> {
        let provider = Provider::start()?;
        let oauth = OauthProxy::start(&provider, options)?;
        let pod = Upstream::saying("pod");
        let mut login =
            ingress("login", &[rule("app.example", &[("/oauth2", "Prefix", "oauth2-proxy")])]);
        login["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] =
            json!({"number": 4180});
        let mut builder = edge()
            .set("source", "ingress_classes", "[\"ravelin\", \"traefik\"]")
            .service("web", &[pod.addr()])
            .object("oauth2-proxy.json", &service("oauth2-proxy", "http", 4180))
            .object(
                "oauth2-proxy-0.json",
                &slice("oauth2-proxy-0", "oauth2-proxy", "http", oauth.addr()),
            )
            .object("login.json", &login);
        for (number, object) in objects.iter().enumerate() {
            builder = builder.object(&format!("object-{number}.json"), object);
        }
        Some(Self { edge: builder.start(), pod, _oauth: oauth, _provider: provider })
    }

    /// What the pod was told of who asks, in its only request.
    fn told(&self) -> (Option<String>, Option<String>) {
        let request = self.pod.only_request();
        assert_eq!(request.target(), "/a?b=c&d");
        let field = |name: &str| request.field(name).map(str::to_owned);
        (field("x-auth-request-email"), field("x-auth-request-preferred-username"))
    }

    /// A visitor who claims to be somebody: not to be believed, logged in or not.
    fn browser(&self) -> Browser<'_> {
        Browser::new(&self.edge, "X-Auth-Request-Email: root@example.com\r\n")
    }
}

fn middleware(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

fn route(middlewares: &[&str]) -> Value {
    let middlewares: Vec<_> = middlewares.iter().map(|name| json!({"name": name})).collect();
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute",
        "metadata": {"namespace": "ns", "name": "app"},
        "spec": {"routes": [{"match": "Host(`app.example`)", "kind": "Rule",
            "middlewares": middlewares, "services": [{"name": "web", "port": 80}]}]}})
}

fn forward_auth(address: &str) -> Value {
    middleware(
        "auth",
        &json!({"forwardAuth": {"address": address, "trustForwardHeader": true,
            "authResponseHeaders": ["X-Auth-Request-Email", "X-Auth-Request-Preferred-Username"]}}),
    )
}

/// The answer of the pod, and who it was told is asking.
fn is_in(login: &Login, response: &Message) {
    assert_eq!((response.status(), response.text()), (200, "pod"));
    assert_eq!(login.told(), (Some(EMAIL.to_owned()), Some("jane.doe".to_owned())));
}

#[test]
fn a_visitor_of_traefiks_static_upstream_is_redirected_and_gets_in() {
    let address = "http://oauth2-proxy.ns.svc.cluster.local:4180/";
    let objects = [forward_auth(address), route(&["auth"])];
    let options = ["--upstream=static://202", "--skip-provider-button=true"];
    let Some(login) = Login::start(&options, &objects) else { return };
    let mut browser = login.browser();
    let response = browser.get(WANTED);
    assert_eq!(response.status(), 302, "{response:?}");
    assert!(response.field("location").is_some_and(|to| to.contains("/oidc/authorize?")));
    let response = browser.follow(response);
    is_in(&login, &response);
    // And again with the cookie, without a detour.
    assert_eq!(browser.get(WANTED).text(), "pod");
}

#[test]
fn a_visitor_of_traefiks_error_page_signs_in_there_and_gets_in() {
    let address = "http://oauth2-proxy.ns.svc.cluster.local:4180/oauth2/auth";
    let page = json!({"errors": {"status": ["401-403"], "query": "/oauth2/sign_in?rd={url}",
        "service": {"name": "oauth2-proxy", "port": 4180}}});
    let objects =
        [forward_auth(address), middleware("sign-in", &page), route(&["sign-in", "auth"])];
    let Some(login) = Login::start(&[], &objects) else { return };
    let mut browser = login.browser();
    let response = browser.get(WANTED);
    assert_eq!(response.status(), 401, "{response:?}");
    let text = response.text();
    assert!(text.contains("action=\"/oauth2/start\""), "{text}");
    assert!(text.contains("name=\"rd\" value=\"http://app.example/a?b=c&amp;d\""), "{text}");
    // What the button of the page does.
    let start =
        browser.get("http://app.example/oauth2/start?rd=http%3A%2F%2Fapp.example%2Fa%3Fb%3Dc%26d");
    let response = browser.follow(start);
    is_in(&login, &response);
}

#[test]
fn a_visitor_of_ingress_nginx_is_redirected_and_gets_in() {
    let mut app = ingress("app", &[rule("app.example", &[("/", "Prefix", "web")])]);
    app["metadata"]["annotations"] = json!({
        "nginx.ingress.kubernetes.io/auth-url":
            "http://oauth2-proxy.ns.svc.cluster.local:4180/oauth2/auth",
        "nginx.ingress.kubernetes.io/auth-signin":
            "http://$host/oauth2/start?rd=$escaped_request_uri",
        "nginx.ingress.kubernetes.io/auth-response-headers":
            "x-auth-request-email, x-auth-request-preferred-username",
    });
    let Some(login) = Login::start(&[], &[app]) else { return };
    let mut browser = login.browser();
    let response = browser.get(WANTED);
    assert_eq!(response.status(), 302, "{response:?}");
    let response = browser.follow(response);
    is_in(&login, &response);
}

#[test]
fn a_stale_or_forged_cookie_opens_nothing_and_a_dead_proxy_closes_everything() {
    let address = "http://oauth2-proxy.ns.svc.cluster.local:4180/oauth2/auth";
    let objects = [forward_auth(address), route(&["auth"])];
    let Some(login) = Login::start(&[], &objects) else { return };
    let mut browser = login.browser();
    let start = browser.get("http://app.example/oauth2/start?rd=%2Fa%3Fb%3Dc%26d");
    let response = browser.follow(start);
    is_in(&login, &response);
    let good = browser.cookie("_oauth2_proxy").expect("a session");
    for forged in [&good[..good.len() - 2], "x", ""] {
        browser.set_cookie("_oauth2_proxy", forged);
        assert_eq!(browser.get(WANTED).status(), 401, "{forged}");
    }
    browser.set_cookie("_oauth2_proxy", &good);
    assert_eq!(browser.get(WANTED).status(), 200);
    let Login { edge, pod, _oauth: oauth, _provider: provider } = login;
    drop((oauth, provider));
    let mut browser = Browser::new(&edge, "");
    browser.set_cookie("_oauth2_proxy", &good);
    let response = browser.get(WANTED);
    assert_eq!(response.status(), 502, "{response:?}");
    assert!(response.text().contains("auth_unavailable"));
    assert_eq!(pod.requests().len(), 2, "those that were logged in");
}
