//! From a refusal of RBAC to the command that grants the right.

/// The refusal of a list or watch as the API server words it (`pkg/endpoints/handlers/responsewriters/errors.go`):
/// `secrets is forbidden: User "U" cannot list resource "secrets" in API group "" in the namespace "shop"`.
struct Refusal<'w> {
    user: &'w str,
    resource: &'w str,
    group: &'w str,
    /// `None`: at the cluster scope.
    namespace: Option<&'w str>,
}

impl<'w> Refusal<'w> {
    fn parse(words: &'w str) -> Option<Self> {
        let (user, resource) = (quoted(words, "User \"")?, quoted(words, "resource \"")?);
        let group = quoted(words, "API group \"")?;
        let namespace = quoted(words, "in the namespace \"");
        let is_name = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte))
        };
        // Put into a command: nothing else gets in there.
        let all = [user, resource, group, namespace.unwrap_or_default()];
        all.into_iter().all(is_name).then_some(Self { user, resource, group, namespace })
    }
}

fn quoted<'w>(words: &'w str, before: &str) -> Option<&'w str> {
    words.split_once(before)?.1.split_once('"').map(|(text, _)| text)
}

/// A right that is missing, or several of one account in one place, and the commands that grant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingGrant {
    /// What is refused.
    pub missing: String,
    /// The fix, with its commands in backquotes.
    pub fix: String,
}

/// What was refused with these words, by place: several refusals in one namespace, as in one that was never granted
/// anything, are one. None if there are none.
pub fn grants(refused: &[String]) -> Vec<MissingGrant> {
    let mut places: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for words in refused {
        let namespace = Refusal::parse(words).and_then(|refusal| refusal.namespace);
        match places.iter_mut().find(|(of, _)| namespace.is_some() && *of == namespace) {
            Some((_, all)) => all.push(words),
            None => places.push((namespace, vec![words])),
        }
    }
    let each = places.into_iter().map(|(namespace, all)| match (namespace, all.as_slice()) {
        (Some(namespace), [first, _, ..]) => of_namespace(namespace, first, &all),
        (_, all) => MissingGrant { missing: all.concat(), fix: grant(&all.concat()) },
    });
    each.collect()
}

/// Several refusals in a namespace.
fn of_namespace(namespace: &str, first: &str, all: &[&str]) -> MissingGrant {
    let resources = all.iter().filter_map(|words| Some(Refusal::parse(words)?.resource));
    let resources = resources.collect::<Vec<_>>().join(", ");
    let user = Refusal::parse(first).map_or("", |refusal| refusal.user);
    let (_, subject) = account(user);
    MissingGrant {
        missing: format!(
            "User \"{user}\" cannot list {resources} in the namespace \"{namespace}\""
        ),
        fix: format!(
            "`kubectl -n {namespace} create rolebinding ravelin-namespace --clusterrole=ravelin-namespace {subject}` (the ClusterRole \
             is of deploy/components/namespaced), or leave the namespace out of source.namespaces"
        ),
    }
}

/// The name of an account, and the flag that names it in a binding.
fn account(user: &str) -> (&str, String) {
    let account = user.strip_prefix("system:serviceaccount:").and_then(|it| it.split_once(':'));
    match account {
        Some((namespace, name)) => (name, format!("--serviceaccount={namespace}:{name}")),
        None => ("ravelin", format!("--user={user}")),
    }
}

/// The commands that grant to list and watch what was refused with these words.
fn grant(words: &str) -> String {
    const ALL: &str =
        "`kubectl apply -f deploy/k3s/ravelin.yaml` (or the chart) grants all that is needed";
    let Some(Refusal { user, resource, group, namespace }) = Refusal::parse(words) else {
        return format!("{ALL}; the table \"Rights\" in deploy/install.md names each right");
    };
    let (name, subject) = account(user);
    let role = format!("{name}-{resource}");
    let full = match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    };
    match namespace {
        Some(namespace) => format!(
            "`kubectl -n {namespace} create role {role} --verb=list,watch --resource={full} && \
             kubectl -n {namespace} create rolebinding {role} --role={role} {subject}`, \
             or leave the namespace out of source.namespaces"
        ),
        None => format!(
            "{ALL}; this one alone: `kubectl create clusterrole {role} --verb=list,watch --resource={full} && \
             kubectl create clusterrolebinding {role} --clusterrole={role} {subject}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_the_command_that_grants_the_right() {
        let cluster = grant(
            "ingresses.networking.k8s.io is forbidden: User \"system:serviceaccount:edge:ravelin\" cannot list resource \
             \"ingresses\" in API group \"networking.k8s.io\" at the cluster scope",
        );
        let command = "`kubectl create clusterrole ravelin-ingresses --verb=list,watch \
             --resource=ingresses.networking.k8s.io && kubectl create clusterrolebinding ravelin-ingresses \
             --clusterrole=ravelin-ingresses --serviceaccount=edge:ravelin`";
        assert!(cluster.contains(command), "{cluster}");
        let own = grant(
            "secrets is forbidden: User \"jane\" cannot watch resource \"secrets\" in API group \"\" in the namespace \"shop\"",
        );
        let command = "`kubectl -n shop create role ravelin-secrets --verb=list,watch --resource=secrets && \
             kubectl -n shop create rolebinding ravelin-secrets --role=ravelin-secrets --user=jane`";
        assert!(own.starts_with(command), "{own}");
    }

    #[test]
    fn a_namespace_without_any_right_is_one_line_with_one_binding() {
        let refusal = |resource: &str, place: &str| {
            format!(
                "{resource} is forbidden: User \"system:serviceaccount:edge:ravelin\" cannot list resource \"{resource}\" in API group \
                 \"\" {place}"
            )
        };
        let [shop, blog] = ["in the namespace \"shop\"", "in the namespace \"blog\""];
        let all = [
            refusal("secrets", shop),
            refusal("nodes", "at the cluster scope"),
            refusal("services", shop),
            refusal("secrets", blog),
        ];
        let all = grants(&all);
        let missing: Vec<&str> = all.iter().map(|it| &*it.missing).collect();
        assert_eq!(missing.len(), 3, "{all:#?}");
        assert_eq!(
            missing[0],
            "User \"system:serviceaccount:edge:ravelin\" cannot list secrets, services in the namespace \"shop\""
        );
        let command = "`kubectl -n shop create rolebinding ravelin-namespace --clusterrole=ravelin-namespace \
             --serviceaccount=edge:ravelin`";
        assert!(all[0].fix.starts_with(command), "{}", all[0].fix);
        assert!(
            all[2].fix.starts_with("`kubectl -n blog create role ravelin-secrets "),
            "{all:#?}"
        );
        assert_eq!(grants(&[]), []);
    }

    #[test]
    fn words_that_are_no_refusal_of_rbac_get_into_no_command() {
        for words in [
            "",
            "denied by a webhook",
            "User \"a;reboot\" cannot list resource \"secrets\" in API group \"\" at the cluster scope",
        ] {
            let fix = grant(words);
            assert!(fix.contains("deploy/k3s/ravelin.yaml") && !fix.contains("create"), "{fix}");
        }
    }
}
