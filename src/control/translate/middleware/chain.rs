//! `chain`: a list of other Middlewares.

use super::Fields;
use crate::control::quote::quote;
use std::sync::Arc;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// `None`: that of the chain.
    pub(super) namespace: Option<Arc<str>>,
    pub(super) name: Arc<str>,
}

/// Reads the members.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Vec<Member> {
    fields.know(&["middlewares"]);
    let items = match fields.get("middlewares") {
        None => &[][..],
        Some(value) => match value.as_array() {
            Some(items) => &items[..],
            None => {
                fields.refuse("middlewares", "is not a list", "list Middlewares by `name`");
                &[]
            }
        },
    };
    let mut members = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        let text = |key: &str| item.get(key).and_then(serde_json::Value::as_str);
        let place = format!("middlewares[{position}]");
        match text("name").unwrap_or_default() {
            "" => fields.refuse(&place, "has no name", "add the `name` of a Middleware"),
            name if name.contains('@') => {
                let reason = format!("names {}, with a provider", quote(name));
                fields.refuse(&place, reason, "write `name`, and `namespace` if it is in another");
            }
            name => {
                let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
                members.push(Member { namespace: namespace.map(Into::into), name: name.into() });
            }
        }
    }
    if members.is_empty() && !fields.is_broken() {
        fields.refuse("middlewares", "is empty", "name the Middlewares of the chain");
    }
    members
}
