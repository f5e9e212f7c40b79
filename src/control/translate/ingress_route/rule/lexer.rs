//! The tokens of a rule.

use super::RuleError;
use std::borrow::Cow;
use std::fmt;
use std::str::Chars;

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
    /// Go's: a line that may be the end of the rule ends.
    LineBreak,
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
            Self::LineBreak => f.write_str("a line break"),
            Self::End => f.write_str("its end"),
        }
    }
}

/// Reads tokens one by one.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    rest: &'t str,
    /// Whether the rule may end behind the last token. Go takes a line break there for the end.
    may_end: bool,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text, may_end: false }
    }

    /// The next token; [`Token::End`] at the end, and again.
    pub(super) fn token(&mut self) -> Result<Token<'t>, RuleError> {
        let token = if self.skip()? && self.may_end { Token::LineBreak } else { self.read()? };
        self.may_end = matches!(token, Token::Name(_) | Token::Text(_) | Token::Close);
        Ok(token)
    }

    /// Skips blanks and comments. Returns whether a line has ended.
    fn skip(&mut self) -> Result<bool, RuleError> {
        let mut breaks = false;
        loop {
            let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            breaks |= self.rest[..self.rest.len() - rest.len()].contains('\n');
            self.rest = rest;
            if let Some(comment) = rest.strip_prefix("//") {
                self.rest = &comment[comment.find('\n').unwrap_or(comment.len())..];
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment.find("*/").ok_or_else(|| unclosed("comment"))?;
                breaks |= comment[..end].contains('\n');
                self.rest = &comment[end + 2..];
            } else {
                return Ok(breaks);
            }
        }
    }

    fn read(&mut self) -> Result<Token<'t>, RuleError> {
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

    /// Go's interpreted text (The Go Programming Language Specification, "String literals").
    fn quoted(&mut self) -> Result<Token<'t>, RuleError> {
        let inner = &self.rest[1..];
        let mut text = String::new();
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => {
                    self.rest = characters.as_str();
                    return Ok(Token::Text(Cow::Owned(text)));
                }
                '\\' => text.push(escaped(&mut characters)?),
                '\n' => break,
                other => text.push(other),
            }
        }
        Err(unclosed("double quote"))
    }
}

/// The character that an escape stands for, which begins behind its backslash. Bytes that are no characters are in no
/// name that is compared.
fn escaped(characters: &mut Chars<'_>) -> Result<char, RuleError> {
    let rest = characters.as_str();
    let first = characters.next().ok_or_else(|| unclosed("double quote"))?;
    let (skip, digits, radix) = match first {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        'n' => return Ok('\n'),
        't' => return Ok('\t'),
        'r' => return Ok('\r'),
        '"' | '\\' => return Ok(first),
        _ => return Err(no_escape(first)),
    };
    let code = rest.get(skip..skip + digits).filter(|code| code.chars().all(|c| c.is_digit(radix)));
    let code = code.and_then(|code| u32::from_str_radix(code, radix).ok());
    let is_byte = matches!(first, 'x' | '0'..='7');
    let code = code.filter(|code| !is_byte || *code < 0x80).and_then(char::from_u32);
    let character = code.ok_or_else(|| no_escape(first))?;
    *characters = rest.get(skip + digits..).unwrap_or_default().chars();
    Ok(character)
}

fn no_escape(first: char) -> RuleError {
    let reason = format!("has the escape \\{first} in double quotes");
    RuleError::new(reason, "write the text in backquotes")
}

fn unclosed(quote: &str) -> RuleError {
    RuleError::new(format!("has a {quote} that is not closed"), "close it")
}
