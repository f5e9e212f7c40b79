//! Where a backend stands, for messages.

use crate::model::{Kind, Rule};

/// Where in its object a backend stands.
#[derive(Clone, Copy)]
pub(super) enum BackendPlace {
    Default,
    Path {
        rule: usize,
        position: usize,
    },
    /// In a route of an IngressRoute or IngressRouteTCP.
    Route {
        route: usize,
        service: usize,
    },
}

impl BackendPlace {
    /// That of a rule of an object of this kind.
    pub(super) fn of(kind: Kind, rule: &Rule) -> Self {
        match kind {
            Kind::IngressRoute => Self::Route { route: rule.rule, service: 0 },
            _ => Self::Path { rule: rule.rule, position: rule.position },
        }
    }

    /// The path of a field of the backend, or of its `path` or `pathType`.
    pub(super) fn field(self, below: &str) -> String {
        let mut field = match self {
            Self::Default => "spec.defaultBackend".to_owned(),
            Self::Path { rule, position } => format!("spec.rules[{rule}].http.paths[{position}]"),
            Self::Route { route, .. } if below.starts_with("path") => {
                return format!("spec.routes[{route}].match");
            }
            Self::Route { route, service } => {
                let of_service = below.strip_prefix("service").unwrap_or(below);
                let of_port =
                    of_service.replace("port.number", "port").replace("port.name", "port");
                return format!("spec.routes[{route}].services[{service}]{of_port}");
            }
        };
        if matches!(self, Self::Path { .. }) && !below.starts_with("path") {
            field.push_str(".backend");
        }
        if !below.is_empty() {
            field.push('.');
            field.push_str(below);
        }
        field
    }
}
