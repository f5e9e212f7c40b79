//! What may be written to a terminal: colours where they are wanted, and no control characters of others.

use clap::ValueEnum;
use std::io::IsTerminal;

/// When output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// In any case: for `| less -R`.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether `output` gets colours (<https://no-color.org>: NO_COLOR counts if it is not empty).
    pub(super) fn is_wanted(self, output: &impl IsTerminal) -> bool {
        let refused = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto => output.is_terminal() && !refused(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The text without control characters: what clients sent is printed, never obeyed by the terminal.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
