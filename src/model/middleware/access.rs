//! Who may ask, by a token of Cloudflare Access.

use crate::model::HostPattern;
use crate::pki::access::Team;

/// `ravelin.dev/access` and `ravelin.dev/access-groups`, or a table `[[access]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Who has to have signed the token.
    pub team: Team,
    /// Application audience tags, of which the token has to have one.
    pub audiences: Vec<Box<str>>,
    /// Groups, of which the user has to be in one; everybody passes if there are none.
    pub groups: Vec<Box<str>>,
    /// The hosts whose requests need one; all if there are none.
    pub hosts: Vec<HostPattern>,
}
