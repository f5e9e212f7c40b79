//! Numbers in few characters.

/// A rate in at most five characters: `0.50`, `12.3`, `1234`, `12.3k`, `1.23M`.
pub(super) fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        ..9_999.5 => format!("{value:.0}"),
        ..99_950.0 => format!("{:.1}k", value / 1e3),
        ..999_500.0 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.2}M", value / 1e6),
    }
}

/// A duration of milliseconds in at most six characters: `0.31ms`, `4.2ms`, `120ms`, `1.5s`, `75s`; `-` for none.
pub(super) fn duration(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "-".to_owned(),
        Some(ms @ ..0.995) => format!("{ms:.2}ms"),
        Some(ms @ ..99.95) => format!("{ms:.1}ms"),
        Some(ms @ ..999.5) => format!("{ms:.0}ms"),
        Some(ms @ ..9_950.0) => format!("{:.1}s", ms / 1e3),
        Some(ms) => format!("{:.0}s", ms / 1e3),
    }
}

/// A time span, its two largest units: `12s`, `5m 3s`, `2h 5m`, `40d 3h`.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days}d {}h", hours % 24),
        (_, 1.., _) => format!("{hours}h {}m", minutes % 60),
        (_, _, 1..) => format!("{minutes}m {}s", seconds % 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_characters_at_any_size() {
        for (value, expected) in [
            (0.0, "0"),
            (0.5, "0.50"),
            (9.999, "10.0"),
            (99.96, "100"),
            (9_999.0, "9999"),
            (9_999.7, "10.0k"),
            (123_456.0, "123k"),
            (1_234_567.0, "1.23M"),
        ] {
            assert_eq!(rate(value), expected);
        }
        for (value, expected) in [
            (None, "-"),
            (Some(0.305), "0.30ms"),
            (Some(0.999), "1.0ms"),
            (Some(99.97), "100ms"),
            (Some(1500.0), "1.5s"),
            (Some(75_000.0), "75s"),
        ] {
            assert_eq!(duration(value), expected);
        }
        for (value, expected) in
            [(-5, "0s"), (59, "59s"), (303, "5m 3s"), (7500, "2h 5m"), (3_466_800, "40d 3h")]
        {
            assert_eq!(span(value), expected);
        }
    }
}
