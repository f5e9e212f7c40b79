//! Why the client of a request could not be told.

/// Why a trusted peer's client address was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// No field names it.
    Absent,
    /// More than one does.
    Repeated,
    /// What stands there is not one address.
    Unreadable,
    /// An address that no visitor on the Internet has.
    NotPublic,
}

impl Unnamed {
    /// Every cause, in the order of the discriminants.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Repeated, Self::Unreadable, Self::NotPublic];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Repeated => "repeated",
            Self::Unreadable => "unreadable",
            Self::NotPublic => "not_public",
        }
    }
}
