//! The rooms of `src/`, and which room may import which.

/// What kind of room it is: each imports only from the kinds above it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// What everything is said in. These rooms are in order: each may import those above it.
    Words,
    /// What every stage uses. In order as well.
    Base,
    /// One step of a connection or request: a stage never knows another one.
    Stage,
    /// The order of the stages.
    Path,
    /// From manifests or a cluster to a table in force: the only room that knows Kubernetes.
    Control,
    /// The process around it.
    Process,
}

/// Every room of the crate. A new one fails the test until it has its place here.
const ROOMS: [(&str, Kind); 18] = [
    ("error", Kind::Words),
    ("net", Kind::Words),
    ("pki", Kind::Words),
    ("model", Kind::Words),
    ("config", Kind::Words),
    ("balance", Kind::Base),
    ("routing", Kind::Base),
    ("telemetry", Kind::Base),
    ("transport", Kind::Stage),
    ("tls", Kind::Stage),
    ("http", Kind::Stage),
    ("upstream", Kind::Stage),
    ("proxy", Kind::Path),
    ("control", Kind::Control),
    ("app", Kind::Process),
    ("cli", Kind::Process),
    ("main", Kind::Process),
    ("lib", Kind::Process),
];

/// What `control` may import beside the words.
const OF_CONTROL: [&str; 2] = ["routing", "telemetry"];

/// What holds state that changes, or a connection's configuration: `model` is plain data.
const LIVE: [&str; 12] = [
    "ArcSwap",
    "Cell",
    "ClientConfig",
    "EndpointTls",
    "LazyLock",
    "Mutex",
    "OnceLock",
    "RefCell",
    "RwLock",
    "ServerConfig",
    "atomic",
    "tokio",
];

/// Whether a room may name a type or module.
pub(crate) fn may_name(room: &str, word: &str) -> bool {
    room != "model" || !LIVE.contains(&word)
}

/// The kind of a room; `None` if there is no such room.
pub(crate) fn kind(room: &str) -> Option<Kind> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, kind)| *kind)
}

fn place(room: &str) -> usize {
    ROOMS.iter().position(|(name, _)| *name == room).unwrap_or(ROOMS.len())
}

/// Whether a room may import another one.
pub(crate) fn may_import(from: &str, to: &str) -> bool {
    let (Some(from_kind), Some(to_kind)) = (kind(from), kind(to)) else {
        return false;
    };
    if from == to {
        return true;
    }
    match from_kind {
        Kind::Words | Kind::Base => place(to) < place(from),
        Kind::Stage | Kind::Path => to_kind < from_kind,
        Kind::Control => to_kind == Kind::Words || OF_CONTROL.contains(&to),
        Kind::Process => true,
    }
}
