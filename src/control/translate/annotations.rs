//! Annotations that say how an object is served: `ravelin.dev/...`, and the words of others that we
//! take as well.
//!
//! A value that is not understood is an error with its field and its fix. What then happens is for
//! the reader of the annotation: a protection must not be lost because of a typing mistake.

use super::report::{Problem, Report};
use crate::config;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::{Severity, Why};
use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::time::Duration;

/// What annotations of our own begin with.
pub(super) const OURS: &str = "ravelin.dev/";

/// What those of Traefik begin with.
pub(super) const TRAEFIKS: &str = "traefik.ingress.kubernetes.io/";

/// Whether visitors without TLS are sent to the same address with it: `"true"` or `"false"`.
pub(super) const HTTPS_REDIRECT: &str = "ravelin.dev/https-redirect";

/// What visitors with TLS are told in `Strict-Transport-Security`: a value of that field, or `"off"`.
pub(super) const HSTS: &str = "ravelin.dev/hsts";

/// Whether pods get the path as it was sent and not its canonical form: `"true"` or `"false"`.
pub(super) const RAW_PATH: &str = "ravelin.dev/raw-path";

/// Largest body of a request, such as `8MiB`.
pub(super) const MAX_BODY_SIZE: &str = "ravelin.dev/max-body-size";

/// Of Traefik, a whole number: the highest that matches has a request. 0 is as good as none.
pub(super) const PRIORITY: &str = "traefik.ingress.kubernetes.io/router.priority";

/// Of Traefik: names a TLSOption, `NAMESPACE-NAME@kubernetescrd`.
pub(super) const TLS_OPTIONS: &str = "traefik.ingress.kubernetes.io/router.tls.options";

/// Of Traefik: how paths of the type ImplementationSpecific are matched.
pub(super) const PATH_MATCHER: &str = "traefik.ingress.kubernetes.io/router.pathmatcher";

/// Full names of annotations of the same object, separated by commas, that are not obeyed and are not
/// to be missed.
pub(super) const IGNORE: &str = "ravelin.dev/ignore-annotations";

/// The annotations of one object.
#[derive(Clone, Copy)]
pub(super) struct Annotations<'o>(Option<&'o BTreeMap<String, String>>);

impl<'o> Annotations<'o> {
    /// Those of an object.
    pub(super) fn of(metadata: &'o ObjectMeta) -> Self {
        Self(metadata.annotations.as_ref())
    }

    /// The first that begins so, by name.
    pub(super) fn first_with(self, beginning: &str) -> Option<&'o str> {
        self.0?.keys().map(String::as_str).find(|name| name.starts_with(beginning))
    }

    /// The value of one, without the spaces around it. Traefik reads its own without regard to case.
    pub(super) fn get(self, name: &str) -> Option<&'o str> {
        let all = self.0?;
        let exact = all.get(name);
        let value = match exact {
            None if name.starts_with(TRAEFIKS) => {
                let mut alike = all.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
                alike.next().map(|(_, value)| value)
            }
            exact => exact,
        };
        value.map(|value| value.trim())
    }

    /// One of several words, and what it stands for.
    pub(super) fn word<T: Copy>(
        self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value) {
            return Ok(Some(*meaning));
        }
        let all: Vec<String> = words.iter().map(|(word, _)| quote(word)).collect();
        let reason = format!("{} is not one of {}", quote(value), all.join(", "));
        let fix = match nearest(value, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => "write one of them".to_owned(),
        };
        Err(Problem::invalid("", reason, fix))
    }

    /// `"true"` or `"false"`.
    pub(super) fn switch(self, name: &str) -> Result<Option<bool>, Problem> {
        self.word(name, &[("true", true), ("false", false)])
    }

    /// A time, as the configuration has them: `"500ms"`, `"15s"`, `"2m"` or `"1h"`.
    pub(super) fn duration(self, name: &str) -> Result<Option<Duration>, Problem> {
        let read = self.get(name).map(config::duration).transpose();
        read.map_err(|fault| Problem::invalid("", fault.problem, fault.fix))
    }

    /// All of them, with their values without the spaces around them.
    pub(super) fn all(self) -> impl Iterator<Item = (&'o str, &'o str)> {
        self.0.into_iter().flatten().map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// Whether the object asks not to obey one, which is then reported with what it would do.
    pub(super) fn ignores(self, name: &str, what: Option<&str>, report: &mut Report<'_>) -> bool {
        let is_listed = self.list(IGNORE).contains(&name);
        if is_listed {
            report.add(&field(name), ignored(what));
        }
        is_listed
    }

    /// The values of a list with commas.
    pub(super) fn list(self, name: &str) -> Vec<&'o str> {
        let values = self.get(name).into_iter().flat_map(|list| list.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).collect()
    }
}

