//! The tokens of a rule.

use super::RuleError;
use std::borrow::Cow;
use std::fmt;

/// A part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Name(&'t str),
    Text(Cow<'t, str>),
    And,
    Or,
    Not,
    Open,
    Close,
    Comma,
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Text(text) => write!(f, "the text {text:?}"),
            Self::And => f.write_str("`&&`"),
            Self::Or => f.write_str("`||`"),
            Self::Not => f.write_str("`!`"),
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::Comma => f.write_str("`,`"),
            Self::End => f.write_str("its end"),
        }
    }
}

/// Reads tokens one by one.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    rest: &'t str,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// The next token; [`Token::End`] at the end, and again.
    pub(super) fn token(&mut self) -> Result<Token<'t>, RuleError> {
        self.rest = self.rest.trim_start();
        for (text, token) in [
            ("&&", Token::And),
            ("||", Token::Or),
            ("!", Token::Not),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
        ] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(token);
            }
        }
        match self.rest.chars().next() {
            None => Ok(Token::End),
            Some('`') => self.raw(),
            Some('"') => self.quoted(),
            Some(first) if first.is_ascii_alphabetic() => {
                let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                Ok(Token::Name(name))
            }
            Some('\'') => Err(RuleError::new(
                "has text in single quotes",
                "write backquotes or double quotes",
            )),
            Some(other) => Err(RuleError::new(
                format!("has {other:?}, which is no part of a rule"),
                "remove it",
            )),
        }
    }

    fn raw(&mut self) -> Result<Token<'t>, RuleError> {
        let inner = &self.rest[1..];
        let end = inner.find('`').ok_or_else(|| unclosed("backquote"))?;
        self.rest = &inner[end + 1..];
        Ok(Token::Text(Cow::Borrowed(&inner[..end])))
    }

    /// Go's interpreted text. The escapes of bytes and code points are in no rule that was ever seen.
    fn quoted(&mut self) -> Result<Token<'t>, RuleError> {
        let inner = &self.rest[1..];
        let mut text = String::new();
        let mut characters = inner.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &inner[at + 1..];
                    return Ok(Token::Text(Cow::Owned(text)));
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => {
                        let reason = format!("has the escape \\{other} in double quotes");
                        return Err(RuleError::new(reason, "write the text in backquotes"));
                    }
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err(unclosed("double quote"))
    }
}

fn unclosed(quote: &str) -> RuleError {
    RuleError::new(format!("has a {quote} that is not closed"), "close it")
}
