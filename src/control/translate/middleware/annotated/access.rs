//! `ravelin.dev/access` and `ravelin.dev/access-groups`: who may ask, by a token of Cloudflare Access.
//!
//! It restricts: whatever is wrong with a value, an empty one too, leaves the routes with 503.

use super::Maker;
use crate::control::quote::quote;
use crate::error::{Advice, advice};
use crate::model::middleware::{AccessRule, Step};
use crate::pki::access::{Team, TeamError, is_audience};
use std::fmt;

pub(super) const ACCESS: &str = "ravelin.dev/access";
pub(super) const ACCESS_GROUPS: &str = "ravelin.dev/access-groups";

/// Most applications or groups of one annotation.
const MOST_VALUES: usize = 64;

/// Why a value says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessError {
    Team(TeamError),
    Audience(AudienceError),
}

/// What is wrong behind the slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AudienceError {
    Missing,
    Quotes,
    Space,
    Tag,
    TooMany,
}

impl std::error::Error for AudienceError {}

advice! { AudienceError:
    AudienceError::Missing => "names no application",
        "write the Application Audience (AUD) Tag of the Access application behind a slash, such as \"example/AUD\"";
    AudienceError::Quotes => "has quotation marks in it", "write the value without further quotation marks";
    AudienceError::Space => "has a space in it", "write team, slash and AUD tag without spaces";
    AudienceError::Tag => "has an AUD tag that is none",
        "copy the Application Audience (AUD) Tag of the Access application: 64 hexadecimal digits";
    AudienceError::TooMany => "has more than 64 values", "use fewer, or several Ingresses";
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason(), self.fix())
    }
}

impl AccessError {
    fn reason(self) -> &'static str {
        match self {
            Self::Team(error) => error.reason(),
            Self::Audience(error) => error.reason(),
        }
    }

    fn fix(self) -> &'static str {
        match self {
            Self::Team(error) => error.fix(),
            Self::Audience(error) => error.fix(),
        }
    }
}

/// Reads `TEAM/AUD`, or several AUD tags with commas.
pub(super) fn parse(value: &str) -> Result<(Team, Vec<Box<str>>), AccessError> {
    if value.contains("://") {
        return Err(AccessError::Team(TeamError::Url));
    }
    let (team, audiences) = match value.split_once('/') {
        Some((team, audiences)) => (team, Some(audiences)),
        None => (value, None),
    };
    let team = Team::parse(team).map_err(AccessError::Team)?;
    let audiences =
        self::audiences(audiences.unwrap_or_default()).map_err(AccessError::Audience)?;
    Ok((team, audiences))
}

fn audiences(list: &str) -> Result<Vec<Box<str>>, AudienceError> {
    let tags: Vec<&str> = list.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
    if tags.is_empty() {
        return Err(AudienceError::Missing);
    }
    let all = tags.concat();
    if all.contains(['"', '\'', '`']) {
        return Err(AudienceError::Quotes);
    }
    if all.contains(char::is_whitespace) || list.starts_with(char::is_whitespace) {
        return Err(AudienceError::Space);
    }
    match tags.len() {
        ..=MOST_VALUES if tags.iter().all(|tag| is_audience(tag)) => {
            Ok(tags.into_iter().map(Box::from).collect())
        }
        ..=MOST_VALUES => Err(AudienceError::Tag),
        _ => Err(AudienceError::TooMany),
    }
}

/// Reads both annotations.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    let groups = groups(maker);
    let Some(value) = maker.present(ACCESS) else {
        if groups.is_some() {
            let fix = "write ravelin.dev/access: TEAM/AUD as well, or remove it";
            maker.refuse(ACCESS_GROUPS, "has no effect without ravelin.dev/access", fix);
        }
        return;
    };
    match parse(value) {
        Ok((team, audiences)) => {
            let groups = groups.unwrap_or_default();
            let rule = Box::new(AccessRule { team, audiences, groups, hosts: Vec::new() });
            maker.push(ACCESS, Step::Access(rule), None);
        }
        Err(error) => {
            let reason = format!("{} {}", quote(value), error.reason());
            maker.refuse(ACCESS, &reason, error.fix());
        }
    }
}

/// The groups, if they are named. A list without any is refused: it may be meant to let nobody in.
fn groups(maker: &mut Maker<'_, '_>) -> Option<Vec<Box<str>>> {
    let value = maker.present(ACCESS_GROUPS)?;
    let groups = value.split(',').map(str::trim).filter(|group| !group.is_empty());
    let groups: Vec<Box<str>> = groups.map(Box::from).collect();
    if groups.is_empty() || groups.len() > MOST_VALUES {
        let reason = format!("{} does not have 1 to {MOST_VALUES} groups", quote(value));
        maker.refuse(ACCESS_GROUPS, &reason, "write groups with commas, such as \"admins, ops\"");
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUD: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";

    #[test]
    fn a_team_and_its_applications_are_read() {
        for (value, count) in [
            (format!("example/{AUD}"), 1),
            (format!("Example.cloudflareaccess.com/{AUD}"), 1),
            (format!("example/{AUD},0a"), 2),
            (format!("example/{AUD}, 0a, "), 2),
        ] {
            let (team, audiences) =
                parse(&value).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!((&**team.name(), audiences.len()), ("example", count), "{value}");
            assert_eq!(&*audiences[0], AUD);
        }
    }

    #[test]
    fn mistakes_that_users_make_are_told() {
        use AccessError::{Audience, Team};
        for (value, error) in [
            (format!("https://example.cloudflareaccess.com/{AUD}"), Team(TeamError::Url)),
            ("https://example.cloudflareaccess.com".to_owned(), Team(TeamError::Url)),
            ("example".to_owned(), Audience(AudienceError::Missing)),
            ("example/".to_owned(), Audience(AudienceError::Missing)),
            ("example/ , ".to_owned(), Audience(AudienceError::Missing)),
            (format!("/{AUD}"), Team(TeamError::Empty)),
            (String::new(), Team(TeamError::Empty)),
            (format!("example / {AUD}"), Team(TeamError::Space)),
            (format!("example/ {AUD}"), Audience(AudienceError::Space)),
            (format!("example/{AUD} 0a"), Audience(AudienceError::Space)),
            (format!("\"example/{AUD}\""), Team(TeamError::Quotes)),
            (format!("example/'{AUD}'"), Audience(AudienceError::Quotes)),
            (format!("admin.example.com/{AUD}"), Team(TeamError::Domain)),
            (format!("example/{AUD}/x"), Audience(AudienceError::Tag)),
            (format!("example/{}", "a".repeat(129)), Audience(AudienceError::Tag)),
            (format!("example/{}", "a,".repeat(65)), Audience(AudienceError::TooMany)),
        ] {
            assert_eq!(parse(&value).expect_err(&value), error, "{value}");
        }
    }
}