/// What is said of an annotation that is listed in [`IGNORE`]: what it would do, if that is worth a word.
pub(super) fn ignored(what: Option<&str>) -> Problem {
    let what = what.map_or_else(String::new, |what| format!("{what}, and "));
    let reason = format!("{what}is ignored because of {IGNORE}");
    Problem::error(Why::AnnotationIgnored, "", reason, "").with(Severity::Warning)
}

/// The path of an annotation in its object.
pub(super) fn field(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}

/// Whether a list of networks has all of IPv4: cert-manager writes such a list on the Ingresses that
/// answer its challenges.
pub(super) fn has_everybody(list: &str) -> bool {
    let networks = list.split([',', ' ']).filter_map(|network| network.trim().parse().ok());
    networks
        .into_iter()
        .any(|network: IpNet| matches!(network, IpNet::V4(v4) if v4.prefix_len() == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_all_of_ipv4_keeps_nobody_out() {
        for list in ["0.0.0.0/0", "0.0.0.0/0,::/0", "10.0.0.0/8, 0.0.0.0/0"] {
            assert!(has_everybody(list), "{list}");
        }
        for list in ["10.0.0.0/8", "::/0", "0.0.0.0", "0.0.0.0/1", "all", "patterns/file"] {
            assert!(!has_everybody(list), "{list}");
        }
    }

    fn mk_metadata(annotations: &[(&str, &str)]) -> ObjectMeta {
        let annotations =
            annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ObjectMeta { annotations: Some(annotations.collect()), ..ObjectMeta::default() }
    }

    #[test]
    fn a_word_that_is_not_known_is_an_error_that_names_the_nearest() {
        let metadata = mk_metadata(&[("a", " true "), ("b", "yes"), ("c", "ture"), ("d", "")]);
        let annotations = Annotations::of(&metadata);
        assert_eq!(annotations.switch("a"), Ok(Some(true)));
        assert_eq!(annotations.switch("absent"), Ok(None));
        let problem = |name| annotations.switch(name).expect_err("not a word");
        assert_eq!(problem("b").reason, r#""yes" is not one of "true", "false""#);
        assert_eq!(problem("b").fix, "write one of them");
        assert_eq!(problem("c").fix, r#"did you mean "true"?"#);
        assert_eq!(problem("d").fix, "write one of them");
    }

    #[test]
    fn traefik_s_annotations_are_read_without_regard_to_case() {
        let metadata = mk_metadata(&[
            ("traefik.ingress.kubernetes.io/Router.TLS", "true"),
            ("ravelin.dev/Balance", "x"),
        ]);
        let annotations = Annotations::of(&metadata);
        assert_eq!(annotations.get("traefik.ingress.kubernetes.io/router.tls"), Some("true"));
        assert_eq!(annotations.get("ravelin.dev/balance"), None);
    }

    #[test]
    fn a_list_has_values_between_commas() {
        let metadata = mk_metadata(&[("a", " x, y ,,"), ("b", "")]);
        let annotations = Annotations::of(&metadata);
        assert_eq!(annotations.list("a"), ["x", "y"]);
        assert_eq!(annotations.list("b"), [""; 0]);
        assert_eq!(annotations.list("absent"), [""; 0]);
    }
}
