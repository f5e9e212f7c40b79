//! Why the client of a request could not be told.

use crate::error::labels;

labels! { fn label;
    /// Why a trusted peer's client address was not used.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Unnamed {
        /// No field names it.
        Absent = "absent",
        /// More than one does.
        Repeated = "repeated",
        /// What stands there is not one address.
        Unreadable = "unreadable",
        /// An address that no visitor on the Internet has.
        NotPublic = "not_public",
    }
}
