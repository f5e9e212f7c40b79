//! Weights in the fields by which a client says what it prefers (RFC 9110 section 12.4.2): `Accept`,
//! `Accept-Encoding`.

/// The value of `q` among the parameters of an element, in thousandths: 1000 without one. What is no weight asks for
/// nothing.
pub fn weight<'v>(parameters: impl Iterator<Item = &'v [u8]>) -> u16 {
    for parameter in parameters {
        let Some((name, value)) = str::from_utf8(parameter).ok().and_then(|p| p.split_once('='))
        else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("q") {
            return thousandths(value.trim()).unwrap_or(0);
        }
    }
    1000
}

/// RFC 9110 section 12.4.2: up to three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_has_up_to_three_digits_and_what_is_none_asks_for_nothing() {
        for (parameters, expected) in [
            ("", 1000),
            ("q=0.5", 500),
            (" Q = 1.000", 1000),
            ("level=1;q=0.001", 1),
            ("q=0", 0),
            ("q=1.5", 0),
            ("q=0.0001", 0),
            ("q=x", 0),
        ] {
            let parsed = weight(parameters.as_bytes().split(|&byte| byte == b';'));
            assert_eq!(parsed, expected, "{parameters}");
        }
    }
}
