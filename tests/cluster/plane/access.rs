//! Access for others: kubeconfigs, and service accounts with bound tokens.

use crate::eventually;
use crate::plane::{ADMIN_KUBECONFIG, Api, Plane};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lifetime of a token in seconds: the least that a real API server gives.
const TOKEN_SECONDS: u32 = 600;

impl Plane {
    /// The kubeconfig of an administrator, who is in `system:masters`.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join(ADMIN_KUBECONFIG)
    }

    /// Makes a service account with a ClusterRole and returns its kubeconfig, once the server grants
    /// what the role grants. The namespace has to be there. The binding is a ClusterRoleBinding
    /// called `NAMESPACE-NAME`.
    ///
    /// The kubeconfig names a file with the token (`tokenFile`), which [`Plane::renew_token`]
    /// replaces.
    pub(crate) fn service_account(
        &self,
        namespace: &str,
        name: &str,
        cluster_role_yaml: &str,
    ) -> PathBuf {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace}});
        self.create(&format!("/api/v1/namespaces/{namespace}/serviceaccounts"), &account);
        let applied = self.kubectl_fed(&["apply", "-o", "json", "-f", "-"], cluster_role_yaml);
        let role: Value = serde_json::from_str(&applied).expect("kubectl writes JSON");
        assert_eq!(role["kind"], "ClusterRole");
        self.bind_role(namespace, name, role["metadata"]["name"].as_str().expect("a name"));
        self.await_grant(namespace, name, &role["rules"][0]);
        self.kubeconfig_of(namespace, name)
    }

    /// The kubeconfig of a service account that is there, with a file for its token as
    /// [`Plane::service_account`] says.
    pub(crate) fn kubeconfig_of(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.renew_token(namespace, name);
        let kubeconfig = self.folder.join(format!("{namespace}-{name}.kubeconfig"));
        self.write_kubeconfig(&kubeconfig, &format!("tokenFile: {}", token.display()));
        kubeconfig
    }

    /// A kubeconfig of ours for programs in another namespace, which reach this one's API server at an address:
    /// [`Plane::start_for_nodes`]. The file is beside the other.
    pub(crate) fn for_elsewhere(&self, kubeconfig: &Path, address: &str) -> PathBuf {
        let text = fs::read_to_string(kubeconfig).expect("a file of ours");
        let here = format!("https://{}", self.addr());
        let there =
            format!("https://{address}:{}\n    tls-server-name: 127.0.0.1", self.addr().port());
        assert!(text.contains(&here), "{text}");
        let other = kubeconfig.with_extension("elsewhere");
        fs::write(&other, text.replace(&here, &there)).expect("a folder of ours");
        other
    }

    /// The same with a certificate for its name, good for so long. Called again, it replaces the file with
    /// certificate and key that the kubeconfig names.
    pub(crate) fn certified(&self, namespace: &str, name: &str, lifetime: Duration) -> PathBuf {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let file = self.authority.certify_user(&format!("{namespace}-{name}.pem"), &user, lifetime);
        let kubeconfig = self.folder.join(format!("{namespace}-{name}.certified"));
        let file = file.display();
        let user = format!("client-certificate: {file}\n    client-key: {file}");
        if !kubeconfig.exists() {
            self.write_kubeconfig(&kubeconfig, &user);
        }
        kubeconfig
    }

    /// Gives a service account a new token, in the file that its kubeconfig names.
    pub(crate) fn renew_token(&self, namespace: &str, name: &str) -> PathBuf {
        self.renew_token_while(namespace, name, None)
    }

    /// The same. A token that is bound to a Secret ends with it.
    pub(crate) fn renew_token_while(
        &self,
        namespace: &str,
        name: &str,
        secret: Option<&str>,
    ) -> PathBuf {
        let bound =
            secret.map(|secret| json!({"apiVersion": "v1", "kind": "Secret", "name": secret}));
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let answer = self.create(&path, &request);
        let token = answer["status"]["token"].as_str().expect("a token");
        let file = self.folder.join(format!("{namespace}-{name}.token"));
        let next = file.with_extension("next");
        fs::write(&next, token).expect("a folder of ours");
        fs::rename(&next, &file).expect("a folder of ours");
        file
    }

    /// A client with the present token of a service account, or with any text as one.
    pub(crate) fn api_with_token(&self, token: &str) -> Api {
        Api::new(self.addr(), Some(self.authority.client(false)), Some(token.to_owned()))
    }

    /// Binds a ClusterRole to a service account.
    pub(crate) fn bind_role(&self, namespace: &str, name: &str, role: &str) {
        const GROUP: &str = "rbac.authorization.k8s.io";
        let binding = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{namespace}-{name}")},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]});
        self.create(&format!("/apis/{GROUP}/v1/clusterrolebindings"), &binding);
    }

    /// Waits until the server's authorizer knows of the first rule: it learns of rules by a watch,
    /// and of all rules of a role at once.
    fn await_grant(&self, namespace: &str, name: &str, rule: &Value) {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": format!("system:serviceaccount:{namespace}:{name}"),
                "resourceAttributes": {"group": rule["apiGroups"][0],
                    "resource": rule["resources"][0], "verb": rule["verbs"][0]}}});
        eventually("what the role grants is granted", || {
            let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
            (self.create(path, &review)["status"]["allowed"] == true).then_some(())
        });
    }

    pub(super) fn write_kubeconfig(&self, file: &Path, user: &str) {
        let ca = self.authority.path("ca.crt");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: plane\n\
             clusters:\n- name: plane\n  cluster:\n    server: https://{}\n    \
             certificate-authority: {}\n\
             users:\n- name: user\n  user:\n    {user}\n\
             contexts:\n- name: plane\n  context:\n    cluster: plane\n    user: user\n",
            self.addr(),
            ca.display(),
        );
        fs::write(file, text).expect("a folder of ours");
    }
}
