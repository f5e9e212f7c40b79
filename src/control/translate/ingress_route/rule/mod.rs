//! The language of `match` in IngressRoutes and IngressRouteTCPs: matchers joined by `&&`, `||`, `!` and parentheses (Traefik 3,
//! "Routers", rules; `pkg/rules/parser.go` reads it as an expression of Go).
//!
//! Text is between double quotes, with Go's escapes, or between backquotes, as it is. A rule may go on in another line
//! behind an operator only, as an expression of Go.

mod lexer;
mod matcher;
mod tcp;
mod v2;

use crate::model::Condition;
use lexer::{Lexer, Token};

/// The deepest nesting of parentheses and `!`.
const MOST_DEPTH: usize = 32;

/// The most matchers of one rule.
const MOST_MATCHERS: usize = 256;

/// What is wrong with a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control::translate) struct RuleError {
    /// In one clause, with the text that it is about.
    pub(in crate::control::translate) reason: String,
    /// What to do.
    pub(in crate::control::translate) fix: String,
}

impl RuleError {
    fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: fix.into() }
    }
}

/// The version of the language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::control::translate) enum Syntax {
    /// `Host`, `Header`, one argument.
    #[default]
    V3,
    /// `Headers`, several arguments, `{name:expression}`: where `syntax: v2` asks for it.
    V2,
    /// Version 3 for connections: `HostSNI`, `ALPN`.
    Tcp,
    /// Version 2 for connections.
    TcpV2,
}

impl Syntax {
    /// A rule, for messages.
    fn example(self) -> &'static str {
        match self {
            Self::V3 | Self::V2 => "Host(`example.com`)",
            Self::Tcp | Self::TcpV2 => "HostSNI(`example.com`)",
        }
    }
}

/// Reads a rule.
///
/// # Errors
/// If it is none, with what is wrong first.
pub(in crate::control::translate) fn parse(
    text: &str,
    syntax: Syntax,
) -> Result<Condition, RuleError> {
    let mut parser = Parser { lexer: Lexer::new(text), syntax, depth: 0, matchers: 0 };
    if parser.peek()? == Token::End {
        let fix = format!("write a rule, such as {}", syntax.example());
        return Err(RuleError::new("is empty", fix));
    }
    let rule = parser.any()?;
    if parser.peek()? == Token::LineBreak {
        parser.next()?;
        return match parser.next()? {
            Token::End => Ok(rule),
            other => {
                let reason =
                    format!("has {other} behind a line break, where Traefik ends the rule");
                Err(RuleError::new(reason, "write the operator at the end of the line before"))
            }
        };
    }
    match parser.next()? {
        Token::End => Ok(rule),
        other => Err(unexpected(&other, "`&&`, `||` or the end of the rule")),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    syntax: Syntax,
    depth: usize,
    matchers: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Result<Token<'t>, RuleError> {
        self.lexer.clone().token()
    }

    fn next(&mut self) -> Result<Token<'t>, RuleError> {
        self.lexer.token()
    }

    /// `&&` binds closer than `||`.
    fn any(&mut self) -> Result<Condition, RuleError> {
        let mut parts = vec![self.all()?];
        while self.peek()? == Token::Or {
            self.next()?;
            parts.push(self.all()?);
        }
        Ok(single(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, RuleError> {
        let mut parts = vec![self.not()?];
        while self.peek()? == Token::And {
            self.next()?;
            parts.push(self.not()?);
        }
        Ok(single(parts, Condition::All))
    }

    fn not(&mut self) -> Result<Condition, RuleError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            let reason = format!("nests deeper than {MOST_DEPTH} levels");
            return Err(RuleError::new(reason, "split it into several routes"));
        }
        let rule = match self.next()? {
            Token::Not => Condition::Not(Box::new(self.not()?)),
            Token::Open => {
                let rule = self.any()?;
                match self.next()? {
                    Token::Close => rule,
                    other => return Err(unexpected(&other, "`)`")),
                }
            }
            Token::Name(name) => self.matcher(name)?,
            other => {
                let wanted = format!("a matcher, such as {}", self.syntax.example());
                return Err(unexpected(&other, &wanted));
            }
        };
        self.depth -= 1;
        Ok(rule)
    }

    fn matcher(&mut self, name: &str) -> Result<Condition, RuleError> {
        self.matchers += 1;
        if self.matchers > MOST_MATCHERS {
            let reason = format!("has more than {MOST_MATCHERS} matchers");
            return Err(RuleError::new(reason, "split it into several routes"));
        }
        match self.next()? {
            Token::Open => {}
            other => return Err(unexpected(&other, &format!("`(` after {name}"))),
        }
        let arguments = self.arguments()?;
        if arguments.is_empty() || arguments.iter().any(String::is_empty) {
            let reason = format!("has {name} with an empty value, or none");
            return Err(RuleError::new(reason, "write one"));
        }
        match self.syntax {
            Syntax::V3 => matcher::read(name, &arguments),
            Syntax::V2 => v2::read(name, &arguments),
            Syntax::Tcp | Syntax::TcpV2 => tcp::read(name, &arguments, self.syntax),
        }
    }

    /// Those of a matcher, whose parenthesis is open.
    fn arguments(&mut self) -> Result<Vec<String>, RuleError> {
        let mut arguments = Vec::new();
        loop {
            match self.next()? {
                Token::Text(text) => arguments.push(text.into_owned()),
                Token::Close => return Ok(arguments),
                other => return Err(unexpected(&other, "text in backquotes or double quotes")),
            }
            match self.next()? {
                Token::Comma => {}
                Token::Close => return Ok(arguments),
                other => return Err(unexpected(&other, "`,` or `)`")),
            }
        }
    }
}

/// The name of a matcher as Traefik knows it: as it is defined, in lower or upper case, or with one capital letter.
fn known<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let title = |known: &str| {
        let (first, rest) = known.split_at(1);
        format!("{}{}", first.to_ascii_uppercase(), rest.to_ascii_lowercase())
    };
    names.iter().copied().find(|known| {
        name == *known
            || name == known.to_ascii_lowercase()
            || name == known.to_ascii_uppercase()
            || name == title(known)
    })
}

fn single(mut parts: Vec<Condition>, of: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => of(parts),
    }
}

fn unexpected(token: &Token<'_>, wanted: &str) -> RuleError {
    RuleError::new(format!("has {token} where {wanted} is expected"), "correct the rule")
}

#[cfg(test)]
mod tests;
