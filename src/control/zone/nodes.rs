//! The nodes that DNS records should name.

use crate::control::objects::Objects;
use crate::control::write_back::NodeAddresses;

/// The nodes that are ready, as far as is known: a Node in a manifest without conditions counts.
pub fn ready_nodes(objects: &Objects) -> Vec<NodeAddresses> {
    let ready = objects.nodes().iter().filter(|(.., node)| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref());
        let mut conditions = conditions.unwrap_or_default().iter();
        let ready = conditions.find(|condition| condition.type_ == "Ready");
        ready.is_none_or(|condition| condition.status == "True")
    });
    ready.map(|(.., node)| NodeAddresses::of(node)).collect()
}
