//! Who may ask, by a token of Cloudflare Access.

use crate::pki::access::Team;

/// `ravelin.dev/access` and `ravelin.dev/access-groups`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Who has to have signed the token.
    pub team: Team,
    /// Application audience tags, of which the token has to have one.
    pub audiences: Vec<Box<str>>,
    /// Groups, of which the user has to be in one; everybody passes if there are none.
    pub groups: Vec<Box<str>>,
}
