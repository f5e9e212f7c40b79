//! `circuitBreaker`, and its expressions.
//!
//! ```text
//! any     = all { "||" all }
//! all     = one { "&&" one }
//! one     = "(" any ")" | signal operator number
//! signal  = "NetworkErrorRatio()" | "ResponseCodeRatio(a, b, c, d)" | "LatencyAtQuantileMS(q)" | "RequestThreshold()"
//! ```

use super::Fields;
use super::texts::status;
use crate::control::quote::quote;
use crate::model::middleware::{BreakerCondition, CircuitBreaker, Operator, Signal, Step};
use http::StatusCode;
use std::time::Duration;

/// Parentheses within parentheses: more is a mistake.
const MOST_DEPTH: usize = 16;

/// Longest expression, in bytes.
const MOST_BYTES: usize = 1024;

const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    let known =
        ["expression", "checkPeriod", "fallbackDuration", "recoveryDuration", "responseCode"];
    fields.know(&known);
    let mut time = |key: &str, default: Duration| match fields.duration(key) {
        None | Some(Duration::ZERO) => default,
        Some(time) => time,
    };
    let check_period = time("checkPeriod", Duration::from_millis(100));
    let fallback = time("fallbackDuration", Duration::from_secs(10));
    let recovery = time("recoveryDuration", Duration::from_secs(10));
    let status = match fields.number("responseCode") {
        None | Some(0) => StatusCode::SERVICE_UNAVAILABLE,
        Some(code) => {
            let read = fields.parse("responseCode", &code.to_string(), status(code), "write 503");
            read.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    let text = fields.required("expression", "write one such as NetworkErrorRatio() > 0.3")?;
    let fix = "write signals of Traefik, such as ResponseCodeRatio(500, 600, 0, 600) > 0.25";
    let condition = fields.parse("expression", text, parse(text), fix)?;
    Some(Step::CircuitBreaker(Box::new(CircuitBreaker {
        condition,
        check_period,
        fallback,
        recovery,
        status,
    })))
}

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, in words that follow the text.
fn parse(text: &str) -> Result<BreakerCondition, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("has more than {MOST_BYTES} bytes"));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let condition = parser.any()?;
    match parser.rest.trim_start() {
        "" => Ok(condition),
        rest => Err(format!("cannot be read from {} on", quote(rest))),
    }
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.strip_prefix(token);
        self.rest = found.unwrap_or(rest);
        found.is_some()
    }

    fn any(&mut self) -> Result<BreakerCondition, String> {
        let mut all = vec![self.all()?];
        while self.take("||") {
            all.push(self.all()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { BreakerCondition::Any(all) })
    }

    fn all(&mut self) -> Result<BreakerCondition, String> {
        let mut all = vec![self.one()?];
        while self.take("&&") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { BreakerCondition::All(all) })
    }

    fn one(&mut self) -> Result<BreakerCondition, String> {
        if !self.take("(") {
            let signal = self.signal()?;
            let operator = OPERATORS.into_iter().find(|(token, _)| self.take(token));
            let Some((_, operator)) = operator else {
                return Err(format!("has no comparison before {}", quote(self.rest)));
            };
            return Ok(BreakerCondition::Compare(signal, operator, self.number()?));
        }
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err("has too many parentheses".to_owned());
        }
        let inner = self.any()?;
        self.depth -= 1;
        if self.take(")") { Ok(inner) } else { Err("lacks a closing parenthesis".to_owned()) }
    }

    fn signal(&mut self) -> Result<Signal, String> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = &rest[..end];
        self.rest = &rest[end..];
        let arguments = self.arguments()?;
        let code = |number: f64| {
            // A status, or the end of a range of them.
            let is_code = number.fract() == 0.0 && (0.0..=1000.0).contains(&number);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            is_code.then_some(number as u16)
        };
        let signal = match (name, &arguments[..]) {
            ("NetworkErrorRatio", []) => Some(Signal::NetworkErrors),
            ("RequestThreshold", []) => Some(Signal::Requests),
            ("LatencyAtQuantileMS", [quantile]) if (0.0..=100.0).contains(quantile) => {
                Some(Signal::Latency(*quantile))
            }
            ("ResponseCodeRatio", [a, b, c, d]) => code(*a)
                .zip(code(*b))
                .zip(code(*c).zip(code(*d)))
                .map(|(counted, divided)| Signal::Responses { counted, divided }),
            _ => None,
        };
        signal.ok_or_else(|| {
            format!("has no signal {} with {} numbers", quote(name), arguments.len())
        })
    }

    fn arguments(&mut self) -> Result<Vec<f64>, String> {
        let mut arguments = Vec::new();
        if !self.take("(") || self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.number()?);
            if self.take(")") {
                return Ok(arguments);
            }
            if !self.take(",") {
                return Err("lacks a comma between numbers".to_owned());
            }
        }
    }

    fn number(&mut self) -> Result<f64, String> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number = rest[..end].parse::<f64>().ok().filter(|number| number.is_finite());
        self.rest = &rest[end..];
        number.ok_or_else(|| format!("has no number before {}", quote(self.rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_binds_before_or_and_parentheses_before_both() {
        let network =
            |number| BreakerCondition::Compare(Signal::NetworkErrors, Operator::Greater, number);
        let latency =
            BreakerCondition::Compare(Signal::Latency(50.0), Operator::GreaterOrEqual, 100.0);
        let text = "NetworkErrorRatio() > 0.3 || NetworkErrorRatio()>.5 && LatencyAtQuantileMS(50.0) >= 100";
        let both = BreakerCondition::All(vec![network(0.5), latency.clone()]);
        assert_eq!(parse(text), Ok(BreakerCondition::Any(vec![network(0.3), both])));
        let text = "(NetworkErrorRatio() > 0.3 || NetworkErrorRatio() > 0.5) && LatencyAtQuantileMS(50) >= 100";
        let either = BreakerCondition::Any(vec![network(0.3), network(0.5)]);
        assert_eq!(parse(text), Ok(BreakerCondition::All(vec![either, latency])));
        let signal = Signal::Responses { counted: (500, 600), divided: (0, 600) };
        let expected = BreakerCondition::Compare(signal, Operator::Less, 0.25);
        assert_eq!(parse("ResponseCodeRatio(500, 600, 0, 600) < 0.25"), Ok(expected));
    }

    #[test]
    fn what_is_no_expression_says_where() {
        for text in [
            "",
            "true",
            "NetworkErrorRatio()",
            "NetworkErrorRatio() > ",
            "NetworkErrorRatio() > 0.3 &",
            "NetworkErrorRatio() > 0.3 || ",
            "(NetworkErrorRatio() > 0.3",
            "Latency(50) > 1",
            "LatencyAtQuantileMS() > 1",
            "ResponseCodeRatio(500.5, 600, 0, 600) > 1",
            "ResponseCodeRatio(500 600, 0, 600) > 1",
            "NetworkErrorRatio() > 1.2.3",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("{}NetworkErrorRatio() > 1", "(".repeat(1000));
        assert!(parse(&deep).is_err());
    }
}
