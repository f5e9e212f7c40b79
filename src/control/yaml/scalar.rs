//! What a scalar means: `resolve` of go-yaml 2, and what `sigs.k8s.io/yaml` makes of it in JSON.

use granit_parser::ScalarStyle;
use k8s_openapi::ByteString;
use serde_json::{Number, Value};
use std::borrow::Cow;

const CORE: &str = "tag:yaml.org,2002:";

/// The value of a scalar. Other tags than those of YAML itself mean text, as there.
pub(super) fn resolve(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&str>,
) -> Result<Value, String> {
    let plain = || plain(&text);
    let value = match tag {
        None if style == ScalarStyle::Plain => plain(),
        None => None,
        Some(tag) => match tag.strip_prefix(CORE) {
            Some("int") => Some(plain().filter(is_integer).ok_or("is not an !!int")?),
            Some("float") => Some(plain().filter(is_number).ok_or("is not a !!float")?),
            Some("bool") => Some(plain().filter(Value::is_boolean).ok_or("is not a !!bool")?),
            Some("null") => Some(plain().filter(Value::is_null).ok_or("is not a !!null")?),
            Some("binary") => Some(binary(&text).ok_or("is not base64, as !!binary requires")?),
            _ => None,
        },
    };
    Ok(value.unwrap_or_else(|| Value::String(text.into_owned())))
}

/// Whether a key asks for the entries of another mapping.
pub(super) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&str>) -> bool {
    let asked = match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => tag.strip_prefix(CORE) == Some("merge"),
    };
    asked && text == "<<"
}

/// The text of a key; JSON knows no others. `None` for what cannot be one.
pub(super) fn key(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => float_key(float),
            None => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value as JSON writes it: a number without a fraction is an integer (`port: 80.0`).
pub(super) fn in_json(value: Value) -> Value {
    match value.as_f64().filter(|_| value.is_f64()) {
        // Above, the digits of an integer would be more than it has.
        Some(float) if float.fract() == 0.0 && float.abs() < 1e18 => {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            let whole = float as i64;
            whole.into()
        }
        _ => value,
    }
}

/// The shortest digits of the nearest `f32`, with an exponent from a million on (`FormatFloat` of Go
/// with the verb `g`).
fn float_key(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "as the reference does")]
    let float = float as f32;
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn is_number(value: &Value) -> bool {
    value.is_number() || matches!(value.as_str(), Some(".nan" | ".inf" | "-.inf"))
}

/// The value of a scalar without quotes; `None` for text.
pub(super) fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        // JSON has no number for them; kubectl refuses, and only their own reader may complain.
        ".nan" | ".NaN" | ".NAN" => return Some(".nan".into()),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(".inf".into()),
        "-.inf" | "-.Inf" | "-.INF" => return Some("-.inf".into()),
        _ => {}
    }
    match text.as_bytes().first()? {
        b'.' => float(text),
        b'+' | b'-' | b'0'..=b'9' => {
            let digits = text.replace('_', "");
            integer(&digits).map(Value::Number).or_else(|| float(&digits))
        }
        _ => None,
    }
}

/// An integer in the notation of Go: `0x`, `0o` and `0` for octal, `0b`.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let radix = |prefix: [&str; 2]| prefix.into_iter().find_map(|it| digits.strip_prefix(it));
    let (digits, base) = if let Some(digits) = radix(["0x", "0X"]) {
        (digits, 16)
    } else if let Some(digits) = radix(["0b", "0B"]) {
        (digits, 2)
    } else if let Some(digits) = radix(["0o", "0O"]) {
        (digits, 8)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    // `from_str_radix` takes a second sign.
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        let value = i64::try_from(-i128::from(magnitude)).ok()?;
        return Some(value.into());
    }
    // Only what fits without a sign may be longer than 63 bits.
    (i64::try_from(magnitude).is_ok() || !text.starts_with('+')).then(|| magnitude.into())
}

/// A decimal fraction or exponent.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = are_digits(whole) && are_digits(fraction);
    let has_digits = !(whole.is_empty() && fraction.is_empty());
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    if !(is_mantissa && has_digits && is_exponent) {
        return None;
    }
    // Beyond the range it is text: JSON has no infinity.
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

fn binary(text: &str) -> Option<Value> {
    let text: String = text.chars().filter(|sign| !matches!(sign, '\r' | '\n')).collect();
    let ByteString(bytes) = serde_json::from_value(Value::String(text)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned().into())
}
